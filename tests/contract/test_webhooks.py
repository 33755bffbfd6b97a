"""What every store of webhooks promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import msgspec
import pytest

from contract.conftest import CLUSTER, url_of
from livecast.adapters.memory.webhooks import MemoryWebhooks
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.webhooks import RedisWebhooks
from livecast.core.webhooks.deliveries import DELIVERED_KEPT, Answer, Endpoint, Standing, WebhookRules, after
from livecast.webhooks import ROOMS, Due, Tried, Webhooks
from support.hooks import draft, endpoint, event

NOW = 1_700_000_000_000
LEASE_MS = 40_000
Stores: TypeAlias = Callable[..., Webhooks]


@pytest.fixture(params=["memory", "redis", CLUSTER])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """Each call gives the store as one more process would have it; rules count on the first call."""
    if request.param == "memory":
        made: list[Webhooks] = []

        def memory(rules: WebhookRules | None = None) -> Webhooks:
            made[:] = made or [MemoryWebhooks(rules)]
            return made[0]

        yield memory
        return
    servers: list[LedgerServer] = []

    def redis(rules: WebhookRules | None = None) -> Webhooks:
        servers.append(LedgerServer(url_of(request, "ledger_valkey")))
        return RedisWebhooks(servers[-1], rules)

    yield redis
    for server in servers:
        await server.close()


async def take(store: Webhooks, now: int = NOW, otherwise: int = 8, limit: int = 100, **slots: int) -> list[Due]:
    """What is due."""
    return await store.take(now, LEASE_MS, slots, otherwise, limit)


async def settle(store: Webhooks, due: Due, status: int, now: int = NOW, rules: WebhookRules | None = None) -> int | None:
    """Note what a receiver answered; since when it fails."""
    answer = Answer(status, 5, f"HTTP {status}")
    tried = after(due.delivery, answer, now, 0.5, rules or WebhookRules())
    return (await store.settle([Tried(due.endpoint.id, due.seq, tried, failed=not answer.ok)], now))[0]


def told(dues: list[Due]) -> list[tuple[str, int, str]]:
    """(endpoint, seq, event id)."""
    return sorted((due.endpoint.id, due.seq, due.delivery.event) for due in dues)


# --- Endpoints --------------------------------------------------------------------------------------------------------
async def test_an_endpoint_is_kept_by_revision(stores: Stores) -> None:
    """What was put is read by others; a change made to another revision than the kept one is refused."""
    store, other = stores(), stores()
    first = endpoint("e1", description="ours")
    assert await store.put_endpoint(first, 0)
    assert await store.put_endpoint(endpoint("e0"), 0)
    assert await other.endpoints() == [endpoint("e0"), first]
    assert not await other.put_endpoint(endpoint("e1"), 0)
    second = msgspec.structs.replace(first, url="https://other.example/", rev=2)
    assert await other.put_endpoint(second, 1)
    assert not await store.put_endpoint(msgspec.structs.replace(first, rev=2), 1)
    assert await store.endpoint("e1") == second
    assert await store.endpoint("e9") is None


async def test_a_dropped_endpoint_leaves_nothing(stores: Stores) -> None:
    """Neither deliveries nor a number: made again under the same id it begins anew."""
    store = stores()
    await store.put_endpoint(endpoint("e1"), 0)
    await store.append(3, 0, 1, [draft("a"), draft("b", "r2")], NOW)
    assert await store.drop_endpoint("e1")
    assert not await store.drop_endpoint("e1")
    assert (await take(store), await store.next_at(), await store.deliveries("e1", None, 99, 9)) == ([], None, [])
    await store.put_endpoint(endpoint("e1"), 0)
    assert await store.standing(["e1", "none"]) == [Standing(), Standing()]
    await store.append(3, 1, 2, [draft("c")], NOW)
    assert told(await take(store)) == [("e1", 1, "c")]


# --- Events -----------------------------------------------------------------------------------------------------------
async def test_events_and_cursor_move_together(stores: Stores) -> None:
    """A repeat, and a second process that read the same, add nothing and learn where the cursor stands."""
    store, other = stores(), stores()
    await store.put_endpoint(endpoint(), 0)
    assert await store.cursors() == {}
    assert await store.append(3, 0, 10, [draft("a")], NOW) == 10
    assert await store.append(3, 0, 10, [draft("a")], NOW) == 10
    assert await other.append(3, 0, 12, [draft("a"), draft("b")], NOW) == 10
    assert await other.append(3, 10, 12, [draft("b")], NOW) == 12
    assert await other.append(4, 0, 7, [], NOW) == 7
    assert await store.cursors() == {3: 12, 4: 7}
    assert [each.event.id for each in await other.events(0, 10)] == ["a", "b"]
    assert (await store.standing(["e1"]))[0].seq == 2


async def test_who_is_told(stores: Stores) -> None:
    """Types and rooms by glob, nothing beyond the key's rooms, a merchant nothing of another's; each endpoint counts for itself."""
    store = stores()
    wanting: list[Endpoint] = [
        endpoint("drops", events=("drop.*",)),
        endpoint("two", events=("gift.sent", "room.started")),
        endpoint("rooms", rooms=("shop-*",)),
        endpoint("reach", reach=("shop-?",)),
        endpoint("m1", merchant="m1"),
    ]
    for each in wanting:
        await store.put_endpoint(each, 0)
    drafts = [
        draft("a", "shop-12", type_="gift.sent", merchant="m1"),
        draft("b", "shop-1", type_="drop.opened", merchant="m2"),
        draft("c", "club", type_="room.started", merchant=""),
    ]
    await store.append(3, 0, 1, drafts, NOW)
    assert told(await take(store)) == [
        ("drops", 1, "b"),
        ("m1", 1, "a"),
        ("reach", 1, "b"),
        ("rooms", 1, "a"),
        ("rooms", 2, "b"),
        ("two", 1, "a"),
        ("two", 2, "c"),
    ]


async def test_an_event_finds_an_endpoint_made_by_another_process(stores: Stores) -> None:
    """Although this one has matched without it a moment ago."""
    store, other = stores(), stores()
    await store.append(3, 0, 1, [draft("a")], NOW)
    await other.put_endpoint(endpoint(), 0)
    await store.append(3, 1, 2, [draft("b")], NOW)
    await other.drop_endpoint("e1")
    await store.append(3, 2, 3, [draft("c")], NOW)
    assert [each.event.id for each in await store.events(0, 9)] == ["a", "b", "c"]
    await other.put_endpoint(endpoint("e2"), 0)
    await store.append(3, 3, 4, [draft("d")], NOW)
    assert told(await take(store)) == [("e2", 1, "d")]


async def test_what_is_told_once(stores: Stores) -> None:
    """However often it is seen, in one call or in several."""
    store = stores()
    for _ in range(2):
        await store.append(ROOMS, 0, 0, [draft("a", once="r/b1/room.started"), draft("a", once="r/b1/room.started")], NOW)
    await store.append(ROOMS, 0, 0, [draft("b", once="r/b2/room.started")], NOW)
    assert [each.event.id for each in await store.events(0, 10)] == ["a", "b"]
    assert await store.cursors() == {}


async def test_the_list_goes_on_from_a_number(stores: Stores) -> None:
    """Oldest first, whole events, what is for one endpoint alone marked as such."""
    store = stores()
    await store.put_endpoint(endpoint(), 0)
    await store.append(3, 0, 1, [draft(f"v{n}") for n in range(5)], NOW)
    assert await store.post("e1", event("test", ""), NOW) == 6
    assert await store.post("none", event("test", ""), NOW) is None
    page = await store.events(0, 4)
    assert [each.event for each in page] == [event(f"v{n}") for n in range(4)]
    rest = await store.events(page[-1].number, 4)
    assert [(each.event.id, each.only) for each in rest] == [("v4", ""), ("test", "e1")]


async def test_the_list_is_bounded_by_age_and_size(stores: Stores) -> None:
    """What is too old goes when something new comes; so does what is too much. A delivery without its event says so."""
    rules = WebhookRules(events_keep_days=1, events_max_mb=1)
    store = stores(rules)
    await store.put_endpoint(endpoint(), 0)
    await store.append(3, 0, 1, [draft("old")], NOW)
    await store.append(3, 1, 2, [draft("new")], NOW + 86_400_001)
    assert [each.event.id for each in await store.events(0, 9)] == ["new"]
    (due,) = await take(store)
    assert due.event is None
    big = {"text": "x" * 100_000}
    for n in range(15):
        await store.append(3, 2 + n, 3 + n, [draft(f"big{n}", data=big)], NOW + 86_400_001)
    kept = [each.event.id for each in await store.events(0, 99)]
    assert kept == [f"big{n}" for n in range(15 - len(kept), 15)]
    assert 9 <= len(kept) <= 10


# --- Deliveries -------------------------------------------------------------------------------------------------------
async def test_of_a_room_the_next_waits_for_the_one_before(stores: Stores) -> None:
    """Other rooms do not, other endpoints neither; in the order of the events."""
    store = stores()
    for id_ in ("e1", "e2"):
        await store.put_endpoint(endpoint(id_), 0)
    await store.append(3, 0, 1, [draft("a1", "a"), draft("a2", "a"), draft("b1", "b")], NOW)
    first = await take(store)
    assert told(first) == [("e1", 1, "a1"), ("e1", 3, "b1"), ("e2", 1, "a1"), ("e2", 3, "b1")]
    assert await take(store) == []
    for due in first:
        if due.endpoint.id == "e1":
            await settle(store, due, 200)
    assert told(await take(store)) == [("e1", 2, "a2")]
    assert [due.event for due in first] == [event(due.delivery.event, due.delivery.room) for due in first]


async def test_a_failed_try_holds_back_its_room_until_it_is_due(stores: Stores) -> None:
    """And nothing else; it keeps seq and id, and its attempts are counted."""
    store = stores()
    await store.put_endpoint(endpoint(), 0)
    await store.append(3, 0, 1, [draft("a1", "a"), draft("a2", "a"), draft("b1", "b"), draft("b2", "b")], NOW)
    a, b = await take(store)
    assert await settle(store, a, 500) == NOW
    assert await settle(store, b, 204) is None
    assert told(await take(store)) == [("e1", 4, "b2")]
    at = await store.next_at()
    assert at == NOW + 250
    (again,) = await take(store, at)
    assert (again.seq, again.delivery.event, again.delivery.attempts, again.delivery.status) == (1, "a1", 1, 500)


async def test_a_lease_that_runs_out_is_somebody_elses(stores: Stores) -> None:
    """The same delivery, unchanged."""
    store, other = stores(), stores()
    await store.put_endpoint(endpoint(), 0)
    await store.append(3, 0, 1, [draft("a")], NOW)
    (due,) = await take(store)
    assert await take(other, NOW + LEASE_MS - 1) == []
    (again,) = await take(other, NOW + LEASE_MS)
    assert (again.seq, again.delivery, again.event) == (due.seq, due.delivery, due.event)


async def test_places_are_per_endpoint_and_in_all(stores: Stores) -> None:
    """Who has no free place gets nothing, who waits longest comes first, and what is left is due at once."""
    store = stores()
    for id_ in ("e1", "e2", "e3"):
        await store.put_endpoint(endpoint(id_), 0)
    await store.append(3, 0, 1, [draft(f"v{n}", f"r{n}") for n in range(4)], NOW)
    assert [due.endpoint.id for due in await take(store, otherwise=2, limit=3, e1=0)] == ["e2", "e2", "e3"]
    assert await store.next_at() == NOW
    assert len(await take(store, NOW + 1, limit=99)) == 9


async def test_what_is_dead_makes_way(stores: Stores) -> None:
    """It is listed as such, and can be replayed under the same id and seq, behind what waits for its room."""
    store = stores()
    rules = WebhookRules(keep_trying_h=1)
    await store.put_endpoint(endpoint(), 0)
    await store.append(3, 0, 1, [draft("a1"), draft("a2")], NOW)
    (due,) = await take(store)
    assert await settle(store, due, 500, NOW + 3_600_000, rules) == NOW + 3_600_000
    assert [(seq, each.state, each.status) for seq, each in await store.deliveries("e1", "dead", 99, 9)] == [(1, "dead", 500)]
    replayed = await store.replay("e1", 1, NOW + 7_200_000)
    assert replayed is not None
    assert (replayed.state, replayed.since, replayed.attempts) == ("pending", NOW + 7_200_000, 0)
    assert await store.replay("e1", 1, NOW + 7_200_001) == replayed
    order = []
    for _ in range(2):
        (due,) = await take(store, NOW + 7_200_000)
        order.append((due.seq, due.delivery.event))
        assert await settle(store, due, 200, NOW + 7_200_000) is None
    assert order == [(2, "a2"), (1, "a1")]
    assert (await store.standing(["e1"]))[0] == Standing(seq=2)
    assert await store.replay("e1", 3, NOW) is None


async def test_a_result_that_comes_twice_or_late_changes_nothing(stores: Stores) -> None:
    """A lease was somebody else's meanwhile, or the endpoint is gone."""
    store = stores()
    await store.put_endpoint(endpoint(), 0)
    await store.append(3, 0, 1, [draft("a1"), draft("a2")], NOW)
    (due,) = await take(store)
    await settle(store, due, 200)
    await settle(store, due, 500)
    assert [(seq, each.state) for seq, each in await store.deliveries("e1", None, 99, 9)] == [(2, "pending"), (1, "delivered")]
    assert told(await take(store)) == [("e1", 2, "a2")]
    await store.drop_endpoint("e1")
    assert await settle(store, due, 500) is None
    assert await store.endpoints() == []


