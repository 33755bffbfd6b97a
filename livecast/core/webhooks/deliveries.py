"""Webhooks as values: endpoints, events, deliveries; who is told what, when a try is repeated, and when that ends.

Rules for whoever edits this file: an event's `id` follows from where it came from, so that the same thing never has two; a
delivery keeps the `id` and the `seq` that it was first sent with. Signatures and headers are those of Standard Webhooks 1.0.0.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from livecast.core.tools.globs import glob_matches

EventType: TypeAlias = Literal[
    "room.started",
    "room.ended",
    "drop.announced",
    "drop.opened",
    "drop.sold_out",
    "drop.closed",
    "drop.settled",
    "drop.cancelled",
    "claim.granted",
    "claim.confirmed",
    "claim.released",
    "claim.expired",
    "claim.revoked",
    "gift.sent",
    "gift.reversed",
    "comment.held",
    "comment.reported",
    "user.banned",
    "webhook.test",
]
EventFilter: TypeAlias = Literal[
    "*", "room.*", "drop.*", "claim.*", "gift.*", "comment.*", "user.*", "webhook.*", EventType
]  # fmt: skip
"""What can be asked for: a type, a family of them, or everything, types to come included."""
TEST_TYPE: Final = "webhook.test"

SECRET_BYTES: Final = 32
"""Of a signing secret. Standard Webhooks wants 24 to 64; so many as the hash has."""
SECRETS_MAX: Final = 2
"""Secrets that sign at the same time: the new one and the one before."""
ENDPOINTS_MAX: Final = 1_000
"""Endpoints of a deployment, whoever made them. Each event is matched with all of them: 0.3 ms at the worst."""
BATCH_MAX: Final = 100
"""Claims told in one event: some 15 KB."""
DELIVERED_KEPT: Final = 1_000
"""Deliveries that arrived are listed so far back, per endpoint; 200 bytes each."""
DEAD_KEPT: Final = 10_000
"""Dead letters are listed so far back, per endpoint. The events themselves are in the list of events."""
REASON_CHARS_MAX: Final = 200
"""Of what went wrong with a try."""


class WebhookRules(Struct, frozen=True, forbid_unknown_fields=True):
    """How events are kept and delivered."""

    timeout_s: Annotated[int, Meta(ge=1, le=60)] = 10
    """A receiver has so long to take the connection and answer; longer counts as failed. Whoever has more to do than that
    answers first and works afterwards."""
    retry_first_ms: Annotated[int, Meta(ge=10, le=60_000)] = 250
    """Wait before the second try. Each further wait is half as long again, give or take a fifth: ten tries in half a minute,
    so that a restart of the receiver costs seconds."""
    retry_max_s: Annotated[int, Meta(ge=1, le=86_400)] = 3_600
    """The longest wait between two tries, reached after three hours; also of what a receiver asks for with `Retry-After`."""
    keep_trying_h: Annotated[int, Meta(ge=1, le=720)] = 72
    """After so many hours without success a delivery is a dead letter. A weekend, and the Monday to notice."""
    disable_after_h: Annotated[int, Meta(ge=1, le=720)] = 120
    """An endpoint that took nothing for so long is disabled: nobody is there any more."""
    per_endpoint: Annotated[int, Meta(ge=1, le=100)] = 8
    """Requests to one endpoint at the same time, each of another room. One that failed or was slow gets one at a time."""
    in_flight_max: Annotated[int, Meta(ge=1, le=10_000)] = 256
    """Requests of this process at the same time. Each may hold a socket for `timeout_s`."""
    queue_max: Annotated[int, Meta(ge=100, le=10_000_000)] = 100_000
    """Deliveries that may wait for one endpoint, some 300 bytes each. With more it is disabled, and says so."""
    events_keep_days: Annotated[int, Meta(ge=1, le=365)] = 30
    """Events are listed for so long."""
    events_max_mb: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_024
    """Memory of the ledger's store for the list of events; beyond it the oldest go early. A gift takes some 400 bytes."""
    rotation_h: Annotated[int, Meta(ge=1, le=720)] = 24
    """After a rotation the former secret signs too for so long."""


# --- Endpoints --------------------------------------------------------------------------------------------------------
class Secret(Struct, frozen=True, array_like=True):
    """`whsec_…`, and until when it signs (Unix ms; 0: until it is replaced)."""

    value: str
    until: int = 0


class Endpoint(Struct, frozen=True):
    """Where somebody wants to be told. `events` and `rooms` are globs; `reach` are those of the key that made it, which bound it
    for good. `merchant`: only rooms of that seller ("": any). `rev` counts its changes.
    """

    id: str
    url: str
    events: tuple[str, ...]
    rooms: tuple[str, ...]
    reach: tuple[str, ...]
    merchant: str
    secrets: tuple[Secret, ...]
    created_at: int
    rev: int = 1
    description: str = ""


class Standing(Struct, frozen=True):
    """How an endpoint does. `failing_since`: nothing was taken since. `disabled_at` with the reason in `why`; None: enabled."""

    seq: int = 0
    pending: int = 0
    dead: int = 0
    failing_since: int | None = None
    disabled_at: int | None = None
    why: str = ""


