"""What a ledger in memory holds, for an auditor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, TypeVar

from livecast.adapters.memory.claims import MemoryClaims
from livecast.core.books.inventory import Found, Kind, Purse, Standing
from livecast.core.books.replay import ShardReplay
from livecast.core.nodes.placement import shard_of

V = TypeVar("V")


class MemoryPictures(MemoryClaims):
    """What is held, by shard."""

    async def used_shards(self) -> list[int]:
        """Shards that have or had entries."""
        return sorted(shard for shard, books in self._books.shards.items() if books.entries or books.begins)

    async def held(self, replay: ShardReplay) -> AsyncIterator[tuple[int, list[Found]]]:
        """All of it at once: nothing happens meanwhile."""
        shard = replay.shard
        page = [*self._money(shard, replay), *self._goods(shard, replay)]
        yield self._books.shards[shard].position, page

    def _money(self, shard: int, replay: ShardReplay) -> Iterable[Found]:
        wallets = _here(shard, self._wallets).items()
        purses = {user: Purse(kept.balance, len(kept.bookings)) for user, kept in wallets if kept.bookings}
        yield from _whole("wallets", purses, replay)
        pending = {(kind, tx): each.gift for (where, kind, tx), each in self._pending.items() if where == shard}
        yield Found("pending", "", pending)
        boards = {}
        for (room, broadcast), purses_ in self._boards.items():
            if shard_of(room) == shard:
                order = sorted(purses_, key=lambda user: (-purses_[user].value, purses_[user].reached))
                boards[f"{room}/{broadcast}"] = [Standing(user, purses_[user].value, purses_[user].reached) for user in order]
        yield from _whole("boards", boards, replay, [])
        takings = {}
        for (room, when), kept in self._takings.items():
            if shard_of(room) == shard:
                takings[room if when is None else f"{room}/{when}"] = kept.picture()
        yield from _whole("takings", {place: each for place, each in takings.items() if not each.is_nothing}, replay)

    def _goods(self, shard: int, replay: ShardReplay) -> Iterable[Found]:
        taken: defaultdict[str, dict[str, int]] = defaultdict(dict)
        drops, units, entrants = {}, {}, {}
        for room, kept_drops in _here(shard, self._drops).items():
            for id_, kept in kept_drops.items():
                name, group = f"{room}/{id_}", kept.picture.terms.limit_group
                drops[name] = kept.picture
                units[name] = list(kept.units)
                entrants[name] = list(kept.entrants)
                where = f"{room}/{group} group" if group else name
                taken[where].update({user: n for user, n in kept.taken.items() if n})
        yield from _whole("drops", drops, replay)
        yield from _whole("units", units, replay, [])
        yield from _whole("entrants", entrants, replay, [])
        yield from _whole("taken", taken, replay, {})
        orders = {room: {id_: order for id_, (order, _) in kept.items()} for room, kept in _here(shard, self._orders).items()}
        yield from _whole("orders", orders, replay, {})


def _whole(kind: Kind, found: Mapping[str, Any], replay: ShardReplay, nothing: Any = None) -> Iterable[Found]:
    """Everything of a kind, also where nothing was found but should be."""
    return [Found(kind, name, found.get(name, nothing)) for name in dict.fromkeys([*found, *replay.names(kind)])]


def _here(shard: int, by_place: Mapping[str, V]) -> dict[str, V]:
    """Those whose room or user lives in the shard."""
    return {place: value for place, value in by_place.items() if shard_of(place) == shard}
