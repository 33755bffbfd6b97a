"""Claims as the edge takes them: who may, what is missing, who hammers, and what they are told while something is down."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from livecast.core.errors import Refusal
from livecast.core.events import Person
from livecast.core.money.drops import About
from livecast.core.money.units import NewDrop, Terms
from livecast.core.nodes.placement import shard_of
from livecast.core.rules import Policy, RoomRules
from livecast.edge.access.identity import Identity
from livecast.edge.money import claims
from livecast.edge.money.money import Money, MoneyRules
from livecast.edge.rules import EdgeRules
from livecast.facts import ClaimsDecided, Trouble
from livecast.ports import Unavailable
from livecast.shard.treasury import Treasury
from livecast.wire.messages import ClaimAck, ClaimMessage
from support.house import until
from support.shop import Shop

ROOM = "sale"


class Counter(Shop):
    """A shop whose owner reads the ledger on, with a live room."""

    async def open(self) -> None:
        self.treasury = Treasury(ledger=self.ledger, shards=self.shards, bus=self.bus, clock=self.clock, observer=self.notes)
        self.set_rules(MoneyRules())
        await super().open()
        await self.treasury.start()
        await self.live_room(ROOM, merchant="cups")

    async def close(self) -> None:
        self.treasury.stop()
        await super().close()

    def set_rules(self, rules: MoneyRules) -> None:
        """Begin with other limits."""
        assert self.node.money is not None
        self.node.money = Money(self.node, self.ledger, self.node.money.receipts, self.treasury.ring, rules)

    async def drop(self, *, opened: bool = True, **config: Any) -> str:
        """A drop on show."""
        made = await self.call("POST", f"/v1/rooms/{ROOM}/drops", json={"title": "Cups", "kind": "coupon", "stock": 2, **config})
        assert made.status == 201, made
        id_ = str(made.json["id"])
        await self.call("POST", f"/v1/rooms/{ROOM}/drops/{id_}/{'open' if opened else 'announce'}")
        hub = await self.node.views.get(ROOM)
        assert hub is not None
        wanted = "open" if opened else "announced"
        await until(lambda: hub.view.state["drops"].get(id_, {}).get("state") == wanted, "drop on the screens")
        return id_

    async def say(self, user: str, **message: Any) -> Any:
        """A message over HTTP: the ack, or the problem."""
        return (await self.call("POST", f"/v1/rooms/{ROOM}/messages", auth=self.token(user), json=message)).json

    async def click(self, user: str, drop: str, cid: str = "c1", **claims: Any) -> Any:
        """One claim."""
        auth = self.token(user, **claims)
        message = {"t": "claim", "cid": cid, "drop": drop}
        return (await self.call("POST", f"/v1/rooms/{ROOM}/messages", auth=auth, json=message)).json

    async def me(self, user: str) -> Any:
        """One's own."""
        return (await self.call("GET", f"/v1/rooms/{ROOM}/me", auth=self.token(user))).json