def wants(endpoint: Endpoint, type_: str, room: str, merchant: str) -> bool:
    """Whether an endpoint is to be told of an event."""
    if endpoint.merchant and endpoint.merchant != merchant:
        return False
    return all(any(glob_matches(glob, word) for glob in globs) for globs, word in _asked(endpoint, type_, room))


def _asked(endpoint: Endpoint, type_: str, room: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    return ((endpoint.events, type_), (endpoint.rooms, room), (endpoint.reach, room))


def signing(endpoint: Endpoint, now: int) -> list[str]:
    """The secrets that sign now, newest first."""
    return [secret.value for secret in endpoint.secrets if not secret.until or secret.until > now]


def rotated(endpoint: Endpoint, value: str, now: int, rules: WebhookRules) -> Endpoint:
    """The endpoint with a new secret; the newest of its former ones goes on signing for `rotation_h`, any other stops."""
    until = now + rules.rotation_h * 3_600_000
    former = tuple(Secret(secret.value, min(secret.until or until, until)) for secret in endpoint.secrets[: SECRETS_MAX - 1])
    return msgspec.structs.replace(endpoint, secrets=(Secret(value), *former), rev=endpoint.rev + 1)


# --- Events -----------------------------------------------------------------------------------------------------------
class WebhookEvent(Struct, frozen=True):
    """Something that happened, as everybody is told of it. `timestamp` is Unix ms."""

    id: str
    type: str
    timestamp: int
    room: str
    broadcast: str
    merchant: str
    test: bool
    data: Any


class Envelope(Struct, frozen=True):
    """The body of a delivery. `seq` rises by 1 per endpoint; None in the list of events, which is nobody's delivery."""

    id: str
    type: str
    timestamp: int
    room: str
    broadcast: str
    merchant: str
    seq: int | None
    test: bool
    data: Any


class Listed(Struct, frozen=True):
    """An event and its number in the list of all events, which rises. `only`: it is for one endpoint alone, as tests are."""

    number: int
    event: WebhookEvent
    only: str = ""


class Draft(Struct, frozen=True):
    """An event to be kept. `once`: it is told at most once under this name, however often it is seen ("": no such name)."""

    event: WebhookEvent
    once: str = ""


def envelope(event: WebhookEvent, seq: int | None) -> bytes:
    """The body of a delivery: the same bytes for every try."""
    body = Envelope(event.id, event.type, event.timestamp, event.room, event.broadcast, event.merchant, seq, event.test, event.data)
    return msgspec.json.encode(body)


# --- Deliveries -------------------------------------------------------------------------------------------------------
DeliveryState: TypeAlias = Literal["pending", "delivered", "dead"]


class Delivery(Struct, frozen=True, array_like=True):
    """One event on its way to one endpoint. `number` is the event's in the list.

    `since`: when it was dealt to the endpoint, or replayed; behind another of its room it grows old, too. `next_at`: the next try
    of a pending one. `status`: the last answer's, 0 if there was none; `reason`: what was wrong with it. `took_ms` of the last try.
    """

    number: int
    event: str
    type: str
    room: str
    since: int
    state: DeliveryState = "pending"
    attempts: int = 0
    changed_at: int = 0
    next_at: int = 0
    status: int = 0
    took_ms: int = 0
    reason: str = ""


class Answer(Struct, frozen=True):
    """What became of a try. `status` 0: no answer, and `reason` says why not."""

    status: int
    took_ms: int
    reason: str = ""
    retry_after_s: int | None = None

    @property
    def ok(self) -> bool:
        """Whether the receiver has taken it."""
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether the receiver wants nothing any more (410, as Standard Webhooks has it)."""
        return self.status == 410


def after(delivery: Delivery, answer: Answer, now: int, chance: float, rules: WebhookRules) -> Delivery:
    """The delivery behind a try. `chance` in [0, 1) spreads the tries of many."""
    tried = msgspec.structs.replace(
        delivery,
        attempts=delivery.attempts + 1,
        changed_at=now,
        next_at=0,
        status=answer.status,
        took_ms=answer.took_ms,
        reason="" if answer.ok else answer.reason[:REASON_CHARS_MAX],
    )
    if answer.ok:
        return msgspec.structs.replace(tried, state="delivered")
    last_at = delivery.since + rules.keep_trying_h * 3_600_000
    if now >= last_at:
        return msgspec.structs.replace(tried, state="dead")
    return msgspec.structs.replace(tried, next_at=min(last_at, now + wait_ms(tried.attempts, answer.retry_after_s, chance, rules)))


def wait_ms(attempts: int, retry_after_s: int | None, chance: float, rules: WebhookRules) -> int:
    """The wait behind the `attempts`th try: exponential with jitter, not less than the receiver asked for."""
    longest = rules.retry_max_s * 1000
    steps = min(attempts - 1, 100)  # 1.5^100 is more than any bound
    waits = min(longest, rules.retry_first_ms * 1.5**steps) * (0.8 + 0.4 * chance)
    return int(max(waits, min(longest, (retry_after_s or 0) * 1000)))
