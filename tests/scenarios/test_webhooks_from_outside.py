"""Webhooks of a node as it is run, to a receiver as a merchant would write one; with the node killed in between."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from support.hooks import Receiver
from support.node import DEV_KEY, NodeProcess, token

LIVECAST = str(Path(sys.executable).with_name("livecast"))
numbers = count(1)


class Shop:
    """A merchant's hands: calls of the control plane, and viewers who click in a room."""

    def __init__(self, node: NodeProcess, room: str = "") -> None:
        self.node = node
        self.room = room
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))

    async def call(self, method: str, path: str, body: Any = None, *, auth: str = "") -> Any:
        """The answer's body; a refusal fails the test."""
        headers = {"Authorization": f"Bearer {auth}"} if auth else DEV_KEY
        async with self.session.request(method, self.node.base + path, json=body, headers=headers) as response:
            told = await response.json(content_type=None)
            assert response.status < 300, (method, path, told)
            return told

    async def claim(self, user: str, drop: str) -> Any:
        message = {"t": "claim", "cid": f"c-{user}", "drop": drop}
        return await self.call("POST", f"/v1/rooms/{self.room}/messages", message, auth=token(user))

    async def on_sale(self, stock: int) -> str:
        drop = await self.call("POST", f"/v1/rooms/{self.room}/drops", {"title": "Bags", "kind": "coupon", "stock": stock})
        await self.call("POST", f"/v1/rooms/{self.room}/drops/{drop['id']}/open")
        return str(drop["id"])


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """Less patient than by default."""
    with NodeProcess(env={"LIVECAST_WEBHOOKS__RETRY_FIRST_MS": "20", "LIVECAST_WEBHOOKS__TIMEOUT_S": "2"}) as process:
        yield process


@pytest.fixture
async def shop(node: NodeProcess) -> AsyncIterator[Shop]:
    """With a live room of its own, of merchant `m1`. Afterwards nobody is told anything any more."""
    shop = Shop(node, f"r{next(numbers)}")
    await shop.call("PUT", f"/v1/rooms/{shop.room}", {"merchant": "m1", "title": "Night"})
    await shop.call("POST", f"/v1/rooms/{shop.room}/start")
    yield shop
    for hook in (await shop.call("GET", "/v1/webhooks"))["data"]:
        async with shop.session.delete(f"{node.base}/v1/webhooks/{hook['id']}", headers=DEV_KEY) as gone:
            assert gone.status < 300
    await shop.session.close()


def taken(receiver: Receiver) -> dict[str, dict[str, Any]]:
    """Events by id, as a receiver keeps them: the first of each; a repeat must be the same."""
    kept: dict[str, dict[str, Any]] = {}
    for payload in receiver.payloads:
        assert kept.setdefault(payload["id"], payload) == payload
    return kept


async def test_a_sale_from_opening_to_the_last_unit(shop: Shop) -> None:
    """A receiver that is down for the first ten tries misses nothing: signed, in order, what viewers were told."""
    async with Receiver(lambda n: 503 if n < 10 else 200) as receiver:
        hook = await shop.call("POST", "/v1/webhooks", {"url": receiver.url, "events": ["drop.*", "claim.*"]})
        drop = await shop.on_sale(2)
        answers = [await shop.claim(user, drop) for user in ("ann", "bob", "cyn")]
        await receiver.until(lambda: "drop.sold_out" in {e["type"] for e in taken(receiver).values()}, "sold_out", within_s=60)
        events = list(taken(receiver).values())
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert events[0]["type"] == "drop.opened"
        assert {(event["room"], event["merchant"], event["test"]) for event in events} == {(shop.room, "m1", False)}
        claims = [claim for event in events if event["type"] == "claim.granted" for claim in event["data"]["claims"]]
        won = [(a["serial"], a["code"]) for a in answers if a["verdict"] == "won"]
        assert [(claim["serial"], claim["code"]) for claim in claims] == won == [(1, won[0][1]), (2, won[1][1])]
        for headers, body in receiver.got:
            assert Webhook(hook["secret"]).verify(body, headers)
        first = (await shop.call("GET", f"/v1/webhooks/{hook['id']}/deliveries"))["data"][-1]
        assert (first["state"], first["attempts"], first["event"]) == ("delivered", 11, events[0]["id"])
        listed = (await shop.call("GET", "/v1/events?type=claim.granted"))["data"]
        assert [claim for event in listed for claim in event["data"]["claims"]] == claims


