"""What a ledger in memory holds, for an auditor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeVar

from livecast.adapters.memory_claims import MemoryClaims
from livecast.core.audit import ShardPicture
from livecast.core.money import Rank, Takings
from livecast.core.placement import shard_of

V = TypeVar("V")


class MemoryPictures(MemoryClaims):
    """Pictures of shards."""

    def pictures_now(self) -> list[ShardPicture]:
        """Of all shards that have entries."""
        shards = sorted(shard for shard, books in self._books.shards.items() if books.entries)
        return [self._picture(shard) for shard in shards]

    def _picture(self, shard: int) -> ShardPicture:
        picture = ShardPicture(shard, self._books.shards[shard].position)
        wallets = _here(shard, self._wallets).items()
        picture.wallets = {user: (kept.balance, len(kept.bookings)) for user, kept in wallets if kept.bookings}
        picture.pending = {(kind, tx): each.gift for (where, kind, tx), each in self._pending.items() if where == shard}
        for (room, broadcast), purses in self._boards.items():
            if shard_of(room) == shard and purses:
                order = sorted(purses, key=lambda user: (-purses[user].value, purses[user].reached))
                picture.boards[f"{room}/{broadcast}"] = [Rank(user, purses[user].value) for user in order]
        for (room, when), takings in self._takings.items():
            if shard_of(room) == shard and takings.picture() != Takings():
                picture.takings[room if when is None else f"{room}/{when}"] = takings.picture()
        picture.orders = {
            room: {id_: order for id_, (order, _) in kept.items()} for room, kept in _here(shard, self._orders).items() if kept
        }
        self._add_drops(shard, picture)
        return picture

    def _add_drops(self, shard: int, picture: ShardPicture) -> None:
        taken: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for room, drops in _here(shard, self._drops).items():
            for id_, kept in drops.items():
                name, group = f"{room}/{id_}", kept.picture.terms.limit_group
                picture.drops[name] = kept.picture
                picture.units |= {name: list(kept.units)} if kept.units else {}
                picture.entrants |= {name: list(kept.entrants)} if kept.entrants else {}
                where = f"{room}/{group} group" if group else name
                taken[where].update({user: n for user, n in kept.taken.items() if n})
        picture.taken = {where: users for where, users in taken.items() if users}


def _here(shard: int, by_place: Mapping[str, V]) -> dict[str, V]:
    """Those whose room or user lives in the shard."""
    return {place: value for place, value in by_place.items() if shard_of(place) == shard}
