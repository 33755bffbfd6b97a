"""A store: one server, the primary that Sentinels name, or a cluster; shared by everything in this process that talks to it.

What lies below is in `redis/node.py` (one server and our connections), `redis/sentinel.py` and `redis/cluster.py`; how a store's
address is written in `redis/address.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection

from livecast.adapters.redis.address import Address, parse
from livecast.adapters.redis.cluster import ClusterWay
from livecast.adapters.redis.node import (
    CONNECT_S,
    VERSION_MIN,
    Argument,
    Command,
    Habits,
    Met,
    Node,
    NotFit,
    OneWay,
    Script,
    blocking_pool,
    fields_of,
    in_our_terms,
    pack,
    version_of,
)
from livecast.adapters.redis.sentinel import SentinelWay
from livecast.ports import StoreError, Unavailable

__all__ = ["CONNECT_S", "DEADLINE_S", "Argument", "Command", "RedisServer", "Script", "in_our_terms", "pack"]

DEADLINE_S = 2.0
"""Bound of every call. A viewer is told `unavailable` after 2 s, so nobody would hear a later answer."""
CONNECTIONS_MAX = 16
"""Connections per process and server: four pipelines of commits, one of messages, the rest for loads of rooms side by side. The
server runs one command at a time, so more would only queue there instead of here."""


class Way(Protocol):
    """How commands come to the servers of a store. `moved` are called when keys are somewhere else than before."""

    moved: list[Callable[[], None]]

    def route(self, key: str) -> str:
        """The name of the node that has a key; "" while that is not known."""

    def node(self, name: str) -> Node:
        """A node by its name."""

    async def primaries(self) -> list[Node]:
        """All nodes that have keys."""

    async def exchange(self, commands: Sequence[Command], *, safe: bool = True, follow: bool = True) -> list[Any]:
        """As `RedisServer.exchange`."""

    def watch(self) -> None:
        """Notice by itself when keys move, from now on."""

    def distrust(self) -> None:
        """Something speaks against what is known of where keys are."""

    async def close(self) -> None:
        """Let all connections go."""


class RedisServer:
    """A store by its address, in any of the forms of `redis/address.py`. Raises `BadAddressError` if it has none of them."""

    def __init__(self, url: str, *, connections_max: int = CONNECTIONS_MAX, deadline_s: float = DEADLINE_S) -> None:
        self.deadline_s = deadline_s
        self.address = parse(url)
        self.reborn: list[Callable[[str], None]] = []
        """Called with the name of a place where another process serves than before: a server was started again, or one behind
        Sentinels took over. (In a cluster the successor is another place: `moved`.)"""
        self._way = _way_to(self.address, Habits(connections_max, self._meet, self._make_safe if self._vouches else None))

    async def check(self) -> str:
        """The version of the oldest server, once all are fit for use. Raises `StoreError`, `Unavailable` if that may pass."""
        found = []
        for node, info in await self.everywhere("INFO", "server"):
            version = version_of(fields_of(str(info, "utf-8", "replace")))
            number = tuple(int(part) for part in version.split(".")[:2])
            if number < VERSION_MIN:
                raise StoreError(f"{node.name or 'the server'} is version {version}: livecast needs Redis 7.0 or any Valkey")
            found.append((number, version))
        return min(found)[1]

    async def run(self, *command: Argument) -> Any:
        """One command. Raises `Unavailable`, or `StoreError` if the server refuses the command itself."""
        return (await self.pipeline([command]))[0]

    async def everywhere(self, *command: Argument) -> list[tuple[Node, Any]]:
        """One command without a key, asked of every primary. Raises for the first that failed."""
        async with _deadline(self.deadline_s):
            nodes = await self._way.primaries()
            answers = await asyncio.gather(*(node.exchange([command], safe=False) for node in nodes))
        for (answer,) in answers:
            if isinstance(answer, Exception):
                raise answer
        return [(node, answer) for node, (answer,) in zip(nodes, answers, strict=True)]

    def another(self, host: str, port: int) -> Node:
        """A server of the store that keeps no keys by itself, such as a replica: to look at. Whoever asks for it closes it."""

        async def anybody(_node: Node, _connection: AbstractConnection, _met: Met) -> None:
            """Whatever it is."""

        return Node(f"{host}:{port}", blocking_pool(self.address, 1, host=host, port=port), Habits(1, anybody))

    async def run_at(self, node: Node, *command: Argument) -> Any:
        """One command without a key at one of `everywhere`'s nodes: to go on with what was begun there."""
        async with _deadline(self.deadline_s):
            (answer,) = await node.exchange([command], safe=False)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def pipeline(self, commands: Sequence[Command], *, follow: bool = True) -> list[Any]:
        """Several commands in one round trip, not atomic. Raises for the first that failed."""
        async with _deadline(self.deadline_s):
            answers = await self.exchange(commands, follow=follow)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def transact(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands as one (MULTI/EXEC): one moment's picture. All keys must be of one shard."""
        answers: list[Any] = (await self.pipeline([("MULTI",), *commands, ("EXEC",)]))[-1]
        for answer in answers:
            if isinstance(answer, redis_errors.ResponseError):
                raise in_our_terms(answer)
        return answers

    async def script(self, script: Script, *arguments: Argument) -> Any:
        """One call of a script: its keys, then its arguments."""
        async with _deadline(self.deadline_s):
            answer = (await self.run_script(script, [arguments]))[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run_script(self, script: Script, calls: Sequence[Command]) -> list[Any]:
        """Several calls of a script in one round trip, one more if the server does not know it (a restart or a fail-over
        forgets scripts). A failed call has its exception for an answer. The deadline is the caller's.
        """
        return await self.run_scripts([(script, call) for call in calls])

    async def run_scripts(self, calls: Sequence[tuple[Script, Command]]) -> list[Any]:
        """As `run_script`, each call with a script of its own."""
        commands: list[Command] = [("EVALSHA", script.digest, script.keys, *call) for script, call in calls]
        answers = await self.exchange(commands)
        unknown = [n for n, answer in enumerate(answers) if isinstance(answer, redis_errors.NoScriptError)]
        if unknown:
            loads: list[Command] = [("SCRIPT", "LOAD", source) for source in {calls[n][0].source for n in unknown}]
            again = await self.exchange([*loads, *(commands[n] for n in unknown)])
            for n, answer in zip(unknown, again[len(loads) :], strict=True):
                answers[n] = Unavailable(str(answer)) if isinstance(answer, redis_errors.NoScriptError) else answer
        return answers

    async def exchange(self, commands: Sequence[Command], *, follow: bool = True) -> list[Any]:
        """Send commands to where their keys are and read their answers; those for one server share a connection. A command that
        failed has its exception for an answer, also if its server was not to be reached and others were.

        The deadline is the caller's. Raises `Unavailable` if no connection held: then each may or may not have happened.
        """
        self._way.watch()
        return await self._way.exchange(commands, follow=follow)

    # --- Where things are ---------------------------------------------------------------------------------------------
    async def know(self) -> None:
        """Find out which servers there are, if that was not done. Raises `Unavailable`."""
        async with _deadline(self.deadline_s):
            await self._way.primaries()

    def route(self, key: str) -> str:
        """A name for the server that has a key: "" where there is but one, or while it is not known."""
        return self._way.route(key)

    def listener(self, name: str = "") -> AbstractConnection:
        """A connection to the server of that name, outside the pool and not yet connected, for pub/sub."""
        self._way.watch()
        return self._way.node(name).listener()

    @property
    def moved(self) -> list[Callable[[], None]]:
        """Called when keys are on another server than before."""
        return self._way.moved

    async def sentinels_say(self) -> dict[str, Any]:
        """What the Sentinels say of the primary, if there are any. Raises `Unavailable`."""
        return await self._way.described() if isinstance(self._way, SentinelWay) else {}

    def distrust(self) -> None:
        """Whoever waits for a server that says nothing may ask to look again where keys are."""
        self._way.distrust()

    async def close(self) -> None:
        """Let all connections go. Calls under way raise `Unavailable`."""
        await self._way.close()

    # --- For whoever asks more of a server ----------------------------------------------------------------------------
    @property
    def _vouches(self) -> bool:
        """Whether `_make_safe` does anything."""
        return False

    async def _make_safe(self, connection: AbstractConnection) -> None:
        """What is to be done on the connection that wrote before anybody hears of it: nothing, where fsync is all there is."""

    async def _meet(self, node: Node, _connection: AbstractConnection, met: Met) -> None:
        """Look at the server of a new connection. Raises `NotFit`."""
        if met.mode == "sentinel":
            raise NotFit("it is a Sentinel: write redis+sentinel://host,host,host/name with the name of the primary")
        if self.address.form == "cluster":
            if met.mode != "cluster":
                raise NotFit(f"{node.name} is a server of its own: write redis://{node.name}")
        elif met.mode == "cluster":
            raise NotFit("it is a node of a cluster: write redis+cluster://host,host,host")
        elif not met.primary:
            raise NotFit("it is a replica: give the address of its primary, or of the Sentinels that know it")
        was, node.life = node.life, met.life
        if was not in {"", met.life}:
            for tell in self.reborn:
                asyncio.get_running_loop().call_soon(tell, node.name)


def _way_to(address: Address, habits: Habits) -> Way:
    if address.form == "cluster":
        return ClusterWay(address, habits)
    if address.form == "sentinel":
        return SentinelWay(address, habits)
    if address.path:
        return OneWay(Node("", blocking_pool(address, habits.connections_max, path=address.path), habits))
    ((host, port),) = address.places
    return OneWay(Node("", blocking_pool(address, habits.connections_max, host=host, port=port), habits))


class _deadline:  # noqa: N801 - reads as a statement, like asyncio.timeout
    """`asyncio.timeout` that raises `Unavailable`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *raised: object) -> None:
        try:
            await self._timeout.__aexit__(*raised)  # type: ignore[arg-type]  # what Python hands over is what it takes
        except TimeoutError:
            raise Unavailable(f"no answer within {self._seconds} s") from None
