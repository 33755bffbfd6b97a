"""Webhooks in this process's memory: for development and for tests. Every promise of `webhooks.Webhooks` but durability."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Mapping, Sequence

import msgspec

from livecast.adapters.bounds import WEBHOOK_ONCE_MS
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
from livecast.webhooks import ROOMS, Census, Due, Tried

_size = msgspec.msgpack.Encoder().encode


class _Held:
    """What is kept of one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.seq = 0
        self.failing_since: int | None = None
        self.off: tuple[int, str] | None = None
        self.deliveries: dict[int, Delivery] = {}
        self.queues: defaultdict[str, deque[int]] = defaultdict(deque)
        self.due: dict[str, int] = {}
        """Room -> when the oldest of it is due."""

    def of(self, state: DeliveryState) -> list[int]:
        return [seq for seq, delivery in self.deliveries.items() if delivery.state == state]

    def enqueue(self, seq: int, now: int) -> None:
        room = self.deliveries[seq].room
        self.queues[room].append(seq)
        if len(self.queues[room]) == 1:
            self.due[room] = now

    def deal(self, number: int, event: WebhookEvent, now: int) -> int:
        self.seq += 1
        self.deliveries[self.seq] = Delivery(number, event.id, event.type, event.room, now, changed_at=now, next_at=now)
        self.enqueue(self.seq, now)
        return self.seq

    def trim(self, state: DeliveryState, kept: int) -> None:
        for seq in sorted(self.of(state))[:-kept]:
            del self.deliveries[seq]


