"""What a ledger on Redis or Valkey holds, for an auditor: read in pages, each together with the shard's position.

A page is one MULTI, so it is one moment's picture, also on a shard that is busy; nothing is held up for longer than that takes.
Expected names come from the replay, all others from one walk over the names of all keys.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

from livecast.adapters.redis.claims import RedisClaims, decode_order, entrants_of, unit_of
from livecast.adapters.redis.drops import drop_of, named
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.money import decode_booking, decode_gift, takings_at, takings_of
from livecast.adapters.redis.server import Command
from livecast.core.books.inventory import BookedGift, Difference, Found, Kind, Purse, Standing
from livecast.core.books.replay import ShardReplay
from livecast.core.money.coins import GIFT_KEEP_MS
from livecast.ledger import UNREADABLE
from livecast.ports import StoreError, Unavailable

PAGE: Final = 500
"""Units, entrants or lines of a board in one page: some 100 KB and 2 ms of the server's time."""
NAMES_PAGE: Final = 100
"""Wallets or drops in one page, at a few commands each."""
SCAN_PAGE: Final = 1_000
"""Names of keys asked for at once: about half a millisecond."""
GONE_AFTER_MS: Final = GIFT_KEEP_MS - 24 * 3600 * 1000
"""A gift younger than this must still be kept; the day is for clocks that differ."""

_KEY: Final = re.compile(rb"\{s(\d+)\}:([a-z_]+):(.*)", re.DOTALL)
_KIND_OF: Final[dict[str, Kind]] = {
    "wallet": "wallets",
    "board": "boards",
    "takings": "takings",
    "earnings": "takings",
    "drop": "drops",
    "units": "units",
    "entrants": "entrants",
    "taken": "taken",
    "group": "taken",
    "orders": "orders",
}
_POSITION_MARK: Final = 2**53
_POSITION_CHARS: Final = 16

Read: TypeAlias = Callable[[Sequence[Any]], Iterable[Found]]
"""What the answers to some commands say."""
Look: TypeAlias = tuple[list[Command], Read]
Names: TypeAlias = dict[int, dict[Kind, list[str]]]


class RedisBooks(RedisClaims):
    """What is held, by shard."""

    server: LedgerServer
    _names: Names | None = None

    async def used_shards(self) -> list[int]:
        """Shards that have anything. Walks over the names of all keys."""
        self._names = await _all_names(self.server)
        return sorted(self._names)

    async def held(self, replay: ShardReplay) -> AsyncIterator[tuple[int, list[Found]]]:
        """What the shard holds, in pages."""
        if self._names is None:
            await self.used_shards()
        names = (self._names or {}).get(replay.shard, {})
        for commands, read in _looks(replay, names):
            position, answers = await _at_once(self.server, replay.shard, commands)
            try:
                found = list(read(answers))
            except (*UNREADABLE, IndexError) as fault:
                raise _unreadable(replay.shard, commands, fault) from fault
            yield position, found
        hashes: tuple[Kind, ...] = ("taken", "orders")
        for kind in hashes:
            for name in dict.fromkeys([*names.get(kind, ()), *replay.names(kind)]):
                async for page in _strangers(self.server, replay.shard, kind, name):
                    yield page


async def _all_names(server: LedgerServer) -> Names:
    """Names of what an auditor looks at, by shard and kind; of gifts and answers there are too many, and each is expected."""
    found: Names = defaultdict(lambda: defaultdict(list))
    for node, first in await server.everywhere("SCAN", 0, "COUNT", SCAN_PAGE):
        cursor, keys = first
        _sort_in(keys, found)
        while cursor != b"0":
            cursor, keys = await server.run_at(node, "SCAN", cursor, "COUNT", SCAN_PAGE)
            _sort_in(keys, found)
    return found


def _sort_in(keys: Sequence[bytes], found: Names) -> None:
    for key in keys:
        if key.endswith(b"}:ledger") and key.startswith(b"{s"):
            found.setdefault(int(key[2 : key.index(b"}")]), defaultdict(list))
        elif (match := _KEY.fullmatch(key)) is not None and (kind := _KIND_OF.get(match[2].decode())) is not None:
            name = match[3].decode() + (" group" if match[2] == b"group" else "")
            found[int(match[1])][kind].append(name)


