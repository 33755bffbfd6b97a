"""A process full of impatient people: a socket each, three clicks on a drop, some gifts and credits, and a journal of it all.

The third click repeats the first over a second connection at about the same time: a tab that is opened for it, or plain HTTP.

    python clicker.py CONFIG.json      (its fields: `Config`)

It says `{"joined": n}` on stdout when all are in, waits for a line on stdin, then lets them click at times drawn from the seed,
and says twenty times a second how many were told what. People behave as apps should: who gets no answer, `unavailable` or is
asked to wait, asks again with the same id; who loses the connection comes back. It ends when everybody is answered, or after
`patience_s`.

The sockets are made by hand (RFC 6455, JSON, masked with zeros), because 2,500 of them on half a core leave no room for more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import uvloop

from support.journal import Answer, Journal, Kind, fate_of
from support.node import DEV_KEY, token

ANSWER_S = 4.0
"""Every answer is promised within two; later it is as good as none."""
WAIT_MAX_S = 5.0
"""Whoever is left in doubt waits longer each time, up to this: 15,000 impatient clicks a second would be a fault of their own."""
HANDSHAKES_MAX = 48
"""At a time: beyond the listen backlog the kernel drops them and tries again a second later."""


@dataclass
class Config:
    """What to do. `users` are numbered from `first` on; every `gift_every`th gives a gift, every `credit_every`th gets coins."""

    ports: list[int]
    """Of the nodes: whoever loses one goes to the next."""
    room: str
    drop: str
    first: int
    users: int
    journal: str
    seed: int
    over_s: float
    patience_s: float
    gift_every: int = 10
    http_every: int = 10
    credit_every: int = 25
    hosts: list[str] = field(default_factory=list)
    """Address of each port; default: loopback."""


class Phone(asyncio.Protocol):
    """One person's socket. `answers`: what waits for an answer, by cid."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._buffer = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self.welcome: asyncio.Future[bool] = loop.create_future()
        self.lost = asyncio.Event()
        self.answers: dict[str, asyncio.Future[Answer | None]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to upgrade."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Parse what is whole; servers do not mask."""
        buffer = self._buffer + data if self._buffer else data
        at = 0
        if not self._upgraded:
            head, found, buffer = buffer.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            if b" 101 " not in head[:32]:
                self.drop()
                return
            self._upgraded = True
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(buffer[at + 2 : start], "big")
            if len(buffer) < start + size:
                break
            self._message(buffer[at] & 15, buffer[start : start + size])
            at = start + size
        self._buffer = buffer[at:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever it was
        """Nobody will be answered here any more."""
        self.lost.set()
        if not self.welcome.done():
            self.welcome.set_result(False)
        for waiting in self.answers.values():
            if not waiting.done():
                waiting.set_result(None)

    def _message(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self._send(payload, 10)
        elif opcode == 8:
            self.drop()
        elif b'"cid"' in payload:  # frames have none
            said = json.loads(payload)
            waiting = self.answers.get(said.get("cid"))
            if waiting is not None and not waiting.done():
                waiting.set_result(said)
        elif not self.welcome.done() and b'"welcome"' in payload[:40]:
            self.welcome.set_result(True)

    def say(self, message: dict[str, Any]) -> None:
        """One message."""
        self._send(json.dumps(message).encode(), 1)

    def _send(self, payload: bytes, opcode: int) -> None:
        size = len(payload)
        head = bytes([0x80 | opcode, 0x80 | size]) if size < 126 else bytes([0x80 | opcode, 0xFE]) + size.to_bytes(2, "big")
        if self._transport is not None:
            self._transport.write(head + b"\0\0\0\0" + payload)

    def drop(self) -> None:
        """Hang up without a word."""
        if self._transport is not None:
            self._transport.abort()


@dataclass
class Crowd:
    """Everybody in this process."""

    config: Config
    journal: Journal
    http: aiohttp.ClientSession
    chance: random.Random
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HANDSHAKES_MAX))
    counts: Counter[str] = field(default_factory=Counter)
    end: float = 0.0
    parent: int = field(default_factory=os.getppid)


class Person:
    """One of them: a phone that is kept connected, and a second connection for repeats."""

    def __init__(self, crowd: Crowd, user: str) -> None:
        self.crowd, self.user = crowd, user
        self._token = token(user)
        self._phone: Phone | None = None
        self._node = crowd.chance.randrange(len(crowd.config.ports))
        self._dialing = asyncio.Lock()

    async def phone(self) -> Phone:
        """The one that is kept connected, however often it takes."""
        async with self._dialing:
            if self._phone is None or self._phone.lost.is_set():
                self._phone = await self._dial()
            return self._phone

    async def _dial(self) -> Phone:
        config, loop = self.crowd.config, asyncio.get_running_loop()
        request = (
            f"GET /v1/rooms/{config.room}/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Protocol: livecast.v1.json\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        ).encode()
        while os.getppid() == self.crowd.parent:
            async with self.crowd.gate:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(10):
                        _, phone = await loop.create_connection(lambda: Phone(request), self._host, self._port)
                        if await phone.welcome:
                            return phone
                        phone.drop()
            self._node += 1
            await asyncio.sleep(self.crowd.chance.uniform(0.1, 0.5))
        sys.exit("whoever started this is gone")

    @property
    def _host(self) -> str:
        hosts = self.crowd.config.hosts
        return hosts[self._node % len(hosts)] if hosts else "127.0.0.1"

    @property
    def _port(self) -> int:
        return self.crowd.config.ports[self._node % len(self.crowd.config.ports)]

    # --- Asking -------------------------------------------------------------------------------------------------------
    async def insist(self, after_s: float, kind: Kind, cid: str, body: dict[str, Any], by: Callable[..., Any]) -> None:
        """Ask until there is an answer that time will not change."""
        crowd, loop = self.crowd, asyncio.get_running_loop()
        await asyncio.sleep(after_s)
        wait_s = 0.3
        while loop.time() < crowd.end:
            answer = await by(kind, cid, body)
            fate, code = fate_of(answer), (answer or {}).get("code", "")
            crowd.counts[fate] += 1
            if answer is not None and "verdict" in answer:
                crowd.counts[answer["verdict"]] += 1
                if fate == "ok" or answer["verdict"] in {"sold_out", "limit", "closed"}:
                    return
            crowd.counts[f"asked again: {code or (answer or {}).get('verdict', 'no answer')}"] += 1
            told_s = (answer or {}).get("retry_after_ms", 0) / 1000
            await asyncio.sleep(max(told_s, wait_s) * crowd.chance.uniform(0.7, 1.3))
            wait_s = min(1.6 * wait_s, WAIT_MAX_S)
        crowd.counts["gave up"] += 1

    async def by_phone(self, kind: Kind, cid: str, body: dict[str, Any]) -> Answer | None:
        """Over the socket that is kept."""
        return await self._by(await self.phone(), kind, cid, body)

    async def by_tab(self, kind: Kind, cid: str, body: dict[str, Any]) -> Answer | None:
        """Over a socket of its own."""
        tab = await self._dial()
        try:
            return await self._by(tab, kind, cid, body)
        finally:
            tab.drop()

    async def _by(self, phone: Phone, kind: Kind, cid: str, body: dict[str, Any]) -> Answer | None:
        n = self.crowd.journal.ask(kind, self.user, cid, body)
        waiting = phone.answers[cid] = asyncio.get_running_loop().create_future()
        phone.say({"t": kind, "cid": cid, **{name: value for name, value in body.items() if name != "value"}})
        answer: Answer | None = None
        with contextlib.suppress(TimeoutError):
            answer = await asyncio.wait_for(waiting, ANSWER_S)
        phone.answers.pop(cid, None)
        self.crowd.journal.told(n, answer)
        return answer

    async def by_http(self, kind: Kind, cid: str, body: dict[str, Any]) -> Answer | None:
        """Without a socket."""
        config = self.crowd.config
        base = f"http://{self._host}:{self._port}/v1"
        if kind == "credit":
            url, said, headers = f"{base}/wallets/{self.user}/credits", {"tx": cid, "amount": body["value"]}, DEV_KEY
        else:
            url, headers = f"{base}/rooms/{config.room}/messages", {"Authorization": f"Bearer {self._token}"}
            said = {"t": kind, "cid": cid, **{name: value for name, value in body.items() if name != "value"}}
        n = self.crowd.journal.ask(kind, self.user, cid, body)
        answer: Answer | None = None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self.crowd.http.post(url, json=said, headers=headers) as response:
                answer = await response.json()
        if answer is None:
            self._node += 1
        if answer is not None and kind == "credit" and "balance" in answer:
            answer = {"verdict": "credited", **answer}
        self.crowd.journal.told(n, answer)
        return answer

    def plan(self, number: int) -> list[Coroutine[Any, Any, None]]:
        """Three clicks: two ids on the phone, the first of them again over the other connection at about the same time."""
        config, chance = self.crowd.config, self.crowd.chance
        claim = {"drop": config.drop}
        at = chance.uniform(0, config.over_s)
        elsewhere = self.by_http if number % config.http_every == 0 else self.by_tab
        plan = [
            self.insist(at, "claim", "a", claim, self.by_phone),
            self.insist(at + chance.uniform(0, 0.3), "claim", "b", claim, self.by_phone),
            self.insist(at + chance.uniform(0, 0.3), "claim", "a", claim, elsewhere),
        ]
        if number % config.gift_every == 0:
            n, at = chance.randint(1, 9), chance.uniform(0, config.over_s)
            gift = {"gift": "rose", "n": n, "value": n}
            plan.append(self.insist(at, "gift", "g", gift, self.by_phone))
            plan.append(self.insist(at + chance.uniform(0.05, 0.5), "gift", "g", gift, self.by_tab))
        if number % config.credit_every == 0:
            credit = {"value": chance.randint(1, 500)}
            plan.append(self.insist(chance.uniform(0, config.over_s), "credit", f"t{number}", credit, self.by_http))
        return plan


def tell(**said: Any) -> None:
    """One line for whoever started us."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


async def run(config: Config) -> None:
    """Join, wait, click, end."""
    loop = asyncio.get_running_loop()
    with Journal(Path(config.journal)) as journal:
        connector, timeout = aiohttp.TCPConnector(limit=64), aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
            crowd = Crowd(config, journal, http, random.Random(config.seed))
            people = {n: Person(crowd, f"u{n}") for n in range(config.first, config.first + config.users)}
            await asyncio.gather(*(person.phone() for person in people.values()))
            tell(joined=len(people))
            await loop.run_in_executor(None, sys.stdin.readline)
            crowd.end = loop.time() + config.patience_s
            clicks = asyncio.gather(*(step for n, person in people.items() for step in person.plan(n)))
            while not clicks.done():
                tell(counts=crowd.counts)  # into a broken pipe, should the reader be gone: then we go too
                await asyncio.sleep(0.05)
            clicks.result()
            tell(counts=crowd.counts, done=True)


if __name__ == "__main__":
    uvloop.run(run(Config(**json.loads(Path(sys.argv[1]).read_text()))))
