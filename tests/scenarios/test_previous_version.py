"""The version before this one and this one on the same stores: one service while it is upgraded, and while that is taken back.

It runs against the last version in the history; `LIVECAST_PREVIOUS=COMMIT` runs it against any commit.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from livecast.core.nodes.membership import holder_of
from livecast.core.nodes.placement import SHARDS, shard_of
from support.node import DEV_KEY, NodeProcess
from support.outside import Outsider
from support.previous import environment_of, previous_commit

pytestmark = pytest.mark.timeout(300)

WITHIN_S = 60.0
"""For whatever another process has to bring about on a busy machine."""
numbers = count(1)


class Upgrade:
    """A node of the version before (`old`) and one of this (`new`), not started, and their stores."""

    def __init__(self, rooms: Any, ledger: Any, archive: Path, former: dict[str, str]) -> None:
        self._rooms = rooms
        self.ledger = ledger
        stores = ("--redis", rooms.url, "--ledger", ledger.url)
        own = {"LIVECAST_ARCHIVE__URL": f"sqlite:///{archive}", "LIVECAST_NODE__HEARTBEAT_MS": "250"}
        self.old = NodeProcess(*stores, env={**own, **former, "LIVECAST_NODE__ID": "old"})
        self.new = NodeProcess(*stores, env={**own, "LIVECAST_NODE__ID": "new"})

    def owner(self, room: str) -> str:
        """`old`, `new`, or "" for nobody."""
        answer = self._rooms.command("GET", f"{{s{shard_of(room)}}}:owner").decode().split("\r\n")
        return "" if answer[0] == "$-1" else holder_of(answer[1]).partition("-")[0]

    def room_of(self, owner: str) -> str:
        """A new room's name that `owner` is the owner of."""
        return next(name for n in numbers if self.owner(name := f"r{n}") == owner)

    async def settled(self, *alive: str) -> None:
        """Wait until these share all shards."""
        end = asyncio.get_running_loop().time() + WITHIN_S
        names = {f"r{n}" for n in range(3 * SHARDS)}
        places = {shard_of(name): name for name in names}
        while (owners := {self.owner(name) for name in places.values()}) != set(alive):
            assert asyncio.get_running_loop().time() < end, owners
            await asyncio.sleep(0.2)

    def close(self) -> None:
        """End what runs."""
        for node in (self.old, self.new):
            node.__exit__(None, None, None)


@pytest.fixture
def upgrade(crashable_valkey: Any, crashable_ledger: Any, tmp_path: Path) -> Iterator[Upgrade]:
    """Both nodes' logs are read for tracebacks at the end."""
    made = Upgrade(crashable_valkey, crashable_ledger, tmp_path / "archive.db", environment_of(previous_commit(), tmp_path))
    yield made
    made.close()


