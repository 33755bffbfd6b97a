"""Finding the primary that Sentinels know by a name, and noticing when it is another one.

redis-py's pool asks for the address whenever it connects. Two things are added. Sentinels are asked all at once and the newest
configuration is believed: asked one after the other, as redis-py does, one that is frozen holds up a fail-over, and one that
was cut off together with the old primary still names that. And they are asked every second, because an old primary that was
cut off from its Sentinels, but not from us, would go on taking what we write.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff

from livecast.adapters.redis.address import Address, Place
from livecast.adapters.redis.node import Habits, Node, NotFit, OneWay, connection_options, in_our_terms
from livecast.ports import StoreError

ASK_S: Final = 0.3
"""How long a Sentinel may take to answer: it has nothing else to do. All in all within one money call's 0.8 s."""
WATCH_S: Final = 1.0
"""How often Sentinels are asked whether the primary is still the same. A fail-over takes them some three seconds."""


class Sentinels(Sentinel):
    """The Sentinels of one store."""

    def __init__(self, address: Address) -> None:
        options: dict[str, Any] = {
            **address.tls_options,
            **address.sentinel_login,
            "ssl": address.tls,
            "protocol": 2,
            "socket_timeout": ASK_S,
            "socket_connect_timeout": ASK_S,
            "retry": Retry(NoBackoff(), 0),
            "client_name": "livecast",
        }
        self._asked: set[asyncio.Task[Any]] = set()
        super().__init__(address.places, sentinel_kwargs=options)  # type: ignore[no-untyped-call]  # it has none

    async def discover_master(self, service_name: str) -> Place:
        """Where the primary is, by the newest configuration that any of them has. Asks until more than half have answered.

        Raises `MasterNotFoundError` if none answers or a fail-over is under way, `NotFit` if they do not know the name.
        """
        newest = await self.describe(service_name)
        if newest["is_odown"]:
            raise MasterNotFoundError(f"the Sentinels say that {newest['ip']}:{newest['port']} is down, and have no other yet")
        return newest["ip"], int(newest["port"])

    async def describe(self, service_name: str) -> dict[str, Any]:
        """What they say of the primary. Raises as `discover_master` does."""
        asked = [asyncio.create_task(self._ask(each, service_name)) for each in self.sentinels]
        self._asked.update(asked)  # those that are not waited for end by their own deadline: cut off, they would leave sockets open
        states: list[dict[str, Any]] = []
        faults: list[Exception] = []
        for answer in asyncio.as_completed(asked):
            found = await answer
            if isinstance(found, Exception):
                faults.append(found)
            else:
                states.append(found)
            if 2 * len(states) > len(asked):
                break
        if not states:
            unknown = next((fault for fault in faults if isinstance(fault, redis_errors.ResponseError)), None)
            if unknown is not None:
                raise NotFit(f"the Sentinels know no primary by the name of {service_name} ({unknown})")
            raise MasterNotFoundError(f"no Sentinel answers ({'; '.join(map(str, faults))})")
        return max(states, key=lambda state: int(state["config-epoch"]))

    async def aclose(self) -> None:
        """Let all connections go."""
        await asyncio.gather(*self._asked)
        await super().aclose()

    async def _ask(self, sentinel: Any, service_name: str) -> dict[str, Any] | Exception:
        try:
            state: dict[str, Any] = await sentinel.sentinel_master(service_name)
        except (redis_errors.RedisError, OSError) as error:
            return error
        else:
            return state
        finally:
            if (task := asyncio.current_task()) is not None:
                self._asked.discard(task)


class SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """redis-py's pool of connections to the primary, made to wait when it is empty, and to give up those to a former primary."""

    async def release(self, connection: AbstractConnection) -> None:
        """Back into the pool. In use while the primary changed, it is closed."""
        if self.master_address is not None and (connection.host, connection.port) != self.master_address:  # type: ignore[attr-defined]
            connection.mark_for_reconnect()  # type: ignore[no-untyped-call]  # it has none
        await super().release(connection)


class SentinelWay(OneWay):
    """Every key is at the primary of the moment. `moved` are called when that becomes another one."""

    def __init__(self, address: Address, habits: Habits) -> None:
        self._sentinels = Sentinels(address)
        self._service = address.service
        kind = SentinelManagedSSLConnection if address.tls else SentinelManagedConnection
        self._pool = SentinelPool(  # type: ignore[no-untyped-call]  # it has none
            address.service,
            self._sentinels,
            max_connections=habits.connections_max,
            timeout=None,
            connection_class=kind,
            **connection_options(address),
        )
        super().__init__(Node("", self._pool, habits))
        self._watcher: asyncio.Task[None] | None = None

    async def described(self) -> dict[str, Any]:
        """What the Sentinels say of the primary. Raises `Unavailable`."""
        try:
            return await self._sentinels.describe(self._service)
        except redis_errors.RedisError as error:
            raise in_our_terms(error) from error

    def watch(self) -> None:
        """Begin to ask whether it is still the same, once."""
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """No more."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await super().close()
        with suppress(redis_errors.RedisError, OSError):
            await self._sentinels.aclose()

    async def _watch(self) -> None:
        known = self._pool.master_address
        while True:
            await asyncio.sleep(WATCH_S)
            with suppress(redis_errors.RedisError, OSError, StoreError):  # whoever needs the store says that it is not to be had
                found = await self._pool.get_master_address()  # type: ignore[no-untyped-call]  # it closes idle connections if it is new
                if known is not None and found != known:
                    await self._node.let_go()
                    for tell in self.moved:
                        tell()
                known = found
