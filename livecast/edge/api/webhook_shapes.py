"""What is asked and told about webhooks over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from livecast.core.webhooks.deliveries import DeliveryState, Envelope, EventFilter
from livecast.edge.http import cursors

Url = Annotated[str, Meta(pattern=r"^https?://[!-~]{1,2000}\Z")]
RoomGlob = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_*?-]{1,64}\Z")]
Events = Annotated[list[EventFilter], Meta(min_length=1, max_length=50)]
Rooms = Annotated[list[RoomGlob], Meta(min_length=1, max_length=50)]
Description = Annotated[str, Meta(max_length=200)]
State = Literal["enabled", "disabled"]


class NewWebhook(Struct, frozen=True, forbid_unknown_fields=True):
    """An endpoint to be told. `events`: types or globs such as `drop.*`; `rooms`: ids or globs."""

    url: Url
    events: Events
    rooms: Rooms = msgspec.field(default_factory=lambda: ["*"])
    description: Description = ""


class WebhookPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """A change. `state`: `disabled` stops it, `enabled` goes on with what waits."""

    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    rooms: Rooms | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    state: State | UnsetType = UNSET


class Webhook(Struct, omit_defaults=True):
    """An endpoint. `secret` is shown once: when it is made, and when it is rotated.

    `secrets` counts those that sign now. `seq` is that of the last delivery. `failing_since`: nothing was taken since then.
    """

    id: str
    url: str
    events: list[str]
    rooms: list[str]
    merchant: str
    state: State
    created_at: int
    rev: int
    seq: int
    pending: int
    dead: int
    secrets: int
    description: str = ""
    failing_since: int | None = None
    disabled_at: int | None = None
    disabled_reason: str = ""
    secret: str = ""
    former_secret_until: int | None = None


class WebhookPage(Struct):
    """A page of endpoints in order of their ids."""

    data: list[Webhook]
    next_cursor: str | None


class WebhookDelivery(Struct, omit_defaults=True):
    """An event on its way to an endpoint. `event` is its id, `next_at` the next try of a pending one, `status` the last answer's
    (absent: there was none), `reason` what was wrong with it. `payload` only where one delivery is asked for.
    """

    id: str
    seq: int
    event: str
    type: str
    room: str
    state: DeliveryState
    attempts: int
    at: int
    changed_at: int
    next_at: int | None = None
    status: int | None = None
    took_ms: int | None = None
    reason: str = ""


class DeliveryPage(Struct):
    """A page of deliveries, newest first."""

    data: list[WebhookDelivery]
    next_cursor: str | None


class EventPage(Struct):
    """A page of events, oldest first. `seq` is null: that counts deliveries. `next_cursor` is null only where nothing more is."""

    data: list[Envelope]
    next_cursor: str | None


class ListWebhooks(Struct, frozen=True):
    """Which page."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


class ListDeliveries(Struct, frozen=True):
    """Which page, and of which state."""

    state: DeliveryState | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


class ListEvents(Struct, frozen=True):
    """Which page, of which types (a glob such as `drop.*`) and rooms (a glob)."""

    type: EventFilter = "*"
    room: RoomGlob = "*"
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""
