"""A flash sale while a store fails over, that of the rooms or the ledger: Sentinels promote a replica, a cluster elects one."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import websockets

from chaos.crowd import Crowd
from chaos.sale import ROOM, sell
from livecast.core.nodes.placement import shard_of
from support.checker import Broken
from support.node import NodeProcess, token
from support.stores import Clustered, Guarded, Server, scratch

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]

Form: TypeAlias = Guarded | Clustered
USERS = min(int(os.environ.get("CHAOS_USERS", "2000")), 2000)
"""Fewer than elsewhere: beside them twelve servers and three Sentinels share two cores."""


class Both:
    """Rooms and ledger in one form, and a node on them."""

    def __init__(self, form: type[Form], directory: Path) -> None:
        self.rooms: Form = form(directory / "rooms", fsync="everysec", replicas=1)
        self.ledger: Form = form(directory / "ledger", fsync="always", replicas=1)

    def start(self) -> None:
        self.rooms.start()
        self.ledger.start()

    def stop(self) -> None:
        self.rooms.stop()
        self.ledger.stop()


def primary_of(form: Form) -> Server | None:
    """Who has the shard of the sale's room."""
    if isinstance(form, Guarded):
        return form.primary
    said = next(each.command("CLUSTER", "KEYSLOT", f"{{s{shard_of(ROOM)}}}") for each in form.servers if each.lives)
    return form.owner(int(said[1:]))


@pytest.fixture(params=[Guarded, Clustered], ids=["sentinels", "cluster"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    """Stores of their own for each test."""
    with scratch() as directory:
        made = Both(request.param, directory)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.mark.parametrize("how", ["kill", "freeze"])
@pytest.mark.parametrize("role", ["rooms", "ledger"])
async def test_a_sale_goes_on(both: Both, role: str, how: str, tmp_path: Path) -> None:
    """The primary of the sale's shard goes in the middle of it, and comes back behind its successor. Nothing that was acknowledged
    is lost, sold twice or changed; whoever waited gets an answer.
    """
    form: Form = getattr(both, role)
    urls = ("--redis", both.rooms.url, "--ledger", both.ledger.url)
    with NodeProcess(*urls, env={"LIVECAST_LEDGER__REPLICAS": "1"}) as node:

        async def fault(_crowd: Crowd) -> None:
            former = await asyncio.to_thread(primary_of, form)
            assert former is not None
            getattr(former, how)()
            async with asyncio.timeout(60):
                while await asyncio.to_thread(primary_of, form) in {former, None}:  # noqa: ASYNC110 - other processes' state
                    await asyncio.sleep(0.05)
            if how == "freeze":
                await asyncio.sleep(1)  # so that it wakes up into a world that has gone on
                former.thaw()
            else:
                former.start()

        name = f"{role}: {how} under {'Sentinels' if isinstance(form, Guarded) else 'a cluster'}"
        outcome = await sell(node, tmp_path, fault, name=name, ledger=both.ledger.url, users=USERS)
        if outcome.violations:
            raise Broken(outcome.violations)
        assert len(outcome.books.claims) == min(500, USERS)


async def test_two_nodes_hear_each_other(both: Both) -> None:
    """A viewer on one node sees what is said on the other, wherever the room's shard is, also once its primary is another one; a
    gift on either is booked.
    """
    urls, env = ("--redis", both.rooms.url, "--ledger", both.ledger.url), {"LIVECAST_LEDGER__REPLICAS": "1"}
    with NodeProcess(*urls, env=env) as one, NodeProcess(*urls, env=env) as other:
        async with viewer(one, "ann") as ann, viewer(other, "bob") as bob:
            await said(ann, bob, "before")
            await bob.send(json.dumps({"t": "gift", "cid": "g", "gift": "rose", "n": 1}))
            assert (await heard(bob, lambda m: m["t"] in {"ack", "error"}))["verdict"] == "sent"
            former = await asyncio.to_thread(primary_of, both.rooms)
            assert former is not None
            former.kill()
            began = await heard(ann, lambda m: m["t"] == "welcome")
            assert began["reason"] == "epoch"
            await said(bob, ann, "behind")


@asynccontextmanager
async def viewer(node: NodeProcess, user: str) -> AsyncIterator[websockets.ClientConnection]:
    """Somebody in the room."""
    address = f"{node.ws}/v1/rooms/{ROOM}/ws?token={token(user)}"
    async with websockets.connect(address, subprotocols=[websockets.Subprotocol("livecast.v1.json")]) as ws:
        await heard(ws, lambda m: m["t"] == "welcome")
        yield ws


async def heard(ws: websockets.ClientConnection, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The next message that is wanted."""
    async with asyncio.timeout(40):
        while True:
            message: dict[str, Any] = json.loads(await ws.recv())
            if wanted(message):
                return message


async def said(speaker: websockets.ClientConnection, hearer: websockets.ClientConnection, text: str) -> None:
    """Repeated with the same id until there is an answer, as clients do; the other one hears it."""

    async def until_answered() -> None:
        while True:
            await speaker.send(json.dumps({"t": "comment", "cid": text, "text": text}))
            answer = await heard(speaker, lambda m: m["t"] in {"ack", "error"} and m.get("cid") == text)
            if answer["t"] == "ack":
                return
            await asyncio.sleep(0.2)

    def shows(message: dict[str, Any]) -> bool:
        comments = message.get("comments", ()) if message["t"] == "frame" else message.get("recent", ())
        return any(comment["text"] == text for comment in comments)

    await asyncio.gather(until_answered(), heard(hearer, shows))