async def _at_once(server: LedgerServer, shard: int, commands: Sequence[Command]) -> tuple[int, list[Any]]:
    """Answers, and the position that they are as of."""
    try:
        position, *answers = await server.transact([("GET", f"{{s{shard}}}:barrier"), *commands])
    except Unavailable:
        raise
    except StoreError as fault:  # a key of another type, say
        raise _unreadable(shard, commands, fault) from fault
    return int(position or 0), answers


def _unreadable(shard: int, commands: Sequence[Command], fault: Exception) -> Difference:
    """Something that is not of ours stands where books should."""
    keys = list(dict.fromkeys(str(command[1]) for command in commands))
    some = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    return Difference(f"shard {shard}, one of {some}: the books cannot be read ({fault!r})")


# --- What is looked at ------------------------------------------------------------------------------------------------
def _looks(replay: ShardReplay, names: dict[Kind, list[str]]) -> Iterable[Look]:
    """One after the other, so that what `replay` learns meanwhile counts."""

    def known(kind: Kind) -> list[str]:
        return list(dict.fromkeys([*names.get(kind, ()), *replay.names(kind)]))

    yield from _looks_at_money(replay, known)
    yield from _looks_at_goods(replay, known)


def _looks_at_money(replay: ShardReplay, known: Callable[[Kind], list[str]]) -> Iterable[Look]:
    tag = f"{{s{replay.shard}}}:"
    for some in _slices(known("wallets"), NAMES_PAGE):
        yield _wallets(tag, some)
    yield [("HGETALL", f"{tag}pending_gifts:all")], _pending(tag)
    for some in _slices(replay.ids("gifts"), NAMES_PAGE):
        yield _gifts(tag, some, replay)
    for some in _slices(known("takings"), NAMES_PAGE):
        yield _takings(tag, some)
    for place in known("boards"):
        for first in _firsts(replay, "boards", place):
            yield _board(tag, place, first, replay)


def _looks_at_goods(replay: ShardReplay, known: Callable[[Kind], list[str]]) -> Iterable[Look]:
    tag = f"{{s{replay.shard}}}:"
    for some in _slices(known("drops"), NAMES_PAGE):
        yield _drops(tag, some)
    for name in dict.fromkeys([*known("drops"), *known("units"), *known("entrants")]):
        for first in _firsts(replay, "units", name):
            yield _units(tag, name, first, replay)
        for first in _firsts(replay, "entrants", name):
            yield _entrants(tag, name, first)
    for name in known("taken"):
        for some in _slices(replay.ids("taken", name), PAGE):
            yield _taken(tag, name, some)
    for room in known("orders"):
        for some in _slices(replay.ids("orders", room), PAGE):
            yield _orders(tag, room, some)


def _slices(names: Iterable[str], size: int) -> Iterable[tuple[str, ...]]:
    rest = iter(names)
    while some := tuple(islice(rest, size)):
        yield some


def _firsts(replay: ShardReplay, kind: Kind, name: str) -> Iterable[int]:
    """Where the pages of a list begin; at least one, and as long as the replay finds more."""
    first = 1
    while first == 1 or first <= replay.size(kind, name):
        yield first
        first += PAGE


def _wallets(tag: str, users: Sequence[str]) -> Look:
    commands: list[Command] = []
    for user in users:
        commands += [
            ("HMGET", f"{tag}wallet:{user}", "balance", "n"),
            ("LLEN", f"{tag}bookings:{user}"),
            ("LINDEX", f"{tag}bookings:{user}", -1),
        ]

    def read(answers: Sequence[Any]) -> Iterable[Found]:
        for user, (balance, n), lines, last in zip(users, answers[::3], answers[1::3], answers[2::3], strict=True):
            purse = Purse(int(balance or 0), int(n or 0))
            yield Found("wallets", user, purse if purse != Purse(0, 0) else None, where=f"{tag}wallet:{user}")
            ends_at = 0 if last is None else decode_booking(last)[2]
            yield Found("statements", user, Purse(ends_at, lines), where=f"{tag}bookings:{user}")

    return commands, read


