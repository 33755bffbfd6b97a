"""Drops and gifts as people meet them: through sockets and HTTP, with real processes, and with those killed and frozen."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import jwt
import pytest

from support.node import DEV_KEY, NodeProcess, token
from support.outside import Outsider

FINAL = {"won", "sold_out", "limit", "closed"}


class Shop:
    """A room of one node, seen through HTTP."""

    def __init__(self, node: NodeProcess, room: str, http: aiohttp.ClientSession) -> None:
        self.node, self.room, self.http = node, room, http

    async def call(self, method: str, path: str, json: Any = None) -> Any:
        """A call of the control plane that must succeed."""
        url = f"{self.node.base}/v1/rooms/{self.room}{path}"
        async with self.http.request(method, url, json=json, headers=DEV_KEY) as response:
            said = await response.json()
            assert response.status < 300, said
            return said

    async def open_drop(self, stock: int, **config: Any) -> str:
        """The id of a drop that is open."""
        await self.call("PUT", "", {"title": "Sale"})
        with contextlib.suppress(AssertionError):  # it is live already
            await self.call("POST", "/start")
        made = await self.call("POST", "/drops", {"title": "500 cups", "kind": "coupon", "stock": stock, **config})
        await self.call("POST", f"/drops/{made['id']}/open")
        return str(made["id"])

    async def click(self, user: str, drop: str, cid: str) -> dict[str, Any]:
        """One claim over HTTP: the ack, or the problem."""
        headers = {"Authorization": f"Bearer {token(user)}"}
        message = {"t": "claim", "cid": cid, "drop": drop}
        async with self.http.post(f"{self.node.base}/v1/rooms/{self.room}/messages", json=message, headers=headers) as response:
            said: dict[str, Any] = await response.json()
            return said

    async def settle(self, user: str, drop: str, cid: str, within_s: float = 20) -> dict[str, Any]:
        """Repeat a claim until it has a final answer, as an app would."""
        end = time.monotonic() + within_s
        while True:
            try:
                said = await self.click(user, drop, cid)
            except aiohttp.ClientError as fault:
                said = {"fault": repr(fault)}
            if said.get("verdict") in FINAL:
                return said
            assert time.monotonic() < end, f"no final answer within {within_s} s: {said}"
            await asyncio.sleep(0.2)

    async def claims(self, drop: str) -> list[dict[str, Any]]:
        """The whole list of claims."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.call("GET", f"/drops/{drop}/claims?limit=200" + (f"&cursor={cursor}" if cursor else ""))
            found += page["data"]
            if (cursor := page["next_cursor"]) is None:
                return found


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A caller with many connections."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:
        yield session


async def in_slices(work: list[Any], size: int = 100) -> list[Any]:
    """Await many things, so many at once."""
    return [done for at in range(0, len(work), size) for done in await asyncio.gather(*work[at : at + size])]


def agree(claims: list[dict[str, Any]], answers: dict[str, dict[str, Any]], stock: int) -> None:
    """The list of claims says what people were told: each serial once, from 1 on, and each code once."""
    won = {user: answer for user, answer in answers.items() if answer.get("verdict") == "won"}
    assert [claim["serial"] for claim in claims] == list(range(1, stock + 1))
    assert len({claim["code"] for claim in claims}) == stock
    assert {claim["user"]: (claim["serial"], claim["code"]) for claim in claims} == {
        user: (answer["serial"], answer["code"]) for user, answer in won.items()
    }


async def test_five_hundred_units_for_a_thousand_people(node: NodeProcess, http: aiohttp.ClientSession):
    """Each clicks with two ids and repeats one over another connection: 500 win, all are told the same again."""
    shop = Shop(node, "sale", http)
    drop = await shop.open_drop(500)
    users = [f"u{n}" for n in range(1000)]
    async with contextlib.AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(Outsider(node, "sale", "watcher"))
        sockets = dict(
            zip(users, await in_slices([stack.enter_async_context(Outsider(node, "sale", u)) for u in users]), strict=True)
        )
        await asyncio.gather(*(s.send(t="claim", cid=cid, drop=drop) for s in sockets.values() for cid in ("one", "two")))
        for socket in sockets.values():
            await socket.until(lambda s=socket: {"one", "two"} <= s.answers.keys(), what="both answers")
        again = dict(zip(users, await in_slices([shop.click(u, drop, "one") for u in users]), strict=True))
        first = {user: s.answers["one"] for user, s in sockets.items()}
        assert again == first
        verdicts = [s.answers["one"]["verdict"] for s in sockets.values()]
        assert verdicts.count("won") == 500
        assert verdicts.count("sold_out") == 500
        for socket in sockets.values():
            # A winner is told `limit`, also when everything is sold out.
            assert socket.answers["two"]["verdict"] == ("limit" if socket.answers["one"]["verdict"] == "won" else "sold_out")
        agree(await shop.claims(drop), first, 500)
        await watcher.until(lambda: latest(watcher, drop) == ("sold_out", 0), what="sold out drop on the screen")
        lefts = [
            f["state"]["drops"][drop]["left"] for f in watcher.frames if "left" in f.get("state", {}).get("drops", {}).get(drop, {})
        ]
        assert lefts == sorted(lefts, reverse=True)


