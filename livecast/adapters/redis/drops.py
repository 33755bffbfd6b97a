"""Drops on Redis or Valkey: how they are made and changed. This part of `ledger.Ledger`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from livecast.adapters.bounds import CODES_PER_CALL_MAX, UPLOAD_KEEP_MS, UPLOAD_REPEATED_SHOWN_MAX
from livecast.adapters.redis.ledger_calls import LedgerCalls, LedgerScript, place, refusal
from livecast.adapters.redis.server import Argument
from livecast.core.errors import Refusal
from livecast.core.money.coins import TX_KEEP_MS
from livecast.core.money.units import STOCK_MAX, Drop, DropChange, Due, NewDrop, Step, Terms
from livecast.ledger import DropAnswer, UploadedCodes

PUT: Final = LedgerScript("drop_put", "drop")
CHANGE: Final = LedgerScript("drop_change", "drop")
CODES: Final = LedgerScript("drop_codes", "drop")
CODES_FINISH: Final = LedgerScript("drop_codes_finish", "drop")
STEP: Final = LedgerScript("drop_step", "drop")

_TERMS: Final = Terms.__struct_fields__
_REST: Final = tuple(name for name in Drop.__struct_fields__ if name not in {"room", "id", "terms", "about", "result"})


class RedisDrops:
    """Making and changing drops."""

    _calls: LedgerCalls

    async def put_drop(self, drop: NewDrop, now: int) -> DropAnswer:
        """Make a drop."""
        made = digest((drop.room, drop.id, drop.terms, drop.about))
        return await self._change(PUT, drop.room, now, drop.room, drop.id, made, drop.about, drop.secret, *_pairs(drop.terms))

    async def change_drop(self, room: str, drop: str, change: DropChange, now: int) -> DropAnswer:
        """Change what may be changed in its state."""
        arguments: list[Argument] = [
            f"{room}/{drop}",
            change.tx,
            digest(change),
            TX_KEEP_MS,
            STOCK_MAX,
            change.stock_delta,
            b"" if change.closes_at is None else change.closes_at,
            b"" if change.about is None else b"1",
            change.about or b"",
            b"" if change.if_changed is None else change.if_changed,
        ]
        return await self._change(CHANGE, room, now, *arguments, *([] if change.terms is None else _pairs(change.terms)))

    async def put_codes(self, room: str, drop: str, upload: str, offset: int, codes: Sequence[str]) -> UploadedCodes | Refusal:
        """Lines of an upload."""
        if len(codes) > CODES_PER_CALL_MAX:
            return Refusal("conflict")
        name = f"{room}/{drop}"
        shown, keep = UPLOAD_REPEATED_SHOWN_MAX, UPLOAD_KEEP_MS
        answer = await self._calls.operate(CODES, place(room)[0], 0, name, upload, offset, shown, keep, *codes, bulk=True)
        if answer[0] == b"REFUSED":
            return refusal(answer)
        return UploadedCodes(answer[1], tuple(map(int, answer[2])))

    async def finish_codes(self, room: str, drop: str, upload: str, now: int, *, if_changed: int | None = None) -> DropAnswer:
        """Make an upload the drop's list."""
        expected = b"" if if_changed is None else if_changed
        return await self._change(CODES_FINISH, room, now, f"{room}/{drop}", upload, expected)

    async def step_drop(self, room: str, drop: str, step: Step, now: int, *, timed: bool = False) -> DropAnswer:
        """Take a drop to another state."""
        return await self._change(STEP, room, now, f"{room}/{drop}", step, b"1" if timed else b"")

    async def secret(self, room: str, drop: str) -> bytes | None:
        """What was given to be kept secret."""
        shard, tag = place(room)
        (secret,) = await self._calls.read(shard, ("HGET", f"{tag}drop:{room}/{drop}", "secret"))
        return None if secret is None else bytes(secret)

    async def drop(self, room: str, drop: str) -> Drop | None:
        """A drop as it is."""
        shard, tag = place(room)
        (held,) = await self._calls.read(shard, ("HGETALL", f"{tag}drop:{room}/{drop}"))
        return drop_of(named(held)) if held else None

    async def drops(self, room: str, before: str | None, limit: int) -> list[Drop]:
        """A room's drops, newest first."""
        shard, tag = place(room)
        index, highest = f"{tag}drops:{room}", "+inf"
        if before is not None:
            (made_at,) = await self._calls.read(shard, ("ZSCORE", index, before))
            if made_at is None:
                return []
            highest = f"({int(made_at)}"
        (ids,) = await self._calls.read(shard, ("ZRANGE", index, highest, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit))
        if not ids:
            return []
        held = await self._calls.read(shard, *(("HGETALL", f"{tag}drop:{room}/{id_.decode()}") for id_ in ids))
        return [drop_of(named(each)) for each in held]

    async def due(self, shard: int, until: int, limit: int) -> list[Due]:
        """Steps of drops whose time has come."""
        window = ("ZRANGE", f"{{s{shard}}}:due:all", "-inf", until, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
        (found,) = await self._calls.read(shard, window)
        due = []
        for member, at in zip(found[::2], found[1::2], strict=True):
            what, _, name = member.decode().partition(" ")
            room, _, drop = name.partition("/")
            due.append(Due(what, room, drop, int(at)))
        return due

    async def _change(self, script: LedgerScript, room: str, now: int, *arguments: Argument) -> DropAnswer:
        answer = await self._calls.operate(script, place(room)[0], now, *arguments)
        return refusal(answer) if answer[0] == b"REFUSED" else drop_of(named(answer[1]))


def named(held: Sequence[bytes]) -> dict[str, bytes]:
    """Fields by name, from a hash's or a stream entry's flat list."""
    return {name.decode(): value for name, value in zip(held[::2], held[1::2], strict=True)}


def drop_of(held: Mapping[str, bytes]) -> Drop:
    """A drop from its hash or its entry."""
    rest = {name: _value(name, held[name]) for name in _REST}
    terms = Terms(**{name: _value(name, held[name]) for name in _TERMS})
    return Drop(held["room"].decode(), held["id"].decode(), terms, held["about"], result=held["result"], **rest)


_WORDS: Final = frozenset({"kind", "codes", "limit_group", "state", "pot"})
_FLAGS: Final = frozenset({"gifted", "test"})


def _value(name: str, text: bytes) -> Any:
    if name in _WORDS:
        return text.decode()
    if name in _FLAGS:
        return text == b"1"
    return int(text) if text else None


def _pairs(terms: Terms) -> list[Argument]:
    pairs: list[Argument] = []
    for name in _TERMS:
        value = getattr(terms, name)
        if name in _FLAGS:
            value = "1" if value else ""
        pairs += [name, "" if value is None else value]
    return pairs


def digest(content: object) -> str:
    """Tells whether two requests with the same id ask for the same."""
    return hashlib.sha256(msgspec.msgpack.encode(content)).hexdigest()[:32]
