"""One Redis or Valkey, and our connections to it: a bounded pool, scripts by digest, and errors in our own terms.

Built on the connections and pools of `redis.asyncio` rather than on its clients, because of what those do by themselves:

* they retry (with back-off, inside the call) where we must decide, with the same bytes and our own deadline;
* with a socket time-out they wrap every write in a task and every read in a timer. Here one deadline spans the whole exchange;
* they take a connection per command, and WAITAOF vouches only for what its own connection wrote.

A connection whose exchange was cut short, by deadline or cancellation, has answers under way that belong to nobody: it is
closed before it goes back to the pool, which connects it anew on next use. Each new connection is met first: it may be another
server than the last time, and what was found out about that one says nothing about this.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any, Final, TypeAlias

import hiredis
from msgspec import Struct
from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection

from livecast.adapters.redis.address import Address
from livecast.ports import StoreError, Unavailable

Argument: TypeAlias = bytes | str | int
Command: TypeAlias = Sequence[Argument]

CONNECT_S = 1.0
"""Bound of opening a connection: half of the deadline, so that one dead address leaves time for a second try."""
VERSION_MIN: Final = (7, 0)
"""Scripts that are refused as a whole came with Redis 7.0, and so did sharded pub/sub; every Valkey has both."""

#: Error codes of a server that may well do it later: starting, failing over, full, stuck in a script, or handing a slot over.
_PASSING = (
    *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "ASK", "MISCONF", "OOM", "NOREPLICAS", "BUSY", "UNBLOCKED"),
    "NOGOODREPLICAS",
)
_PASSING_TYPES = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ReadOnlyError,
    redis_errors.OutOfMemoryError,
    redis_errors.ClusterDownError,
    redis_errors.MasterDownError,
    redis_errors.TryAgainError,
    redis_errors.AskError,
)


class Script:
    """A Lua script of `livecast/adapters/redis/lua/`, called by its digest."""

    def __init__(self, name: str, keys: int) -> None:
        self.source = resources.files("livecast.adapters.redis").joinpath("lua", name).read_bytes()
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()
        self.keys = keys


class Met(Struct, frozen=True):
    """What a server says of itself to a new connection. `life`: its run id, another one after each start."""

    life: str
    primary: bool
    mode: str
    """`standalone`, `cluster` or `sentinel`."""


class NotFit(redis_errors.ConnectionError):
    """The server of a new connection is not as it has to be. `fault` is what callers get for it."""

    def __init__(self, message: str, fault: type[StoreError] = Unavailable) -> None:
        super().__init__(message)
        self.fault = fault


Meet: TypeAlias = Callable[["Node", AbstractConnection, Met], Awaitable[None]]
"""Called with every new connection of a node and what its server says of itself; raises `NotFit`."""
MakeSafe: TypeAlias = Callable[[AbstractConnection], Awaitable[None]]
"""What is to be done on the connection that wrote before anybody hears of it."""


class Habits(Struct, frozen=True):
    """How the nodes of one store are talked to."""

    connections_max: int
    meet: Meet
    make_safe: MakeSafe | None = None


class Node:
    """One server. `name` is unique among the nodes of its store."""

    def __init__(
        self, name: str, pool: BlockingConnectionPool, habits: Habits, questions: BlockingConnectionPool | None = None
    ) -> None:
        self.name = name
        self.life = ""
        """The run id of the server that was met last."""
        self._pool = pool
        self._questions = questions
        self._habits = habits
        self._closed = False
        pool.connection_kwargs["redis_connect_func"] = self._greet

    async def ask(self, *command: Argument) -> Any:
        """One command that anybody can answer, also who is not fit to keep anything. As `exchange`; a failure is raised."""
        (answer,) = await self._exchange(self._questions or self._pool, [command], safe=False)
        if isinstance(answer, Exception):
            raise answer if isinstance(answer, StoreError) else Unavailable(str(answer))
        return answer

    async def exchange(self, commands: Sequence[Command], *, safe: bool = True) -> list[Any]:
        """Send commands on one connection and read their answers. A command that failed has its exception for an answer.

        The deadline is the caller's. Raises `Unavailable` if the connection fails: then each may or may not have happened. With
        `safe` false nothing is waited for but the answers: for questions.
        """
        return await self._exchange(self._pool, commands, safe=safe)

    async def _exchange(self, pool: BlockingConnectionPool, commands: Sequence[Command], *, safe: bool) -> list[Any]:
        if self._closed:
            raise Unavailable("the connection to the store is closed")
        try:
            connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # its decorator hides the types
            try:
                await connection.send_packed_command(pack(commands))
                answers = [await _answer(connection) for _ in commands]
                if safe and self._habits.make_safe is not None:
                    await self._habits.make_safe(connection)
                return answers
            finally:
                # Shielded: a connection lost between two lists of the pool would be missing from it for good.
                await asyncio.shield(pool.release(connection))
        except (redis_errors.RedisError, OSError) as error:
            raise in_our_terms(error) from error

    def listener(self) -> AbstractConnection:
        """A connection outside the pool, not yet connected, for pub/sub."""
        connection: AbstractConnection = self._pool.connection_class(**self._pool.connection_kwargs)
        return connection

    async def let_go(self) -> None:
        """Idle connections are closed, others when they come back: what they talk to is not what it was."""
        await self._pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]  # it has none
        await self._pool.disconnect(inuse_connections=False)
        if self._questions is not None:
            await self._questions.disconnect(inuse_connections=True)

    async def close(self) -> None:
        """Let all connections go. Calls under way raise `Unavailable`."""
        self._closed = True
        await self._pool.disconnect(inuse_connections=True)
        if self._questions is not None:
            await self._questions.disconnect(inuse_connections=True)

    async def _greet(self, connection: AbstractConnection) -> None:
        await connection.on_connect()
        await connection.send_packed_command(pack([("INFO", "server"), ("INFO", "replication")]))
        said = [await connection.read_response(), await connection.read_response()]
        met = _met(b"\n".join(said).decode("utf-8", "replace"))
        await self._habits.meet(self, connection, met)


class OneWay:
    """Everything is in one place: a server, or whoever Sentinels say is the primary."""

    def __init__(self, node: Node) -> None:
        self.moved: list[Callable[[], None]] = []
        self._node = node

    def route(self, _key: str) -> str:
        """There is but one."""
        return ""

    def node(self, _name: str) -> Node:
        """... the same."""
        return self._node

    async def primaries(self) -> list[Node]:
        """... the same."""
        return [self._node]

    async def exchange(self, commands: Sequence[Command], *, safe: bool = True, follow: bool = True) -> list[Any]:
        """To that one."""
        del follow
        return await self._node.exchange(commands, safe=safe)

    def watch(self) -> None:
        """Nothing moves."""

    def distrust(self) -> None:
        """... the same."""

    async def close(self) -> None:
        """Let all connections go."""
        await self._node.close()


def _met(info: str) -> Met:
    fields = fields_of(info)
    return Met(
        life=fields.get("run_id", ""),
        primary=fields.get("role", "master") == "master",
        mode=fields.get("server_mode") or fields.get("redis_mode", "standalone"),
    )


def version_of(fields: dict[str, str]) -> str:
    """The version in a server's INFO: Valkey's own, or Redis'."""
    return fields.get("valkey_version") or fields.get("redis_version", "0.0")