def latest(watcher: Outsider, drop: str) -> tuple[str, int] | None:
    """State and rest of a drop as a viewer knows them."""
    view: dict[str, Any] = dict(watcher.welcome["state"]["drops"].get(drop, {}))
    for frame in watcher.frames:
        view |= frame.get("state", {}).get("drops", {}).get(drop, {})
    return (view["state"], view["left"]) if view else None


async def test_a_receipt_proves_what_was_won(node: NodeProcess, http: aiohttp.ClientSession):
    """Anybody can check it with the published key: who, what, which unit, and the code's hash without the code."""
    shop = Shop(node, "receipts", http)
    drop = await shop.open_drop(2, sku="cup")
    won = await shop.click("ann", drop, "c1")
    assert won["verdict"] == "won"
    async with http.get(f"{node.base}/.well-known/jwks.json") as response:
        keys = jwt.PyJWKSet.from_dict(await response.json())
    kid = jwt.get_unverified_header(won["receipt"])["kid"]
    said = jwt.decode(won["receipt"], keys[kid], ["EdDSA"], options={"verify_aud": False})
    assert (said["sub"], said["room"], said["drop"], said["sku"]) == ("ann", "receipts", drop, "cup")
    assert (said["serial"], said["of"]) == (won["serial"], won["of"]) == (1, 2)
    assert said["code_hash"] == hashlib.sha256(won["code"].encode()).hexdigest()


async def test_a_clicker_is_slowed_down_alone(node: NodeProcess, http: aiohttp.ClientSession):
    """Beyond their burst they are told to wait; somebody else's click is decided meanwhile."""
    shop = Shop(node, "clicker", http)
    drop = await shop.open_drop(2)
    async with Outsider(node, "clicker", "mad") as mad:
        for n in range(35):
            await mad.send(t="claim", cid=f"c{n}", drop=drop)
        assert (await shop.click("ann", drop, "c1"))["verdict"] == "won"
        await mad.until(lambda: len(mad.answers) == 35, what="all answers")
        slowed = [a for a in mad.answers.values() if a.get("code") == "rate_limited"]
        assert 10 <= len(slowed) <= 20
        assert all(a["retry_after_ms"] > 0 for a in slowed)


async def test_gifts_move_coins_and_show_as_one_growing_line(node: NodeProcess):
    """The answer has the balance; a repeat moves nothing; the line grows, is done once, and its giver is on the board."""
    async with Outsider(node, "gifts", "ann") as ann, Outsider(node, "gifts", "bob") as bob:
        assert (await ann.ask(t="gift", cid="g1", gift="rose", n=3))["balance"] == 9_997
        assert (await ann.ask(t="gift", cid="g2", gift="rose", n=2))["balance"] == 9_995
        again = await ann.ask(t="gift", cid="g1", gift="rose", n=3)
        assert (again["verdict"], again["balance"]) == ("sent", 9_997)
        assert (await ann.ask(t="gift", cid="g1", gift="rose", n=4))["code"] == "conflict"
        assert (await ann.ask(t="gift", cid="g3", gift="rocket", n=10))["code"] == "insufficient_funds"
        assert (await ann.ask(t="gift", cid="g4", gift="rose", n=1, unit_price=2))["code"] == "price_changed"
        assert (await ann.ask(t="gift", cid="g5", gift="moon", n=1))["code"] == "unknown_gift"
        assert (await bob.ask(t="gift", cid="g1", gift="heart", n=1, text="for you"))["balance"] == 9_990

        def lines() -> list[dict[str, Any]]:
            return [line for frame in bob.frames for line in frame.get("gifts", [])]

        await bob.until(lambda: sum(line["done"] for line in lines()) == 2, what="both lines done")
        of_ann = [line for line in lines() if line["u"]["id"] == "ann"]
        assert len({line["combo"] for line in of_ann}) == 1
        assert (of_ann[-1]["n"], of_ann[-1]["value"], of_ann[-1]["tier"]) == (5, 5, 1)
        assert [c["text"] for c in bob.comments() if c.get("paid")] == ["for you"]
        async with Outsider(node, "gifts", "cyn") as cyn:
            assert [line["u"]["id"] for line in cyn.welcome["state"]["board"]] == ["bob", "ann"]


