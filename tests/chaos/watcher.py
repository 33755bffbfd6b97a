"""A process full of people who watch: thousands of sockets in several rooms, on several nodes, and a record of what they were told.

    python watcher.py CONFIG.json      (its fields: `Config`)

They behave as the client SDK does: who loses the connection comes back within `back_s` to the next node, and says up to where they
have seen everything. Some talk, a comment a second each, with the moment in its text. Each message is held against the one before
it on the same socket; what is wrong is told at the end, with how long frames and connections were away.

On stdin: `mark` begins to measure a fault, `end` ends everything. On stdout: `{"joined": n}` once all are in, then a line for
each `mark` and `end`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import sys
import time
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from chaos.clicker import HANDSHAKES_MAX, Phone
from support.node import token

EPOCH_SEQ = re.compile(rb'"epoch":"([^"]+)","seq":(\d+)')
"""Where a frame stands. What is not looked at is not parsed: 2,000 viewers get 10,000 frames a second."""
KIND = re.compile(rb'"t":"(\w+)"')
TRY_S = 10.0
TALK_EVERY_S = 1.0


@dataclass
class Config:
    """Who watches what. Viewers are dealt to the rooms in turn, and in each room to `homes` (numbers of nodes) in turn."""

    ports: list[int]
    rooms: list[str]
    viewers: int
    seed: int
    report: str
    first: int = 0
    hosts: list[str] = field(default_factory=list)
    """Address of each port; default: loopback."""
    homes: list[int] = field(default_factory=list)
    """Default: all nodes."""
    back_s: float = 3.0
    talkers: int = 4
    """Per room."""
    readers: int = 8
    """Per room: they parse what they get, for the time from hand to screen."""


class Screen(Phone):
    """One socket of one viewer."""

    def __init__(self, request: bytes, viewer: Viewer) -> None:
        super().__init__(request)
        self.viewer = viewer
        self.at: tuple[bytes, int] | None = None
        self.left: set[bytes] = set()
        """Epochs that are over, on this socket."""

    def _message(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self._send(payload, 10)
        elif opcode == 8:
            self.drop()
        elif (kind := KIND.search(payload, 0, 64)) is None:
            self.viewer.wrong("shape", f"a message without a kind: {payload[:80]!r}")
        elif kind[1] == b"frame":
            self._frame(payload)
        elif kind[1] == b"welcome":
            self._welcome(json.loads(payload))
        elif kind[1] == b"ack":
            self.viewer.crowd.acks += 1

    def _welcome(self, said: dict[str, Any]) -> None:
        viewer = self.viewer
        if said["room"] != viewer.room:
            viewer.wrong("cross-room", f"a welcome of {said['room']} in {viewer.room}")
        epoch = said["epoch"].encode()
        here = (epoch, said["seq"])
        if said["recovered"] and viewer.at != here:  # what was missed comes behind it, from where we were
            viewer.wrong("gap", f"recovered {viewer.room} at {here}, and was at {viewer.at}")
        self._arrive(here)
        if not self.welcome.done():
            self.welcome.set_result(True)
            viewer.came(recovered=said["recovered"])

    def _frame(self, payload: bytes) -> None:
        viewer = self.viewer
        found = EPOCH_SEQ.search(payload)
        if found is None:
            viewer.wrong("shape", f"a frame without a place: {payload[:80]!r}")
            return
        epoch, seq = found[1], int(found[2])
        if self.at is None or epoch != self.at[0]:
            what = "fencing" if epoch in self.left else "cross-room"
            viewer.wrong(what, f"a frame of epoch {epoch.decode()} in {viewer.room}, which is at {self.at}")
        elif seq != self.at[1] + 1:
            viewer.wrong("gap", f"{viewer.room} went from {epoch.decode()}:{self.at[1]} to {seq} without a word")
        self._arrive((epoch, seq))
        viewer.saw(epoch, seq, payload)

    def _arrive(self, at: tuple[bytes, int]) -> None:
        if self.at is not None and self.at[0] != at[0]:
            self.left.add(self.at[0])
            if at[0] in self.left:
                self.viewer.wrong("fencing", f"{self.viewer.room} is back in epoch {at[0].decode()}, which was over")
        self.at = self.viewer.at = at


class Viewer:
    """One person: a socket that is kept, and where they are."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        config = crowd.config
        self.crowd, self.number = crowd, number
        self.room = config.rooms[number % len(config.rooms)]
        in_room = number // len(config.rooms)
        self.reads, self.talks = in_room < config.readers, in_room < config.talkers
        self.at: tuple[bytes, int] | None = None
        homes = config.homes or list(range(len(config.ports)))
        self.node = homes[in_room % len(homes)]
        self.screen: Screen | None = None
        self.last_s = 0.0
        self.silence_s = 0.0
        """Longest time without a frame since the mark."""
        self.lost_s: list[float] = []
        self.back_s: list[float] = []
        self.recovered = 0
        self._token = token(f"w{number}")

    async def watch(self) -> None:
        """Stay in the room, whatever happens."""
        while True:
            self.screen = screen = await self._dial()
            await screen.lost.wait()
            if self.crowd.over:
                return
            self.lost_s.append(time.monotonic())
            self.node = (self.node + 1) % len(self.crowd.config.ports)
            await asyncio.sleep(self.crowd.chance.uniform(0, self.crowd.config.back_s))

    async def _dial(self) -> Screen:
        config, loop = self.crowd.config, asyncio.get_running_loop()
        while True:
            host = config.hosts[self.node] if config.hosts else "127.0.0.1"
            port = config.ports[self.node]
            since = f"?since={self.at[0].decode()}:{self.at[1]}" if self.at else ""
            request = (
                f"GET /v1/rooms/{self.room}/ws{since} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                f"Sec-WebSocket-Protocol: livecast.v1.json\r\nAuthorization: Bearer {self._token}\r\n\r\n"
            ).encode()
            async with self.crowd.gate:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(TRY_S):
                        _, screen = await loop.create_connection(partial(Screen, request, self), host, port)
                        if await screen.welcome:
                            return screen
                        screen.drop()
            self.node = (self.node + 1) % len(config.ports)
            await asyncio.sleep(self.crowd.chance.uniform(0.05, 0.4))

    def came(self, *, recovered: bool) -> None:
        """A welcome is here."""
        if len(self.lost_s) > len(self.back_s):
            self.back_s.append(time.monotonic())
            self.recovered += recovered

    def saw(self, epoch: bytes, seq: int, payload: bytes) -> None:
        """A frame is here."""
        now = time.monotonic()
        self.silence_s = max(self.silence_s, now - self.last_s)
        self.last_s = now
        crowd = self.crowd
        crowd.frames += 1
        crowd.version(self, epoch, seq, payload)
        if self.reads and b'"comments"' in payload:
            for comment in json.loads(payload).get("comments", ()):
                room, _, moment = comment["text"].partition(" ")
                if room != self.room:
                    self.wrong("cross-room", f"a comment of {room} in {self.room}")
                crowd.latencies.append((now, now - float(moment), self.node))

    def wrong(self, what: str, detail: str) -> None:
        """A promise is broken."""
        self.crowd.violations.append(f"{what}: w{self.number}: {detail}")

    async def talk(self) -> None:
        """A comment a second."""
        await asyncio.sleep(self.crowd.chance.uniform(0, TALK_EVERY_S))
        while not self.crowd.over:
            if self.screen is not None and not self.screen.lost.is_set():
                self.screen.say({"t": "comment", "cid": f"{time.monotonic_ns()}", "text": f"{self.room} {time.monotonic():.4f}"})
            await asyncio.sleep(TALK_EVERY_S * self.crowd.chance.uniform(0.9, 1.1))


