"""Webhooks over HTTP: made, changed, rotated, tried; their deliveries and replays; the list of events; and who may."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from livecast.adapters.memory.webhooks import MemoryWebhooks
from livecast.core.rules import RoomRules
from livecast.core.webhooks.deliveries import Answer, Draft, WebhookEvent, WebhookRules, after, envelope, signing
from livecast.edge.rules import EdgeRules
from livecast.edge.webhooks import WebhookDesk
from livecast.webhooks import Due, Tried
from support.hooks import HOUR_MS, draft, event
from support.house import House

HOOKS = "/v1/webhooks"
URL = "https://shop.example/livecast"
#: Method and rest of the path of what can be asked of one webhook.
OF_ONE = (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate"), ("GET", "/deliveries"))


class Office(House):
    """A node with a store of webhooks; nobody delivers but the test."""

    def __init__(self, rules: EdgeRules, room_rules: RoomRules) -> None:
        super().__init__(rules, room_rules)
        self.store = MemoryWebhooks()
        self.kicks = 0
        self.inside(False)

    def inside(self, inside: bool) -> None:
        self.node.webhooks = WebhookDesk(self.store, self._kick, WebhookRules(), inside=inside)

    def _kick(self) -> None:
        self.kicks += 1

    async def made(self, *, auth: str = "", **about: Any) -> dict[str, Any]:
        """A webhook as its maker was told of it."""
        answer = await self.call("POST", HOOKS, auth=auth, json={"url": URL, "events": ["*"], **about})
        assert answer.status == 201, answer
        told: dict[str, Any] = answer.json
        return told

    async def happen(self, *ids: str, room: str = "r", **more: Any) -> None:
        at = (await self.store.cursors()).get(1, 0)
        await self.store.append(1, at, at + 1, [draft(id_, room, **more) for id_ in ids], self.clock())

    async def due(self) -> list[Due]:
        return await self.store.take(self.clock(), 40_000, {}, 99, 99)

    async def answer(self, due: Due, status: int, *, late_ms: int = 0) -> None:
        answer = Answer(status, 12, f"HTTP {status}")
        tried = after(due.delivery, answer, self.clock() + late_ms, 0.5, WebhookRules())
        await self.store.settle([Tried(due.endpoint.id, due.seq, tried, failed=not answer.ok)], self.clock())


@pytest.fixture
async def office(edge_rules: EdgeRules, room_rules: RoomRules) -> AsyncIterator[Office]:
    """A running node."""
    office = Office(edge_rules, room_rules)
    await office.open()
    yield office
    await office.close()


# --- Endpoints --------------------------------------------------------------------------------------------------------
async def test_a_webhook_is_made_and_read(office: Office) -> None:
    """201 with its secret, which is shown this once; the rest of it is read and listed."""
    made = await office.made(events=["drop.*", "gift.sent", "drop.*"], rooms=["shop-*"], description="ours")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert Webhook(secret).sign("a", dt.datetime.now(dt.UTC), "{}").startswith("v1,")
    assert made.items() >= {
        "url": URL, "events": ["drop.*", "gift.sent"], "rooms": ["shop-*"], "state": "enabled", "description": "ours",
        "merchant": "", "seq": 0, "pending": 0, "dead": 0, "secrets": 1,
    }.items()  # fmt: skip
    assert (await office.call("GET", f"{HOOKS}/{made['id']}")).json == made
    assert (await office.call("GET", HOOKS)).json == {"data": [made], "next_cursor": None}
    assert secret not in str(office.notes.facts)


async def test_the_list_goes_page_by_page(office: Office) -> None:
    """Each once."""
    ids = {(await office.made())["id"] for _ in range(5)}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await office.call("GET", f"{HOOKS}?limit=2&cursor={cursor}")).json
        seen += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"]
    assert (len(seen), set(seen)) == (5, ids)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"events": ["*"]}, "/url"),
        ({"url": URL}, "/events"),
        ({"url": URL, "events": []}, "/events"),
        ({"url": URL, "events": ["drop.opend"]}, "/events/0"),
        ({"url": URL, "events": ["*", "Drop"]}, "/events/1"),
        ({"url": URL, "events": ["*"], "rooms": ["a b"]}, "/rooms/0"),
        ({"url": URL, "events": ["*"], "secret": "mine"}, "/secret"),
        *(
            ({"url": url, "events": ["*"]}, "/url")
            for url in (
                "http://shop.example/", "ftp://shop.example/", "https://", "shop.example", "https://shop.example:0/",
                "https://shop.example:99999/", "https://a:b@shop.example/", "https://shop.example/#x", "https://shöp.example/",
                "https://127.0.0.1/", "https://[::1]/", "https://10.1.2.3:8443/", "https://169.254.169.254/latest/",
                "https://[::ffff:10.0.0.1]/", "https://localhost/", "https://x.localhost/", "https://db.internal/", "https://nas.local/",
                "https://[broken/", "https://2130706433/", "https://127.1/", "https://0x7f.1/", "https://0X7F000001./",
            )
        ),
    ],
)  # fmt: skip
async def test_what_can_never_be_delivered_is_refused(office: Office, body: dict[str, Any], pointer: str) -> None:
    """422 with the member at fault; nothing is made."""
    answer = await office.call("POST", HOOKS, json=body)
    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.json["errors"][0]["pointer"] == pointer
    assert (await office.call("GET", HOOKS)).json["data"] == []


async def test_development_delivers_anywhere(office: Office) -> None:
    """Also in the clear, to this machine."""
    office.inside(True)
    assert (await office.made(url="http://127.0.0.1:9000/hook"))["url"] == "http://127.0.0.1:9000/hook"
    assert (await office.call("POST", HOOKS, json={"url": "ftp://x/", "events": ["*"]})).status == 422


async def test_a_patch_merges(office: Office) -> None:
    """What is absent stays, null goes back; If-Match guards; a wrong URL changes nothing."""
    made = await office.made(rooms=["a"], description="old")
    path = f"{HOOKS}/{made['id']}"
    changed = await office.call("PATCH", path, json={"events": ["claim.*"], "rooms": None, "description": None})
    assert changed.json.items() >= {"events": ["claim.*"], "rooms": ["*"], "url": URL, "rev": 2}.items()
    assert "description" not in changed.json
    stale = await office.call("PATCH", path, json={"events": ["*"]}, headers={"If-Match": '"1"'})
    assert (stale.status, stale.code) == (412, "precondition_failed")
    assert (await office.call("PATCH", path, json={"url": "https://10.0.0.1/"})).status == 422
    assert (await office.call("PATCH", path, json={"url": None})).status == 422
    now = await office.call("GET", path)
    assert now.json == changed.json
    assert (await office.call("GET", path, headers={"If-None-Match": now.headers["ETag"]})).status == 304


async def test_disabled_and_enabled_again(office: Office) -> None:
    """It says since when and why; what waited is due at once, what happened meanwhile is in the list of events only."""
    made = await office.made()
    path = f"{HOOKS}/{made['id']}"
    await office.happen("a")
    off = (await office.call("PATCH", path, json={"state": "disabled"})).json
    assert (off["state"], off["disabled_reason"], off["pending"]) == ("disabled", "somebody asked for it", 1)
    assert (await office.call("POST", f"{path}/test")).code == "conflict"
    await office.happen("b")
    assert await office.due() == []
    on = (await office.call("PATCH", path, json={"state": "enabled"})).json
    assert on["state"] == "enabled"
    assert not {"disabled_at", "disabled_reason"} & on.keys()
    assert [due.delivery.event for due in await office.due()] == ["a"]
    assert office.kicks == 1
    assert [each["id"] for each in (await office.call("GET", "/v1/events")).json["data"]] == ["a", "b"]


async def test_a_deleted_webhook_is_gone(office: Office) -> None:
    """200 with what it was, then 404 for everything about it."""
    made = await office.made()
    path = f"{HOOKS}/{made['id']}"
    assert (await office.call("DELETE", path)).json["id"] == made["id"]
    for method, more in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/test"),
        ("POST", "/rotate"),
        ("GET", "/deliveries"),
    ):
        assert (await office.call(method, path + more, json={} if method == "PATCH" else None)).code == "not_found"


async def test_a_rotation_shows_the_new_secret_once(office: Office) -> None:
    """The former one signs for a day more, and it says until when."""
    made = await office.made()
    path = f"{HOOKS}/{made['id']}"
    rotated = (await office.call("POST", f"{path}/rotate")).json
    assert rotated["secret"] not in {"", made["secret"]}
    assert rotated["secrets"] == 2
    assert abs(rotated["former_secret_until"] - office.clock() - 24 * HOUR_MS) < 60_000
    kept = await office.store.endpoint(made["id"])
    assert kept is not None
    assert signing(kept, office.clock()) == [rotated["secret"], made["secret"]]
    office.clock.ahead_ms += 25 * HOUR_MS
    now = (await office.call("GET", path)).json
    assert now["secrets"] == 1
    assert not {"secret", "former_secret_until"} & now.keys()
    assert signing(kept, office.clock()) == [rotated["secret"]]


# --- Deliveries -------------------------------------------------------------------------------------------------------
async def test_a_test_goes_the_way_of_all_others(office: Office) -> None:
    """201 with its delivery; marked as a test, whatever the webhook wants, and in nobody's list of events."""
    made = await office.made(events=["drop.opened"])
    answer = await office.call("POST", f"{HOOKS}/{made['id']}/test")
    assert (answer.status, answer.json["type"], answer.json["state"], answer.json["seq"]) == (201, "webhook.test", "pending", 1)
    (due,) = await office.due()
    assert due.event is not None
    assert (due.event.test, due.event.id, due.event.data["webhook"]) == (True, answer.json["event"], made["id"])
    assert b'"test":true' in envelope(due.event, due.seq)
    assert (await office.call("GET", "/v1/events")).json["data"] == []
    assert office.kicks == 1


