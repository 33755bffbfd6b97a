"""A checkpoint of a shard's ledger: what its entries up to a position lead to, kept so that they themselves can be forgotten.

It is an auditor's replay, put away in pieces of a bounded size: a shard may have a million units. An audit goes on from it as if it
had replayed those entries. What nobody can ask for any more (gifts that are kept no longer) is left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from livecast.core.books.inventory import BookedGift
from livecast.core.books.replay import ShardReplay
from livecast.core.errors import LivecastError
from livecast.core.money.coins import DAY_MS, GIFT_KEEP_MS, Gift, PendingKind
from livecast.core.money.units import Drop, Entrant, Order, Unit

FORMAT: Final = 1
PART_ROWS: Final = 1_000
"""Rows of one piece: a millisecond to encode, some 20 KB."""
COUNTED: Final = ("entries", "granted", "confirmed", "reversed", "gifts", "gift_value", "confirmations")


class BadCheckpoint(LivecastError):  # noqa: N818 - says what it is
    """What was kept is no checkpoint, or one of a later version."""


class Checkpoint(Struct, frozen=True):
    """Where a shard's checkpoint stands, when it was made (Unix ms) and for how many entries it stands.

    `before`: where the one before it stood, 0 if there was none. Entries up to there may be forgotten: whoever has an older copy
    of the checkpoints, say in a backup, can still go on from it.
    """

    shard: int
    position: int
    at: int
    entries: int
    before: int = 0


class _Head(Struct, array_like=True):
    format: int
    shard: int
    position: int
    counted: tuple[int, ...]
    pending: list[tuple[PendingKind, str, Gift]]


class _Part(Struct, array_like=True):
    kind: str
    name: str
    rows: msgspec.Raw


_encode = msgspec.msgpack.Encoder().encode
_ROWS: Final[dict[str, msgspec.msgpack.Decoder[Any]]] = {
    "wallets": msgspec.msgpack.Decoder(list[tuple[str, tuple[int, int]]]),
    "debits": msgspec.msgpack.Decoder(list[tuple[str, int]]),
    "gifts": msgspec.msgpack.Decoder(list[tuple[str, int, tuple[str, int, str, str, bool]]]),
    "gift_counts": msgspec.msgpack.Decoder(list[tuple[str, int]]),
    "purses": msgspec.msgpack.Decoder(list[tuple[str, tuple[int, int]]]),
    "takings": msgspec.msgpack.Decoder(list[tuple[str, int]]),
    "taken": msgspec.msgpack.Decoder(list[tuple[str, int]]),
    "drops": msgspec.msgpack.Decoder(list[Drop]),
    "orders": msgspec.msgpack.Decoder(list[Order]),
    "units": msgspec.msgpack.Decoder(list[tuple[Any, ...]]),
    "entrants": msgspec.msgpack.Decoder(list[tuple[Any, ...]]),
}


def parts_of(replay: ShardReplay, now: int) -> Iterator[bytes]:
    """A replay in pieces, the first of which says what it is."""
    pending = [(kind, tx, gift) for (kind, tx), gift in replay.pending.items()]
    counted = tuple(getattr(replay, name) for name in COUNTED)
    yield _packed(_Head(FORMAT, replay.shard, replay.at, counted, pending))
    known, oldest = replay.known(), now - GIFT_KEEP_MS - DAY_MS
    yield from _rows("wallets", "", known["wallets"].items())
    yield from _rows("debits", "", ((tx, at) for tx, at in known["debits"].items() if at > oldest))
    yield from _rows("gifts", "", ((tx, at, astuple(gift)) for tx, (at, gift) in known["gifts"].items() if at > oldest))
    yield from _rows("gift_counts", "", known["gift_counts"].items())
    yield from _rows("drops", "", known["drops"].values())
    for kind in ("purses", "takings", "taken"):
        for name, held in known[kind].items():
            yield from _rows(kind, name, held.items())
    for room, orders in known["orders"].items():
        yield from _rows("orders", room, orders.values())
    for kind in ("units", "entrants"):
        for name, listed in known[kind].items():
            yield from _rows(kind, name, map(astuple, listed))


def replay_of(shard: int, position: int, parts: Iterable[bytes]) -> ShardReplay:
    """A replay as it was put away. Raises `BadCheckpoint`."""
    replay = ShardReplay(shard)
    try:
        first, *rest = parts
        head = msgspec.msgpack.decode(zlib.decompress(first), type=_Head)
        if head.format > FORMAT:
            raise BadCheckpoint(f"it is of format {head.format}, which a later version wrote; this one reads {FORMAT}")
        if (head.format, head.shard, head.position) != (FORMAT, shard, position):
            raise BadCheckpoint(f"a checkpoint of shard {shard} at {position} was looked for, this is {head}")
        for name, value in zip(COUNTED, head.counted, strict=True):
            setattr(replay, name, value)
        replay.at = head.position
        replay.pending = {(kind, tx): gift for kind, tx, gift in head.pending}
        known = replay.known()
        for packed in rest:
            part = msgspec.msgpack.decode(zlib.decompress(packed), type=_Part)
            _put_back(known, part.kind, part.name, _ROWS[part.kind].decode(part.rows))
    except (ValueError, KeyError, TypeError, zlib.error, msgspec.MsgspecError) as fault:
        raise BadCheckpoint(f"the checkpoint of shard {shard} at {position} cannot be read ({fault!r})") from fault
    replay.put_back()
    return replay


def _put_back(known: dict[str, dict[str, Any]], kind: str, name: str, rows: Sequence[Any]) -> None:
    held = known[kind]
    match kind:
        case "gifts":
            held.update((tx, (at, BookedGift(*gift))) for tx, at, gift in rows)
        case "drops":
            held.update((f"{drop.room}/{drop.id}", drop) for drop in rows)
        case "orders":
            held[name].update((order.order_id, order) for order in rows)
        case "units":
            held[name] += [Unit(*row) for row in rows]
        case "entrants":
            held[name] += [Entrant(*row) for row in rows]
        case "purses" | "takings" | "taken":
            held[name].update(rows)
        case _:
            held.update(rows)


def _rows(kind: str, name: str, rows: Iterable[Any]) -> Iterator[bytes]:
    left = iter(rows)
    while some := list(islice(left, PART_ROWS)):
        yield _packed(_Part(kind, name, msgspec.Raw(_encode(some))))


def _packed(part: _Head | _Part) -> bytes:
    return zlib.compress(_encode(part), 1)
