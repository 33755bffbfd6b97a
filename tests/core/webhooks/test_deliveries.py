"""Webhooks as values: who is told, what is sent, when a try is repeated and when that ends."""

from __future__ import annotations

import msgspec
import pytest

from livecast.core.tools.globs import glob_matches
from livecast.core.webhooks.deliveries import (
    Answer,
    Delivery,
    Secret,
    WebhookRules,
    after,
    envelope,
    rotated,
    signing,
    wait_ms,
    wants,
)
from support.hooks import HOUR_MS, SECRET, endpoint, event

RULES = WebhookRules()
PENDING = Delivery(1, "evt_1", "gift.sent", "r", since=0)


def failed(status: int = 500, **more: int) -> Answer:
    """A try that failed."""
    return Answer(status, 7, "x" * 500, **more)


@pytest.mark.parametrize(
    ("glob", "word", "fits"),
    [
        ("*", "", True), ("*", "drop.opened", True), ("drop.*", "drop.opened", True), ("drop.*", "drops.opened", False),
        ("drop.*", "drop.", True), ("drop.opened", "drop.opened", True), ("drop.open", "drop.opened", False),
        ("*.sent", "gift.sent", True), ("shop-?", "shop-1", True), ("shop-?", "shop-12", False), ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c", False), ("", "x", False), ("?" * 3, "ab", False), ("*?", "x", True),
    ],
)  # fmt: skip
def test_globs(glob: str, word: str, fits: bool) -> None:
    """`*` is any run of characters, `?` any one."""
    assert glob_matches(glob, word) is fits


def test_who_is_told() -> None:
    """Of the type, of the room, within what the key reaches, and of the seller."""
    of_m1 = endpoint(merchant="m1", events=("drop.*", "gift.sent"), rooms=("shop-*", "club"), reach=("shop-*",))
    assert wants(of_m1, "drop.opened", "shop-1", "m1")
    assert not wants(of_m1, "gift.reversed", "shop-1", "m1")
    assert not wants(of_m1, "drop.opened", "club", "m1")
    assert not wants(of_m1, "drop.opened", "shop-1", "m2")
    assert not wants(of_m1, "drop.opened", "shop-1", "")
    assert wants(endpoint(), "drop.opened", "club", "m2")


def test_the_envelope_is_exactly_this() -> None:
    """Nine members in this order; the same bytes each time."""
    body = envelope(event("evt_1", "r"), 7)
    assert list(msgspec.json.decode(body)) == ["id", "type", "timestamp", "room", "broadcast", "merchant", "seq", "test", "data"]
    assert msgspec.json.decode(body)["seq"] == 7
    assert body == envelope(event("evt_1", "r"), 7)


def test_a_rotation_leaves_two_secrets_for_a_day() -> None:
    """The new one and the one before; an older one stops at once, and no rotation prolongs what was to end."""
    first = endpoint()
    second = rotated(first, "two", 1_000, RULES)
    assert (second.rev, second.secrets) == (2, (Secret("two"), Secret(SECRET, 1_000 + 24 * HOUR_MS)))
    assert signing(second, 1_000 + 24 * HOUR_MS - 1) == ["two", SECRET]
    assert signing(second, 1_000 + 24 * HOUR_MS) == ["two"]
    third = rotated(second, "three", 2_000, RULES)
    assert signing(third, 2_000) == ["three", "two"]


def test_waits_grow_to_an_hour() -> None:
    """Half as long again each time, a fifth more or less by chance; some 90 tries in three days."""
    assert [wait_ms(n, None, 0.5, RULES) for n in (1, 2, 3, 10)] == [250, 375, 562, 9610]
    assert (wait_ms(1, None, 0, RULES), wait_ms(1, None, 0.999999, RULES)) == (200, 299)
    assert wait_ms(1_000_000, None, 0.5, RULES) == HOUR_MS
    assert sum(wait_ms(n, None, 0.5, RULES) for n in range(1, 11)) < 30_000
    at, tries = 0, 0
    while at < 72 * HOUR_MS:
        tries += 1
        at += wait_ms(tries, None, 0.5, RULES)
    assert 80 < tries < 100


def test_a_receiver_may_ask_for_time() -> None:
    """But for no more than an hour, and not to be asked sooner."""
    assert wait_ms(1, 60, 0.5, RULES) == 60_000
    assert wait_ms(1, 10**6, 0.5, RULES) == HOUR_MS
    assert wait_ms(10, 1, 0.5, RULES) == 9610


def test_what_becomes_of_a_delivery() -> None:
    """Taken: delivered. Else it is due again, the last time three days after the first: then it is dead."""
    done = after(PENDING, Answer(204, 12, "HTTP 204"), 50, 0.5, RULES)
    assert (done.state, done.attempts, done.status, done.took_ms, done.next_at, done.reason) == ("delivered", 1, 204, 12, 0, "")
    again = after(PENDING, failed(), 1_000, 0.5, RULES)
    assert (again.state, again.attempts, again.next_at, len(again.reason)) == ("pending", 1, 1_250, 200)
    assert after(again, failed(302), 2_000, 0.5, RULES).next_at == 2_375
    assert after(again, failed(), 72 * HOUR_MS - 1, 0.5, RULES).next_at == 72 * HOUR_MS
    dead = after(again, failed(0), 72 * HOUR_MS, 0.5, RULES)
    assert (dead.state, dead.attempts, dead.next_at) == ("dead", 2, 0)


@pytest.mark.parametrize(
    ("status", "ok"), [(200, True), (202, True), (299, True), (0, False), (199, False), (304, False), (410, False)]
)
def test_any_2xx_is_taken(status: int, ok: bool) -> None:
    """And nothing else."""
    assert Answer(status, 1).ok is ok
    assert Answer(status, 1).gone is (status == 410)
