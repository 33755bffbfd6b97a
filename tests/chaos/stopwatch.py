"""A few people with a good watch: how long a word takes from one hand to the others' screens, whoever else is at work here.

    python stopwatch.py HOST PORT ROOM PEOPLE TALKERS REPORT      (ended by a line on stdin)

Thousands of viewers made in Python are busier than the service that they load: their own clocks tell how late *they* are. Here
the moment of arrival is the kernel's, stamped on the packet when the service wrote it, and the process does nothing else. Read
late, two frames may share the stamp of the later one: what is told is never too short. Moments are in the texts, in seconds of
the monotonic clock, as `watcher.py` has them; so whatever is said in the room is timed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import selectors
import socket
import struct
import sys
import time
from asyncio.subprocess import Process
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from support.node import token

SO_TIMESTAMPNS: Final = 35
"""Of Linux: ask for the kernel's time of arrival, and the kind of ancillary data that it comes in."""
SAID: Final = re.compile(rb'"text":"[\w-]+ (\d+\.\d+)"')
READY_WITHIN_S: Final = 60.0
PRIORITY: Final = -10
"""Where it may be had: reading early keeps stamps apart."""


class Word(NamedTuple):
    """A comment on somebody's screen: when (monotonic seconds), and how long it took."""

    at_s: float
    took_s: float


class Stopwatch:
    """`people` on one node, of whom `talkers` say a word a second, in turn. Use as an async context manager."""

    def __init__(self, base: str, room: str, directory: Path, *, people: int = 40, talkers: int = 36) -> None:
        host, port = base.removeprefix("http://").rsplit(":", 1)
        self._report = directory / "stopwatch.report"
        self._words = [host, port, room, str(people), str(talkers), str(self._report)]

    async def __aenter__(self) -> Self:
        env, pipe = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}, asyncio.subprocess.PIPE
        self._process: Process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, *self._words, stdin=pipe, stdout=pipe, env=env
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_WITHIN_S):
            assert await self._process.stdout.readline(), f"the stopwatch ended with {await self._process.wait()}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def end(self) -> list[Word]:
        """Stop; every word on every screen."""
        await self._process.communicate(b"\n")
        assert self._process.returncode == 0
        return [Word(*each) for each in json.loads(self._report.read_text())]


class Person:
    """One of them."""

    def __init__(self, host: str, port: int, room: str, number: int) -> None:
        self.room = room
        self.line = socket.create_connection((host, port))
        self.line.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.line.sendall(
            f"GET /v1/rooms/{room}/ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Protocol: livecast.v1.json\r\nAuthorization: Bearer {token(f's{number}')}\r\n\r\n".encode()
        )
        self.line.setblocking(False)
        self.left = b""

    def say(self) -> None:
        """A word, with the moment in it."""
        said = {"t": "comment", "cid": f"{time.monotonic_ns()}", "text": f"{self.room} {time.monotonic():.4f}"}
        payload = json.dumps(said).encode()
        self.line.send(bytes([0x81, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)

    def hear(self, ahead_s: float) -> list[Word]:
        """What is there. `ahead_s`: of the wall clock, on which the kernel stamps, before the monotonic one."""
        try:
            data, beside, _, _ = self.line.recvmsg(1 << 18, 256)
        except BlockingIOError:
            return []
        assert data, "the service hung up"
        stamps = (body for level, kind, body in beside if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS))
        seconds, ns = struct.unpack_from("@qq", next(stamps))
        at_s, whole = seconds + ns / 1e9 - ahead_s, self.left + data
        found = list(SAID.finditer(whole))
        self.left = whole[max(found[-1].end() if found else 0, len(whole) - 128) :]  # a word may be in two reads
        return [Word(at_s, at_s - float(each[1])) for each in found]


def main(crowd: list[Person], talkers: int, report: Path) -> None:
    """Talk and listen until told to stop."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    ahead_s, heard, turns = time.time() - time.monotonic(), list[Word](), 0
    due = time.monotonic()
    with selectors.DefaultSelector() as ready:
        ready.register(sys.stdin, selectors.EVENT_READ)
        for person in crowd:
            ready.register(person.line, selectors.EVENT_READ, person)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for key, _ in ready.select(max(0.0, due - time.monotonic())):
                if key.data is None:
                    report.write_text(json.dumps(heard))
                    return
                heard += key.data.hear(ahead_s)
            if time.monotonic() >= due:
                crowd[turns % talkers].say()
                turns, due = turns + 1, due + 1 / talkers


if __name__ == "__main__":
    _, place, door, where, people, talking, written = sys.argv
    main([Person(place, int(door), where, number) for number in range(int(people))], int(talking), Path(written))
