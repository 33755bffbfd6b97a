"""Webhooks: who is told of what, how that went, and the list of everything that was to be told."""

from __future__ import annotations

import base64
import ipaddress
import re
import secrets
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from livecast.core.tools.globs import glob_matches
from livecast.core.webhooks.deliveries import (
    SECRET_BYTES,
    TEST_TYPE,
    Delivery,
    Endpoint,
    Envelope,
    Listed,
    Secret,
    Standing,
    WebhookEvent,
    rotated,
    signing,
)
from livecast.core.webhooks.forgotten import without_forgotten
from livecast.edge.access.callers import Caller
from livecast.edge.api.webhook_shapes import (
    DeliveryPage,
    EventPage,
    ListDeliveries,
    ListEvents,
    ListWebhooks,
    NewWebhook,
    Webhook,
    WebhookDelivery,
    WebhookPage,
    WebhookPatch,
)
from livecast.edge.http import cursors
from livecast.edge.http.bodies import convert
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.conditions import check_match, etag
from livecast.edge.http.problems import Fault, ProblemError
from livecast.edge.webhooks import WebhookDesk

WEBHOOKS_OF_ONE_MAX: Final = 50
"""Endpoints of one merchant, or of the platform itself: one of them cannot take all the places there are, and an event is dealt
to a hundred at most."""
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
LOOKED_AT_MAX: Final = 2_000
"""Events looked through for one page of those that a caller asked for; a page may be short, and its cursor leads on."""
EVENTS_READ: Final = 200


# --- Endpoints --------------------------------------------------------------------------------------------------------
async def post_webhook(call: Call) -> Outcome:
    """201 with the endpoint and its secret."""
    desk, body = _desk(call), call.body
    _check_url(body.url, inside=desk.inside)
    caller = call.caller
    if sum(each.merchant == caller.merchant for each in await desk.store.endpoints()) >= WEBHOOKS_OF_ONE_MAX:
        raise ProblemError("conflict", f"There are {WEBHOOKS_OF_ONE_MAX} webhooks already: delete one that is not used.")
    secret = _new_secret()
    endpoint = Endpoint(
        id=f"wh_{secrets.token_hex(8)}",
        url=body.url,
        events=tuple(dict.fromkeys(body.events)),
        rooms=tuple(dict.fromkeys(body.rooms)),
        reach=_reach(caller),
        merchant=caller.merchant,
        secrets=(Secret(secret),),
        created_at=call.node.clock(),
        description=body.description,
    )
    if not await desk.store.put_endpoint(endpoint, 0):
        raise ProblemError("conflict", "There are as many webhooks as there may be.")
    return Outcome(_as_told(endpoint, Standing(), call.node.clock(), secret), 201, revision=endpoint.rev)


async def list_webhooks(call: Call) -> Outcome:
    """Those that the caller reaches."""
    desk, wanted = _desk(call), call.query
    after = cursors.read(wanted.cursor)
    mine = [each for each in await desk.store.endpoints() if each.id > after and _reaches(call.caller, each)]
    page = mine[: wanted.limit]
    standings = await desk.store.standing([each.id for each in page])
    now = call.node.clock()
    told = [_as_told(each, standing, now) for each, standing in zip(page, standings, strict=True)]
    return Outcome(WebhookPage(told, cursors.make(page[-1].id) if len(mine) > len(page) else None))


async def get_webhook(call: Call) -> Outcome:
    """One of them, and how it does."""
    return await _now(call, await _found(call))


async def patch_webhook(call: Call) -> Outcome:
    """What is absent stays. Null takes `rooms` and `description` back to what they are without being said."""
    desk, endpoint = _desk(call), await _found(call)
    body = convert(call.body, WebhookPatch, keep_nulls=True)
    check_match(call.request, etag(endpoint.rev))
    changes: dict[str, Any] = {}
    if body.url is not UNSET:
        _check_url(body.url, inside=desk.inside)
        changes["url"] = body.url
    if body.events is not UNSET:
        changes["events"] = tuple(dict.fromkeys(body.events))
    if body.rooms is not UNSET:
        changes["rooms"] = tuple(dict.fromkeys(body.rooms or ["*"]))
    if body.description is not UNSET:
        changes["description"] = body.description or ""
    if changes or body.state is not UNSET:
        endpoint = await _change(call, endpoint, msgspec.structs.replace(endpoint, **changes, rev=endpoint.rev + 1))
    now = call.node.clock()
    if body.state == "disabled":
        await desk.store.disable(endpoint.id, "somebody asked for it", now)
    elif body.state == "enabled":
        await desk.store.enable(endpoint.id, now)
        desk.kick()
    return await _now(call, endpoint)


async def delete_webhook(call: Call) -> Outcome:
    """200 with the endpoint as it was. Its deliveries are gone; the list of events is as it was."""
    endpoint = await _found(call)
    check_match(call.request, etag(endpoint.rev))
    last = await _now(call, endpoint)
    await _desk(call).store.drop_endpoint(endpoint.id)
    return Outcome(last.value)