def _pending(tag: str) -> Read:
    def read(answers: Sequence[Any]) -> Iterable[Found]:
        found = {}
        for member, gift in named(answers[0]).items():
            kind, _, tx = member.partition("/")
            found[kind, tx] = decode_gift(gift)
        yield Found("pending", "", found, where=f"{tag}pending_gifts:all")

    return read


def _gifts(tag: str, txs: Sequence[str], replay: ShardReplay) -> Look:
    now = time.time_ns() // 1_000_000

    def read(answers: Sequence[Any]) -> Iterable[Found]:
        found: dict[str, BookedGift | None] = {}
        for tx, (packed, reversed_at) in zip(txs, answers, strict=True):
            if packed is not None:
                gift = decode_gift(packed)
                found[tx] = BookedGift(gift.user, gift.value, gift.broadcast, gift.paid, reversed_at is not None)
            elif now - replay.booked_at(tx) < GONE_AFTER_MS:
                found[tx] = None
        yield Found("gifts", "", found, of=tuple(found), where=f"{tag}gift:…")

    return [("HMGET", f"{tag}gift:{tx}", "gift", "reversed_at") for tx in txs], read


def _takings(tag: str, places: Sequence[str]) -> Look:
    commands = [command for place in places for command in takings_at(tag, place)]

    def read(answers: Sequence[Any]) -> Iterable[Found]:
        for place, held, counted in zip(places, answers[::2], answers[1::2], strict=True):
            takings = takings_of(held, counted)
            where = f"{tag}{'takings' if '/' in place else 'earnings'}:{place} and {tag}hosts:{place}"
            yield Found("takings", place, None if takings.is_nothing else takings, where=where)

    return commands, read


def _board(tag: str, place: str, first: int, replay: ShardReplay) -> Look:
    board, givers = f"{tag}board:{place}", f"{tag}givers:{place}"
    wanted = [each.user for each in replay.expected(Found("boards", place, None, first, PAGE))]
    commands: list[Command] = [("ZREVRANGE", board, first - 1, first + PAGE - 2, "WITHSCORES"), ("ZCARD", board)]
    if wanted:
        commands.append(("HMGET", givers, *wanted))

    def read(answers: Sequence[Any]) -> Iterable[Found]:
        flat, size, *members = answers
        standings = [_standing(member, value) for member, value in zip(flat[::2], flat[1::2], strict=True)]
        yield Found("boards", place, standings, first, PAGE, where=board)
        yield Found("board sizes", place, size, where=board)
        if members:
            found = {user: _reached(member) for user, member in zip(wanted, members[0], strict=True)}
            yield Found("givers", place, found, of=tuple(wanted), where=givers)

    return commands, read


def _standing(member: bytes, value: bytes) -> Standing:
    return Standing(member[_POSITION_CHARS:].decode(), int(value), _reached(member) or 0)


def _reached(member: bytes | None) -> int | None:
    """The position at which somebody came to stand there, as the member of the board says it."""
    return None if member is None or not member[:_POSITION_CHARS].isdigit() else _POSITION_MARK - int(member[:_POSITION_CHARS])


def _drops(tag: str, names: Sequence[str]) -> Look:
    keys = [f"{tag}drop:{name}" for name in names]

    def read(answers: Sequence[Any]) -> Iterable[Found]:
        for name, key, flat, codes in zip(names, keys, answers[::2], answers[1::2], strict=True):
            yield Found("drops", name, drop_of(named(flat)) if flat else None, where=key)
            yield Found("code counts", name, codes, where=f"{tag}codes:{name}")

    return [
        command for name, key in zip(names, keys, strict=True) for command in (("HGETALL", key), ("LLEN", f"{tag}codes:{name}"))
    ], read


