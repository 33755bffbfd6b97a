"""Two `livecast serve` processes on one store: one service, whichever of them is called, and whichever dies or sleeps."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import aiohttp
import pytest

from livecast.core.nodes.membership import holder_of
from livecast.core.nodes.placement import shard_of
from support.node import DEV_KEY, NodeProcess, token
from support.outside import Outsider

pytestmark = pytest.mark.timeout(180)

SILENT_S = 2.0
"""After which a node is taken for dead: less than what is set by default, as the tests wait for it."""
numbers = count(1)


class Pair:
    """Two nodes, `a` and `b`, and the store they share."""

    def __init__(self, valkey: Any, archive: str) -> None:
        self.valkey = valkey
        self.nodes = {name: self._node(name, archive) for name in "ab"}
        with ThreadPoolExecutor() as both:
            list(both.map(NodeProcess.start, self.nodes.values()))

    def _node(self, name: str, archive: str) -> NodeProcess:
        own = {"ID": name, "HEARTBEAT_MS": "250", "DEAD_AFTER_MS": str(int(SILENT_S * 1000))}
        env = {f"LIVECAST_NODE__{key}": value for key, value in own.items()} | {"LIVECAST_ARCHIVE__URL": f"sqlite:///{archive}"}
        return NodeProcess("--redis", self.valkey.url, env=env)

    def owner(self, room: str) -> str:
        """Which of them owns the room: `a`, `b`, or "" for nobody."""
        answer = self.valkey.command("GET", f"{{s{shard_of(room)}}}:owner").decode().split("\r\n")
        return holder_of(answer[1])[:1] if answer[0] != "$-1" else ""

    def room(self, owner: str) -> str:
        """A new room's name that `owner` is the owner of."""
        return next(name for n in numbers if self.owner(name := f"r{n}") == owner)

    async def settled(self, *alive: str) -> None:
        """Wait until these share all shards evenly."""
        wanted = " ".join(f"{name}:{256 // len(alive)}" for name in alive)
        end = time.monotonic() + 30
        while (dealt := self.valkey.command("EVAL", DEALT, "0").decode().split("\r\n")[1]) != wanted:
            assert time.monotonic() < end, dealt
            await asyncio.sleep(0.05)


DEALT = """
local dealt = {a = 0, b = 0}
for shard = 0, 255 do
  local name = string.sub(redis.call('GET', '{s' .. shard .. '}:owner') or '-', 1, 1)
  dealt[name] = (dealt[name] or 0) + 1
end
local said = {}
for _, name in ipairs({'a', 'b', 'f', '-'}) do
  if (dealt[name] or 0) > 0 then said[#said + 1] = name .. ':' .. dealt[name] end
end
return table.concat(said, ' ')
"""
"""How many shards each node owns; `f`: free, `-`: nobody's ever."""


@pytest.fixture(scope="module")
def pair(valkey_of_module: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both nodes up; each test leaves them so, the last one but for `b`."""
    made = Pair(valkey_of_module, str(tmp_path_factory.mktemp("archive") / "archive.db"))
    yield made
    for node in made.nodes.values():
        node.__exit__(None, None, None)


async def call(node: NodeProcess, method: str, path: str, **body: Any) -> dict[str, Any]:
    """One request to the control plane of a node."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, node.base + path, json=body, headers=DEV_KEY) as response,
    ):
        said: dict[str, Any] = await response.json()
        assert response.status < 300, said
        return said


async def shown(viewer: Outsider, text: str, *, within_s: float = 15) -> None:
    """Say it until it is shown: on the way through a change of owner it may have to be said again."""
    end = time.monotonic() + within_s
    cid = f"{text}-{next(numbers)}"
    while (answer := await viewer.ask(t="comment", cid=cid, text=text)).get("verdict") != "shown":
        assert time.monotonic() < end, answer
        await asyncio.sleep(0.1)


def sees(viewer: Outsider, text: str) -> bool:
    """Whether somebody was shown this."""
    return any(comment["text"] == text for comment in viewer.comments())