class Hearer:
    """Somebody who claims, and what they were told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str | None, str]] = []

    def answer(self, cid: str | None, answer: ClaimAck | Refusal) -> None:
        self.heard.append((cid, answer.code if isinstance(answer, Refusal) else answer.verdict))

    def verdict(self, cid: str, verdict: str) -> None:
        self.heard.append((cid, verdict))


@pytest.fixture
async def counter() -> AsyncIterator[Counter]:
    """A running one."""
    counter = Counter(EdgeRules(), RoomRules(policy=Policy(tick_ms=50)))
    await counter.open()
    yield counter
    await counter.close()


async def test_a_crowd_shares_few_calls(counter: Counter) -> None:
    """A hundred clicks at once are a handful of calls; each is answered, and a repeat gets its first answer again."""
    drop = await counter.drop(stock=60)
    users = [f"u{n}" for n in range(100)]
    first = await asyncio.gather(*(counter.click(user, drop) for user in users))
    assert sorted(a["serial"] for a in first if a["verdict"] == "won") == list(range(1, 61))
    assert sum(a["verdict"] == "sold_out" for a in first) == 40
    batches = [fact.claims for fact in counter.notes.of(ClaimsDecided)]
    assert sum(batches) == 100
    assert len(batches) < 70  # a machine that is busy elsewhere takes clicks in more slowly than they are gathered
    assert await asyncio.gather(*(counter.click(user, drop) for user in users)) == first


async def test_who_comes_too_early_is_told_when(counter: Counter) -> None:
    """`not_open` with the time; the same id wins once it is open."""
    drop = await counter.drop(opened=False, opens_at=counter.clock() + 60_000)
    said = await counter.click("ann", drop)
    assert said["verdict"] == "not_open"
    assert 55_000 < said["opens_in_ms"] <= 60_000
    await counter.call("POST", f"/v1/rooms/{ROOM}/drops/{drop}/open")
    assert (await counter.click("ann", drop))["verdict"] == "won"


async def test_what_is_missing_is_said_before_and_after_the_click(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the token, by the room, by the ledger; done, and the same id wins."""
    monkeypatch.setattr("livecast.edge.money.money.BOOKED_S", 10)  # a busy machine may pause for longer than it waits otherwise
    asks = {"min_level": 3, "commented": "cups!", "gifted": True, "facts": {"city": ["Oslo", "Bergen"]}}
    drop = await counter.drop(eligibility=asks)
    said = await counter.click("ann", drop, facts={"city": "Rome"})
    assert said["verdict"] == "not_eligible"
    assert [(m["rule"], m["have"]) for m in said["missing"]] == [
        ("min_level", 0), ("commented", False), ("facts.city", "Rome"), ("gifted", False),
    ]  # fmt: skip
    assert [m["rule"] for m in (await counter.me("ann"))["eligibility"][drop]["missing"]] == [
        "min_level", "commented", "facts.city", "gifted",
    ]  # fmt: skip
    assert (await counter.say("ann", t="comment", cid="m1", text="I want CUPS!!!"))["verdict"] == "shown"
    await counter.call("POST", "/v1/wallets/ann/credits", json={"tx": "t1", "amount": 5})
    assert (await counter.say("ann", t="gift", cid="g1", gift="rose", n=1))["balance"] == 4
    said = await counter.click("ann", drop, facts={"city": "Oslo"}, level=3)  # at once: a gift is booked, and words are heard
    assert said["verdict"] == "won", said


async def test_without_the_room_only_drops_that_ask_it_wait(counter: Counter) -> None:
    """The rooms' owner is away: a plain drop goes on, one that asks for comments says `unavailable` and settles later."""
    plain, asking = await counter.drop(), await counter.drop(eligibility={"liked": 1})
    await counter.say("ann", t="like", cid="l1", n=3)
    await counter.bus.unserve(shard_of(ROOM))
    assert (await counter.click("ann", plain))["verdict"] == "won"
    assert (await counter.click("ann", asking))["code"] == "unavailable"
    await counter.bus.serve(shard_of(ROOM), counter.shards.receive)
    assert (await counter.click("ann", asking))["verdict"] == "won"


async def test_a_closed_ledger_is_told_at_once(counter: Counter) -> None:
    """Money says `unavailable` and the operator hears why; chat does not notice."""
    drop = await counter.drop()
    await counter.close_money(ROOM)
    said = await counter.click("ann", drop)
    assert (said["code"], said["status"]) == ("unavailable", 503)
    assert (await counter.say("ann", t="comment", cid="m1", text="hello"))["verdict"] == "shown"
    assert "claims not decided" in [fact.what for fact in counter.notes.of(Trouble)]
    await counter.open_money(ROOM)
    assert (await counter.click("ann", drop))["verdict"] == "won"


