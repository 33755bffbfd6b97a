"""Webhooks on Redis or Valkey: on the ledger's server, under one tag. `lua/webhooks/prelude.lua` names the keys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

import msgspec

from livecast.adapters.bounds import WEBHOOK_ONCE_MS
from livecast.adapters.redis.server import Argument, Command, RedisServer, Script
from livecast.core.webhooks.deliveries import (
    DEAD_KEPT,
    DELIVERED_KEPT,
    ENDPOINTS_MAX,
    Delivery,
    DeliveryState,
    Draft,
    Endpoint,
    Listed,
    Standing,
    WebhookEvent,
    WebhookRules,
    wants,
)
from livecast.ports import StoreError
from livecast.webhooks import ROOMS, Census, Due, Tried

TAG: Final = "{webhooks}:"
ENDPOINTS: Final = f"{TAG}endpoints"
STATES: Final[tuple[DeliveryState, ...]] = ("pending", "delivered", "dead")
MATCHES_MAX: Final = 5
"""Times in a row that endpoints may change while events are matched with them."""

_encode = msgspec.msgpack.Encoder().encode
_endpoint = msgspec.msgpack.Decoder(Endpoint).decode
_delivery = msgspec.msgpack.Decoder(Delivery).decode
_event = msgspec.msgpack.Decoder(WebhookEvent).decode


class WebhookScript(Script):
    """A script of `lua/webhooks/` behind the prelude."""

    def __init__(self, name: str) -> None:
        super().__init__(f"webhooks/{name}.lua", keys=1)
        prelude = resources.files("livecast.adapters.redis").joinpath("lua", "webhooks", "prelude.lua").read_bytes()
        self.source = prelude + b"\n" + self.source
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()


class RedisWebhooks:
    """`webhooks.Webhooks` on one server, which is the composition root's to close."""

    def __init__(self, server: RedisServer, rules: WebhookRules | None = None) -> None:
        self._server = server
        self._rules = rules or WebhookRules()
        self._known: tuple[int, list[Endpoint]] = (-1, [])
        """All endpoints, and the revision of them as a whole."""

    # --- Endpoints ---
    async def endpoints(self) -> list[Endpoint]:
        """All of them."""
        rev, packed = await self._server.transact([("GET", f"{TAG}rev"), ("HVALS", ENDPOINTS)])
        self._known = (int(rev or 0), sorted(map(_endpoint, packed), key=lambda endpoint: endpoint.id))
        return list(self._known[1])

    async def endpoint(self, id_: str) -> Endpoint | None:
        """One of them."""
        packed = await self._server.run("HGET", ENDPOINTS, id_)
        return None if packed is None else _endpoint(packed)

    async def put_endpoint(self, endpoint: Endpoint, if_rev: int) -> bool:
        """Keep an endpoint."""
        return bool(await self._call(PUT, 0, endpoint.id, _encode(endpoint), endpoint.rev, if_rev, ENDPOINTS_MAX))

    async def drop_endpoint(self, id_: str) -> bool:
        """Forget one."""
        return bool(await self._call(DROP, 0, id_))

    async def enable(self, id_: str, now: int) -> bool:
        """Go on with it."""
        return bool(await self._call(SWITCH, now, id_, ""))

    async def disable(self, id_: str, why: str, now: int) -> bool:
        """Stop it."""
        return bool(await self._call(SWITCH, now, id_, why))

    async def standing(self, ids: Sequence[str]) -> list[Standing]:
        """How endpoints do."""
        if not ids:
            return []
        counts: list[Command] = [("ZCARD", f"{TAG}{kind}:{id_}") for id_ in ids for kind in ("pending", "dead")]
        fields: list[Command] = [("HMGET", f"{TAG}{kind}", *ids) for kind in ("seq", "failing", "off")]
        *cards, seqs, failing, off = await self._server.transact([*counts, *fields])
        return [
            _standing(seq, pending, dead, since, why)
            for seq, pending, dead, since, why in zip(seqs, cards[::2], cards[1::2], failing, off, strict=True)
        ]

    # --- Events ---
    async def cursors(self) -> dict[int, int]:
        """Where each source stands."""
        found = await self._server.run("HGETALL", f"{TAG}cursor")
        return dict(zip(map(int, found[::2]), map(int, found[1::2]), strict=True))

    async def append(self, source: int, expected: int, upto: int, drafts: Sequence[Draft], now: int) -> int:
        """Keep events and deal them."""
        rules = self._rules
        keep_ms, bytes_max = rules.events_keep_days * 86_400_000, rules.events_max_mb * 1_048_576
        for _ in range(MATCHES_MAX):
            rev, endpoints = self._known
            about = [part for draft in drafts for part in _about(draft, endpoints)]
            bounds = (keep_ms, bytes_max, rules.queue_max, WEBHOOK_ONCE_MS)
            word, *stands = await self._call(APPEND, now, rev, source, expected, upto, *bounds, *about)
            if word == b"AT":
                return upto if source == ROOMS else int(stands[0])
            await self.endpoints()
        raise StoreError("the endpoints of webhooks change too often")

    async def post(self, id_: str, event: WebhookEvent, now: int) -> int | None:
        """Deal one event to one endpoint."""
        answer = await self._call(POST, now, id_, event.id, event.type, event.room, _encode(event))
        return int(answer[0]) if answer else None

    async def events(self, after: int, limit: int) -> list[Listed]:
        """The list, page by page."""
        found = await self._server.run("XRANGE", f"{TAG}events", f"({after}-0", "+", "COUNT", limit)
        return [Listed(int(id_.partition(b"-")[0]), _event(fields[1]), fields[7].decode()) for id_, fields in found]

    # --- Deliveries ---
    async def take(self, now: int, lease_ms: int, slots: Mapping[str, int], otherwise: int, limit: int) -> list[Due]:
        """Lease what is due."""
        pairs = [part for pair in slots.items() for part in pair]
        answer = await self._call(TAKE, now, lease_ms, otherwise, limit, *pairs)
        if not answer:
            return []
        ids = list(dict.fromkeys(answer[::4]))
        packed = await self._server.run("HMGET", ENDPOINTS, *ids)
        of = {id_: _endpoint(each) for id_, each in zip(ids, packed, strict=True) if each is not None}
        return [
            Due(of[id_], int(seq), _delivery(delivery), _event(event) if event else None)
            for id_, seq, delivery, event in zip(answer[::4], answer[1::4], answer[2::4], answer[3::4], strict=True)
            if id_ in of
        ]

    async def next_at(self) -> int | None:
        """When the next one is due."""
        found = await self._server.run("ZRANGE", f"{TAG}next", 0, 0, "WITHSCORES")
        return int(float(found[1])) if found else None

    async def settle(self, tried: Sequence[Tried], now: int) -> list[int | None]:
        """Note what became of them."""
        about: list[Argument] = []
        for each in tried:
            delivery = each.delivery
            failed = "" if each.failed is None else "1" if each.failed else "0"
            about += (each.endpoint, each.seq, _encode(delivery), delivery.state, delivery.room, delivery.next_at, failed)
        answer = await self._call(SETTLE, now, DELIVERED_KEPT, DEAD_KEPT, *about)
        return [int(since) if since else None for since in answer]

    async def deliveries(self, id_: str, state: DeliveryState | None, before: int, limit: int) -> list[tuple[int, Delivery]]:
        """Newest first."""
        wanted = STATES if state is None else (state,)
        lists = await self._server.transact(
            [("ZRANGE", f"{TAG}{kind}:{id_}", f"({before}", "-inf", "BYSCORE", "REV", "LIMIT", 0, limit) for kind in wanted]
        )
        seqs = sorted((int(seq) for found in lists for seq in found), reverse=True)[:limit]
        if not seqs:
            return []
        packed = await self._server.run("HMGET", f"{TAG}deliveries:{id_}", *seqs)
        return [(seq, _delivery(each)) for seq, each in zip(seqs, packed, strict=True) if each is not None]

    async def delivery(self, id_: str, seq: int) -> tuple[Delivery, WebhookEvent | None] | None:
        """One of them."""
        packed = await self._server.run("HGET", f"{TAG}deliveries:{id_}", seq)
        if packed is None:
            return None
        delivery = _delivery(packed)
        place = f"{delivery.number}-0"
        found = await self._server.run("XRANGE", f"{TAG}events", place, place)
        return delivery, _event(found[0][1][1]) if found else None

    async def replay(self, id_: str, seq: int, now: int) -> Delivery | None:
        """Send it again."""
        answer = await self._call(REPLAY, now, id_, seq)
        return _delivery(answer[0]) if answer else None

    async def census(self) -> Census:
        """How much lies there."""
        ids, off = await self._server.transact([("HKEYS", ENDPOINTS), ("HLEN", f"{TAG}off")])
        if not ids:
            return Census(0, None, 0, 0, off)
        names = [str(id_, "ascii") for id_ in ids]
        questions: list[Command] = []
        for name in names:
            questions += (
                ("ZCARD", f"{TAG}pending:{name}"),
                ("ZCARD", f"{TAG}dead:{name}"),
                ("ZRANGE", f"{TAG}pending:{name}", 0, 0),
            )
        answers = await self._server.pipeline(questions)
        oldest = [(name, first[0]) for name, first in zip(names, answers[2::3], strict=True) if first]
        packed = await self._server.pipeline([("HGET", f"{TAG}deliveries:{name}", seq) for name, seq in oldest]) if oldest else []
        since = min((_delivery(each).since for each in packed if each is not None), default=None)
        return Census(sum(answers[0::3]), since, sum(answers[1::3]), len(names), off)

    async def _call(self, script: WebhookScript, now: int, *arguments: Argument) -> Any:
        return await self._server.script(script, ENDPOINTS, now, *arguments)


def _about(draft: Draft, endpoints: Sequence[Endpoint]) -> list[Argument]:
    event = draft.event
    ids = [endpoint.id for endpoint in endpoints if wants(endpoint, event.type, event.room, event.merchant)]
    return [draft.once, event.id, event.type, event.room, _encode(event), len(ids), *ids]


def _standing(seq: bytes | None, pending: int, dead: int, failing: bytes | None, off: bytes | None) -> Standing:
    disabled_at, _, why = (off or b"").decode().partition(" ")
    return Standing(int(seq or 0), pending, dead, int(failing) if failing else None, int(disabled_at) if disabled_at else None, why)


PUT: Final = WebhookScript("put")
DROP: Final = WebhookScript("drop")
SWITCH: Final = WebhookScript("switch")
APPEND: Final = WebhookScript("append")
POST: Final = WebhookScript("post")
TAKE: Final = WebhookScript("take")
SETTLE: Final = WebhookScript("settle")
REPLAY: Final = WebhookScript("replay")
