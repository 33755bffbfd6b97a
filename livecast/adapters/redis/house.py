"""Rules beyond rooms, on the rooms' server: one hash for filters, one for sanctions, a counter, and a stream of who did what."""

from __future__ import annotations

import hashlib
import re
from typing import Final, cast

import msgspec

from livecast.adapters.bounds import HOUSE_ACTS_MAX
from livecast.adapters.redis.keys import HOUSE_ACTS, HOUSE_FILTERS, HOUSE_REVISION, HOUSE_SANCTIONS, HOUSE_SECRETS
from livecast.adapters.redis.server import RedisServer, Script
from livecast.core.frames import StaffAct
from livecast.house import Kind, Rule

REPLACE: Final = Script("house_replace.lua", keys=3)
_POSITION: Final = re.compile(r"\d{1,20}-\d{1,20}")
_encode = msgspec.msgpack.Encoder().encode
_act = msgspec.msgpack.Decoder(StaffAct)


class RedisHouseRules:
    """`house.HouseRules` on one server. All its keys have one hash tag, so that a change is one transaction in a cluster, too."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def put(self, rule: Rule, value: bytes | None, act: StaffAct) -> bool:
        """Change it, count the change and note who did it."""
        key, field = _place(rule)
        change = ("HDEL", key, field) if value is None else ("HSET", key, field, value)
        before, *_ = await self._server.transact([("HEXISTS", key, field), change, ("INCR", HOUSE_REVISION), _note(act)])
        return bool(before)

    async def replace(self, filter_: Rule, was: bytes | None, value: bytes | None, act: StaffAct) -> bool:
        """Change it, if it is what somebody saw. The store is sent no more of that than a digest: it may be megabytes."""
        keys = (HOUSE_FILTERS, HOUSE_REVISION, HOUSE_ACTS)
        seen = "" if was is None else hashlib.sha1(was, usedforsecurity=False).hexdigest()
        args = (filter_.scope, seen, value or b"", HOUSE_ACTS_MAX, _encode(act))
        return bool(await self._server.script(REPLACE, *keys, *args))

    async def note(self, act: StaffAct) -> None:
        """Note who did something."""
        await self._server.run(*_note(act))

    async def get(self, rule: Rule) -> bytes | None:
        """One rule."""
        return cast("bytes | None", await self._server.run("HGET", *_place(rule)))

    async def sanctions(self) -> tuple[int, dict[Rule, bytes]]:
        """All mutes and bans, with the revision of the same moment."""
        revision, flat = await self._server.transact([("GET", HOUSE_REVISION), ("HGETALL", HOUSE_SANCTIONS)])
        pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
        return int(revision or 0), {_rule(field.decode()): value for field, value in pairs}

    async def revision(self) -> int:
        """How many changes there were."""
        return int(await self._server.run("GET", HOUSE_REVISION) or 0)

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """The first that was given."""
        _, kept = await self._server.transact([("HSETNX", HOUSE_SECRETS, name, fresh), ("HGET", HOUSE_SECRETS, name)])
        return bytes(kept)

    async def acts(self, before: str, limit: int) -> list[tuple[str, StaffAct]]:
        """The last changes."""
        end = f"({before}" if _POSITION.fullmatch(before) else "+"
        entries = await self._server.run("XREVRANGE", HOUSE_ACTS, end, "-", "COUNT", limit)
        return [(id_.decode(), _act.decode(fields[1])) for id_, fields in entries]


def _place(rule: Rule) -> tuple[str, str]:
    """The key and field of a rule. A user id has no space, and neither have a kind and a scope."""
    if rule.kind == "filter":
        return HOUSE_FILTERS, rule.scope
    return HOUSE_SANCTIONS, f"{rule.kind} {rule.scope} {rule.user}"


def _note(act: StaffAct) -> tuple[str | int | bytes, ...]:
    return ("XADD", HOUSE_ACTS, "MAXLEN", "~", HOUSE_ACTS_MAX, "*", "a", _encode(act))


def _rule(field: str) -> Rule:
    kind, scope, user = field.split(" ", 2)
    return Rule(cast("Kind", kind), scope, user)
