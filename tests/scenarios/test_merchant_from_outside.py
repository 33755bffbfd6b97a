"""A merchant's evening, from outside: what a shop does over HTTP and what viewers see of it, on a real node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from support.node import DEV_KEY, NodeProcess, token
from support.outside import Outsider


class Desk:
    """A live room of one node, as its shop sees it."""

    def __init__(self, node: NodeProcess, room: str, http: aiohttp.ClientSession) -> None:
        self.node, self.room, self.http = node, room, http

    async def ask(self, method: str, path: str, json: Any = None, auth: str | None = None) -> tuple[int, Any]:
        """Status and body of a call about the room."""
        headers = DEV_KEY if auth is None else {"Authorization": f"Bearer {auth}"}
        url = f"{self.node.base}/v1/rooms/{self.room}{path}"
        async with self.http.request(method, url, json=json, headers=headers) as response:
            return response.status, await response.json()

    async def call(self, method: str, path: str, json: Any = None, auth: str | None = None) -> Any:
        """The body of a call that must succeed."""
        status, said = await self.ask(method, path, json, auth)
        assert status < 300, said
        return said

    async def begin(self, **about: Any) -> Desk:
        """The room is live."""
        await self.call("PUT", "", {"title": "Sale", **about})
        await self.call("POST", "/start")
        return self

    async def drop(self, *, opened: bool = True, **config: Any) -> str:
        """The id of a new drop."""
        drop = await self.call("POST", "/drops", {"title": "Cups", "kind": "coupon", "stock": 3, **config})
        if opened:
            await self.call("POST", f"/drops/{drop['id']}/open")
        return str(drop["id"])

    async def click(self, user: str, drop: str, cid: str = "c1", **claims: Any) -> dict[str, Any]:
        """A claim without a socket: its ack, or the problem."""
        _, said = await self.ask("POST", "/messages", {"t": "claim", "cid": cid, "drop": drop}, token(user, **claims))
        return dict(said)

    async def me(self, user: str) -> dict[str, Any]:
        """What somebody is told of themselves."""
        return dict(await self.call("GET", "/me", auth=token(user)))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A caller that opens a connection for each call: nodes are killed here."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield session


def shown(watcher: Outsider, drop: str) -> dict[str, Any]:
    """A drop as a viewer knows it."""
    view: dict[str, Any] = dict(watcher.welcome["state"]["drops"].get(drop, {}))
    for frame in watcher.frames:
        view |= frame.get("state", {}).get("drops", {}).get(drop) or {}
    return view


async def test_what_is_due_while_the_node_is_dead_is_done_without_any_viewer(
    node: NodeProcess, http: aiohttp.ClientSession
) -> None:
    """Kill -9 before one drop opens and another closes and is drawn: nobody ever comes to the room."""
    desk = await Desk(node, "night", http).begin()
    now = int(time.time() * 1000)
    opening = await desk.drop(opened=False, opens_at=now + 2_500)
    closing = await desk.drop(closes_at=now + 2_500, kind="draw", stock=1)
    for user in ("nan", "nat"):
        assert (await desk.click(user, closing))["verdict"] == "entered"
    node.kill()
    await asyncio.sleep(max(0.0, (now + 2_600) / 1000 - time.time()))  # their time comes while there is no node
    node.start()

    async def states() -> list[str]:
        return [(await desk.call("GET", f"/drops/{drop}"))["state"] for drop in (opening, closing)]

    await until(states, lambda found: found == ["open", "settled"], within_s=5)
    winners = [user for user in ("nan", "nat") if any(entry["won"] for entry in (await desk.me(user))["entries"])]
    claims = (await desk.call("GET", f"/drops/{closing}/claims"))["data"]
    assert [claim["user"] for claim in claims] == winners


async def test_a_winner_of_a_draw_is_told_although_the_node_died(node: NodeProcess, http: aiohttp.ClientSession) -> None:
    """The node dies right after the close; who comes back hears of it, once."""
    desk = await Desk(node, "draw", http).begin()
    drop = await desk.drop(kind="draw", stock=1)
    assert (await desk.click("ann", drop))["verdict"] == "entered"
    await desk.call("POST", f"/drops/{drop}/close")
    node.kill()
    node.start()
    async with Outsider(node, "draw", "ann") as ann:

        def notices() -> list[dict[str, Any]]:
            return [message for message in ann.said if message["t"] == "notice" and message["kind"] == "draw.won"]

        await ann.until(notices, what="notice")
        await ann.until(lambda: shown(ann, drop).get("result"), what="result")
        assert notices()[0]["data"] == {"room": "draw", "drop": drop, "serial": 1}
        assert shown(ann, drop)["result"]["winners"] == 1
        assert len(notices()) == 1
    (claim,) = (await desk.me("ann"))["claims"]
    assert claim["receipt"]
    assert claim["code"]


async def test_what_a_shop_changes_and_sells_is_on_the_screens(node: NodeProcess, http: aiohttp.ClientSession) -> None:
    """More stock after the last unit is gone, another end, an order: each in the next frames."""
    desk = await Desk(node, "screen", http).begin()
    async with Outsider(node, "screen", "watcher") as watcher:
        drop = await desk.drop(stock=1, reserve_s=60)
        assert (await desk.click("ann", drop))["verdict"] == "won"
        await watcher.until(lambda: shown(watcher, drop).get("state") == "sold_out", what="sold out")
        await desk.call("PATCH", f"/drops/{drop}", {"stock_delta": 2})
        await watcher.until(lambda: (shown(watcher, drop)["state"], shown(watcher, drop)["left"]) == ("open", 2), what="more")
        await desk.call("POST", f"/drops/{drop}/claims/1/confirm", {"order_id": "o-1"})
        order = {"order_id": "o-1", "user": "ann", "sku": "cup", "amount": 990, "currency": "EUR", "status": "paid"}
        await desk.call("POST", "/orders", {**order, "drop": drop, "serial": 1})
        await watcher.until(
            lambda: [f["activity"]["orders"] for f in watcher.frames if "orders" in f.get("activity", {})], what="order"
        )
        soon = int(time.time() * 1000) + 1_000
        await desk.call("PATCH", f"/drops/{drop}", {"closes_at": soon})
        await watcher.until(lambda: shown(watcher, drop)["state"] == "settled", what="end")
        assert time.time() * 1000 >= soon


async def test_an_open_drop_counts_at_once(node: NodeProcess, http: aiohttp.ClientSession) -> None:
    """Once its opening is answered everybody is asked for what it asks for, and what they do for it counts."""
    desk = await Desk(node, "keyword", http).begin()
    for user in ("ann", "bob", "cyd"):
        drop = await desk.drop(eligibility={"commented": "teatime"})
        comment = {"t": "comment", "cid": "m1", "text": f"teatime for {user}"}
        assert (await desk.call("POST", "/messages", comment, auth=token(user)))["verdict"] == "shown"
        assert (await desk.click(user, drop))["verdict"] == "won"
        assert (await desk.me("dan"))["eligibility"][drop]["missing"][0]["rule"] == "commented"
        await desk.call("POST", f"/drops/{drop}/close")
        assert drop not in (await desk.me("dan"))["eligibility"]


async def test_facts_of_a_service_decide_who_may(node: NodeProcess, http: aiohttp.ClientSession) -> None:
    """What is missing is said before the click and after it; what the platform says counts above the token."""
    desk = await Desk(node, "facts", http).begin()
    async with Outsider(node, "facts", "watcher") as watcher:
        drop = await desk.drop(eligibility={"min_level": 2, "facts": {"city": ["Hangzhou", "Shanghai"]}})
        await watcher.until(lambda: shown(watcher, drop).get("state") == "open", what="open drop")
    before, after = (await desk.me("ann"))["eligibility"][drop], await desk.click("ann", drop)
    assert [line["rule"] for line in before["missing"]] == ["min_level", "facts.city"]
    assert (after["verdict"], after["missing"]) == ("not_eligible", before["missing"])
    await desk.call("PUT", "/users/ann/facts", {"city": "Shanghai"})
    assert (await desk.click("ann", drop, "c2", level=2, facts={"city": "Oslo"}))["verdict"] == "won"


async def test_the_muted_buy_and_the_banned_do_not(node: NodeProcess, http: aiohttp.ClientSession) -> None:
    """On a socket and without one; a banned user still sees what is theirs."""
    desk = await Desk(node, "manners", http).begin()
    drop = await desk.drop(stock=9, per_user=3)
    async with Outsider(node, "manners", "bob") as bob:
        await desk.call("POST", "/mutes", {"user": "bob"})
        await bob.until(lambda: [m for m in bob.said if m["t"] == "notice" and m["kind"] == "muted"], what="mute")
        assert (await bob.ask(t="comment", cid="m1", text="hello"))["code"] == "muted"
        assert (await bob.ask(t="claim", cid="c1", drop=drop))["verdict"] == "won"
        assert (await bob.ask(t="gift", cid="g1", gift="rose", n=1))["verdict"] == "sent"
        assert (await desk.click("bob", drop, "c2"))["verdict"] == "won"
        await desk.call("POST", "/bans", {"user": "bob"})
        await bob.until(lambda: bob.closed, what="end")
        assert bob.closed is not None
        assert bob.closed[0] == 4003
    for message in (
        {"t": "claim", "cid": "c3", "drop": drop},
        {"t": "gift", "cid": "g2", "gift": "rose", "n": 1},
        {"t": "comment", "cid": "m2", "text": "x"},
    ):
        status, said = await desk.ask("POST", "/messages", message, token("bob"))
        assert (status, said["code"]) == (403, "forbidden")
    me = await desk.me("bob")
    assert (me["banned"], [claim["serial"] for claim in me["claims"]]) == (True, [1, 2])


async def until(ask: Callable[[], Any], fits: Callable[[Any], bool], within_s: float) -> None:
    """Ask until the answer fits."""
    end = time.monotonic() + within_s
    while not fits(said := await ask()):
        assert time.monotonic() < end, said
        await asyncio.sleep(0.1)