async def test_a_disabled_endpoint_rests(stores: Stores) -> None:
    """Nothing is dealt to it and nothing sent; the first reason stays. Enabled again it goes on with what waited."""
    store = stores()
    await store.put_endpoint(endpoint(), 0)
    await store.append(3, 0, 1, [draft("a")], NOW)
    (due,) = await take(store)
    await settle(store, due, 500)
    assert await store.disable("e1", "gone fishing", NOW)
    assert await store.disable("e1", "another reason", NOW + 5)
    await store.append(3, 1, 2, [draft("b")], NOW)
    assert (await take(store, NOW + LEASE_MS), await store.next_at()) == ([], None)
    assert await store.standing(["e1"]) == [Standing(1, 1, 0, NOW, NOW, "gone fishing")]
    assert await store.enable("e1", NOW + 9)
    await store.append(3, 2, 3, [draft("c")], NOW + 9)
    assert await store.standing(["e1"]) == [Standing(2, 2, 0)]
    assert told(await take(store, NOW + 9)) == [("e1", 1, "a")]
    assert not await store.enable("none", NOW)
    assert not await store.disable("none", "", NOW)


async def test_a_queue_is_bounded(stores: Stores) -> None:
    """At the bound the endpoint is disabled, with the reason; others go on."""
    store = stores(WebhookRules(queue_max=100))
    await store.put_endpoint(endpoint("e1"), 0)
    await store.put_endpoint(endpoint("e2", events=("drop.*",)), 0)
    await store.append(3, 0, 1, [*(draft(f"v{n}") for n in range(120)), draft("d", type_="drop.opened")], NOW)
    full, well = await store.standing(["e1", "e2"])
    assert (full.pending, full.disabled_at, full.seq) == (100, NOW, 100)
    assert "waiting" in full.why
    assert (well.pending, well.disabled_at) == (1, None)
    assert len(await store.events(0, 200)) == 121