async def test_one_service(pair: Pair) -> None:
    """A viewer on one node is with those on the other: comments, resume, drops, counts and bans reach across."""
    a, b = pair.nodes["a"], pair.nodes["b"]
    await pair.settled("a", "b")
    room = pair.room("b")
    async with Outsider(a, room, "ann") as ann, Outsider(b, room, "bob") as bob:
        await shown(bob, "from b")
        await ann.until(lambda: sees(ann, "from b"))
        await shown(ann, "from a")
        await bob.until(lambda: sees(bob, "from a"))
        mine = next(n for n, m in enumerate(ann.said) if m["t"] == "ack")
        frame = next(n for n, m in enumerate(ann.said) if any(c["text"] == "from a" for c in m.get("comments", [])))
        assert mine < frame, "the answer comes before the frame, from wherever it comes"
        await ann.until(lambda: any(f.get("viewers", {}).get("users") == 2 for f in ann.frames), what="both counted")

        drop = await call(b, "POST", f"/v1/rooms/{room}/drops", title="t", kind="coupon", stock=5)
        await call(b, "POST", f"/v1/rooms/{room}/drops/{drop['id']}/open")
        opened_at = time.monotonic()
        won = await ann.ask(t="claim", cid="c1", drop=drop["id"])
        assert won["verdict"] == "won"
        await bob.until(lambda: left(bob, drop["id"]) == 4, within_s=5, what="one less, told by the owner to all")
        assert time.monotonic() - opened_at < 5
        again = await bob.ask(t="claim", cid="c1", drop=drop["id"])
        assert (again["verdict"], again["serial"]) == ("won", 2)

        await call(a, "POST", f"/v1/rooms/{room}/bans", user="bob")
        await bob.until(lambda: bob.closed, what="bob is out")
        assert bob.closed is not None
        assert bob.closed[0] == 4003
        at = ann.stream[-1]
        since = f"{at['epoch']}:{at['seq']}"
    async with Outsider(b, room, "cem") as cem, Outsider(b, room, "ann", since=since) as ann:
        assert ann.welcome["recovered"]
        assert await ann.ask(t="claim", cid="c1", drop=drop["id"]) == won, "to the letter, the receipt as well, from the other node"
        await shown(cem, "on")
        await ann.until(lambda: sees(ann, "on"))
        assert all(later["seq"] == n for n, later in enumerate(ann.frames, int(since.split(":")[1]) + 1))