async def rotate_webhook(call: Call) -> Outcome:
    """A new secret, shown once. The one before signs too for `rotation_h` hours, one before that no longer."""
    endpoint, now = await _found(call), call.node.clock()
    secret = _new_secret()
    endpoint = await _change(call, endpoint, rotated(endpoint, secret, now, _desk(call).rules))
    standing = (await _desk(call).store.standing([endpoint.id]))[0]
    return Outcome(_as_told(endpoint, standing, now, secret), revision=endpoint.rev)


async def test_webhook(call: Call) -> Outcome:
    """201 with the delivery of a `webhook.test`, which goes the way of all others."""
    desk, endpoint, now = _desk(call), await _found(call), call.node.clock()
    if (await desk.store.standing([endpoint.id]))[0].disabled_at is not None:
        raise ProblemError("conflict", "This webhook is disabled.")
    data = {"message": "A test: if you can read and verify this, it works.", "webhook": endpoint.id}
    event = WebhookEvent(f"evt_test_{secrets.token_hex(8)}", TEST_TYPE, now, "", "", endpoint.merchant, test=True, data=data)
    seq = await desk.store.post(endpoint.id, event, now)
    found = await desk.store.delivery(endpoint.id, seq) if seq is not None else None
    if seq is None or found is None:
        raise ProblemError("not_found")
    desk.kick()
    return Outcome(_delivery(seq, found[0]), 201)


# --- Deliveries -------------------------------------------------------------------------------------------------------
async def list_deliveries(call: Call) -> Outcome:
    """Newest first; the cursor is the page's last."""
    desk, endpoint, wanted = _desk(call), await _found(call), call.query
    before = cursors.read_number(wanted.cursor, cursors.NOWHERE)
    if wanted.cursor and before == cursors.NOWHERE:
        return Outcome(DeliveryPage([], None))
    found = await desk.store.deliveries(endpoint.id, wanted.state, before, wanted.limit)
    more = len(found) == wanted.limit and found[-1][0] > 1
    told = [_delivery(seq, delivery) for seq, delivery in found]
    return Outcome(DeliveryPage(told, cursors.make(str(found[-1][0])) if more else None))


async def replay_delivery(call: Call) -> Outcome:
    """200 with the delivery, pending again under the same id and seq. One that is pending stays as it is."""
    desk, endpoint, d = _desk(call), await _found(call), call.path("delivery")
    if not (d.isascii() and d.isdigit() and len(d) <= 15):
        raise ProblemError("not_found")
    if await desk.store.delivery(endpoint.id, int(d)) is None:
        raise ProblemError("not_found")
    again = await desk.store.replay(endpoint.id, int(d), call.node.clock())
    if again is None:
        raise ProblemError("gone", "The event of this delivery is no longer kept.")
    desk.kick()
    return Outcome(_delivery(int(d), again))


# --- Events -----------------------------------------------------------------------------------------------------------
async def list_events(call: Call) -> Outcome:
    """Oldest first. The cursor of the last page asked again tells what came since: it is there while anything may come."""
    desk, wanted = _desk(call), call.query
    after = cursors.read_number(wanted.cursor, 0)
    told: list[Envelope] = []
    looked_at, at, ended = 0, after, False
    while len(told) < wanted.limit and looked_at < LOOKED_AT_MAX and not ended:
        page = await desk.store.events(at, EVENTS_READ)
        ended = len(page) < EVENTS_READ
        for listed in page:
            at = listed.number
            looked_at += 1
            if _sees(call.caller, listed, wanted):
                told.append(_listed(call, listed.event))
                if len(told) == wanted.limit:
                    ended = ended and listed is page[-1]
                    break
    return Outcome(EventPage(told, None if ended else cursors.make(str(at))))


def _sees(caller: Caller, listed: Listed, wanted: ListEvents) -> bool:
    event = listed.event
    if listed.only or (caller.merchant and caller.merchant != event.merchant) or not caller.covers(event.room):
        return False
    return glob_matches(wanted.type, event.type) and glob_matches(wanted.room, event.room)


# --- What is told -----------------------------------------------------------------------------------------------------
async def _now(call: Call, endpoint: Endpoint) -> Outcome:
    standing = (await _desk(call).store.standing([endpoint.id]))[0]
    return Outcome(_as_told(endpoint, standing, call.node.clock()), revision=endpoint.rev)


def _as_told(endpoint: Endpoint, standing: Standing, now: int, secret: str = "") -> Webhook:
    former = [each.until for each in endpoint.secrets[1:] if each.until > now]
    return Webhook(
        id=endpoint.id,
        url=endpoint.url,
        events=list(endpoint.events),
        rooms=list(endpoint.rooms),
        merchant=endpoint.merchant,
        state="enabled" if standing.disabled_at is None else "disabled",
        created_at=endpoint.created_at,
        rev=endpoint.rev,
        seq=standing.seq,
        pending=standing.pending,
        dead=standing.dead,
        secrets=len(signing(endpoint, now)),
        description=endpoint.description,
        failing_since=standing.failing_since,
        disabled_at=standing.disabled_at,
        disabled_reason=standing.why,
        secret=secret,
        former_secret_until=former[0] if former else None,
    )