def _units(tag: str, name: str, first: int, replay: ShardReplay) -> Look:
    """Units of a drop, and all that is kept beside them so that they are found again."""
    serials = range(first, first + PAGE)
    wanted = replay.units(name, first, PAGE)
    drop = replay.drop(name)
    listed = drop is not None and drop.terms.codes == "list" and not drop.terms.test
    keys = {kind: f"{tag}{kind}:{name}" for kind in ("units", "fates", "answers", "holders", "codes")}
    commands: list[Command] = [("HMGET", keys["units"], *serials), ("HMGET", keys["fates"], *serials), ("HLEN", keys["units"])]
    if wanted:
        commands += [
            ("HMGET", keys["answers"], *(f"{unit.user}/{unit.cid}" for unit in wanted)),
            ("HMGET", keys["holders"], *(unit.user for unit in wanted)),
            ("ZMSCORE", f"{tag}expiring:all", *(f"{name}#{unit.serial}" for unit in wanted)),
            ("LRANGE", keys["codes"], first - 1, first + len(wanted) - 2),
        ]

    def read(answers: Sequence[Any]) -> Iterable[Found]:
        records, fates, size, *beside = answers
        pairs = zip(records, fates, strict=True)
        units = [None if record is None else unit_of(record, fate) for record, fate in pairs]
        while units and units[-1] is None:
            units.pop()
        yield Found("units", name, units, first, PAGE, where=keys["units"])
        yield Found("unit counts", name, size, where=keys["units"])
        if beside:
            told, holders, expiring, codes = beside
            count = len(wanted)
            held_by = [unit.serial if str(unit.serial).encode() in (has or b"").split(b",") else None
                       for unit, has in zip(wanted, holders, strict=True)]  # fmt: skip
            said = [None if each is None else each.decode() for each in told]
            yield Found("answers", name, said, first, count, where=keys["answers"])
            yield Found("holders", name, held_by, first, count, where=keys["holders"])
            times = [None if at is None else int(at) for at in expiring]
            yield Found("expiring", name, times, first, count, where=f"{tag}expiring:all")
            if listed:
                yield Found("codes", name, [code.decode() for code in codes], first, count, where=keys["codes"])

    return commands, read


def _entrants(tag: str, name: str, first: int) -> Look:
    key, entries = f"{tag}entrants:{name}", f"{tag}entries:{name}"

    def read(answers: Sequence[Any]) -> Iterable[Found]:
        packed, size, entered = answers
        yield Found("entrants", name, entrants_of(packed, first), first, PAGE, where=key)
        yield Found("entrant counts", name, size, where=key)
        yield Found("entrant counts", name, entered, where=entries)

    return [("LRANGE", key, first - 1, first + PAGE - 2), ("LLEN", key), ("HLEN", entries)], read


def _taken_key(tag: str, name: str) -> str:
    return f"{tag}group:{name.removesuffix(' group')}" if name.endswith(" group") else f"{tag}taken:{name}"


def _taken(tag: str, name: str, users: Sequence[str]) -> Look:
    key = _taken_key(tag, name)

    def read(answers: Sequence[Any]) -> Iterable[Found]:
        counts = {user: int(n or 0) for user, n in zip(users, answers[0], strict=True)}
        yield Found("taken", name, counts, of=tuple(users), where=key)

    return [("HMGET", key, *users)], read


def _orders(tag: str, room: str, ids: Sequence[str]) -> Look:
    key = f"{tag}orders:{room}"

    def read(answers: Sequence[Any]) -> Iterable[Found]:
        yield Found("orders", room, dict(zip(ids, map(_order, answers[0]), strict=True)), of=tuple(ids), where=key)

    return [("HMGET", key, *ids)], read


def _order(kept: bytes | None) -> Any:
    return None if kept is None else decode_order(kept.split(b"\n", 2)[2])


async def _strangers(server: LedgerServer, shard: int, kind: Kind, name: str) -> AsyncIterator[tuple[int, list[Found]]]:
    """What is in a hash, whoever put it there: with what was looked up by id before, all that there is."""
    tag = f"{{s{shard}}}:"
    key = _taken_key(tag, name) if kind == "taken" else f"{tag}orders:{name}"
    cursor = b"0"
    while True:
        position, ((cursor, flat),) = await _at_once(server, shard, [("HSCAN", key, cursor, "COUNT", PAGE)])
        held = zip(flat[::2], flat[1::2], strict=True)
        try:
            values = {id_.decode(): int(value) if kind == "taken" else _order(value) for id_, value in held}
        except (*UNREADABLE, IndexError) as fault:
            raise _unreadable(shard, [("HSCAN", key)], fault) from fault
        yield position, [Found(kind, name, values, of=tuple(values), where=key)]
        if cursor == b"0":
            return
