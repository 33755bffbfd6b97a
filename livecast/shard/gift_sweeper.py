"""Gifts that a crash or a silent store left half way, brought to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from livecast.core.books.bookkeeping import BookEntry, GiftDebited, GiftReversed, PendingCleared
from livecast.core.money.coins import Pending
from livecast.core.nodes.placement import SHARDS
from livecast.facts import LedgerFollowed, Observer
from livecast.ledger import Ledger, LedgerClosed, finish
from livecast.ports import Clock, StoreError, Unavailable
from livecast.shard.background import Background

AGE_MS: Final = 2_000
"""So old a gift is nobody's any more: whoever took it would have finished it, or been answered `unavailable`, long ago."""
HEARD_MS: Final = 4_500
"""... and so old where all we know is that nobody told us that it is done: a giver's ledger is read on every two seconds.
(Asked as soon as above, two shards of three were looked at each second while their people gave 2,000 gifts a second.)"""
TICK_S: Final = 1.0
LOOK_S: Final = 120.0
"""How often every shard is looked at, two a second; those in which a gift is known to be half done each second."""
PENDING_MAX: Final = 500
"""Gifts finished in one go of a shard."""


class GiftSweeper:
    """Finishes pending gifts of this process's shards. `entries` says how many ledger entries were read in all."""

    def __init__(
        self, *, ledger: Ledger, clock: Clock, observer: Observer, ring: Callable[[str], None], entries: Callable[[], int]
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._observer = observer
        self._ring = ring
        self._entries = entries
        self._counted = 0
        self._since: dict[tuple[str, str], tuple[int, int]] = {}
        """(Kind, tx) -> its shard, and since when: seen in the ledger, or reversed."""
        self._heard: dict[tuple[str, str], tuple[int, int]] = {}
        """The same of debits that were heard of. In order of time, but for the order of shards."""
        self._shards: list[int] = []
        """Those that were looked at longest ago come first."""
        self._waiting: dict[int, None] = {}
        """Those that are looked at next."""
        self._background = Background(observer, "finishing gifts failed", "ledger")

    def start(self, shards: Iterable[int] = range(SHARDS)) -> None:
        """Begin, with what a former owner left."""
        self.own(list(shards))
        self._background.keep_up(self._run, "finish gifts")

    def own(self, shards: Collection[int]) -> None:
        """These are ours, too: what is half done in them is found at once."""
        self._shards += [shard for shard in shards if shard not in self._shards]
        self._waiting.update(dict.fromkeys(shards))

    def look(self) -> None:
        """Somebody who took gifts is gone: look at all shards now. What they left half done lies in anybody's, and in one where
        nothing else happens the next entry would be heard of half a minute later.
        """
        self._waiting.update(dict.fromkeys(self._shards))

    def disown(self, shards: Collection[int]) -> None:
        """What is half done in these is another one's."""
        self._shards = [shard for shard in self._shards if shard not in shards]
        self._waiting = {shard: None for shard in self._waiting if shard not in shards}
        self._since = {id_: (shard, at) for id_, (shard, at) in self._since.items() if shard not in shards}
        self._heard = {id_: (shard, at) for id_, (shard, at) in self._heard.items() if shard not in shards}

    def stop(self) -> None:
        """No more."""
        self._background.stop()

    def hear(self, shard: int, entries: Sequence[BookEntry]) -> None:
        """New entries of a ledger."""
        heard, since = self._heard, self._since
        for entry in entries:
            fact = entry.fact
            kind = type(fact)
            if kind is GiftDebited:
                heard["commit", fact.gift.tx] = (shard, entry.at)  # type: ignore[union-attr]  # its type was asked for
            elif kind is PendingCleared:
                id_ = (fact.kind, fact.tx)  # type: ignore[union-attr]  # likewise
                heard.pop(id_, None)
                since.pop(id_, None)
            elif isinstance(fact, GiftReversed) and fact.gift.paid == "wallet":
                since["refund", fact.gift.tx] = (shard, entry.at)

    async def _run(self) -> None:
        while True:
            now = self._clock()
            for known, age_ms in ((self._since, AGE_MS), (self._heard, HEARD_MS)):
                self._waiting.update(dict.fromkeys(shard for shard, since in known.values() if now - since > age_ms))
            for shard in list(self._waiting):
                self._waiting.pop(shard, None)
                if shard in self._shards and not await self._sweep(shard):
                    self._waiting[shard] = None  # behind the others: it may be the only one that is not answered
                    break
            await asyncio.sleep(TICK_S)
            shards = self._shards
            share = max(1, int(len(shards) * TICK_S / LOOK_S))
            self._waiting.update(dict.fromkeys(shards[:share]))
            self._shards = shards[share:] + shards[:share]
            self._report()

    async def _sweep(self, shard: int) -> bool:
        """False if there was no answer: then it is looked at again soon. One that is closed waits for its turn."""
        try:
            now = self._clock()
            found = await self._ledger.pending(shard, now + 1, PENDING_MAX)
            if shard not in self._shards:
                return True
            self._compare(shard, found, now)
            for pending in found:
                if pending.since > now - AGE_MS:
                    continue
                await finish(self._ledger, pending, self._clock())
                self._ring(pending.gift.room)
                self._ring(pending.gift.user)
        except Unavailable as fault:
            return isinstance(fault, LedgerClosed)
        except StoreError:
            return True
        return True

    def _compare(self, shard: int, found: Sequence[Pending], now: int) -> None:
        """What an owner before us heard of, nobody tells us again: it is noted here, and what is done meanwhile is forgotten."""
        there: dict[tuple[str, str], tuple[int, int]] = {(each.kind, each.gift.tx): (shard, each.since) for each in found}
        if len(found) < PENDING_MAX:
            for known in (self._since, self._heard):
                for id_, (its_shard, since) in list(known.items()):
                    if its_shard == shard and id_ not in there and now - since > AGE_MS:
                        del known[id_]
        for id_, seen in there.items():
            self._heard.pop(id_, None)
            self._since[id_] = seen

    def _report(self) -> None:
        now, entries = self._clock(), self._entries()
        half_done = [*self._since.values(), *self._heard.values()]
        oldest_ms = now - min((since for _, since in half_done), default=now)
        self._observer.observe(LedgerFollowed(entries - self._counted, len(half_done), max(0, oldest_ms)))
        self._counted = entries