async def test_deliveries_are_listed_page_by_page(stores: Stores) -> None:
    """Newest first, by state or all of them; one with its event."""
    store = stores()
    await store.put_endpoint(endpoint(), 0)
    await store.append(3, 0, 1, [draft(f"v{n}", f"r{n}") for n in range(1, 7)], NOW)
    for due in await take(store, otherwise=3):
        await settle(store, due, 200 if due.seq != 2 else 500)
    page = await store.deliveries("e1", None, 99, 4)
    assert [seq for seq, _ in page] == [6, 5, 4, 3]
    assert [seq for seq, _ in await store.deliveries("e1", None, 3, 4)] == [2, 1]
    assert [seq for seq, _ in await store.deliveries("e1", "pending", 6, 9)] == [5, 4, 2]
    assert [seq for seq, _ in await store.deliveries("e1", "delivered", 99, 9)] == [3, 1]
    found = await store.delivery("e1", 2)
    assert found is not None
    assert (found[0].status, found[1]) == (500, event("v2", "r2"))
    assert await store.delivery("e1", 7) is None
    assert await store.deliveries("none", None, 99, 9) == []


async def test_what_was_delivered_is_forgotten_in_time(stores: Stores) -> None:
    """The newest thousand are listed."""
    store = stores()
    await store.put_endpoint(endpoint(), 0)
    await store.append(3, 0, 1, [draft(f"v{n}", f"r{n}") for n in range(DELIVERED_KEPT + 5)], NOW)
    dues = await take(store, otherwise=5_000, limit=5_000)
    tried = [Tried("e1", due.seq, after(due.delivery, Answer(200, 1), NOW, 0, WebhookRules()), failed=False) for due in dues]
    for at in range(0, len(tried), 100):
        await store.settle(tried[at : at + 100], NOW)
    kept = [seq for seq, _ in await store.deliveries("e1", "delivered", 10**9, 5_000)]
    assert kept == list(range(DELIVERED_KEPT + 5, 5, -1))
    assert await store.delivery("e1", 5) is None


