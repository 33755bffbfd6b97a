"""Deliveries on their way out: over three days on virtual time, and to real receivers."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from livecast.adapters.memory.webhooks import MemoryWebhooks
from livecast.adapters.webhook_http import HttpSender
from livecast.core.webhooks.deliveries import Answer, Endpoint, WebhookRules, rotated
from livecast.facts import Fact, Trouble, WebhooksCounted, WebhookTried
from livecast.ports import Unavailable
from livecast.shard.webhook_dispatcher import WebhookDispatcher
from livecast.webhooks import Due, Tried
from support.hooks import HOUR_MS, SECRET, Receiver, draft, endpoint
from support.virtual import VirtualLoop, run_virtual

OTHER_SECRET = "whsec_" + base64.b64encode(b"q" * 32).decode()


class Notes:
    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    def of(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


class Tape:
    """A receiver on virtual time: `answer(url, body, n)` says what the n-th request (from 0) gets; all are kept."""

    def __init__(self, loop: VirtualLoop, answer: Callable[[str, dict[str, Any], int], int | Awaitable[int]]) -> None:
        self._loop = loop
        self._answer = answer
        self.got: list[tuple[float, dict[str, Any]]] = []
        self.raw: list[tuple[Mapping[str, str], bytes]] = []

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        n = len(self.got)
        payload = msgspec.json.decode(body)
        self.got.append((self._loop.time(), payload))
        self.raw.append((headers, body))
        status = self._answer(url, payload, n)
        status = await status if not isinstance(status, int) else status
        return Answer(status, 3, f"HTTP {status}" if status else "no connection")

    async def close(self) -> None:
        """Nothing is open."""


class Flaky(MemoryWebhooks):
    """A store that does not answer while `away`, and fails once in each of `faults`."""

    away = False
    faults: Sequence[str] = ()

    def _fail_once(self, call: str) -> None:
        if call in self.faults:
            self.faults = [each for each in self.faults if each != call]
            raise TypeError(f"a fault of ours in {call}")

    async def take(self, now: int, lease_ms: int, slots: Mapping[str, int], otherwise: int, limit: int) -> list[Due]:
        self._fail_once("take")
        return await super().take(now, lease_ms, slots, otherwise, limit)

    async def settle(self, tried: Sequence[Tried], now: int) -> list[int | None]:
        self._fail_once("settle")
        if self.away:
            raise Unavailable("the store is away")
        return await super().settle(tried, now)


async def told(store: MemoryWebhooks, *ids: str, room: str = "r", now: int = 0, source: int = 1) -> None:
    """Events of a room, one after the other."""
    at = (await store.cursors()).get(source, 0)
    await store.append(source, at, at + 1, [draft(id_, room) for id_ in ids], now)


def virtual(
    answer: Callable[[str, dict[str, Any], int], int | Awaitable[int]],
    story: Callable[[VirtualLoop, MemoryWebhooks, Tape, WebhookDispatcher, Notes], Awaitable[None]],
    **rules: int,
) -> None:
    """A story with one endpoint, on virtual time."""

    async def main(loop: VirtualLoop) -> None:
        bounds = WebhookRules(**rules)
        store, tape, notes = Flaky(bounds), Tape(loop, answer), Notes()
        dispatcher = WebhookDispatcher(
            webhooks=store, sender=tape, clock=loop.unix_ms, observer=notes, rules=bounds, chance=lambda: 0.5
        )
        await store.put_endpoint(endpoint(), 0)
        dispatcher.start()
        await story(loop, store, tape, dispatcher, notes)
        dispatcher.stop()
        assert not [fact for fact in notes.of(Trouble) if fact.level == "error"]

    run_virtual(main)


# --- Over time --------------------------------------------------------------------------------------------------------
def test_a_receiver_that_is_down_for_ten_tries() -> None:
    """Each try is the same request, half as much later again; the eleventh arrives, half a minute after the first."""

    async def story(loop: VirtualLoop, store: MemoryWebhooks, tape: Tape, dispatcher: WebhookDispatcher, notes: Notes) -> None:
        await told(store, "a", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(60)
        assert len(tape.got) == 11
        assert len({body for _, body in tape.raw}) == 1
        assert {headers["webhook-id"] for headers, _ in tape.raw} == {"a"}
        waits = [later - at for (at, _), (later, _) in zip(tape.got, tape.got[1:], strict=False)]
        for n, wait in enumerate(waits):
            assert 0.25 * 1.5**n <= wait + 0.002 <= 0.25 * 1.5**n + 0.3
        assert 25 < tape.got[-1][0] - tape.got[0][0] < 31
        ((_, delivery),) = await store.deliveries("e1", None, 99, 9)
        assert (delivery.state, delivery.attempts, delivery.status) == ("delivered", 11, 200)
        assert [fact.outcome for fact in notes.of(WebhookTried)] == ["retry"] * 10 + ["delivered"]
        assert notes.of(WebhookTried)[-1].lag_ms > 25_000

    virtual(lambda _u, _p, n: 503 if n < 10 else 200, story)


def test_a_dead_receiver() -> None:
    """When its time is over a delivery is dead and the next one's turn; later the endpoint is disabled, and says why. (Here the
    time is six and ten hours, by the settings; otherwise it is three and five days.)
    """

    async def story(loop: VirtualLoop, store: MemoryWebhooks, tape: Tape, dispatcher: WebhookDispatcher, notes: Notes) -> None:
        began = loop.time()
        await told(store, "a", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(3600)
        await told(store, "b", now=loop.unix_ms())
        await asyncio.sleep(4 * 3600)
        assert {payload["id"] for _, payload in tape.got} == {"a"}
        assert len(await store.deliveries("e1", "dead", 99, 9)) == 0
        await asyncio.sleep(1.5 * 3600)
        assert [(seq, each.event) for seq, each in await store.deliveries("e1", "dead", 99, 9)] == [(1, "a")]
        assert tape.got[-1][1]["id"] == "b"
        last_of_a = max(at for at, payload in tape.got if payload["id"] == "a")
        assert last_of_a - began == pytest.approx(6 * 3600, abs=1)
        await told(store, "c", now=loop.unix_ms())
        await asyncio.sleep(4 * 3600)
        (standing,) = await store.standing(["e1"])
        assert standing.disabled_at is not None
        assert "10 hours" in standing.why
        assert ("a webhook was disabled", "e1") in {(fact.what, fact.about) for fact in notes.of(Trouble)}
        tries = len(tape.got)
        await asyncio.sleep(4 * 3600)
        assert len(tape.got) == tries
        assert [each.event for _, each in await store.deliveries("e1", "pending", 99, 9)] == ["c"]
        assert notes.of(WebhooksCounted)[-1].disabled == 1

    virtual(lambda *_: 0, story, keep_trying_h=6, disable_after_h=10)


def test_gone_is_gone() -> None:
    """410 disables at once; enabled again, it goes on with the same event."""

    async def story(loop: VirtualLoop, store: MemoryWebhooks, tape: Tape, dispatcher: WebhookDispatcher, _: Notes) -> None:
        await told(store, "a", "b", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(3600)
        assert len(tape.got) == 1
        assert (await store.standing(["e1"]))[0].why == "the receiver answered 410 Gone"
        await store.enable("e1", loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(1)
        assert [(payload["id"], payload["seq"]) for _, payload in tape.got] == [("a", 1), ("a", 1), ("b", 2)]

    virtual(lambda _u, _p, n: 410 if n == 0 else 200, story)


def test_a_process_that_died_between_sending_and_noting() -> None:
    """Its lease runs out, and the next one sends the same again: once more, under the same id and seq."""

    async def story(loop: VirtualLoop, store: MemoryWebhooks, tape: Tape, dispatcher: WebhookDispatcher, notes: Notes) -> None:
        await told(store, "a", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(0.5)
        assert len(tape.got) == 1
        dispatcher.stop()
        second = WebhookDispatcher(webhooks=store, sender=tape, clock=loop.unix_ms, observer=notes)
        second.start()
        await asyncio.sleep(60)
        second.stop()
        assert [body for _, body in tape.raw] == [tape.raw[0][1]] * 2
        assert (await store.deliveries("e1", None, 9, 9))[0][1].state == "delivered"

    async def slow(_u: str, _p: dict[str, Any], n: int) -> int:
        await asyncio.sleep(5 if n == 0 else 0)
        return 200

    virtual(slow, story)


def test_a_store_that_is_away_is_told_later() -> None:
    """What was sent is noted once it is back, and not sent again meanwhile."""

    async def story(loop: VirtualLoop, store: MemoryWebhooks, tape: Tape, dispatcher: WebhookDispatcher, _: Notes) -> None:
        assert isinstance(store, Flaky)
        store.away = True
        await told(store, "a", "b", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(20)
        assert len(tape.got) == 1
        store.away = False
        await asyncio.sleep(3)
        assert [payload["id"] for _, payload in tape.got] == ["a", "b"]

    virtual(lambda *_: 200, story)


def test_a_fault_of_ours_stops_nothing() -> None:
    """Reported, and deliveries go on: what could not be taken is taken later, what could not be noted is sent again."""

    async def story(loop: VirtualLoop, store: MemoryWebhooks, tape: Tape, dispatcher: WebhookDispatcher, notes: Notes) -> None:
        assert isinstance(store, Flaky)
        store.faults = ["take", "settle"]
        await told(store, "a", "b", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(30)
        assert [payload["id"] for _, payload in tape.got] == ["a", "a", "b"]
        faults = [fact for fact in notes.of(Trouble) if fact.level == "error"]
        assert len(faults) == 2
        notes.facts.clear()

    virtual(lambda *_: 200, story)


def test_a_clean_stop_leaves_nothing_in_doubt() -> None:
    """What is under way is answered and noted, and nothing more is taken; a receiver that hangs is not waited for."""
    under_way = 0

    async def slow(_u: str, payload: dict[str, Any], _n: int) -> int:
        nonlocal under_way
        under_way += 1
        await asyncio.sleep(0.3 if payload["id"] == "a" else 9)
        under_way -= 1
        return 200

    async def story(loop: VirtualLoop, store: MemoryWebhooks, tape: Tape, dispatcher: WebhookDispatcher, _: Notes) -> None:
        await told(store, "a", "b", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(0.1)
        assert under_way == 1
        await dispatcher.drain(1)
        states = [each.state for _, each in await store.deliveries("e1", None, 99, 9)]
        assert (states, len(tape.got), under_way) == (["pending", "delivered"], 1, 0)

    virtual(slow, story)


def test_a_bad_event_holds_back_its_room_alone() -> None:
    """A receiver that chokes on one event gets those of other rooms; those of its own room wait, in order."""

    async def story(loop: VirtualLoop, store: MemoryWebhooks, tape: Tape, dispatcher: WebhookDispatcher, _: Notes) -> None:
        await told(store, "bad", "r2", "r3", now=loop.unix_ms())
        for n in range(20):
            await told(store, f"x{n}", room=f"room{n % 4}", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(30)
        ids = [payload["id"] for _, payload in tape.got]
        assert not {"r2", "r3"} & set(ids)
        for room in range(4):
            assert [id_ for id_ in ids if id_[0] == "x" and int(id_[1:]) % 4 == room] == [f"x{n}" for n in range(room, 20, 4)]
        await asyncio.sleep(1.1 * 3600)
        assert [payload["id"] for _, payload in tape.got][-2:] == ["r2", "r3"]

    virtual(lambda _u, payload, _n: 500 if payload["id"] == "bad" else 200, story, keep_trying_h=1)


def test_one_at_a_time_for_the_slow() -> None:
    """An endpoint that was slow holds one place, whatever waits for it; one that is prompt again gets all of its places."""
    under_way = most = 0

    async def answer(_u: str, payload: dict[str, Any], _n: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(1)
        under_way -= 1
        return 500 if payload["id"].startswith("bad") else 200

    async def story(loop: VirtualLoop, store: MemoryWebhooks, _tape: Tape, dispatcher: WebhookDispatcher, _: Notes) -> None:
        nonlocal most
        await told(store, "bad", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(1.2)
        most = 0
        for n in range(30):
            await told(store, f"bad{n}", room=f"q{n}", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(20)
        assert most == 1
        most = 0
        await store.drop_endpoint("e1")
        await store.put_endpoint(endpoint(), 0)
        await told(store, "good", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(2)
        for n in range(30):
            await told(store, f"x{n}", room=f"q{n}", now=loop.unix_ms())
        dispatcher.kick()
        await asyncio.sleep(20)
        assert most == 8

    virtual(answer, story)


# --- To real receivers ------------------------------------------------------------------------------------------------
class Desk:
    """A dispatcher on the real clock, over a store in memory, to real receivers."""

    def __init__(self) -> None:
        self.rules = WebhookRules(timeout_s=2)
        self.store = MemoryWebhooks(self.rules)
        self.notes = Notes()
        self.sender = HttpSender(timeout_s=self.rules.timeout_s, inside=True)
        self.forgotten: dict[str, str] = {}
        self.dispatcher = WebhookDispatcher(
            webhooks=self.store, sender=self.sender, clock=self.clock, observer=self.notes, rules=self.rules,
            pseudonym_of=lambda user, _at: self.forgotten.get(user, ""),
        )  # fmt: skip

    @staticmethod
    def clock() -> int:
        return time.time_ns() // 1_000_000

    async def ask(self, receiver: Receiver, id_: str = "e1", **more: Any) -> Endpoint:
        made = endpoint(id_, receiver.url, **more)
        assert await self.store.put_endpoint(made, 0)
        return made

    async def tell(self, *ids: str, room: str = "r") -> None:
        await told(self.store, *ids, room=room, now=self.clock())
        self.dispatcher.kick()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A running one."""
    made = Desk()
    made.dispatcher.start()
    yield made
    made.dispatcher.stop()
    await made.sender.close()
    assert not [fact for fact in made.notes.of(Trouble) if fact.level == "error"]