async def test_whoever_hammers_is_slowed_down_alone(counter: Counter) -> None:
    """By user and by address; others of other addresses feel nothing."""
    counter.set_rules(MoneyRules(claims_per_user_per_s=5, claims_per_user_burst=3, claims_per_address_per_s=1))
    drop = await counter.drop(stock=10)
    said = [await counter.click("mad", drop, f"c{n}") for n in range(6)]
    slowed = [answer for answer in said if answer.get("code") == "rate_limited"]
    assert len(slowed) >= 3
    assert all(answer["retry_after_ms"] > 0 for answer in slowed)
    money, hub = counter.node.money, await counter.node.views.get(ROOM)
    assert money is not None
    assert hub is not None
    by_ann = Identity(Person("ann", "Ann"))
    her, him = Hearer(), Hearer()
    elsewhere = [money.claim(hub, by_ann, ClaimMessage(f"c{n}", drop), f"10.0.0.{n}", her, counter.clock()) for n in range(2)]
    assert elsewhere == [None, None]
    by_bob = Identity(Person("bob", "Bob"))
    here = [money.claim(hub, by_bob, ClaimMessage(f"c{n}", drop), "10.0.0.9", him, counter.clock()) for n in range(3)]
    assert [answer is None for answer in here] == [True, True, False]
    await until(lambda: len(her.heard) == len(him.heard) == 2, "one answer to each claim that was taken")


