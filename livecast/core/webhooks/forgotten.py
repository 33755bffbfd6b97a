"""Events of webhooks as they are told once somebody in them has asked to be forgotten.

What is kept for the list of events, for retries and replays, was written when it happened. It is changed as it goes out: what they
said is gone, and what names them names their pseudonym, as in boards, lists of claims and logs. Figures stay.

Whoever adds a type of event that names people: give it a line in `_WITHOUT`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from livecast.core.webhooks.deliveries import WebhookEvent

PseudonymOf: TypeAlias = Callable[[str, int], str]
"""How somebody is called in what happened at that time (Unix ms); "" of those who did not ask to be forgotten since."""


LONG_AGO: Final = 0


def without_forgotten(event: WebhookEvent, pseudonym_of: PseudonymOf) -> WebhookEvent:
    """The event as it may be told now; the same object where it names nobody who asked to be forgotten since."""
    rewrite = _WITHOUT.get(event.type)
    if rewrite is None or not isinstance(event.data, dict):
        return event
    at = event.timestamp if event.type in _DONE_THEN else LONG_AGO
    data = rewrite(event.data, lambda user: pseudonym_of(user, at))
    return event if data == event.data else replace(event, data=data)


_Called = Callable[[str], str]
_Data = dict[str, Any]


def _renamed(data: _Data, names: tuple[str, ...], called: _Called) -> _Data:
    return {name: called(said) or said if name in names and isinstance(said, str) else said for name, said in data.items()}


def _claims(data: _Data, called: _Called) -> _Data:
    return {**data, "claims": [_renamed(claim, ("user",), called) for claim in data.get("claims", ())]}


def _gift(data: _Data, called: _Called) -> _Data:
    """A viewer's gift is called `USER/CID`."""
    giver, tx = data.get("user", ""), data.get("tx", "")
    gone = called(giver)
    renamed = _renamed(data, ("user", "to"), called)
    return renamed | {"tx": f"{gone}{tx[len(giver) :]}"} if gone and tx.startswith(f"{giver}/") else renamed


def _held(data: _Data, called: _Called) -> _Data:
    return {"id": data.get("id"), "at": data.get("at"), "redacted": True} if called(data.get("u", {}).get("id", "")) else data


def _reported(data: _Data, called: _Called) -> _Data:
    """Neither what they said nor what was said about them; nor what they said about others."""
    gone = called(data.get("user", ""))
    if not gone:
        return {**data, "reasons": [reason for reason in data.get("reasons", ()) if not called(reason["by"])]}
    line = {name: said for name, said in data.items() if name != "text"} | {"user": gone, "reasons": []}
    return line if "comment" in data else line | {"id": f"u-{gone}"}


def _banned(data: _Data, called: _Called) -> _Data:
    return _renamed(data, ("user", "by"), called)


_DONE_THEN: Final = frozenset({"claim.granted", "gift.sent", "comment.held", "comment.reported", "user.banned"})
"""Who came back after they asked is named in these. The others are about something of before, perhaps of before they asked."""
_CLAIMS: Final = ("granted", "confirmed", "released", "expired", "revoked")
_WITHOUT: Final[dict[str, Callable[[_Data, _Called], _Data]]] = {
    **{f"claim.{became}": _claims for became in _CLAIMS},
    "gift.sent": _gift,
    "gift.reversed": _gift,
    "comment.held": _held,
    "comment.reported": _reported,
    "user.banned": _banned,
}
