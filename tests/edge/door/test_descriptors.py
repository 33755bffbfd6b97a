"""No file descriptor left: an operator hears of it once, the process rests, and goes on as soon as there is one again."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from livecast.core.rules import RoomRules
from livecast.edge.rules import EdgeRules
from livecast.facts import NoDescriptor, Trouble
from support.house import House, until

SPARE = 10
"""Descriptors that the process has for connections."""
CALLERS = 40
LOOKS = 10
WAIT_S = 30.0


def say(**what: Any) -> None:
    """A line for whoever started this process."""
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


async def without_descriptors() -> None:
    """A node with next to none: it says its port, and then what it noticed once there were none for some looks."""
    house = House(EdgeRules(sweep_ms=20, http_connections_per_address=0), RoomRules())
    await house.open()
    lowest = os.dup(0)
    os.close(lowest)
    allowed = lowest + SPARE
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    say(port=house.port, allowed=allowed)
    await until(lambda: house.notes.of(NoDescriptor), "shortage", WAIT_S)
    began, cpu, looks = time.monotonic(), time.process_time(), len(house.notes.of(NoDescriptor)) + LOOKS
    await until(lambda: len(house.notes.of(NoDescriptor)) >= looks, "looks", WAIT_S)
    told = [(fact.what, fact.about, fact.advice, fact.level) for fact in house.notes.of(Trouble)]
    say(told=told, busy=(time.process_time() - cpu) / (time.monotonic() - began))
    await asyncio.Event().wait()


def healthy(port: int) -> bool:
    """Whether the node answers somebody who comes now."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
            caller.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            return caller.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def test_nobody_is_let_in_and_somebody_is_told() -> None:
    """Once, with the limit and what to raise, however often it is noticed; the loop does not spin; who comes later is let in."""
    tests = Path(__file__).parents[2]
    path = os.pathsep.join([str(tests), str(tests.parent)])
    callers: list[socket.socket] = []
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}) as node:
        assert node.stdout is not None
        try:
            begun: dict[str, Any] = json.loads(node.stdout.readline())
            callers += [socket.create_connection(("127.0.0.1", begun["port"]), timeout=WAIT_S) for _ in range(CALLERS)]
            said: dict[str, Any] = json.loads(node.stdout.readline())
            [(what, about, advice, level)] = said["told"]
            assert (what, level) == ("no file descriptor is left", "error")
            assert str(begun["allowed"]) in about
            assert "LimitNOFILE" in advice
            assert said["busy"] < 0.5
            assert not healthy(begun["port"])
            for caller in callers:
                caller.close()
            end = time.monotonic() + WAIT_S
            while not healthy(begun["port"]):
                assert time.monotonic() < end, "nobody is let in any more"
                time.sleep(0.02)
        finally:
            node.kill()


if __name__ == "__main__":
    uvloop.run(without_descriptors())