async def test_deliveries_say_how_it_went(office: Office) -> None:
    """By state, newest first, page by page; an attempt with what was answered."""
    path = f"{HOOKS}/{(await office.made())['id']}/deliveries"
    for n in range(4):
        await office.happen(f"v{n}", room=f"r{n}")
    dues = await office.due()
    await office.answer(dues[0], 200)
    await office.answer(dues[1], 500)
    await office.answer(dues[2], 404, late_ms=72 * HOUR_MS)
    first = (await office.call("GET", f"{path}?limit=3")).json
    rest = (await office.call("GET", f"{path}?limit=3&cursor={first['next_cursor']}")).json
    assert [each["seq"] for each in first["data"] + rest["data"]] == [4, 3, 2, 1]
    assert rest["next_cursor"] is None
    by_state = {
        state: [each["event"] for each in (await office.call("GET", f"{path}?state={state}")).json["data"]]
        for state in ("pending", "delivered", "dead")
    }
    assert by_state == {"pending": ["v3", "v1"], "delivered": ["v0"], "dead": ["v2"]}
    again = next(each for each in first["data"] if each["event"] == "v1")
    assert again.items() >= {"state": "pending", "attempts": 1, "status": 500, "took_ms": 12, "reason": "HTTP 500"}.items()
    assert again["next_at"] > again["at"]
    assert (await office.call("GET", f"{path}?state=lost")).status == 422
    assert (await office.call("GET", f"{path}?cursor=7a7a")).json == {"data": [], "next_cursor": None}