class Crowd:
    """Everybody in this process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.chance = random.Random(config.seed)
        self.gate = asyncio.Semaphore(HANDSHAKES_MAX)
        self.viewers = [Viewer(self, config.first + n) for n in range(config.viewers)]
        self.over = False
        self.frames = self.acks = 0
        self.violations: list[str] = []
        self.latencies: list[tuple[float, float, int]] = []
        self.versions: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
        """Room -> place of a frame -> what it looked like, and when it was seen first."""
        self.marked_s = 0.0
        self.parent = os.getppid()

    def version(self, viewer: Viewer, epoch: bytes, seq: int, payload: bytes) -> None:
        """All viewers of a room are told the same."""
        looks, place = zlib.crc32(payload), f"{epoch.decode()}:{seq}"
        if self.versions[viewer.room].setdefault(place, (looks, time.monotonic()))[0] != looks:
            viewer.wrong("two versions", f"{place} of {viewer.room} is not the same for all")

    def mark(self) -> None:
        """A fault begins."""
        self.marked_s = time.monotonic()
        for viewer in self.viewers:
            viewer.silence_s, viewer.last_s = 0.0, max(viewer.last_s, self.marked_s - 1)
            viewer.lost_s, viewer.back_s, viewer.recovered = [], [], 0
        self.latencies.clear()

    def report(self) -> None:
        """Write everything down."""
        now = time.monotonic()
        viewers = [
            {
                "room": viewer.room,
                "silence_s": max(viewer.silence_s, now - viewer.last_s),
                "lost": viewer.lost_s,
                "back": viewer.back_s,
                "recovered": viewer.recovered,
            }
            for viewer in self.viewers
        ]
        report = {
            "marked_s": self.marked_s,
            "frames": self.frames,
            "acks": self.acks,
            "violations": self.violations[:1000],
            "versions": self.versions,
            "latencies": self.latencies,
            "viewers": viewers,
        }
        Path(self.config.report).write_text(json.dumps(report))


def tell(**said: Any) -> None:
    """One line for whoever started us."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


async def run(config: Config) -> None:
    """Join, watch, end."""
    loop, crowd = asyncio.get_running_loop(), Crowd(config)
    watching = [loop.create_task(viewer.watch()) for viewer in crowd.viewers]
    while not all(viewer.screen is not None for viewer in crowd.viewers):
        assert os.getppid() == crowd.parent, "whoever started this is gone"
        await asyncio.sleep(0.05)
    talking = [loop.create_task(viewer.talk()) for viewer in crowd.viewers if viewer.talks]
    tell(joined=len(crowd.viewers))
    while (said := (await loop.run_in_executor(None, sys.stdin.readline)).strip()) == "mark":
        crowd.mark()
        tell(marked=crowd.marked_s)
    crowd.over = True
    crowd.report()
    tell(ended=said or "eof")
    for task in (*watching, *talking):
        task.cancel()
    for viewer in crowd.viewers:
        if viewer.screen is not None:
            viewer.screen.drop()
    await asyncio.gather(*watching, *talking, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(run(Config(**json.loads(Path(sys.argv[1]).read_text()))))