async def test_the_census_counts(stores: Stores) -> None:
    """What waits and since when, what is dead, who is disabled."""
    store = stores()
    assert (await store.census()).oldest_since is None
    for id_ in ("e1", "e2"):
        await store.put_endpoint(endpoint(id_), 0)
    await store.append(3, 0, 1, [draft("a")], NOW)
    await store.append(3, 1, 2, [draft("b")], NOW + 5)
    for due in await take(store):
        await settle(store, due, 500 if due.endpoint.id == "e1" else 200, NOW + 3_600_000, WebhookRules(keep_trying_h=1))
    await store.disable("e2", "why", NOW)
    census = await store.census()
    assert (census.pending, census.oldest_since, census.dead) == (2, NOW + 5, 1)
    assert (census.endpoints, census.disabled) == (2, 1)


async def test_two_processes_never_deal_the_same_seq(stores: Stores) -> None:
    """Side by side, from different shards: seq has neither holes nor repeats, and each source keeps its order."""
    one, two = stores(), stores()
    await one.put_endpoint(endpoint(), 0)

    async def feed(store: Webhooks, source: int) -> None:
        for n in range(50):
            await store.append(source, n, n + 1, [draft(f"{source}-{n}", f"r{source}")], NOW)

    await asyncio.gather(feed(one, 1), feed(two, 2))
    listed: list[Any] = await one.deliveries("e1", None, 999, 999)
    assert [seq for seq, _ in listed] == list(range(100, 0, -1))
    for source in (1, 2):
        assert [each.event for _, each in reversed(listed) if each.room == f"r{source}"] == [f"{source}-{n}" for n in range(50)]
