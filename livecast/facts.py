"""Facts: what the service tells those who watch over it, and the port through which it does.

Each fact is told at most once per batch of what it counts, never per viewer. Which become metrics and which become lines of the
log is `livecast.ops.observers`'s business.
"""

from __future__ import annotations

import traceback
from typing import Protocol, TypeAlias

from msgspec import Struct


class Flushed(Struct, frozen=True):
    """A room's tick was committed: how late it began after it was due, how long the commit took, what it weighed."""

    room: str
    late_ms: float
    commit_ms: float
    frame_bytes: int
    verdicts: dict[str, int]
    inbox: int


class FannedOut(Struct, frozen=True):
    """A frame went to the sockets of one room on this node."""

    room: str
    deliveries: int
    wire_bytes: int
    skipped: int
    took_ms: float


class Connected(Struct, frozen=True):
    """A viewer came (`kind`: `ws`, `sse`)."""

    kind: str
    anonymous: bool


class Disconnected(Struct, frozen=True):
    """A viewer went; `code` is the close code, 1006 if there was none."""

    kind: str
    code: int


class Refused(Struct, frozen=True):
    """An edge answered with an error code before any room heard of it, `times` times."""

    where: str
    code: str
    times: int = 1


class NoDescriptor(Struct, frozen=True):
    """No file descriptor was left as one was asked for, as with each sweep: whoever connected meanwhile was cut off."""


class Served(Struct, frozen=True):
    """An HTTP request was answered. `route` is the path's pattern (few of them), `path` the path without its query."""

    method: str
    route: str
    path: str
    status: int
    took_ms: float
    request_id: str


class RoomsHeld(Struct, frozen=True):
    """How many rooms this process owns, and how many of them have a timer; views it keeps, and their bytes."""

    owned: int
    active: int
    views: int
    view_bytes: int


class CommitRefused(Struct, frozen=True):
    """The log refused a commit: `fenced` (another owner holds the shard), `out_of_order` (it is not the next one)."""

    room: str
    why: str


class StoreLookedAt(Struct, frozen=True):
    """A look at a store (`role`: `rooms`, `ledger`). `fault`: why it cannot be used, else empty and the rest is known.

    `ahead_ms`: how far its clock is before ours. `memory_max`: what it may use, or what its machine has.
    """

    role: str
    fault: str
    ahead_ms: float = 0.0
    memory: int = 0
    memory_max: int = 0


class MoneyLookedAt(Struct, frozen=True):
    """Whether money is closed on this node although its store answers: entries of the ledger are missing."""

    closed: bool


class KeysFetched(Struct, frozen=True):
    """The issuer's public keys were fetched anew, or could not be."""

    ok: bool


class ShardsHeld(Struct, frozen=True):
    """How many shards this node owns, how many nodes there are, and how many shards nobody says to own. Told when it changes."""

    owned: int
    nodes: int
    ownerless: int


class VersionsSeen(Struct, frozen=True):
    """How many processes share the stores by their version, as this one sees them, itself included. Told when it changes."""

    versions: dict[str, int]


class ShardsMoved(Struct, frozen=True):
    """Shards came or went. `how`: `taken` (they were free), `taken_over` (their owner fell silent, or had lost them), `given` (in
    order, to another node) or `lost` (another node took them). `took_ms`: from the first step to the last, for one batch.
    """

    how: str
    shards: int
    took_ms: int = 0


class LoopLag(Struct, frozen=True):
    """How much later than asked the event loop woke a timer, in ms."""

    ms: float


class ClaimsDecided(Struct, frozen=True):
    """The ledger decided a batch of `claims` in `took_ms`; how many got which verdict."""

    claims: int
    took_ms: int
    verdicts: dict[str, int]


class GiftsDecided(Struct, frozen=True):
    """The ledger answered a batch of `gifts` in `took_ms`; how many were `sent`, or refused with which code."""

    gifts: int
    took_ms: int
    verdicts: dict[str, int]


class LedgerFollowed(Struct, frozen=True):
    """What the owner of some shards has read of their ledgers since the last time, and how old the oldest half-done gift is."""

    entries: int
    pending: int
    pending_ms: int


class Archived(Struct, frozen=True):
    """A batch of `rows` is in the archive, made of `records` of rooms and `entries` of ledgers, the oldest `behind_ms` old.

    `lost`: records that were gone before they could be read.
    """

    rows: int
    records: int
    entries: int
    behind_ms: int
    took_ms: int
    lost: int = 0


class WebhookTried(Struct, frozen=True):
    """A delivery was tried (`outcome`: `delivered`, `retry`, `dead`), and how old it was when it arrived, if it did."""

    outcome: str
    took_ms: int
    lag_ms: int | None


class WebhooksCounted(Struct, frozen=True):
    """What of webhooks lies in the store, the age of the oldest delivery that waits, and requests of this process under way."""

    endpoints: int
    disabled: int
    pending: int
    oldest_ms: int
    dead: int
    in_flight: int


class CommentJudged(Struct, frozen=True):
    """Somebody outside was asked about a comment: `allow`, `deny`, `hold`, `edit`, or `failed` (no answer that is one, in time), or
    was not asked because of earlier failures or too many under way (`skipped`).
    """

    outcome: str
    took_ms: int


class Trouble(Struct, frozen=True):
    """Something an operator should know: what happened, to what, and what to do about it."""

    what: str
    about: str
    advice: str
    level: str = "warning"


Fact: TypeAlias = (
    Flushed
    | FannedOut
    | Connected
    | Disconnected
    | Refused
    | NoDescriptor
    | Served
    | RoomsHeld
    | ShardsHeld
    | VersionsSeen
    | ShardsMoved
    | CommitRefused
    | StoreLookedAt
    | MoneyLookedAt
    | KeysFetched
    | LoopLag
    | ClaimsDecided
    | GiftsDecided
    | LedgerFollowed
    | Archived
    | WebhookTried
    | WebhooksCounted
    | CommentJudged
    | Trouble
)


def fault_of(what: str, about: str, error: BaseException) -> Trouble:
    """The trouble that a fault of our own is: with where it happened, for whoever it is reported to."""
    where = "".join(traceback.format_exception(error))
    return Trouble(what, about, f"please report this:\n{where}", "error")


class Observer(Protocol):
    """Told facts, at most once per batch, never per viewer. Must not block or raise. Prometheus and structlog are observers."""

    def observe(self, fact: Fact) -> None:
        """Take note."""