async def test_who_waits_too_long_hears_so_once(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger says nothing: after the deadline those of the batch and those behind it are told `unavailable`, and what it
    decides after that is told nobody again. Repeated, the same ids say what became of them.
    """
    drop = await counter.drop(stock=1)
    money, hub = counter.node.money, await counter.node.views.get(ROOM)
    assert money is not None
    assert hub is not None
    decide, asked, go_on = counter.ledger.claim, asyncio.Event(), asyncio.Event()

    async def slowly(*what: Any) -> Any:
        asked.set()
        await go_on.wait()
        return await decide(*what)

    monkeypatch.setattr(counter.ledger, "claim", slowly)
    people = [Identity(Person(user, user)) for user in ("ann", "bob", "cid")]
    hearers = [Hearer() for _ in people]

    def click(n: int) -> None:
        assert money.claim(hub, people[n], ClaimMessage("c", drop), "", hearers[n], counter.clock()) is None

    click(0)
    click(1)
    await asyncio.wait_for(asked.wait(), 5)
    click(2)
    counter.clock.ahead_ms += counter.node.rules.answer_deadline_ms
    await until(lambda: all(each.heard for each in hearers), "everybody hears")
    go_on.set()
    await until(lambda: bool(counter.notes.of(ClaimsDecided) or counter.notes.of(Trouble)), "the ledger has answered")
    assert [each.heard for each in hearers] == [[("c", "unavailable")]] * 3
    monkeypatch.undo()
    assert [(await counter.click(person.person.id, drop, "c"))["verdict"] for person in people] == ["won", "sold_out", "sold_out"]


async def test_the_ledger_decides_while_winners_are_told(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch after the other, and the next is decided before the winners of the last have their receipts. Whose receipts cannot
    be made in time are told that it is open; whoever comes while the last winners are told is not forgotten.
    """
    monkeypatch.setattr(claims, "CLAIMS_MAX", 2)
    drop = await counter.drop(stock=100)
    money, hub = counter.node.money, await counter.node.views.get(ROOM)
    assert money is not None
    assert hub is not None
    decide, sign, calls, go_on = counter.ledger.claim, money._claims.merchant, list[int](), asyncio.Event()

    async def counted(*what: Any) -> Any:
        calls.append(len(what[3]))
        return await decide(*what)

    async def waits(*what: Any) -> str | None:
        await go_on.wait()
        return await sign(*what)

    monkeypatch.setattr(counter.ledger, "claim", counted)
    monkeypatch.setattr(money._claims, "merchant", waits)
    hearer = Hearer()

    def click(user: str) -> None:
        who = Identity(Person(user, user))
        assert money.claim(hub, who, ClaimMessage(user, drop), "", hearer, counter.clock()) is None

    for n in range(6):
        click(f"u{n}")
    await until(lambda: calls == [2, 2], "the second batch is decided while nobody was told of the first")
    assert not hearer.heard
    go_on.set()
    await until(lambda: len(hearer.heard) == 6, "all are told")
    assert hearer.heard == [(f"u{n}", "won") for n in range(6)]
    go_on.clear()
    click("v0")
    await until(lambda: len(calls) == 4, "decided")
    click("v1")
    await asyncio.sleep(0)
    go_on.set()
    await until(lambda: len(hearer.heard) == 8, "the last one, too")
    go_on.clear()
    for user in ("w0", "w1", "w2"):
        click(user)
    await until(lambda: len(calls) == 7, "decided")
    counter.clock.ahead_ms += counter.node.rules.answer_deadline_ms
    await until(lambda: len(hearer.heard) == 11, "they wait too long")
    assert hearer.heard[6:] == [("v0", "won"), ("v1", "won")] + [(user, "unavailable") for user in ("w0", "w1", "w2")]
    go_on.set()
    monkeypatch.undo()
    assert [(await counter.click(user, drop, user))["serial"] for user in ("w0", "w1", "w2")] == [9, 10, 11]


async def test_a_store_that_fails_while_winners_are_told(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those winners hear that it is open, and the operator why; who is decided after them is not concerned."""
    monkeypatch.setattr(claims, "CLAIMS_MAX", 2)
    drop = await counter.drop(stock=100)
    money, hub = counter.node.money, await counter.node.views.get(ROOM)
    assert money is not None
    assert hub is not None
    sign, asked = money._claims.merchant, 0

    async def fails_first(*what: Any) -> str | None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise Unavailable("gone")
        return await sign(*what)

    monkeypatch.setattr(money._claims, "merchant", fails_first)
    hearer = Hearer()
    for n in range(4):
        who = Identity(Person(f"u{n}", ""))
        assert money.claim(hub, who, ClaimMessage(f"u{n}", drop), "", hearer, counter.clock()) is None
    await until(lambda: len(hearer.heard) == 4, "all are told")
    assert hearer.heard == [("u0", "unavailable"), ("u1", "unavailable"), ("u2", "won"), ("u3", "won")]
    assert [fact.what for fact in counter.notes.of(Trouble)] == ["claims not decided"]
    assert (await counter.click("u0", drop, "u0"))["serial"] == 1


async def test_what_one_has_is_told(counter: Counter) -> None:
    """Units with their codes, places in pots with their nonces, and the balance."""
    drop, draw = await counter.drop(), await counter.drop(kind="draw")
    won, entered = await counter.click("ann", drop), await counter.click("ann", draw)
    assert (won["verdict"], entered["verdict"]) == ("won", "entered")
    await counter.call("POST", "/v1/wallets/ann/credits", json={"tx": "t1", "amount": 5})
    me = await counter.me("ann")
    assert me["balance"] == 5
    assert [(c["drop"], c["serial"], c["code"], c["state"]) for c in me["claims"]] == [(drop, 1, won["code"], "granted")]
    assert [(e["drop"], e["number"], e["nonce"], e["state"]) for e in me["entries"]] == [(draw, 1, entered["nonce"], "open")]


async def test_who_may_not_is_told_without_asking_the_ledger(counter: Counter) -> None:
    """A token that allows no claims, and a stranger."""
    drop = await counter.drop()
    assert (await counter.click("ann", drop, can=["comment"]))["code"] == "not_allowed"
    assert not counter.notes.of(ClaimsDecided)
    assert (await counter.click("ann", "nothing"))["code"] == "unknown_drop"


def audience(won: dict[str, Any]) -> str:
    """Whom a winner's receipt is for."""
    said = won["receipt"].split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))["aud"])


async def test_a_receipt_names_the_merchant_although_nobody_answers_for_the_room(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drop knows whose it is. One from before drops did is won all the same, and its receipt told once the room answers."""
    drop, old = await counter.drop(), "from-before"
    await counter.ledger.put_drop(NewDrop(ROOM, old, Terms(1), msgspec.msgpack.encode(About("Old"))), counter.clock())
    await counter.ledger.step_drop(ROOM, old, "open", counter.clock())
    monkeypatch.setattr(counter.node.bus, "post", lambda *_: False)
    assert audience(await counter.click("ann", drop)) == "cups"
    assert (await counter.click("ann", old))["code"] == "unavailable"
    monkeypatch.undo()
    won = await counter.click("ann", old)
    assert (won["verdict"], audience(won)) == ("won", "cups")
