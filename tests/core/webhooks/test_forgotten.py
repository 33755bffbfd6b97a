"""Events of webhooks once somebody in them has asked to be forgotten."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from livecast.core.webhooks.deliveries import EventType, WebhookEvent
from livecast.core.webhooks.forgotten import without_forgotten

ASKED_AT = 5_000
GONE = "erased:abc"


def pseudonym_of(user: str, at: int) -> str:
    """Ann asked to be forgotten."""
    return GONE if user == "ann" and at <= ASKED_AT else ""


def told(type_: str, data: Any, at: int = ASKED_AT) -> Any:
    """What is said of an event now."""
    event = WebhookEvent("evt_1", type_, at, "r", "b", "m", test=False, data=data)
    now = without_forgotten(event, pseudonym_of)
    assert msgspec.structs.replace(now, data=None) == msgspec.structs.replace(event, data=None)
    assert now is event or now.data != event.data
    return now.data


CLAIMS = {"drop": "d", "claims": [{"serial": 1, "user": "ann", "cid": "c"}, {"serial": 2, "user": "bob", "cid": "ann"}], "left": 3}
FORGETFUL = {**CLAIMS, "claims": [{"serial": 1, "user": GONE, "cid": "c"}, {"serial": 2, "user": "bob", "cid": "ann"}]}


@pytest.mark.parametrize("became", ["granted", "confirmed", "released", "expired", "revoked"])
def test_claims_keep_their_serials(became: str) -> None:
    """Who won is told under the pseudonym; everything else, and everybody else, stays."""
    assert told(f"claim.{became}", CLAIMS) == FORGETFUL


@pytest.mark.parametrize(("type_", "named"), [("claim.granted", True), ("claim.confirmed", False), ("claim.revoked", False)])
def test_who_came_back_is_named_in_what_is_new(type_: str, *, named: bool) -> None:
    """A unit won after that is theirs by name. What became of one may be about one of before."""
    assert told(type_, CLAIMS, ASKED_AT + 1) == (CLAIMS if named else FORGETFUL)


def test_gifts() -> None:
    """A viewer's gift is called after its giver; a service's is not. Hosts can be forgotten, too."""
    gift = {"tx": "ann/c1", "user": "ann", "gift": "rose", "n": 1, "value": 1, "to": "mei", "paid": "wallet", "at": 1, "total": 9}
    assert told("gift.sent", gift) == {**gift, "tx": f"{GONE}/c1", "user": GONE}
    assert told("gift.reversed", gift, ASKED_AT + 1) == {**gift, "tx": f"{GONE}/c1", "user": GONE}
    assert told("gift.sent", gift, ASKED_AT + 1) == gift
    service = {**gift, "tx": "/shop/ann"}
    assert told("gift.sent", service) == {**service, "user": GONE}
    other = {**gift, "tx": "annie/c1", "user": "annie", "to": "ann"}
    assert told("gift.sent", other) == {**other, "to": GONE}


def test_what_they_said_is_gone() -> None:
    """The text of a held comment, as everywhere else."""
    held = {"id": "c-1", "u": {"id": "ann", "name": "Ann"}, "text": "call me", "at": 7}
    assert told("comment.held", held) == {"id": "c-1", "at": 7, "redacted": True}
    assert told("comment.held", {**held, "u": {"id": "bob", "name": "ann"}})["text"] == "call me"


def test_reports_about_and_by_them() -> None:
    """Neither what was said of them, nor what they said of others; how many reported stays."""
    line = {"id": "c-1", "user": "bob", "comment": "c-1", "text": "hi", "n": 2, "at": 1, "last_at": 2}
    reasons = [{"by": "ann", "reason": "rude", "at": 1}, {"by": "cyd", "reason": "spam", "at": 2}]
    assert told("comment.reported", {**line, "reasons": reasons}) == {**line, "reasons": reasons[1:]}
    of_her = told("comment.reported", {**line, "user": "ann", "reasons": reasons[1:]})
    assert of_her == {"id": "c-1", "user": GONE, "comment": "c-1", "n": 2, "at": 1, "last_at": 2, "reasons": []}
    by_id = {"id": "u-ann", "user": "ann", "n": 1, "at": 1, "last_at": 1, "reasons": reasons[1:]}
    assert told("comment.reported", by_id) == {**by_id, "id": f"u-{GONE}", "user": GONE, "reasons": []}


def test_bans() -> None:
    """Who is banned and who banned them."""
    ban = {"user": "ann", "until": None, "reason": "ads", "by": "mo", "at": 1, "scope": "room"}
    assert told("user.banned", ban) == {**ban, "user": GONE}
    assert told("user.banned", {**ban, "user": "bob", "by": "ann"}) == {**ban, "user": "bob", "by": GONE}


@pytest.mark.parametrize("type_", msgspec.json.schema(EventType)["enum"])
def test_whatever_an_event_holds(type_: str) -> None:
    """What lacks what it should have, written by another version say, is told and no fault."""
    assert told(type_, {"title": "t"}) in ({"title": "t"}, {"title": "t", "claims": []}, {"title": "t", "reasons": []})
    assert told(type_, None) is None