@pytest.mark.parametrize("owner", ["a", "b"])
async def test_calls_are_answered_where_nobody_watches(pair: Pair, owner: str) -> None:
    """What a service or a viewer says over HTTP goes to any node, also to one that neither owns the room nor follows it."""
    await pair.settled("a", "b")
    room = pair.room(owner)
    await call(pair.nodes[owner], "PUT", f"/v1/rooms/{room}")
    await call(pair.nodes[owner], "POST", f"/v1/rooms/{room}/start")
    asked = {"cid": "once", "text": "from the shop"}
    first = {name: await call(node, "POST", f"/v1/rooms/{room}/comments", **asked) for name, node in pair.nodes.items()}
    assert first["a"]["verdict"] == "shown"
    assert first["a"] == first["b"], "the same id on another node is the same comment"
    for name, node in pair.nodes.items():
        headers = {"Authorization": f"Bearer {token(name)}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            for body, verdict in (({"t": "comment", "text": f"by {name}"}, "shown"), ({"t": "like", "n": 2}, "counted")):
                message = body | {"cid": next(f"m{n}" for n in numbers)}
                async with session.post(f"{node.base}/v1/rooms/{room}/messages", json=message) as answer:
                    assert (await answer.json())["verdict"] == verdict


def left(viewer: Outsider, drop: str) -> int | None:
    """What is left of a drop, as a viewer was told last."""
    told = [
        m["state"]["drops"][drop]["left"] for m in viewer.stream if "left" in (m.get("state", {}).get("drops") or {}).get(drop, {})
    ]
    return told[-1] if told else None


async def test_a_node_is_killed(pair: Pair) -> None:
    """Its rooms speak again from the other node, in a new epoch, without a hole, and what was said is kept. Its viewers go on at
    the other node from where they were, and are counted on the dead one no more. Once it is back it gets its share, in order.
    """
    a, b = pair.nodes["a"], pair.nodes["b"]
    await pair.settled("a", "b")
    lost, kept = pair.room("b"), pair.room("a")
    async with Outsider(a, lost, "ann") as ann, Outsider(a, kept, "cem") as cem:
        async with Outsider(b, kept, "bob") as bob:
            await shown(ann, "before")
            await shown(cem, "one")
            await bob.until(lambda: sees(bob, "one"))
            await cem.until(lambda: any(f.get("viewers", {}).get("users") == 2 for f in cem.frames), what="both counted")
            epoch = ann.welcome["epoch"]
            b.kill()
            await bob.until(lambda: bob.closed)
            since = f"{bob.stream[-1]['epoch']}:{bob.stream[-1]['seq']}"
        await shown(cem, "two")
        async with Outsider(a, kept, "bob", since=since) as again:
            assert again.welcome["recovered"]
            await again.until(lambda: sees(again, "two"))
            assert not sees(again, "one")
            assert all(frame["seq"] == n for n, frame in enumerate(again.frames, int(since.split(":")[1]) + 1))
            await cem.until(lambda: counted(cem) == 2, within_s=SILENT_S + 8, what="nobody is counted on the dead node")

        await ann.until(lambda: ann.welcome["epoch"] != epoch, within_s=SILENT_S + 8, what="new epoch")
        assert ann.welcome["reason"] == "epoch"
        assert [c["text"] for c in ann.welcome["recent"]] == ["before"]
        await shown(ann, "after")
        await pair.settled("a")
        await asyncio.to_thread(b.start)
        await pair.settled("a", "b")
        await shown(ann, "at last")
        assert ann.gaps() == cem.gaps() == []


def counted(viewer: Outsider) -> int | None:
    """How many connections the viewer was told of last."""
    told: list[int] = [frame["viewers"]["connections"] for frame in viewer.frames if "viewers" in frame]
    return told[-1] if told else None


async def test_the_owner_sleeps_and_wakes(pair: Pair) -> None:
    """While it sleeps another takes its rooms; awake, it says nothing more in them: there are never two voices."""
    a, b = pair.nodes["a"], pair.nodes["b"]
    await pair.settled("a", "b")
    room = pair.room("b")
    async with Outsider(a, room, "ann") as ann, Outsider(b, room, "bob") as bob:
        await shown(ann, "before")
        epoch = ann.welcome["epoch"]
        os.kill(b.pid, signal.SIGSTOP)
        try:
            await ann.until(lambda: ann.welcome["epoch"] != epoch, within_s=SILENT_S + 8, what="new epoch")
            await shown(ann, "meanwhile")
        finally:
            os.kill(b.pid, signal.SIGCONT)
        await shown(bob, "awake")
        await ann.until(lambda: sees(ann, "awake"))
        await pair.settled("a", "b")
        await shown(ann, "settled")
        await bob.until(lambda: sees(bob, "settled"))
        said: dict[tuple[str, int], Any] = {}
        for frame in [*ann.frames, *bob.frames]:
            assert said.setdefault((frame["epoch"], frame["seq"]), frame) == frame, "two voices"
        assert ann.gaps() == bob.gaps() == []
        texts = [comment["text"] for comment in ann.comments()]
        assert texts == ["before", "meanwhile", "awake", "settled"]


async def test_a_stop_in_order(pair: Pair) -> None:
    """SIGTERM: the other node has its rooms before anybody notices."""
    a, b = pair.nodes["a"], pair.nodes["b"]
    await pair.settled("a", "b")
    room = pair.room("b")
    async with Outsider(a, room, "ann") as ann:
        await shown(ann, "before")
        epoch = ann.welcome["epoch"]
        assert b.process
        b.process.send_signal(signal.SIGTERM)
        await shown(ann, "through")
        await ann.until(lambda: ann.welcome["epoch"] != epoch, what="new epoch")
        await shown(ann, "after")
        assert ann.gaps() == []
        assert [comment["text"] for comment in ann.comments()][-1] == "after"
        await asyncio.to_thread(b.process.wait, 20)
        assert b.process.returncode == 0
        await pair.settled("a")