def verified(got: tuple[dict[str, str], bytes], secret: str = SECRET) -> Any:
    """The payload, as a receiver verifies it."""
    headers, body = got
    return Webhook(secret).verify(body, headers)


async def test_what_arrives_can_be_verified(desk: Desk) -> None:
    """With the library that receivers use: the body, its id and its time; not with another secret, not with another body."""
    async with Receiver() as receiver:
        await desk.ask(receiver)
        await desk.tell("evt_1")
        await receiver.until(lambda: receiver.got, "delivery")
        payload = verified(receiver.got[0])
        assert (payload["id"], payload["seq"]) == ("evt_1", 1)
        headers, body = receiver.got[0]
        assert (headers["webhook-id"], headers["Content-Type"]) == ("evt_1", "application/json")
        with pytest.raises(WebhookVerificationError):
            verified((headers, body), OTHER_SECRET)
        with pytest.raises(WebhookVerificationError):
            verified((headers, body.replace(b'"seq":1', b'"seq":2')))


async def test_after_a_rotation_both_secrets_verify(desk: Desk) -> None:
    """Two signatures in one header, so a receiver changes its secret when it likes; once the time is over only the new one."""
    async with Receiver() as receiver:
        before = await desk.ask(receiver)
        both = rotated(before, OTHER_SECRET, desk.clock(), desk.rules)
        await desk.store.put_endpoint(both, before.rev)
        await desk.tell("a")
        await receiver.until(lambda: len(receiver.got) == 1, "first")
        assert verified(receiver.got[0]) == verified(receiver.got[0], OTHER_SECRET)
        over = rotated(before, OTHER_SECRET, desk.clock() - 24 * HOUR_MS - 1, desk.rules)
        await desk.store.put_endpoint(msgspec.structs.replace(over, rev=3), both.rev)
        await desk.tell("b")
        await receiver.until(lambda: len(receiver.got) == 2, "second")
        assert verified(receiver.got[1], OTHER_SECRET)["id"] == "b"
        with pytest.raises(WebhookVerificationError):
            verified(receiver.got[1])


