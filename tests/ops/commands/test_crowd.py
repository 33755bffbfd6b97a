"""`livecast crowd` against a running node: people come, speak, are answered, and go."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from livecast.ops.asking import Node
from livecast.ops.commands.crowd import run_crowd
from support.node import NodeProcess

LIVECAST = str(Path(sys.executable).with_name("livecast"))


async def test_a_crowd_is_heard_and_counted(node: NodeProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """Everybody gets in, every comment gets its verdict, the watcher's tally agrees, and latency was measured."""
    status = await run_crowd(node.base, "crowd-1", viewers=30, rate=30, likes=100, duration_s=3.5, style="json", host=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert status == 0
    assert len(lines) >= 3
    assert max(line["connected"] for line in lines) >= 30
    last = lines[-1]
    assert last["end"] is True
    assert last["said"] > 40
    assert sum(last["verdicts"].values()) == last["said"]
    assert last["unanswered"] == 0
    assert last["tally"]["in"] <= last["said"]
    assert last["tally"]["in"] >= last["said"] - last["verdicts"].get("rate_limited", 0) - 5
    assert last["likes"] > 100
    assert 0 < last["latency_p50_ms"] <= last["latency_p99_ms"] < 5000


async def test_a_crowd_buys_what_there_is(node: NodeProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """With a sale on: the shelf is filled, coins and coupons move, and the node refuses nothing of it."""
    status = await run_crowd(
        node.base, "crowd-4", viewers=20, rate=5, likes=10, gifts=6, sale=True, host=True, duration_s=6, seed=3, style="json"
    )
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert status == 0
    assert last["bought"]["sent"] > 5
    assert last["refused"] == ""
    state = Node(node.base, None).json("GET", "/v1/rooms/crowd-4/snapshot")["state"]
    assert state["on_air"] == "jacket"
    assert len(state["products"]) == 5


async def test_people_click_on_the_drops_of_others(node: NodeProcess) -> None:
    """`--buy`: a drop that somebody else opened sells out; without it nobody touches it."""
    host = Node(node.base, None)
    for buy, left in ((False, 3), (True, 0)):
        room = f"crowd-5-{buy}"
        host.json("PUT", f"/v1/rooms/{room}", {})
        host.json("POST", f"/v1/rooms/{room}/start", {})
        drop = host.json("POST", f"/v1/rooms/{room}/drops", {"title": "t", "kind": "coupon", "stock": 3})["id"]
        crowd = run_crowd(node.base, room, viewers=20, rate=1, likes=1, buy=buy, duration_s=8, seed=3, quiet=True)
        people = asyncio.create_task(crowd)
        while not people.done() and host.json("GET", f"/v1/rooms/{room}/snapshot")["state"]["viewers"]["connections"] < 20:  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.05)  # who comes when it is open already does not click
        host.json("POST", f"/v1/rooms/{room}/drops/{drop}/open", {})
        assert await people == 0
        assert host.json("GET", f"/v1/rooms/{room}/drops/{drop}")["left"] == left


async def test_ctrl_c_ends_it_with_a_summary(node: NodeProcess) -> None:
    """A line a second where there is no terminal; SIGINT: everybody leaves, status 0."""
    process = await asyncio.create_subprocess_exec(
        LIVECAST, "crowd", "--room", "crowd-2", "--url", node.base, "--viewers", "10", stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout
    first = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    assert first.startswith("people=")
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert "crowd-2: left" in out.decode()
    assert err == b""


async def test_it_ends_with_whoever_holds_its_input(node: NodeProcess) -> None:
    """Started by another process it goes when that process does: its standard input ends."""
    process = await asyncio.create_subprocess_exec(
        LIVECAST, "crowd", "--room", "crowd-3", "--url", node.base, "--viewers", "3", "--quiet", "--until-eof",
        stdin=PIPE, stdout=PIPE, stderr=PIPE, env=os.environ,
    )  # fmt: skip
    assert process.stdin
    process.stdin.close()
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_without_a_node_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence and status 1."""
    assert await run_crowd("http://127.0.0.1:9", "r", viewers=1, connect_timeout_s=0.3) == 1
    assert "livecast crowd: no welcome from" in capsys.readouterr().err
