"""Checkpoints of this process's shards, so that the ledger can forget its oldest entries and stays as small as its books.

Entries are replayed as an auditor does, what they lead to is kept in the archive, and only then are entries forgotten: up to the
checkpoint before, so that an older copy of the archive is still worth something. Nothing is forgotten that somebody still has to
read: the archive, webhooks, rooms that wake up. Where entries contradict each other none are forgotten, and it is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from livecast.archive import Archive, Overtaken
from livecast.core.books.audit import Audit, Difference
from livecast.core.books.bookkeeping import BookEntry
from livecast.core.books.checkpoint import BadCheckpoint, Checkpoint, parts_of, replay_of
from livecast.core.books.replay import ShardReplay
from livecast.core.nodes.placement import SHARDS
from livecast.facts import Observer, Trouble
from livecast.ledger import LaterEntry, Ledger, Span, understood
from livecast.ports import Clock, StoreError
from livecast.shard.background import Background

LOOK_S: Final = 60.0
"""How often the lengths of all shards are looked at: a round trip of some milliseconds."""
KEEP: Final = 1_000
"""Entries that a shard keeps at least: what rooms that wake up read again."""
STEP: Final = 4_000
"""A checkpoint is made once it stands for so many entries more. A shard has at most twice as many and `KEEP`, some 2.5 MB, besides
what came since the last look and what the archive and webhooks are behind."""
READ_MAX: Final = 500
PARTS_AT_ONCE: Final = 20
"""Pieces written with one transaction, some 400 KB."""
TURN: Final = 50
"""Entries replayed before rooms get their turn: a millisecond."""

Cursors = Callable[[], Awaitable[Mapping[int, int]]]
"""Up to which position of each shard somebody has read; a shard that is not there: not at all."""


class Checkpointer:
    """Makes checkpoints. `readers` say what has to stay."""

    def __init__(
        self, *, archive: Archive, ledger: Ledger, readers: Sequence[Cursors], clock: Clock, observer: Observer,
        step: int = STEP, keep: int = KEEP,
    ) -> None:  # fmt: skip
        self._archive = archive
        self._ledger = ledger
        self._readers = readers
        self._clock = clock
        self._observer = observer
        self._shards: set[int] = set()
        self._step = step
        self._keep = keep
        self._background = Background(observer, "making checkpoints failed", "ledger")

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def start(self, shards: Iterable[int] = range(SHARDS)) -> None:
        """Begin."""
        self._shards = set(shards)
        self._background.keep_up(self._run, "checkpoints")

    def stop(self) -> None:
        """No more. What was begun counts for nothing and is written over by the next."""
        self._background.stop()

    def own(self, shards: Collection[int]) -> None:
        """These are ours, too."""
        self._shards.update(shards)

    def disown(self, shards: Collection[int]) -> None:
        """Another process makes those of these. (If we are just at it, one of the two finds that the other was first.)"""
        self._shards.difference_update(shards)

    async def look(self) -> int:
        """Make the checkpoints that are due; how many entries were forgotten. Raises `StoreError`."""
        spans = [span for span in await self._ledger.spans() if span.shard in self._shards]
        long = [span for span in spans if span.entries >= self._keep + self._step]
        if not long:
            return 0
        known, _ = await self._archive.basis()
        # One that has a checkpoint keeps the entries from behind the one before.
        long = [span for span in long if span.shard not in known or span.entries >= self._keep + 2 * self._step]
        cursors = [await reader() for reader in self._readers]
        gone = 0
        for span in long:
            stands = known.get(span.shard)
            gone += await self._forget(span, stands)
            try:
                gone += await self._make(span, stands, min((each.get(span.shard, 0) for each in cursors), default=2**53))
            except Overtaken:
                continue  # another owner makes them now
            except (Difference, BadCheckpoint, LaterEntry) as fault:
                advice = f"its entries are kept until `livecast audit` says that the books agree ({fault})"
                self._observer.observe(Trouble("no checkpoint could be made", f"shard {span.shard}", advice, "error"))
        return gone

    # --- Private ------------------------------------------------------------------------------------------------------
    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except StoreError as fault:
                advice = f"the ledger keeps its entries meanwhile ({fault})"
                self._observer.observe(Trouble("checkpoints wait for a store", "ledger", advice))

    async def _forget(self, span: Span, stands: Checkpoint | None) -> int:
        """What the checkpoint before this one stands for is needed no more."""
        if stands is None or stands.before <= span.begins:
            return 0
        return await self._ledger.trim(span.shard, stands.before, self._clock())

    async def _make(self, span: Span, stands: Checkpoint | None, read_to: int) -> int:
        """A new checkpoint, if it stands for enough; how many entries are forgotten behind it."""
        shard, auditor = span.shard, Audit()
        if stands is None and span.begins:
            raise BadCheckpoint(f"entries up to {span.begins} are forgotten, and their checkpoint is lost")
        before = 0 if stands is None else stands.position
        entries = [entry for entry in await self._to_go(shard, before) if entry.position <= read_to]
        if len(entries) < self._step // 2:
            return 0
        replay = auditor.begin(shard, ShardReplay(shard) if stands is None else await self._restored(stands))
        for first in range(0, len(entries), TURN):
            auditor.follow(replay, entries[first : first + TURN])
            await asyncio.sleep(0)
        made = Checkpoint(shard, replay.at, self._clock(), replay.entries, before)
        count = await self._put_away(made, parts_of(replay, made.at))
        await self._archive.put_checkpoint(made, count, auditor.open_halves())
        return await self._forget(span, made)

    async def _to_go(self, shard: int, at: int) -> list[BookEntry]:
        """Entries above a position that have `keep` others behind them; no more at once than two checkpoints' worth."""
        found: list[BookEntry] = []
        while len(found) < 2 * self._step + self._keep and (entries := await self._ledger.read(shard, at, READ_MAX)):
            found += (some := understood(shard, entries))
            at = found[-1].position
            if len(some) < len(entries):
                break
        return found[: -self._keep]

    async def _restored(self, checkpoint: Checkpoint) -> ShardReplay:
        parts = [part async for part in self._archive.checkpoint_parts(checkpoint)]
        return replay_of(checkpoint.shard, checkpoint.position, parts)

    async def _put_away(self, checkpoint: Checkpoint, parts: Iterable[bytes]) -> int:
        left, count = iter(parts), 0
        while some := list(islice(left, PARTS_AT_ONCE)):
            await self._archive.put_checkpoint_parts(checkpoint, count, some)
            count += len(some)
        return count
