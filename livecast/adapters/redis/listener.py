"""Hearing: one connection for all channels of a process that are at one server, which comes back by itself. `redis/ears.py` has one
of these for each server.

Not built on redis-py's `PubSub`: there, every task that subscribes may reconnect beside the one that reads. Here one task
owns the connection, the others say what they want and wait for the server's word.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

import msgspec
from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection

from livecast.adapters.redis.server import CONNECT_S, Command, RedisServer, pack
from livecast.facts import Observer, Trouble
from livecast.ports import Unavailable

Heard: TypeAlias = Callable[[bytes], None]

SILENCE_S = 2.0
"""A connection silent for so long is asked for a sign of life, and given up after as long again: a frozen server or a cut
network is noticed within 4 s, inside the 5 s in which everything is to be back."""
RETRY_MIN_S, RETRY_MAX_S = 0.05, 1.0
"""Pause between tries to connect, doubled each time, with jitter so that nodes do not come in step."""
TURN_MESSAGES = 64
"""Messages handled before others get a turn of the event loop: about 2 ms."""


class Listener:
    """Subscribes to sharded channels and hands over what is said there, in the order of each channel.

    What is said while the connection is down is lost: `on_gap` is told each channel that was heard before and is heard again.
    An outage is reported once, and so is its end.
    """

    def __init__(
        self, server: RedisServer, observer: Observer, on_gap: Callable[[str], None] | None = None, *, place: str = ""
    ) -> None:
        self._server = server
        self._place = place
        self._hung_up = asyncio.Event()
        self._observer = observer
        self._on_gap = on_gap
        self._cut: set[bytes] = set()
        """Channels that were heard when the connection broke, and are not again."""
        self._leaving: dict[bytes, asyncio.Future[None]] = {}
        """Channels that are heard until the server says that they are not any more."""
        self._wanted: dict[bytes, Heard] = {}
        self._confirmed: set[bytes] = set()
        self._awaited: dict[bytes, asyncio.Future[None]] = {}
        self._asked: Counter[bytes] = Counter()  # SSUBSCRIBEs under way: only the last one's answer confirms
        self._to_send: list[Command] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._troubled = False

    async def add(self, channels: Mapping[str, Heard]) -> None:
        """Hear these channels too. Returns once the server has confirmed them all.

        Raises `Unavailable` after the deadline; until they are dropped, the channels stay wanted all the same.
        """
        wanted = {name.encode(): heard for name, heard in channels.items()}
        self._wanted.update(wanted)
        self._task = self._task or asyncio.create_task(self._live())
        missing = [name for name in wanted if name not in self._confirmed]
        for name in missing:
            if name not in self._awaited:
                self._awaited[name] = asyncio.get_running_loop().create_future()
                self._subscribe(name)
        if missing:
            await asyncio.wait([self._awaited[name] for name in missing], timeout=self._server.deadline_s)
        if any(name in self._wanted and name not in self._confirmed for name in missing):
            raise Unavailable(f"the store did not confirm a subscription within {self._server.deadline_s} s")

    def drop(self, channels: Iterable[str]) -> None:
        """Hear these no more, from now on."""
        for channel in channels:
            name = channel.encode()
            self._cut.discard(name)
            left = self._leaving.pop(name, None)
            if self._wanted.pop(name, None) is not None:
                self._confirmed.discard(name)
                self._forget(name)
                if left is None:
                    self._send(("SUNSUBSCRIBE", name))

    async def leave(self, channels: Collection[str]) -> None:
        """Hear these no more, but all that was on its way. Returns when it was heard, or the deadline has passed."""
        waiting = []
        for channel in channels:
            name = channel.encode()
            if name in self._confirmed:
                waiting.append(self._leaving.setdefault(name, asyncio.get_running_loop().create_future()))
                self._send(("SUNSUBSCRIBE", name))
        if waiting:
            await asyncio.wait(waiting, timeout=self._server.deadline_s)
        self.drop(channels)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to hear."""
        return not self._wanted

    def hang_up(self) -> None:
        """Connect anew: what is at the other end is not who it was."""
        self._hung_up.set()

    async def close(self) -> None:
        """Hear nothing more."""
        for name in tuple(self._awaited):
            self._forget(name)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _subscribe(self, name: bytes) -> None:
        self._asked[name] += 1
        self._send(("SSUBSCRIBE", name))

    def _send(self, command: Command) -> None:
        self._to_send.append(command)
        self._wake.set()

    def _forget(self, name: bytes) -> None:
        if (waiting := self._awaited.pop(name, None)) is not None:
            waiting.cancel()

    async def _live(self) -> None:
        """Connect, and again and again."""
        loop = asyncio.get_running_loop()
        pause_s = RETRY_MIN_S
        while True:
            connection = self._server.listener(self._place)
            began = loop.time()
            self._hung_up.clear()
            try:
                async with asyncio.timeout(CONNECT_S):
                    await connection.connect()  # type: ignore[no-untyped-call]  # it has none
                self._start_over()
                async with asyncio.TaskGroup() as all_three:
                    all_three.create_task(self._write(connection))
                    all_three.create_task(self._read(connection))
                    all_three.create_task(self._until_hung_up())
            except* (redis_errors.RedisError, OSError) as errors:
                self._server.distrust()
                if not self.idle:  # a server that left the cluster may go
                    self._report(errors.exceptions[0])
            finally:
                self._cut |= self._confirmed
                self._confirmed.clear()
                self._all_left()
                await connection.disconnect(nowait=True)
            # A connection that is refused or cut at once is tried less and less often; one that lived is replaced at once.
            pause_s = RETRY_MIN_S if loop.time() - began > RETRY_MAX_S else min(2 * pause_s, RETRY_MAX_S)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter

    def _start_over(self) -> None:
        """On a new connection: nothing is confirmed, everything wanted is to be asked for."""
        self._to_send.clear()
        self._asked.clear()
        for name in self._wanted:
            self._subscribe(name)
        self._wake.set()

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            commands, self._to_send = self._to_send, []
            if commands:
                await connection.send_packed_command(pack(commands), check_health=False)

    async def _until_hung_up(self) -> None:
        await self._hung_up.wait()
        raise redis_errors.ConnectionError("the store's primary is another one now")

    async def _read(self, connection: AbstractConnection) -> None:
        asked, turn = False, 0
        while True:
            try:
                message = await connection.read_response(timeout=SILENCE_S, disconnect_on_error=False)
            except redis_errors.MovedError:  # the channel is elsewhere: it is looked for, and whoever looks takes it there
                self._server.distrust()
                continue
            if message is None:
                if asked:
                    raise redis_errors.ConnectionError(f"the server has said nothing for {2 * SILENCE_S:g} s")
                self._send(("PING",))
            asked = message is None
            if isinstance(message, list) and len(message) == 3:
                self._take(*message)
            turn += 1
            if turn % TURN_MESSAGES == 0:
                await asyncio.sleep(0)

    def _take(self, kind: bytes, name: bytes, body: bytes) -> None:
        if kind == b"smessage":
            self._hand_over(name, body)
        elif kind == b"ssubscribe":
            self._asked[name] -= 1
            if self._asked[name] <= 0 and name in self._wanted:
                self._confirm(name)
        elif kind == b"sunsubscribe":
            self._let_go(name)

    def _let_go(self, name: bytes) -> None:
        """The server has unsubscribed us: because we asked, or because the channel is not its own any more."""
        if (left := self._leaving.get(name)) is not None:
            if not left.done():
                left.set_result(None)
        elif name in self._confirmed:
            self._confirmed.discard(name)
            self._cut.add(name)
            self._server.distrust()

    def _confirm(self, name: bytes) -> None:
        del self._asked[name]
        self._confirmed.add(name)
        if (waiting := self._awaited.pop(name, None)) is not None and not waiting.done():
            waiting.set_result(None)
        if self._troubled and len(self._confirmed) == len(self._wanted):
            self._troubled = False
            self._observer.observe(Trouble("messages between nodes flow again", "redis", "", level="info"))
        if name in self._cut:
            self._cut.discard(name)
            if self._on_gap is not None:
                self._on_gap(name.decode())

    def _all_left(self) -> None:
        """The connection is gone: nothing is on its way any more."""
        for left in self._leaving.values():
            if not left.done():
                left.set_result(None)

    def _hand_over(self, name: bytes, body: bytes) -> None:
        heard = self._wanted.get(name)
        if heard is None:
            return
        try:
            heard(body)
        except msgspec.DecodeError as error:
            advice = "is a node of another version, or another program, publishing here?"
            self._observer.observe(Trouble(f"a message could not be read: {error}", name.decode(errors="replace"), advice))
        except Exception as error:  # noqa: BLE001 - a fault in one handler must not make the whole node deaf
            advice = "this is a bug: please report it with this line"
            self._observer.observe(Trouble(f"a handler raised {error!r}", name.decode(errors="replace"), advice, level="error"))

    def _report(self, error: BaseException) -> None:
        if not self._troubled:
            self._troubled = True
            advice = "messages between nodes are lost until it is back: check the server and the network to it"
            self._observer.observe(Trouble(f"the connection for messages broke: {error}", "redis", advice))