async def call(node: NodeProcess, method: str, path: str, **body: Any) -> Any:
    """One request to the control plane of a node."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, node.base + path, json=body or None, headers=DEV_KEY) as response,
    ):
        said = await response.json()
        assert response.status < 300, said
        return said


async def say(viewer: Outsider, text: str) -> str:
    """Say it until it is shown: on the way through a change of owner it may have to be said again. The `cid`."""
    end, cid = asyncio.get_running_loop().time() + WITHIN_S, f"{text}-{next(numbers)}"
    while (answer := await viewer.ask(t="comment", cid=cid, text=text)).get("verdict") != "shown":
        assert asyncio.get_running_loop().time() < end, answer
        await asyncio.sleep(0.2)
    return cid


async def money(viewer: Outsider, **message: Any) -> dict[str, Any]:
    """A claim or a gift, repeated by its `cid` until it is answered for good."""
    end = asyncio.get_running_loop().time() + WITHIN_S
    while (answer := await viewer.ask(**message)).get("code") == "unavailable":
        assert asyncio.get_running_loop().time() < end, answer
        await asyncio.sleep(0.2)
    return answer


async def hears(viewer: Outsider, text: str) -> None:
    """Wait until somebody was shown this."""
    await viewer.until(lambda: text in {c["text"] for c in viewer.comments()}, within_s=WITHIN_S, what=text)


async def sale(node: NodeProcess, room: str) -> str:
    """An open drop with codes."""
    drop = await call(node, "POST", f"/v1/rooms/{room}/drops", title="t", kind="coupon", stock=4)
    await call(node, "POST", f"/v1/rooms/{room}/drops/{drop['id']}/open")
    return str(drop["id"])


def same_frames(*viewers: Outsider) -> None:
    """What was sent twice was the same, frames follow each other, and some were sent to all."""
    said: dict[tuple[str, int], Any] = {}
    for viewer in viewers:
        assert viewer.gaps() == []
        for frame in viewer.frames:
            assert said.setdefault((frame["epoch"], frame["seq"]), frame) == frame, "two voices"
    assert set.intersection(*({(f["epoch"], f["seq"]) for f in viewer.frames} for viewer in viewers)), "nothing in common"


async def as_one(upgrade: Upgrade, owner: str) -> tuple[str, str]:
    """Both nodes are one service for a room that one of them owns: what is said, sold and given on one holds on the other."""
    old, new, room = upgrade.old, upgrade.new, upgrade.room_of(owner)
    async with Outsider(old, room, "ann") as ann, Outsider(new, room, "bob") as bob:
        await say(ann, f"from the old one, owned by {owner}")
        await hears(bob, f"from the old one, owned by {owner}")
        await say(bob, f"from the new one, owned by {owner}")
        await hears(ann, f"from the new one, owned by {owner}")
        await call(new, "PATCH", f"/v1/rooms/{room}", title="told by the new one")
        await ann.until(lambda: titles(ann)[-1:] == ["told by the new one"], within_s=WITHIN_S, what="title")
        await call(old, "PATCH", f"/v1/rooms/{room}", title="told by the old one")
        await bob.until(lambda: titles(bob)[-1:] == ["told by the old one"], within_s=WITHIN_S, what="title")

        drop = await sale(new if owner == "old" else old, room)
        for viewer in (ann, bob):
            await viewer.until(lambda viewer=viewer: drop in drops(viewer), within_s=WITHIN_S, what="drop")
        won, lot = await money(ann, t="claim", cid="c", drop=drop), await money(bob, t="claim", cid="c", drop=drop)
        assert {won["serial"], lot["serial"]} == {1, 2}
        rose = await money(ann, t="gift", cid=f"g-{room}", gift="rose", n=1)
        heart = await money(bob, t="gift", cid=f"g-{room}", gift="heart", n=1)
        assert (rose.get("verdict"), heart.get("verdict")) == ("sent", "sent"), (rose, heart)
        async with Outsider(new, room, "ann") as ann_there, Outsider(old, room, "bob") as bob_there:
            for there, first, gift in ((ann_there, won, rose), (bob_there, lot, heart)):
                again = await money(there, t="claim", cid="c", drop=drop)
                assert {name: again[name] for name in ("verdict", "serial", "code")} == {
                    name: first[name] for name in ("verdict", "serial", "code")
                }
                given = await money(there, t="gift", cid=f"g-{room}", gift="rose" if gift is rose else "heart", n=1)
                assert (given["verdict"], given["tx"], given["balance"]) == ("sent", gift["tx"], gift["balance"])
        await ann.until(lambda: len(gifts(ann)) == 2, within_s=WITHIN_S, what="both gifts")
        await bob.until(lambda: len(gifts(bob)) == 2, within_s=WITHIN_S, what="both gifts")
        same_frames(ann, bob)
    return room, drop


def titles(viewer: Outsider) -> list[str]:
    """Titles in the order they came."""
    return [m["state"]["title"] for m in viewer.stream if "title" in m.get("state", {})]


def drops(viewer: Outsider) -> set[str]:
    """Drops that were seen open."""
    shown = [m["state"]["drops"] or {} for m in viewer.stream if "drops" in m.get("state", {})]
    return {name for each in shown for name, drop in each.items() if drop and drop.get("state") == "open"}


def gifts(viewer: Outsider) -> set[str]:
    """Who was seen to give something."""
    return {gift["u"]["id"] for frame in viewer.frames for gift in frame.get("gifts", [])}


async def holds(node: NodeProcess, room: str, drop: str) -> None:
    """A node that has a room from the other one: what was said, won and given before is there, and repeats are answered so."""
    async with Outsider(node, room, "ann") as ann, Outsider(node, room, "bob") as bob:
        assert {c["u"]["id"] for c in ann.welcome["recent"]} >= {"ann", "bob"}
        serials = [(await money(viewer, t="claim", cid="c", drop=drop))["serial"] for viewer in (ann, bob)]
        assert sorted(serials) == [1, 2]
        assert (await money(ann, t="gift", cid=f"g-{room}", gift="rose", n=1))["verdict"] == "sent"
        text = f"goes on {next(numbers)}"
        await say(ann, text)
        await hears(bob, text)
        same_frames(ann, bob)


async def stopped(node: NodeProcess) -> None:
    """A node goes in good order."""
    assert node.process
    node.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(node.process.wait, WITHIN_S) == 0


async def audited(upgrade: Upgrade, environment: dict[str, str] | None = None) -> None:
    """The books agree."""
    command = [str(Path(sys.executable).with_name("livecast")), "audit", "--ledger", upgrade.ledger.url, "--config", "/dev/null"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_upgrade_and_way_back(upgrade: Upgrade) -> None:
    """The old one works; the new one comes beside it and they share the rooms; the old one goes; then it comes back, the new one
    goes, and the old one has everything, without a change of data.
    """
    old, new = upgrade.old, upgrade.new
    await asyncio.to_thread(old.start)
    await upgrade.settled("old")
    before = "before"
    async with Outsider(old, before, "ann") as ann, Outsider(old, before, "bob") as bob:
        first = await sale(old, before)
        for viewer in (ann, bob):
            await money(viewer, t="claim", cid="c", drop=first)
            await money(viewer, t="gift", cid=f"g-{before}", gift="rose" if viewer is ann else "heart", n=1)
            await say(viewer, f"said before {viewer is ann}")

    await asyncio.to_thread(new.start)
    await upgrade.settled("old", "new")
    rooms = [(before, first), await as_one(upgrade, "old"), await as_one(upgrade, "new")]

    await stopped(old)
    await upgrade.settled("new")
    for room, drop in rooms:
        await holds(new, room, drop)
    await audited(upgrade)

    await asyncio.to_thread(old.start)
    await upgrade.settled("old", "new")
    for room, drop in rooms:
        await holds(old, room, drop)
    await stopped(new)
    await upgrade.settled("old")
    for room, drop in rooms:
        await holds(old, room, drop)
    await audited(upgrade)
    assert "Traceback" not in old.log_text() + new.log_text()