async def test_a_killed_node_takes_no_unit_with_it(node: NodeProcess, http: aiohttp.ClientSession):
    """Kill -9 in the midst of the clicks: what was answered stays, what was not is settled by the same id."""
    shop = Shop(node, "killed", http)
    drop = await shop.open_drop(100)
    told: dict[str, dict[str, Any]] = {}

    async def click(user: str) -> None:
        with contextlib.suppress(aiohttp.ClientError):
            said = await shop.click(user, drop, "one")
            if said.get("verdict") in FINAL:
                told[user] = said

    clicks = [asyncio.create_task(click(f"k{n}")) for n in range(300)]
    await until(lambda: len(told) >= 20)
    node.kill()
    await asyncio.gather(*clicks)
    assert 20 <= len(told) < 300, "the kill came too late to show anything"
    node.start()
    settled = dict(
        zip((f"k{n}" for n in range(300)), await in_slices([shop.settle(f"k{n}", drop, "one") for n in range(300)]), strict=True)
    )
    assert {user: settled[user] for user in told} == told
    agree(await shop.claims(drop), settled, 100)


async def test_a_frozen_and_a_killed_ledger_cost_time_and_nothing_else(node: NodeProcess, http: aiohttp.ClientSession):
    """While it is frozen claims are answered `unavailable` within a second and chat goes on; then the same id settles them."""
    shop = Shop(node, "frozen", http)
    drop = await shop.open_drop(2)
    async with Outsider(node, "frozen", "fay") as fay:
        (ledger,) = node.stores("ledger")
        os.kill(ledger, signal.SIGSTOP)
        try:
            began = time.monotonic()
            said = await fay.ask(t="claim", cid="c1", drop=drop)
            gift = await fay.ask(t="gift", cid="g1", gift="rose", n=1)
            assert time.monotonic() - began < 2.4
            assert (said["code"], gift["code"]) == ("unavailable", "unavailable")
            began = time.monotonic()
            assert (await fay.ask(t="comment", cid="m1", text="still here"))["verdict"] == "shown"
            assert time.monotonic() - began < 0.5
            async with http.get(f"{node.base}/readyz") as ready:
                assert (ready.status, (await ready.json())["status"]) == (200, "degraded")
        finally:
            os.kill(ledger, signal.SIGCONT)
        assert (await shop.settle("fay", drop, "c1"))["verdict"] == "won"
        assert (await fay.ask(t="gift", cid="g1", gift="rose", n=1))["balance"] == 9_999
        os.kill(ledger, signal.SIGKILL)
        began = time.monotonic()
        assert (await shop.settle("gus", drop, "c1"))["verdict"] == "won"
        assert time.monotonic() - began < 5
        assert (await shop.settle("fay", drop, "c1"))["serial"] == 1
        await fay.until(lambda: latest(fay, drop) == ("sold_out", 0), what="sold out drop on the screen")


async def test_a_ledger_that_cannot_be_used_closes_money_alone() -> None:
    """Nobody listens there: the node starts all the same, says what is degraded, and people talk."""
    with NodeProcess("--ledger", "redis://127.0.0.1:1/0") as node:
        async with Outsider(node, "talk", "ann") as ann:
            began = time.monotonic()
            said = await ann.ask(t="gift", cid="g1", gift="rose", n=1)
            assert (said["code"], said["retry_after_ms"] > 0) == ("unavailable", True)
            assert (await ann.ask(t="claim", cid="c1", drop="d"))["code"] == "unavailable"
            assert time.monotonic() - began < 2
            assert (await ann.ask(t="comment", cid="m1", text="hello"))["verdict"] == "shown"
        assert "money is closed" in node.log_text()


async def until(condition: Callable[[], Any], within_s: float = 30) -> None:
    """Wait for a condition."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)