async def test_a_replay_names_nobody_who_was_forgotten(desk: Desk) -> None:
    """The same id and seq, with a pseudonym where the name was; it can be verified."""
    async with Receiver() as receiver:
        await desk.ask(receiver)
        await desk.store.append(1, 0, 1, [draft("evt_1", data={"user": "ann", "tx": "ann/c", "value": 3})], desk.clock())
        desk.dispatcher.kick()
        await receiver.until(lambda: receiver.got, "delivery")
        desk.forgotten["ann"] = "erased:x"
        await until_delivered(desk)
        assert await desk.store.replay("e1", 1, desk.clock()) is not None
        desk.dispatcher.kick()
        await receiver.until(lambda: len(receiver.got) == 2, "replay")
        first, second = map(verified, receiver.got)
        assert first["data"] == {"user": "ann", "tx": "ann/c", "value": 3}
        assert second == {**first, "data": {"user": "erased:x", "tx": "erased:x/c", "value": 3}}


async def until_delivered(desk: Desk) -> None:
    """What came of the first delivery is noted."""
    while (await desk.store.deliveries("e1", "delivered", 99, 9)) == []:  # noqa: ASYNC110 - the test's own deadline ends it
        await asyncio.sleep(0.02)


async def test_each_room_is_in_order_whatever_fails(desk: Desk) -> None:
    """Every third request fails; repeats aside, each room's events come as they happened, and seq has no hole."""
    async with Receiver(lambda n: 500 if n % 3 == 1 else 200) as receiver:
        await desk.ask(receiver)
        for n in range(10):
            for room in "abc":
                await desk.tell(f"{room}{n}", room=room)
        taken: dict[str, None] = {}
        await receiver.until(lambda: len({payload["id"] for payload in receiver.payloads}) == 30, "all")
        for payload in receiver.payloads:
            taken[payload["id"]] = None
        for room in "abc":
            assert [id_ for id_ in taken if id_[0] == room] == [f"{room}{n}" for n in range(10)]
        assert sorted(set(receiver.seqs)) == list(range(1, 31))
        assert len({(payload["id"], payload["seq"]) for payload in receiver.payloads}) == 30


async def test_a_dead_and_a_hanging_endpoint_delay_no_other(desk: Desk) -> None:
    """With far more waiting for them than there are places, the third endpoint gets all of its events at once."""
    async with Receiver() as well, Receiver() as hanging, Receiver() as dead:

        async def hang(_: web.Request) -> web.Response:
            await asyncio.sleep(60)
            return web.Response()

        hanging.handler = hang
        for id_, receiver in (("well", well), ("hanging", hanging), ("dead", dead)):
            await desk.ask(receiver, id_)
        await dead.__aexit__()
        began = time.monotonic()
        for n in range(40):
            await desk.tell(f"x{n}", room=f"room{n}")
        await well.until(lambda: len(well.got) == 40, "all")
        took_s = time.monotonic() - began
        assert took_s < desk.rules.timeout_s, took_s
        assert sorted(well.seqs) == list(range(1, 41))
        assert hanging.open_requests <= desk.rules.per_endpoint