def fields_of(info: str) -> dict[str, str]:
    """The lines of an INFO by their names."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in info.splitlines()) if value}


def connection_options(address: Address) -> dict[str, Any]:
    """What redis-py's connections to any server of the store are made with."""
    return {
        **address.login,
        **address.tls_options,
        "protocol": 2,  # a handshake less; push messages and maps would gain nothing here
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_S,
        "client_name": "livecast",
        **({"db": address.db} if address.db else {}),
    }


def blocking_pool(address: Address, connections_max: int, **where: Any) -> BlockingConnectionPool:
    """A pool for one server: `host` and `port`, or `path`."""
    kind = UnixDomainSocketConnection if "path" in where else SSLConnection if address.tls else Connection
    return BlockingConnectionPool(
        max_connections=connections_max,
        timeout=None,  # waiting for a connection is under our deadline like all else
        connection_class=kind,
        **where,
        **connection_options(address),
    )


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
    except (redis_errors.NoScriptError, redis_errors.MovedError) as error:
        return error
    except redis_errors.ResponseError as error:
        return in_our_terms(error)


def in_our_terms(error: Exception) -> StoreError:
    """`Unavailable` for what may pass by itself, `StoreError` for what will not."""
    if isinstance(error, NotFit):
        return error.fault(str(error))
    if isinstance(error, (OSError, *_PASSING_TYPES)) or str(error).startswith(_PASSING):
        return Unavailable(str(error) or type(error).__name__)
    return StoreError(str(error))