async def test_killed_between_event_and_delivery(shop: Shop) -> None:
    """Kill -9 while claims come in and the receiver is down; killed again in the middle of a delivery. Nothing is missing."""
    async with Receiver(lambda _n: 503) as receiver:
        await shop.call("POST", "/v1/webhooks", {"url": receiver.url, "events": ["*"]})
        drop = await shop.on_sale(60)
        won: set[tuple[int, str]] = set()
        for n in range(30):
            answer = await shop.claim(f"u{n}", drop)
            won.add((answer["serial"], f"u{n}"))
        shop.node.kill()  # at once: what was answered last has hardly left the ledger
        shop.node.start()

        async def hang(_: web.Request) -> web.Response:
            await asyncio.sleep(30)
            return web.Response()

        receiver.handler = hang
        await receiver.until(lambda: receiver.open_requests, "a delivery under way")
        for n in range(30, 60):
            answer = await shop.claim(f"u{n}", drop)
            won.add((answer["serial"], f"u{n}"))
        await shop.call("POST", f"/v1/rooms/{shop.room}/end")
        shop.node.kill()
        receiver.handler, receiver.answers = None, lambda _n: 200
        shop.node.start()
        await receiver.until(
            lambda: {"room.ended", "drop.settled"} <= {e["type"] for e in taken(receiver).values()}, "the end", within_s=90
        )
        events = list(taken(receiver).values())
        claims = [claim for event in events if event["type"] == "claim.granted" for claim in event["data"]["claims"]]
        assert {(claim["serial"], claim["user"]) for claim in claims} == won
        assert len(claims) == 60
        seqs = [event["seq"] for event in events]
        assert seqs == sorted(seqs) == list(range(seqs[0], seqs[0] + len(seqs)))
        types = [event["type"] for event in events if event["type"] not in {"claim.granted", "room.started"}]
        assert sorted(types) == ["drop.closed", "drop.opened", "drop.settled", "drop.sold_out", "room.ended"]
        async with shop.session.get(f"{shop.node.base}/metrics") as response:
            text = await response.text()
        assert 'livecast_webhook_tries_total{outcome="delivered"}' in text


async def test_outside_development_nothing_inside_is_reached() -> None:
    """A name that leads to this machine is taken, as it may change; but nobody connects, and the delivery says why."""
    command = [LIVECAST, "key", "new", "--id", "shop", "--scope", "webhooks:write"]
    made = json.loads(await asyncio.to_thread(subprocess.check_output, command))
    key = made["key"]
    env = {
        "LIVECAST_AUTH__JWT_SECRETS": json.dumps(["a-secret-of-the-tests-that-nobody-else-knows"]),
        "LIVECAST_AUTH__API_KEYS": json.dumps([made["config"]]),
    }
    async with Receiver() as receiver:
        with NodeProcess(dev=False, env=env) as node:
            shop = Shop(node)
            for url in (f"https://127.0.0.1:{receiver.port}/", f"https://localhost.:{receiver.port}/", receiver.url):
                with pytest.raises(AssertionError, match="invalid"):
                    await shop.call("POST", "/v1/webhooks", {"url": url, "events": ["*"]}, auth=key)
            # This machine's own name leads to itself, or nowhere.
            url = f"https://{socket.gethostname()}:{receiver.port}/"
            hook = await shop.call("POST", "/v1/webhooks", {"url": url, "events": ["*"]}, auth=key)
            await shop.call("POST", f"/v1/webhooks/{hook['id']}/test", auth=key)
            tried: list[dict[str, Any]] = []
            while not tried:
                found = await shop.call("GET", f"/v1/webhooks/{hook['id']}/deliveries", auth=key)
                tried = [delivery for delivery in found["data"] if delivery["attempts"]]
            assert "is not a public address" in tried[0]["reason"] or tried[0]["reason"] == "the name does not resolve"
            assert (tried[0]["state"], tried[0].get("status"), receiver.got) == ("pending", None, [])
            await shop.session.close()
