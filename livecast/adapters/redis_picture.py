"""What a ledger on Redis or Valkey holds, for an auditor."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from livecast.adapters.redis_claims import RedisClaims, decode_order, entrants_of, unit_of
from livecast.adapters.redis_drops import drop_of, named
from livecast.adapters.redis_ledger_calls import LedgerServer
from livecast.adapters.redis_money import decode_gift, ranks, takings_of
from livecast.adapters.redis_server import Command
from livecast.core.audit import ShardPicture
from livecast.core.money import PendingKind, Takings
from livecast.ports import Unavailable

TRIES_MAX: Final = 50
"""A shard under load is read again until nothing happened in it meanwhile; reading takes some milliseconds."""

_KEY: Final = re.compile(rb"\{s(\d+)\}:([a-z_]+):(.*)", re.DOTALL)
Add = Callable[[ShardPicture, str, Any], None]


class RedisPictures(RedisClaims):
    """Pictures of shards."""

    async def pictures_on(self, server: LedgerServer) -> AsyncIterator[ShardPicture]:
        """Of all shards that have entries."""
        shards = {int(found[1]) for key in await scan(server, "{s*}:ledger") if (found := re.match(rb"\{s(\d+)\}", key))}
        for shard in sorted(shards):
            yield await _picture(server, shard)


async def _picture(server: LedgerServer, shard: int) -> ShardPicture:
    barrier: Command = ("GET", f"{{s{shard}}}:barrier")
    before = await server.run(*barrier)
    for _ in range(TRIES_MAX):
        picture = ShardPicture(shard, int(before or 0))
        await _fill(server, picture, await scan(server, f"{{s{shard}}}:*"))
        after = await server.run(*barrier)
        if after == before:
            return picture
        before = after
    raise Unavailable(f"shard {shard} is too busy to be audited: try again")


async def scan(server: LedgerServer, pattern: str) -> list[bytes]:
    """Names of keys."""
    found: set[bytes] = set()
    cursor = b"0"
    while True:
        cursor, names = await server.run("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
        found.update(names)
        if cursor == b"0":
            return sorted(found)


async def _fill(server: LedgerServer, picture: ShardPicture, keys: Sequence[bytes]) -> None:
    fates: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)
    for key in keys:
        match = _KEY.fullmatch(key)
        if match is None:
            continue
        kind, name = match[2].decode(), match[3].decode()
        if kind == "fates":
            fates[name] = _pairs(await server.run("HGETALL", key))
        elif kind in _KINDS:
            command, add = _KINDS[kind]
            add(picture, name, await server.run(command[0], key, *command[1:]))
    for name, units in picture.units.items():
        picture.units[name] = [unit_of(*_with_fate(each, fates[name])) for each in units]


def _with_fate(packed: Any, fates: dict[bytes, bytes]) -> tuple[bytes, bytes | None]:
    serial, record = packed
    return record, fates.get(serial)


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _add_wallet(picture: ShardPicture, user: str, held: Sequence[bytes]) -> None:
    wallet = named(held)
    if int(wallet["n"]):
        picture.wallets[user] = (int(wallet["balance"]), int(wallet["n"]))


def _add_pending(picture: ShardPicture, name: str, held: Sequence[bytes]) -> None:
    del name
    for member, gift in _pairs(held).items():
        kind: PendingKind = "commit" if member.startswith(b"commit/") else "refund"
        picture.pending[kind, member.decode().partition("/")[2]] = decode_gift(gift)


def _add_board(picture: ShardPicture, place: str, found: Sequence[bytes]) -> None:
    picture.boards[place] = ranks(found)


def _add_takings(picture: ShardPicture, place: str, held: Sequence[bytes]) -> None:
    if (takings := takings_of(held)) != Takings():
        picture.takings[place] = takings


def _add_drop(picture: ShardPicture, name: str, held: Sequence[bytes]) -> None:
    picture.drops[name] = drop_of(named(held))


def _add_units(picture: ShardPicture, name: str, held: Sequence[bytes]) -> None:
    """As records for now: what became of them is another key."""
    records: Any = sorted(_pairs(held).items(), key=lambda pair: int(pair[0]))
    picture.units[name] = records


def _add_entrants(picture: ShardPicture, name: str, packed: Sequence[bytes]) -> None:
    picture.entrants[name] = entrants_of(packed, 1)


def _add_taken(picture: ShardPicture, name: str, held: Sequence[bytes]) -> None:
    if users := {user.decode(): int(n) for user, n in _pairs(held).items() if int(n)}:
        picture.taken[name] = users


def _add_group(picture: ShardPicture, name: str, held: Sequence[bytes]) -> None:
    _add_taken(picture, f"{name} group", held)


def _add_orders(picture: ShardPicture, room: str, held: Sequence[bytes]) -> None:
    picture.orders[room] = {id_.decode(): decode_order(each.split(b"\n", 2)[2]) for id_, each in _pairs(held).items()}


_ALL_OF_HASH: Final = ("HGETALL",)
_KINDS: Final[dict[str, tuple[tuple[str | int, ...], Add]]] = {
    "wallet": (_ALL_OF_HASH, _add_wallet),
    "board": (("ZREVRANGE", 0, -1, "WITHSCORES"), _add_board),
    "takings": (_ALL_OF_HASH, _add_takings),
    "earnings": (_ALL_OF_HASH, _add_takings),
    "drop": (_ALL_OF_HASH, _add_drop),
    "units": (_ALL_OF_HASH, _add_units),
    "entrants": (("LRANGE", 0, -1), _add_entrants),
    "taken": (_ALL_OF_HASH, _add_taken),
    "group": (_ALL_OF_HASH, _add_group),
    "orders": (_ALL_OF_HASH, _add_orders),
    "pending_gifts": (_ALL_OF_HASH, _add_pending),
}