async def test_a_dead_letter_is_replayed(office: Office) -> None:
    """Pending again under its id and seq; a repeat of the call changes nothing; a delivery that is not there is 404."""
    path = f"{HOOKS}/{(await office.made())['id']}"
    await office.happen("a")
    (due,) = await office.due()
    await office.answer(due, 500, late_ms=72 * HOUR_MS)
    assert (await office.call("GET", path)).json["dead"] == 1
    for _ in range(2):
        replayed = await office.call("POST", f"{path}/deliveries/1/replay")
        assert (replayed.status, replayed.json["state"], replayed.json["event"], replayed.json["seq"]) == (200, "pending", "a", 1)
    assert [(due.seq, due.delivery.event) for due in await office.due()] == [(1, "a")]
    for d in ("2", "x", "-1", "9" * 20):
        assert (await office.call("POST", f"{path}/deliveries/{d}/replay")).code == "not_found"


async def test_what_is_no_longer_kept_cannot_be_replayed(office: Office) -> None:
    """410."""
    path = f"{HOOKS}/{(await office.made())['id']}"
    await office.happen("a")
    (due,) = await office.due()
    await office.answer(due, 200)
    office.clock.ahead_ms += 31 * 24 * HOUR_MS
    await office.happen("b")
    answer = await office.call("POST", f"{path}/deliveries/1/replay")
    assert (answer.status, answer.code) == (410, "gone")


