"""A node's stores, opened and looked at: those that are configured, or our own in the data directory. A stop shuts them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Final

from livecast.adapters.redis.address import without_password
from livecast.adapters.redis.formats import RedisFormats
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.roster import RedisRoster
from livecast.adapters.redis.server import RedisServer
from livecast.core.nodes.formats import Knows
from livecast.facts import Observer, Trouble
from livecast.ops.configuration.settings import Settings
from livecast.ops.processes.stopping import CLOSE_STORE_S, EXIT_FORMAT, STOP_VALKEY_S, StartFailed, later
from livecast.ops.stores.embedded import EmbeddedStoreError, EmbeddedValkey, Role
from livecast.ops.stores.holding import LedgerHolder
from livecast.ops.stores.valkey_binary import NoValkeyError
from livecast.ports import StoreError, WrongFormat
from livecast.shard.formats import enter, settle

START_CALL_S: Final = 10.0
"""What a call of the rooms' store may take while a node starts. Nobody waits for an answer yet, and a machine that starts many
things at once is slow: giving up after the 2 s of a node at work would only have somebody start it again."""


async def rooms_store(settings: Settings, stack: AsyncExitStack, observer: Observer) -> RedisServer:
    """The rooms' server: the configured one, or a Valkey of our own in the data directory. Raises `StartFailed`."""
    server = RedisServer(settings.redis.url or await _own_store(settings, "rooms", stack, observer))
    later(stack, observer, server.close, CLOSE_STORE_S)
    try:
        with patience(server):
            await server.check()
    except StoreError as error:
        where = without_password(settings.redis.url) or "the embedded Valkey"
        why = str(error).rstrip(".")
        raise StartFailed(f"{where} cannot be used: {why}. Check [redis] url, and that the server runs") from error
    return server


@contextmanager
def patience(server: RedisServer) -> Iterator[None]:
    """Within, a call of this store may take as long as one may while a node starts."""
    usual = server.deadline_s
    server.deadline_s = START_CALL_S
    try:
        yield
    finally:
        server.deadline_s = usual


async def enter_rooms(formats: RedisFormats, roster: RedisRoster | None, name: str, settings: Settings) -> None:
    """Come to the rooms' store, beside whoever is there. Raises `StartFailed`."""
    try:
        if roster is None:
            await settle("the rooms' store", formats, Knows())
        else:
            dead_after_s = settings.node.dead_after_ms / 1000
            await enter(me=name, formats=formats, roster=roster, mine=Knows(), dead_after_s=dead_after_s)
    except WrongFormat as error:
        raise StartFailed(str(error), EXIT_FORMAT) from error
    except StoreError as error:
        raise StartFailed(f"the store does not answer as it should: {error}") from error


async def ledger_store(settings: Settings, stack: AsyncExitStack, observer: Observer) -> LedgerServer:
    """The ledger's server: the configured one, or a Valkey of our own in the data directory.

    One that does not answer, or is not durable enough, keeps money closed and nothing else: it is looked at with every new
    connection, and money opens once it is as it should be. Raises `StartFailed`.
    """
    wanted = settings.ledger
    url = wanted.url or await _own_store(settings, "ledger", stack, observer)
    server = LedgerServer(url, durability=wanted.durability, replicas=wanted.replicas)
    later(stack, observer, server.close, CLOSE_STORE_S)
    try:
        await server.check()
    except StoreError as error:
        where = without_password(wanted.url) or "the embedded Valkey"
        advice = f"look at [ledger] url and at that server; everything else works meanwhile ({error})"
        observer.observe(Trouble("money is closed: the ledger cannot be used", where, advice, "error"))
    holder = LedgerHolder(server, url, observer)
    try:
        await holder.start()
    except WrongFormat as error:
        raise StartFailed(str(error), EXIT_FORMAT) from error
    later(stack, observer, holder.stop, CLOSE_STORE_S)
    return server


async def _own_store(settings: Settings, role: Role, stack: AsyncExitStack, observer: Observer) -> str:
    """The address of a Valkey that is started for this node."""
    valkey = EmbeddedValkey(settings.server.data_dir, role, observer)
    later(stack, observer, valkey.stop, STOP_VALKEY_S)
    try:
        return await valkey.start()
    except (EmbeddedStoreError, NoValkeyError) as error:
        raise StartFailed(str(error)) from error
