"""Entries of the ledger's stream. Fields are plain text so that an operator can read them with XRANGE; lists and whole gifts are
MessagePack, which keeps integers exact to 53 bits where the scripts' JSON would round them to 14 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from livecast.adapters.redis.claims import Record, decode_order
from livecast.adapters.redis.drops import drop_of, named
from livecast.adapters.redis.money import decode_gift
from livecast.core.books.bookkeeping import (
    BookEntry,
    BookFact,
    DropChanged,
    GiftCommitted,
    GiftDebited,
    GiftReversed,
    Grant,
    LaterFact,
    OrderTaken,
    PendingCleared,
    PotEntered,
    ShardConfirmed,
    UnitsChanged,
    UnitsGranted,
    WalletMoved,
)
from livecast.core.money.units import Entrant

_decode_records = msgspec.msgpack.Decoder(list[Record]).decode
_decode_entrants = msgspec.msgpack.Decoder(list[tuple[str, str, str, int]]).decode


def entry_of(id_: bytes, fields: Sequence[bytes]) -> BookEntry:
    """An entry from the stream, also of a kind that only later versions write."""
    position = int(id_[:-2]) if id_[-2:] == b"-0" else int(id_.split(b"-")[0])
    if (fact := _hot(fields)) is not None:
        return BookEntry(position, int(fields[3]), fact)
    held = named(fields)
    kind = held["k"].decode()
    fact = _FACTS[kind](held) if kind in _FACTS else LaterFact(kind)
    return BookEntry(position, int(held["at"]), fact)


def _hot(fields: Sequence[bytes]) -> BookFact | None:
    """The three entries that each gift leaves, where they look as we write them: half the time of making a mapping first."""
    match fields:
        case [b"k", b"debit", b"at", _, b"gift", gift, b"balance", balance, b"number", number]:
            return GiftDebited(decode_gift(gift), int(balance), int(number))
        case [b"k", b"gift", b"at", _, b"gift", gift, b"total", total]:
            return GiftCommitted(decode_gift(gift), int(total))
        case [b"k", b"cleared", b"at", _, b"kind", b"commit", b"tx", tx]:
            return PendingCleared("commit", tx.decode())
    return None


def _wallet(held: Mapping[str, bytes]) -> BookFact:
    user, tx, counter, memo = (held[name].decode() for name in ("user", "tx", "counter", "memo"))
    amount, balance, number = (int(held[name]) for name in ("amount", "balance", "number"))
    return WalletMoved(user, tx, amount, balance, number, counter, memo)


def _debit(held: Mapping[str, bytes]) -> BookFact:
    return GiftDebited(decode_gift(held["gift"]), int(held["balance"]), int(held["number"]))


def _cleared(held: Mapping[str, bytes]) -> BookFact:
    return PendingCleared("commit" if held["kind"] == b"commit" else "refund", held["tx"].decode())


def _gift(held: Mapping[str, bytes]) -> BookFact:
    return GiftCommitted(decode_gift(held["gift"]), int(held["total"]))


def _reversed(held: Mapping[str, bytes]) -> BookFact:
    return GiftReversed(decode_gift(held["gift"]), held["reason"].decode(), int(held["total"]))


def _drop(held: Mapping[str, bytes]) -> BookFact:
    return DropChanged(held["step"].decode(), drop_of(held))


def _grants(packed: bytes) -> tuple[Grant, ...]:
    return tuple(Grant(serial, user, cid, code) for serial, user, cid, code, *_ in _decode_records(packed))


def _granted(held: Mapping[str, bytes]) -> BookFact:
    state: Any = held["state"].decode()
    return UnitsGranted(
        room=held["room"].decode(),
        drop=held["drop"].decode(),
        of=int(held["of"]),
        expires_at=int(held["expires_at"]) or None,
        grants=_grants(held["grants"]),
        left=int(held["left"]),
        state=state,
        sold_out_times=int(held["sold_out_times"]),
    )


def _entered(held: Mapping[str, bytes]) -> BookFact:
    numbered = enumerate(_decode_entrants(held["entrants"]), int(held["first"]))
    entrants = tuple(Entrant(number, user, cid, nonce, at) for number, (user, cid, nonce, at) in numbered)
    return PotEntered(held["room"].decode(), held["drop"].decode(), entrants)


def _became(held: Mapping[str, bytes]) -> BookFact:
    words: dict[str, Any] = {
        name: held[name].decode() for name in ("room", "drop", "became", "state", "order_id", "currency", "reason")
    }
    return UnitsChanged(
        units=_grants(held["units"]),
        returned=held["returned"] == b"1",
        freed=held["freed"] == b"1",
        left=int(held["left"]),
        amount=int(held["amount"]) if held["amount"] else None,
        **words,
    )


def _order(held: Mapping[str, bytes]) -> BookFact:
    return OrderTaken(held["room"].decode(), decode_order(held["order"]), held["first"] == b"1")


def _confirmed(held: Mapping[str, bytes]) -> BookFact:
    return ShardConfirmed(int(held["seen"]), int(held["was"]))


_FACTS: Final[dict[str, Callable[[Mapping[str, bytes]], BookFact]]] = {
    "wallet": _wallet,
    "debit": _debit,
    "cleared": _cleared,
    "gift": _gift,
    "reversed": _reversed,
    "drop": _drop,
    "granted": _granted,
    "entered": _entered,
    "became": _became,
    "order": _order,
    "confirmed": _confirmed,
}