class MemoryWebhooks:
    """`webhooks.Webhooks` in memory."""

    def __init__(self, rules: WebhookRules | None = None) -> None:
        self._rules = rules or WebhookRules()
        self._held: dict[str, _Held] = {}
        self._cursors: dict[int, int] = {}
        self._events: OrderedDict[int, tuple[Listed, int, int]] = OrderedDict()
        """Number -> the event, when it came, and the bytes of all before it."""
        self._count = self._bytes = 0
        self._once: dict[str, int] = {}
        """What is told once -> until when that is remembered, oldest first."""

    # --- Endpoints ---
    async def endpoints(self) -> list[Endpoint]:
        """All of them."""
        return [self._held[id_].endpoint for id_ in sorted(self._held)]

    async def endpoint(self, id_: str) -> Endpoint | None:
        """One of them."""
        held = self._held.get(id_)
        return None if held is None else held.endpoint

    async def put_endpoint(self, endpoint: Endpoint, if_rev: int) -> bool:
        """Keep an endpoint."""
        held = self._held.get(endpoint.id)
        if (0 if held is None else held.endpoint.rev) != if_rev:
            return False
        if held is not None:
            held.endpoint = endpoint
        elif len(self._held) >= ENDPOINTS_MAX:
            return False
        else:
            self._held[endpoint.id] = _Held(endpoint)
        return True

    async def drop_endpoint(self, id_: str) -> bool:
        """Forget one."""
        return self._held.pop(id_, None) is not None

    async def enable(self, id_: str, now: int) -> bool:
        """Go on with it."""
        held = self._held.get(id_)
        if held is not None and held.off is not None:
            held.off = held.failing_since = None
            held.due = dict.fromkeys(held.due, now)
        return held is not None

    async def disable(self, id_: str, why: str, now: int) -> bool:
        """Stop it."""
        held = self._held.get(id_)
        if held is not None:
            held.off = held.off or (now, why)
        return held is not None

    async def standing(self, ids: Sequence[str]) -> list[Standing]:
        """How endpoints do."""
        return [self._standing(self._held.get(id_)) for id_ in ids]

    @staticmethod
    def _standing(held: _Held | None) -> Standing:
        if held is None:
            return Standing()
        at, why = held.off or (None, "")
        return Standing(held.seq, len(held.of("pending")), len(held.of("dead")), held.failing_since, at, why)

    # --- Events ---
    async def cursors(self) -> dict[int, int]:
        """Where each source stands."""
        return dict(self._cursors)

    async def append(self, source: int, expected: int, upto: int, drafts: Sequence[Draft], now: int) -> int:
        """Keep events and deal them."""
        if source != ROOMS:
            if (stands := self._cursors.get(source, 0)) != expected:
                return stands
            self._cursors[source] = upto
        for draft in drafts:
            if draft.once and self._once.get(draft.once, 0) > now:
                continue
            if draft.once:
                self._once[draft.once] = now + WEBHOOK_ONCE_MS
            event = draft.event
            number = self._list(event, "", now)
            for held in self._held.values():
                if held.off is None and wants(held.endpoint, event.type, event.room, event.merchant):
                    if len(held.of("pending")) >= self._rules.queue_max:
                        held.off = (now, "too many deliveries were waiting")
                    else:
                        held.deal(number, event, now)
        self._trim(now)
        return upto

    def _list(self, event: WebhookEvent, only: str, now: int) -> int:
        self._count += 1
        self._events[self._count] = (Listed(self._count, event, only), now, self._bytes)
        self._bytes += len(_size(event)) + 100
        return self._count

    def _trim(self, now: int) -> None:
        while self._once and next(iter(self._once.values())) <= now:
            del self._once[next(iter(self._once))]
        oldest_at = now - self._rules.events_keep_days * 86_400_000
        bytes_max = self._rules.events_max_mb * 1_048_576
        while self._events:
            number, (_, at, before) = next(iter(self._events.items()))
            if at >= oldest_at and self._bytes - before <= bytes_max:
                return
            del self._events[number]

    async def post(self, id_: str, event: WebhookEvent, now: int) -> int | None:
        """Deal one event to one endpoint."""
        held = self._held.get(id_)
        return None if held is None else held.deal(self._list(event, id_, now), event, now)

    async def events(self, after: int, limit: int) -> list[Listed]:
        """The list, page by page."""
        return [listed for listed, _, _ in self._events.values() if listed.number > after][:limit]

    # --- Deliveries ---
    async def take(self, now: int, lease_ms: int, slots: Mapping[str, int], otherwise: int, limit: int) -> list[Due]:
        """Lease what is due."""
        out: list[Due] = []
        waiting = [held for held in self._held.values() if held.off is None and held.due and min(held.due.values()) <= now]
        for held in sorted(waiting, key=lambda held: min(held.due.values())):
            free = min(slots.get(held.endpoint.id, otherwise), limit - len(out))
            rooms = sorted((at, room) for room, at in held.due.items() if at <= now)[: max(0, free)]
            for _, room in rooms:
                seq = held.queues[room][0]
                delivery = held.deliveries[seq]
                out.append(Due(held.endpoint, seq, delivery, self._event(delivery)))
                held.due[room] = now + lease_ms
        return out

    async def next_at(self) -> int | None:
        """When the next one is due."""
        return min((at for held in self._held.values() if held.off is None for at in held.due.values()), default=None)

    async def settle(self, tried: Sequence[Tried], now: int) -> list[int | None]:
        """Note what became of them."""
        return [self._settle(each, now) for each in tried]

    def _settle(self, tried: Tried, now: int) -> int | None:
        held, delivery = self._held.get(tried.endpoint), tried.delivery
        if held is None:
            return None
        known = held.deliveries.get(tried.seq)
        if known is None or known.state != "pending":
            return held.failing_since
        held.deliveries[tried.seq] = delivery
        if delivery.state == "pending":
            held.due[delivery.room] = delivery.next_at
        else:
            self._leave(held, tried.seq, delivery, now)
        if tried.failed is not None:
            held.failing_since = (held.failing_since or now) if tried.failed else None
        return held.failing_since

    @staticmethod
    def _leave(held: _Held, seq: int, delivery: Delivery, now: int) -> None:
        queue = held.queues[delivery.room]
        queue.remove(seq)
        if queue:
            held.due[delivery.room] = now
        else:
            del held.queues[delivery.room], held.due[delivery.room]
        held.trim(delivery.state, DELIVERED_KEPT if delivery.state == "delivered" else DEAD_KEPT)

    async def deliveries(self, id_: str, state: DeliveryState | None, before: int, limit: int) -> list[tuple[int, Delivery]]:
        """Newest first."""
        held = self._held.get(id_)
        found = sorted(held.deliveries.items(), reverse=True) if held is not None else []
        return [(seq, each) for seq, each in found if seq < before and state in {None, each.state}][:limit]

    async def delivery(self, id_: str, seq: int) -> tuple[Delivery, WebhookEvent | None] | None:
        """One of them."""
        held = self._held.get(id_)
        found = held.deliveries.get(seq) if held is not None else None
        return None if found is None else (found, self._event(found))

    async def replay(self, id_: str, seq: int, now: int) -> Delivery | None:
        """Send it again."""
        held = self._held.get(id_)
        found = held.deliveries.get(seq) if held is not None else None
        if held is None or found is None or found.state == "pending":
            return found
        if self._event(found) is None:
            return None
        again = msgspec.structs.replace(found, state="pending", since=now, attempts=0, changed_at=now, next_at=now)
        held.deliveries[seq] = again
        held.enqueue(seq, now)
        return again

    def _event(self, delivery: Delivery) -> WebhookEvent | None:
        found = self._events.get(delivery.number)
        return None if found is None else found[0].event

    async def census(self) -> Census:
        """How much lies there."""
        all_of = self._held.values()
        since = [each.since for held in all_of for each in held.deliveries.values() if each.state == "pending"]
        dead = sum(len(held.of("dead")) for held in all_of)
        return Census(len(since), min(since, default=None), dead, len(all_of), sum(held.off is not None for held in all_of))
