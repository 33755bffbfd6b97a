"""Our end of the wire to a Redis or Valkey: a bounded pool, deadlines, scripts by digest, and errors in our own terms.

Built on the connections of `redis.asyncio` rather than on its client, because of what that client does by itself:

* it retries (with back-off, inside the call) where we must decide, with the same bytes and our own deadline;
* with a socket time-out it wraps every write in a task and every read in a timer. Here one deadline spans the whole exchange.

A connection whose exchange was cut short, by deadline or cancellation, has answers under way that belong to nobody: it is
closed before it goes back to the pool, which connects it anew on next use.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final, TypeAlias

import hiredis
from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection

from livecast.ports import StoreError, Unavailable

Argument: TypeAlias = bytes | str | int
Command: TypeAlias = Sequence[Argument]

DEADLINE_S = 2.0
"""Bound of every call. A viewer is told `unavailable` after 2 s, so nobody would hear a later answer."""
CONNECT_S = 1.0
"""Bound of opening a connection: half of the deadline, so that one dead address leaves time for a second try."""
CONNECTIONS_MAX = 16
"""Connections per process: four pipelines of commits, one of messages, the rest for loads of rooms side by side. The server
runs one command at a time, so more would only queue there instead of here."""
VERSION_MIN: Final = (7, 0)
"""Sharded pub/sub and scripts that are refused as a whole came with Redis 7.0; every Valkey has both."""

#: Error codes of a server that may well do it later: starting, failing over, full, or stuck in a script.
_PASSING = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "OOM", "NOREPLICAS", "BUSY")
_PASSING_TYPES = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ReadOnlyError,
    redis_errors.OutOfMemoryError,
    redis_errors.ClusterDownError,
    redis_errors.MasterDownError,
    redis_errors.TryAgainError,
)


class Script:
    """A Lua script of `livecast/adapters/lua/`, called by its digest."""

    def __init__(self, name: str, keys: int) -> None:
        self.source = resources.files("livecast.adapters").joinpath("lua", name).read_bytes()
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()
        self.keys = keys


class RedisServer:
    """One server, shared by everything in this process that talks to it. `url` as redis-py reads it: `redis://`,
    `rediss://` or `unix://`.
    """

    def __init__(self, url: str, *, connections_max: int = CONNECTIONS_MAX, deadline_s: float = DEADLINE_S) -> None:
        self.deadline_s = deadline_s
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections_max,
            timeout=None,  # waiting for a connection is under our deadline like all else
            protocol=2,  # a handshake less; push messages and maps would gain nothing here
            socket_timeout=None,
            socket_connect_timeout=CONNECT_S,
            client_name="livecast",
        )
        self._closed = False

    async def check(self) -> str:
        """The server's version, once it is fit for use. Raises `StoreError` if it is too old or a cluster's, else
        `Unavailable`.
        """
        info = str(await self.run("INFO"), "utf-8", "replace")
        fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        version = fields.get("valkey_version") or fields.get("redis_version", "0.0")
        number = tuple(int(part) for part in version.split(".")[:2])
        if number < VERSION_MIN:
            raise StoreError(f"the server is version {version}: livecast needs Redis 7.0 or any Valkey")
        if fields.get("cluster_enabled") == "1":
            raise StoreError("the server runs in cluster mode, which this release does not support: use a single server")
        return version

    async def run(self, *command: Argument) -> Any:
        """One command. Raises `Unavailable`, or `StoreError` if the server refuses the command itself."""
        return (await self.pipeline([command]))[0]

    async def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands in one round trip, not atomic. Raises for the first that failed."""
        try:
            async with asyncio.timeout(self.deadline_s):
                answers = await self.exchange(commands)
        except TimeoutError:
            raise Unavailable(f"no answer within {self.deadline_s} s") from None
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
        try:
            async with asyncio.timeout(self.deadline_s):
                answer = (await self.run_script(script, [arguments]))[0]
        except TimeoutError:
            raise Unavailable(f"no answer within {self.deadline_s} s") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run_script(self, script: Script, calls: Sequence[Command]) -> list[Any]:
        """Several calls of a script in one round trip, one more if the server does not know it (a restart or a fail-over
        forgets scripts). A failed call has its exception for an answer. The deadline is the caller's.
        """
        commands: list[Command] = [("EVALSHA", script.digest, script.keys, *call) for call in calls]
        answers = await self.exchange(commands)
        unknown = [n for n, answer in enumerate(answers) if _is_unknown_script(answer)]
        if unknown:
            again = await self.exchange([("SCRIPT", "LOAD", script.source), *(commands[n] for n in unknown)])
            for n, answer in zip(unknown, again[1:], strict=True):
                answers[n] = answer
        return answers

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands on one connection and read their answers. A command that failed has its exception for an answer.

        The deadline is the caller's. Raises `Unavailable` if the connection fails: then each may or may not have happened.
        """
        if self._closed:
            raise Unavailable("the connection to the store is closed")
        try:
            connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # its decorator hides the types
            try:
                await connection.send_packed_command(pack(commands))
                answers = [await _answer(connection) for _ in commands]
                await self._make_safe(connection)
                return answers
            finally:
                # Shielded: a connection lost between two lists of the pool would be missing from it for good.
                await asyncio.shield(self._pool.release(connection))
        except (redis_errors.RedisError, OSError) as error:
            raise in_our_terms(error) from error

    async def _make_safe(self, connection: AbstractConnection) -> None:
        """What is to be done on the connection that wrote before anybody hears of it: nothing, where fsync is all there is."""

    def listener(self) -> AbstractConnection:
        """A connection outside the pool, not yet connected, for pub/sub."""
        connection: AbstractConnection = self._pool.connection_class(**self._pool.connection_kwargs)
        return connection

    async def close(self) -> None:
        """Let all connections go. Calls under way raise `Unavailable`."""
        self._closed = True
        await self._pool.disconnect(inuse_connections=True)


def pack(commands: Sequence[Command]) -> bytes:
    """Commands as bytes for the wire. By hiredis: redis-py's own way takes 20 times as long for the 26 arguments of a commit."""
    return b"".join([hiredis.pack_command(tuple(command)) for command in commands])  # type: ignore[arg-type]  # its stub says one argument


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except redis_errors.ReadOnlyError as error:
        # The primary became a replica: whoever comes next must look for the new one.
        connection.mark_for_reconnect()  # type: ignore[no-untyped-call]  # it has none
        return in_our_terms(error)
    except redis_errors.NoScriptError as error:
        return error
    except redis_errors.ResponseError as error:
        return in_our_terms(error)


def _is_unknown_script(answer: object) -> bool:
    return isinstance(answer, redis_errors.NoScriptError)


def in_our_terms(error: Exception) -> StoreError:
    """`Unavailable` for what may pass by itself, `StoreError` for what will not."""
    if isinstance(error, (OSError, *_PASSING_TYPES)) or str(error).startswith(_PASSING):
        return Unavailable(str(error) or type(error).__name__)
    return StoreError(str(error))