# --- Events -----------------------------------------------------------------------------------------------------------
async def test_the_list_of_events_heals(office: Office) -> None:
    """Also of what no webhook asked for; by type and room, page by page, and on from the last cursor."""
    for n in range(5):
        await office.happen(f"d{n}", type_="drop.opened")
        await office.happen(f"g{n}", room="other")
    first = (await office.call("GET", "/v1/events?type=drop.*&limit=3")).json
    assert [each["id"] for each in first["data"]] == ["d0", "d1", "d2"]
    assert list(first["data"][0]) == ["id", "type", "timestamp", "room", "broadcast", "merchant", "seq", "test", "data"]
    assert first["data"][0]["seq"] is None
    on = f"/v1/events?type=drop.*&limit=3&cursor={first['next_cursor']}"
    rest = (await office.call("GET", on)).json
    assert ([each["id"] for each in rest["data"]], rest["next_cursor"]) == (["d3", "d4"], None)
    await office.happen("d5", type_="drop.opened")
    assert [each["id"] for each in (await office.call("GET", on)).json["data"]] == ["d3", "d4", "d5"]
    assert len((await office.call("GET", "/v1/events?room=oth*")).json["data"]) == 5
    assert (await office.call("GET", "/v1/events?type=a%20b")).status == 422


async def test_who_was_forgotten_is_not_named_in_what_happened_before(office: Office) -> None:
    """In the list, from the moment of the erasure on; of others and of what comes later everything is told."""
    gift = {"tx": "ann/c1", "user": "ann", "gift": "rose", "n": 1, "value": 1, "to": "", "paid": "wallet", "at": 1, "total": 1}
    await office.happen("g1", data=gift)
    await office.happen("g2", data={**gift, "tx": "bob/c1", "user": "bob"})
    assert b"ann" in (await office.call("GET", "/v1/events")).body
    assert (await office.call("DELETE", "/v1/users/ann")).status == 200
    answer = await office.call("GET", "/v1/events")
    assert b"ann" not in answer.body
    first, second = [each["data"] for each in answer.json["data"]]
    assert first["user"].startswith("erased:")
    assert (first["tx"], first["value"], second["user"]) == (f"{first['user']}/c1", 1, "bob")
    office.clock.ahead_ms += 1_000
    later = WebhookEvent("g3", "gift.sent", office.clock(), "r", "b1", "m", test=False, data=gift)
    at = (await office.store.cursors())[1]
    await office.store.append(1, at, at + 1, [Draft(later)], office.clock())
    assert (await office.call("GET", "/v1/events")).json["data"][2]["data"]["user"] == "ann"