def _delivery(seq: int, delivery: Delivery) -> WebhookDelivery:
    return WebhookDelivery(
        id=str(seq),
        seq=seq,
        event=delivery.event,
        type=delivery.type,
        room=delivery.room,
        state=delivery.state,
        attempts=delivery.attempts,
        at=delivery.since,
        changed_at=delivery.changed_at,
        next_at=delivery.next_at or None,
        status=delivery.status or None,
        took_ms=delivery.took_ms if delivery.attempts else None,
        reason=delivery.reason,
    )


def _listed(call: Call, event: WebhookEvent) -> Envelope:
    house = call.node.house
    event = event if house is None else without_forgotten(event, house.pseudonym_then)
    return Envelope(
        event.id, event.type, event.timestamp, event.room, event.broadcast, event.merchant, None, event.test, event.data
    )


# --- Who, and what is allowed -----------------------------------------------------------------------------------------
def _desk(call: Call) -> WebhookDesk:
    if call.node.webhooks is None:
        raise ProblemError("unavailable", "There is no ledger here, so nothing is told of.")
    return call.node.webhooks


async def _found(call: Call) -> Endpoint:
    """The endpoint of the path, if the caller reaches it; of others nobody learns that they are there."""
    endpoint = await _desk(call).store.endpoint(call.path("webhook"))
    if endpoint is None or not _reaches(call.caller, endpoint):
        raise ProblemError("not_found")
    return endpoint


async def _change(call: Call, before: Endpoint, endpoint: Endpoint) -> Endpoint:
    if not await _desk(call).store.put_endpoint(endpoint, before.rev):
        raise ProblemError("conflict", "The webhook changed meanwhile: read it again.")
    return endpoint


def _reach(caller: Caller) -> tuple[str, ...]:
    if caller.key is None:
        raise ProblemError("forbidden", "Webhooks are for API keys.")
    return caller.key.rooms


def _reaches(caller: Caller, endpoint: Endpoint) -> bool:
    """Whether an endpoint is among the caller's: of its seller, and of no room that its key does not reach."""
    if caller.merchant and caller.merchant != endpoint.merchant:
        return False
    mine = _reach(caller)
    return "*" in mine or set(endpoint.reach) <= set(mine)


def _new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def _check_url(url: str, *, inside: bool) -> None:
    """422 for a URL that can never be delivered to. What its name resolves to is looked at with every delivery."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise _invalid("/url", "That is no URL.") from None
    if not re.fullmatch(r"[\x21-\x7e]+", url) or not host or port == 0:
        raise _invalid("/url", "That is no URL: write https://shop.example/livecast, what is not ASCII percent-encoded.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _invalid("/url", "A URL without user, password and fragment, please: requests are signed instead.")
    if parts.scheme not in ({"https", "http"} if inside else {"https"}):
        raise _invalid("/url", "Only https:// is delivered to.")
    if not inside and (_is_inside(host) or host == "localhost" or host.endswith((".localhost", ".local", ".internal"))):
        raise _invalid("/url", "Only public addresses are delivered to.")


def _is_inside(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        # An address in a shorter or stranger form (127.1, 0x7f.1): as browsers do, by its last label. No name ends in a number.
        return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _invalid(pointer: str, detail: str) -> ProblemError:
    return ProblemError("invalid", detail, errors=[Fault(pointer, detail)])


_ALL: Final = "/v1/webhooks"
_ONE: Final = f"{_ALL}/{{webhook}}"
_SCOPE: Final = ("webhooks:write",)
ROUTES: Final = (
    Route("POST", _ALL, post_webhook, _SCOPE, "Have events delivered to a URL. The secret in the answer is shown this once.",
          body=NewWebhook, answer=Webhook, statuses=(201,)),
    Route("GET", _ALL, list_webhooks, _SCOPE, "List webhooks.", query=ListWebhooks, answer=WebhookPage),
    Route("GET", _ONE, get_webhook, _SCOPE, "Read a webhook, and how it does.", answer=Webhook),
    Route("PATCH", _ONE, patch_webhook, _SCOPE, "Change a webhook, disable or enable it.",
          body=WebhookPatch, form="patch", answer=Webhook),
    Route("DELETE", _ONE, delete_webhook, _SCOPE, "Forget a webhook and its deliveries.", answer=Webhook),
    Route("POST", f"{_ONE}/test", test_webhook, _SCOPE, "Send a test event.", answer=WebhookDelivery, statuses=(201,)),
    Route("POST", f"{_ONE}/rotate", rotate_webhook, _SCOPE, "Make a new secret; the former one signs too for a day.",
          answer=Webhook),
    Route("GET", f"{_ONE}/deliveries", list_deliveries, _SCOPE, "List a webhook's deliveries, newest first.",
          query=ListDeliveries, answer=DeliveryPage),
    Route("POST", f"{_ONE}/deliveries/{{delivery}}/replay", replay_delivery, _SCOPE, "Send a delivery again.",
          answer=WebhookDelivery, refusals=(410,)),
    Route("GET", "/v1/events", list_events, _SCOPE, "List what happened in the last 30 days, oldest first.",
          query=ListEvents, answer=EventPage),
)  # fmt: skip
