"""Refusals: whose fault it is, what the caller may do, and under which HTTP status.

One table owns the error codes of the whole service. A refusal is a value (`Refusal`), not an exception: the room
returns it, the edge sends it. The tree of exceptions below is for programming and configuration faults only.

    LivecastError
      InvalidChange      a command whose content the room cannot accept (carries a Refusal)
"""

from __future__ import annotations

from typing import Final

import msgspec

#: code -> (HTTP status, answer of a repeated id may change with time, sentence for people).
CODES: Final[dict[str, tuple[int, bool, str]]] = {
    "bad_message": (400, False, "The message has not the shape the protocol describes."),
    "unauthorized": (401, False, "A valid token or key is needed."),
    "insufficient_funds": (402, True, "The balance does not cover this."),
    "forbidden": (403, True, "You may not do this here."),
    "not_allowed": (403, False, "Your token does not allow this kind of message."),
    "muted": (403, True, "You are muted in this room."),
    "not_found": (404, True, "There is no such thing."),
    "unknown_room": (404, True, "There is no such room."),
    "unknown_gift": (404, False, "There is no such gift."),
    "unknown_drop": (404, True, "There is no such drop."),
    "unknown_poll": (404, True, "There is no such poll."),
    "conflict": (409, False, "This does not fit what is there already."),
    "already_voted": (409, False, "You voted already."),
    "room_not_live": (409, True, "The broadcast is not live."),
    "price_changed": (409, True, "The price changed meanwhile."),
    "precondition_failed": (412, True, "The object changed meanwhile: read it again."),
    "too_large": (413, False, "That is too long."),
    "invalid": (422, False, "A value is out of its bounds."),
    "blocked": (422, False, "The text is not allowed here."),
    "repeated_text": (422, False, "You said that a moment ago."),
    "rate_limited": (429, True, "Too fast: wait a moment."),
    "slow_mode": (429, True, "The room is in slow mode."),
    "spend_limit": (429, True, "A spending limit is reached."),
    "overloaded": (503, True, "Not done: the service is busy. Try again."),
    "unavailable": (503, True, "Outcome unknown: repeat the same id to learn it."),
}

#: Codes that carry `retry_after_ms`.
RETRYABLE: Final = frozenset({"muted", "rate_limited", "slow_mode", "overloaded", "unavailable"})


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something was not done. `retry_after_ms` says when it is worth trying again, `field` which value is at fault."""

    code: str
    message: str = ""
    retry_after_ms: int | None = None
    field: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status of this refusal."""
        return CODES[self.code][0]

    @property
    def final(self) -> bool:
        """False where time alone can change the answer: such a refusal is never remembered for its `cid`."""
        return not CODES[self.code][1]

    def sentence(self) -> str:
        """What to tell a person."""
        return self.message or CODES[self.code][2]


class LivecastError(Exception):
    """Base of the exceptions this package raises on purpose."""


class InvalidChange(LivecastError):  # noqa: N818 - it names the change, which is refused, not a fault of the service
    """A command the room cannot accept; `refusal` is the answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence())
        self.refusal = refusal
