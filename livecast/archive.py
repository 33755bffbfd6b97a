"""The archive's seam: what is kept of rooms and of money for later, as promises.

One `Protocol`, one implementation on SQL (`livecast.adapters.archive`), one suite over SQLite and PostgreSQL. The rows are those
of `core.chronicle`. Nothing that is going on in a room ever waits for the archive.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from livecast.core.books.audit import HalfWay
from livecast.core.books.checkpoint import Checkpoint
from livecast.core.records.chronicle import CommentRow, Moment, Rows, StaffRow, Tick
from livecast.ports import StoreError

Source: TypeAlias = Literal["rooms", "ledger"]
Class: TypeAlias = Literal["chat", "money", "staff"]

TOP_MAX: Final = 50
"""Words and givers of a report at most."""
PEOPLE_MAX: Final = 500_000
"""People of one room read at once: 50 MB for a moment, to find who goes by an alias that nobody here has seen lately."""
PAGE_MAX: Final = 1_000
"""Rows read at once where many are: some 300 KB."""


class Overtaken(StoreError):  # noqa: N818 - says what happened
    """A cursor is not where the writer thought: another one was here, or an earlier write went through. Nothing was written."""


class Cursor(Struct, frozen=True):
    """Up to where a stream is archived. `number` counts its records where they are counted."""

    position: str
    number: int = 0


class Move(Struct, frozen=True):
    """A cursor that goes on from `was` (None: it was never there) to `now`."""

    source: Source
    shard: int
    was: str | None
    now: Cursor


class Broadcast(Struct, frozen=True):
    """A broadcast as archived. Times are Unix ms; `users` counts distinct ones (approximate), `peak` those at the same time."""

    room: str
    id: str
    title: str
    merchant: str
    status: str
    started_at: int | None
    ended_at: int | None
    test: bool
    users: int
    peak: int


class Giver(Struct, frozen=True):
    """What somebody gave in a broadcast, reversed gifts taken off."""

    user: str
    gifts: int
    value: int


class DropFigures(Struct, frozen=True):
    """What became of a drop: grants between `first_at` and `last_at`, how many in its busiest second, how units ended."""

    drop: str
    stock: int
    state: str
    test: bool
    granted: int
    entrants: int
    opened_at: int | None
    closed_at: int | None
    first_at: int | None
    last_at: int | None
    sold_out_at: int | None
    claims_per_s_max: int
    units: dict[str, int]


class Sale(Struct, frozen=True):
    """An order as it stands: when it was first made, of what."""

    order_id: str
    at: int
    sku: str
    amount: int
    currency: str
    status: str
    drop: str


class Figures(Struct, frozen=True):
    """All that a report is made of. `counts` as in `chronicle.Count`; `cards` by kind and id, as viewers saw them last."""

    broadcast: Broadcast
    counts: dict[str, int]
    ticks: tuple[Tick, ...]
    words: tuple[tuple[str, int], ...]
    givers: tuple[Giver, ...]
    gifts: int
    gift_value: int
    drops: tuple[DropFigures, ...]
    sales: tuple[Sale, ...]
    cards: dict[str, dict[str, dict[str, Any]]]
    moments: tuple[Moment, ...]
    redacted: int
    staff: dict[str, int]


class Erased(Struct, frozen=True):
    """What an erasure did: comments deleted, money rows that now name `pseudonym` instead, staff rows likewise."""

    pseudonym: str
    comments: int
    money: int
    staff: int


class Archive(Protocol):
    """Rooms' and ledgers' past. Every call may raise `Unavailable`: it may or may not have happened."""

    async def open(self) -> None:
        """Bring the store to the form of this version, keeping what is there. To be called again until it succeeds."""

    async def close(self) -> None:
        """Let connections go."""

    # --- For the owner of shards ---
    async def cursors(self, source: Source) -> dict[int, Cursor]:
        """Up to where each shard's stream is archived."""

    async def append(self, rows: Rows, moves: Sequence[Move]) -> None:
        """Write rows and move cursors: all of it or nothing. So what is delivered at least once is in here exactly once.

        Raises `Overtaken` if a cursor is not where its move begins.
        """

    async def retain(self, oldest: Mapping[Class, int], limit: int) -> int:
        """Delete at most `limit` rows of each class that are from before `oldest` (Unix ms); how many were."""

    # --- Checkpoints of the ledger (`core.checkpoint`) ---
    async def basis(self) -> tuple[dict[int, Checkpoint], list[HalfWay]]:
        """The checkpoints by shard, and which halves of gifts were on their way when they were made; of one moment."""

    def checkpoint_parts(self, checkpoint: Checkpoint) -> AsyncIterator[bytes]:
        """A checkpoint's pieces in their order; of one that was replaced there are fewer, or none."""

    async def put_checkpoint_parts(self, checkpoint: Checkpoint, first: int, bodies: Sequence[bytes]) -> None:
        """Pieces of a checkpoint that does not count yet, from the number `first` (from 0) on."""

    async def put_checkpoint(self, checkpoint: Checkpoint, count: int, halves: Sequence[HalfWay]) -> None:
        """From now on it counts, in place of the one at `checkpoint.before`: its `count` pieces, and the halves of gifts that its
        entries left open. Raises `Overtaken` if another one stands there.
        """

    # --- For readers ---
    async def broadcasts(self, room: str, before: int | None, limit: int) -> list[Broadcast]:
        """A room's broadcasts, latest first, from those on that began before `before`."""

    async def broadcast(self, room: str, broadcast: str | None) -> Broadcast | None:
        """One broadcast; None: the latest."""

    async def ticks(self, room: str, begin: int, end: int, step: int) -> list[Tick]:
        """Figures of `[begin, end)` in steps of `step` ms (a multiple of `BUCKET_MS`), those without any left out."""

    async def figures(self, broadcast: Broadcast) -> Figures:
        """What a report says. Its cost does not grow with the number of comments."""

    def comments(self, broadcast: Broadcast) -> AsyncIterator[Sequence[CommentRow | str]]:
        """The comments of a broadcast in the order in which they were said, page by page; of redacted ones only the id."""

    async def staff(self, room: str, before: tuple[int, str, int, int] | None, limit: int) -> list[StaffRow]:
        """What staff did in a room, latest first, from before (at, epoch, seq, line)."""

    async def said(
        self, broadcast: Broadcast, before: tuple[int, str], limit: int, *, user: str = "", text: str = ""
    ) -> list[CommentRow | tuple[str, int]]:
        """What was said in a broadcast, the latest first, from before (at, id): of this user and with these words in it, case
        aside, where asked for. Of redacted ones only (id, at).
        """

    async def place(self, room: str, comment: str) -> tuple[int, str] | None:
        """Where a comment stands: (at, id)."""

    async def people(self, room: str) -> list[str]:
        """Who has spoken or given in a room, at most `PEOPLE_MAX`."""

    async def key(self, name: str) -> bytes:
        """A secret of this archive, made when it is first asked for: 32 bytes that stay the same."""

    # --- For people who ask about themselves ---
    def export(self, user: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Everything that names a user: (kind of row, row)."""

    async def erase(self, user: str, now: int) -> Erased:
        """Delete what a user said; let their money rows name a pseudonym. Again: what came since. The pseudonym stays the same."""

    async def erase_again(self, asked_before: int) -> int:
        """Repeat the erasures asked for before then (rows may still have been on their way), and forget who asked; how many."""
