"""The seams of webhooks: what is kept of them, and who carries them out, as promises.

`Webhooks` has a memory and a Redis implementation in `livecast.adapters` and one contract suite (`tests/contract/`); `Sender`
is the way out, over HTTP. The structs are in `core.webhooks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from livecast.core.webhooks.deliveries import (
    Answer,
    Delivery,
    DeliveryState,
    Draft,
    Endpoint,
    Listed,
    Standing,
    WebhookEvent,
    WebhookRules,
)

ROOMS: Final = -1
"""The source of events that come from rooms, not from a shard's ledger: it has no cursor."""


class Due(Struct, frozen=True):
    """A delivery whose time has come, leased to whoever asked. `event` None: it is no longer kept."""

    endpoint: Endpoint
    seq: int
    delivery: Delivery
    event: WebhookEvent | None


class Tried(Struct, frozen=True):
    """What became of a leased delivery. `failed`: the endpoint took nothing; None: it was not asked."""

    endpoint: str
    seq: int
    delivery: Delivery
    failed: bool | None


class Census(Struct, frozen=True):
    """How much lies there: deliveries that wait, since when the oldest of them (None: none waits), dead letters, endpoints."""

    pending: int
    oldest_since: int | None
    dead: int
    endpoints: int
    disabled: int


class Webhooks(Protocol):
    """Endpoints, the list of events, and deliveries. What was answered survives the death of any process, and is as durable
    as the ledger. Every call may raise `Unavailable` (it may or may not have happened) after 800 ms.
    """

    # --- Endpoints ---
    async def endpoints(self) -> list[Endpoint]:
        """All of them, in order of id."""

    async def endpoint(self, id_: str) -> Endpoint | None:
        """One of them."""

    async def put_endpoint(self, endpoint: Endpoint, if_rev: int) -> bool:
        """Keep an endpoint in place of its revision `if_rev`; 0: it is new. False: another revision is kept, or
        `ENDPOINTS_MAX` are. An event that is appended later finds it.
        """

    async def drop_endpoint(self, id_: str) -> bool:
        """Forget an endpoint and all of its deliveries. False: there is none."""

    async def enable(self, id_: str, now: int) -> bool:
        """Go on with an endpoint: what waited is due at once. False: there is none."""

    async def disable(self, id_: str, why: str, now: int) -> bool:
        """No further tries and no new deliveries; those that wait, wait on. Again: the first reason stays. False: none."""

    async def standing(self, ids: Sequence[str]) -> list[Standing]:
        """How endpoints do, in the order of `ids`."""

    # --- Events ---
    async def cursors(self) -> dict[int, int]:
        """Source -> up to which position its events are kept. One that is not there stands at 0."""

    async def append(self, source: int, expected: int, upto: int, drafts: Sequence[Draft], now: int) -> int:
        """Keep events, deal them to all endpoints that want them, and move the source's cursor from `expected` to `upto`,
        in one step. If it stands elsewhere nothing is done (a repeat, or another process). Where it stands behind this.

        Events of one call, and of calls that follow on each other, are in order, in the list and for each (endpoint, room).
        Each endpoint's `seq` rises by 1. An endpoint for which `queue_max` deliveries wait is disabled instead.
        """

    async def post(self, id_: str, event: WebhookEvent, now: int) -> int | None:
        """Deal one event to one endpoint, whatever it wants; in the list it is for that one `only`. Its seq, None if there is
        no such endpoint.
        """

    async def events(self, after: int, limit: int) -> list[Listed]:
        """The list from above the number `after` on, oldest first: `events_keep_days` and `events_max_mb` of it."""

    # --- Deliveries ---
    async def take(self, now: int, lease_ms: int, slots: Mapping[str, int], otherwise: int, limit: int) -> list[Due]:
        """Lease due deliveries: per (endpoint, room) the oldest that waits, of an endpoint at most `slots`, `otherwise` where
        nothing is said, earliest due endpoint first. Until it is settled or the lease runs out nobody else gets it, nor one
        behind it. None of a disabled endpoint.
        """

    async def next_at(self) -> int | None:
        """When the next one is due, Unix ms."""

    async def settle(self, tried: Sequence[Tried], now: int) -> list[int | None]:
        """Note what became of leased deliveries: one that is no longer pending makes way for the next of its room. For each,
        since when its endpoint has taken nothing. What is not pending, or whose endpoint is gone, is left as it is.
        """

    async def deliveries(self, id_: str, state: DeliveryState | None, before: int, limit: int) -> list[tuple[int, Delivery]]:
        """(seq, delivery) newest first, from below the seq `before` on. The last `DELIVERED_KEPT` and `DEAD_KEPT` are there."""

    async def delivery(self, id_: str, seq: int) -> tuple[Delivery, WebhookEvent | None] | None:
        """One delivery with its event, if that is still kept."""

    async def replay(self, id_: str, seq: int, now: int) -> Delivery | None:
        """Send a delivery that is not pending again, under the same id and seq, behind what waits for its room. One that is
        pending: no change. None: there is no such delivery, or its event is no longer kept.
        """

    async def census(self) -> Census:
        """How much lies there."""


class Sender(Protocol):
    """Carries a body to a URL."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST it, once, and say what was answered. Never raises for what the receiver does; never follows a redirect; takes
        no longer than it was made to take; connects to public addresses only, unless it was made for development.
        """

    async def close(self) -> None:
        """Let connections go."""


__all__ = ["ROOMS", "Census", "Due", "Sender", "Tried", "WebhookRules", "Webhooks"]