async def test_a_long_list_with_little_for_the_caller(office: Office) -> None:
    """A page may be short; its cursor leads on until everything was looked through."""
    for _ in range(3):
        await office.happen(*(f"g{n}" for n in range(1_000)))
    await office.happen("d", type_="drop.opened")
    seen: list[str] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        page = (await office.call("GET", f"/v1/events?type=drop.opened&cursor={cursor}")).json
        seen += [each["id"] for each in page["data"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert (seen, pages) == (["d"], 2)


# --- Who --------------------------------------------------------------------------------------------------------------
async def test_who_may(office: Office) -> None:
    """Keys with the scope; staff tokens, however trusted, are for people."""
    await office.live_room("r")
    assert (await office.call("GET", HOOKS, auth=None)).status == 401
    for auth in (office.made_key("other", "rooms:write"), office.token("mei", role="host", rooms=["*"]), office.token("ann")):
        for method, path in (("GET", HOOKS), ("POST", HOOKS), ("GET", f"{HOOKS}/wh_x"), ("GET", "/v1/events")):
            answer = await office.call(method, path, auth=auth, json={"url": URL, "events": ["*"]} if method == "POST" else None)
            assert (answer.status, answer.code) == (403, "forbidden"), (method, path)


async def test_a_merchant_reaches_its_own(office: Office) -> None:
    """Neither another's webhooks, nor the platform's, nor their events; the platform sees all of them."""
    key1 = office.made_key("k1", "webhooks:write", merchant="m1")
    key2 = office.made_key("k2", "webhooks:write", merchant="m2")
    mine, other, platform = await office.made(auth=key1), await office.made(auth=key2), await office.made()
    assert (mine["merchant"], platform["merchant"]) == ("m1", "")
    assert [each["id"] for each in (await office.call("GET", HOOKS, auth=key1)).json["data"]] == [mine["id"]]
    assert len((await office.call("GET", HOOKS)).json["data"]) == 3
    for theirs in (other, platform):
        for method, more in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/test"),
            ("POST", "/rotate"),
            ("GET", "/deliveries"),
        ):
            answer = await office.call(method, f"{HOOKS}/{theirs['id']}{more}", auth=key1, json={} if method == "PATCH" else None)
            assert answer.code == "not_found", (method, more)
    await office.happen("a", merchant="m1")
    await office.happen("b", merchant="m2")
    await office.happen("c", merchant="")
    assert [each["id"] for each in (await office.call("GET", "/v1/events", auth=key1)).json["data"]] == ["a"]
    dealt = sorted((due.endpoint.id, due.delivery.event) for due in await office.due())
    assert dealt == sorted([(mine["id"], "a"), (other["id"], "b"), (platform["id"], "a")])


async def test_a_key_of_some_rooms_hears_of_those(office: Office) -> None:
    """Also when it asks for all, and when another key changes what it asks for."""
    key = office.made_key("some", "webhooks:write", rooms=("shop-*",))
    mine = await office.made(auth=key, rooms=["*"])
    platform = await office.made()
    await office.call("PATCH", f"{HOOKS}/{mine['id']}", json={"rooms": ["*"]})
    await office.happen("a", room="shop-1")
    await office.happen("b", room="club")
    assert sorted(due.delivery.event for due in await office.due() if due.endpoint.id == mine["id"]) == ["a"]
    assert [each["id"] for each in (await office.call("GET", "/v1/events", auth=key)).json["data"]] == ["a"]
    assert (await office.call("GET", f"{HOOKS}/{platform['id']}", auth=key)).code == "not_found"


async def test_places_are_bounded_per_merchant(office: Office) -> None:
    """One cannot take all there are: the fifty-first is a conflict, another merchant's first is not."""
    key = office.made_key("k1", "webhooks:write", merchant="m1")
    for _ in range(50):
        await office.made(auth=key)
    answer = await office.call("POST", HOOKS, auth=key, json={"url": URL, "events": ["*"]})
    assert (answer.status, answer.code) == (409, "conflict")
    await office.made()


async def test_without_a_ledger(house: House) -> None:
    """503."""
    for method, path in (("GET", HOOKS), ("GET", "/v1/events"), ("POST", HOOKS), ("POST", f"{HOOKS}/x/test")):
        body = {"url": URL, "events": ["*"]} if path == HOOKS and method == "POST" else None
        answer = await house.call(method, path, json=body)
        assert (answer.status, answer.code) == (503, "unavailable"), path


async def test_what_is_said_is_true(office: Office) -> None:
    """What a webhook and a delivery show is described, and what is required is there."""
    schemas = (await office.call("GET", "/openapi.json", auth=None)).json["components"]["schemas"]
    made = await office.made()
    sent = (await office.call("POST", f"{HOOKS}/{made['id']}/test")).json
    for told, name in ((made, "Webhook"), (sent, "WebhookDelivery"), ({"id": event("a").id}, "Envelope")):
        schema = schemas[name]
        assert told.keys() <= schema["properties"].keys()
        assert name == "Envelope" or set(schema["required"]) <= told.keys()
