"""The composition root: which parts make a node, in which order they start, and in which they stop.

Nothing is chosen anywhere else. What starts is put on a stack and stops in the opposite order, so a start that fails half-way
leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, TypeAlias

import click
import uvloop
from aiohttp import web

from livecast import __version__
from livecast.adapters.archive.store import SqlArchive, sqlite_url
from livecast.adapters.redis.bus import RedisBus
from livecast.adapters.redis.formats import RedisFormats
from livecast.adapters.redis.house import RedisHouseRules
from livecast.adapters.redis.idempotency import RedisIdempotency
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.log import RedisRoomLog
from livecast.adapters.redis.positions import RedisPositions
from livecast.adapters.redis.records import RedisRoomRecords
from livecast.adapters.redis.revoked import RedisRevokedKeys
from livecast.adapters.redis.roster import RedisRoster
from livecast.adapters.redis.webhooks import RedisWebhooks
from livecast.adapters.review_http import HttpJudge
from livecast.adapters.webhook_http import HttpSender
from livecast.archive import Archive
from livecast.core.money.gifts import catalogue_rev
from livecast.core.nodes.formats import Knows
from livecast.core.nodes.placement import SHARDS
from livecast.edge.access.keys import KeyRing
from livecast.edge.door.door import FrontDoor
from livecast.edge.door.doorman import Doorman
from livecast.edge.http.app import build_app
from livecast.edge.http.connection import http_connections
from livecast.edge.http.health import Health, MetricsPage
from livecast.edge.money.money import Money
from livecast.edge.money.receipts import KEY_FILE, BadReceiptKey, Receipts, kept_key, offered_key
from livecast.edge.node import Node
from livecast.edge.webhooks import WebhookDesk
from livecast.facts import Observer, RoomsHeld, ShardsHeld, Trouble, VersionsSeen
from livecast.house import HouseRules
from livecast.ledger import Ledger
from livecast.ops import logs
from livecast.ops.configuration.neighbours import Neighbours
from livecast.ops.configuration.reloading import Reloading, authenticator, money_rules
from livecast.ops.configuration.settings import Settings
from livecast.ops.configuration.source import Source
from livecast.ops.observers import LogObserver, Observers, PrometheusObserver
from livecast.ops.processes.place import Alone, Parts, Place
from livecast.ops.processes.process import (
    CannotListen,
    LagProbe,
    cores,
    listening_sockets,
    raise_file_limit,
    settle_memory,
    steady_clock,
    url_of,
)
from livecast.ops.processes.stopping import (
    ARCHIVE_S,
    CLOSE_HTTP_S,
    CLOSE_STORE_S,
    DRAIN_ROOMS_S,
    DRAIN_VIEWERS_S,
    DRAIN_WEBHOOKS_S,
    EXIT_FORMAT,
    StartFailed,
    later,
    unless,
)
from livecast.ops.revoking import Revoking
from livecast.ops.stores.opening import enter_rooms, ledger_store, patience, rooms_store
from livecast.ops.stores.probe import StoreProbe
from livecast.ports import Clock, RoomRecords, StoreError
from livecast.shard.archivist import Archivist, Retention
from livecast.shard.checkpointer import Checkpointer
from livecast.shard.formats import FormatWatch
from livecast.shard.house import House
from livecast.shard.ownership import Ownership, Tenant
from livecast.shard.position_keeper import PositionKeeper
from livecast.shard.reviewer import JudgeFailed, Reviewer
from livecast.shard.shards import Shards
from livecast.shard.treasury import Treasury
from livecast.shard.webhooks import WebhookOffice

#: What runs beside a node for as long as it does, given its address.
Beside: TypeAlias = Callable[[str], Coroutine[Any, Any, None]]

#: How long a start waits for the archive. SQLite answers in a tenth of it; a database that is away must not keep the rooms shut.
START_ARCHIVE_S: Final = 5.0

#: What every wallet begins with in development.
DEV_COINS: Final = 10_000


def run(settings: Settings, source: Source, beside: Beside | None = None) -> int:
    """Run a node in this process until SIGTERM or SIGINT; at SIGHUP it reads its settings from `source` again.

    The exit code: 0 after a clean stop, 1 if it could not start or `beside` failed, 4 if the stores need another version.
    """
    logs.configure(settings.log.format, settings.log.level)
    raise_file_limit()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, Alone(source), beside))
    except (StartFailed, CannotListen) as error:
        click.echo(f"livecast: {error}", err=True)
        return error.code if isinstance(error, StartFailed) else 1
    return 0


async def serve(settings: Settings, place: Place, beside: Beside | None = None) -> None:
    """Run a node until its place says stop. Raises `StartFailed`, `CannotListen`."""
    place.enter()
    expelled: list[str] = []
    listeners = listening_sockets(settings.server.host, settings.server.port, shared=place.shared)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(place.leave)
        for listener in listeners:
            stack.callback(listener.close)
        if not await unless(place.stop, _start(settings, stack, listeners, place, expelled)):
            return
        url = url_of(settings.server.host, listeners[0].getsockname()[1])
        place.begin(url)
        if beside is not None and not await unless(place.stop, beside(url)):
            return
        await place.stop.wait()
    if expelled:
        raise StartFailed(expelled[0], EXIT_FORMAT)


async def _start(  # noqa: PLR0915 - which parts there are, in the order in which they start
    settings: Settings, stack: AsyncExitStack, listeners: list[socket.socket], place: Place, expelled: list[str]
) -> None:
    """Start everything, from the store to the door. `expelled`: why the node stops by itself, should it. Raises `StartFailed`."""
    clock = steady_clock()
    prometheus = PrometheusObserver()
    log_observer = LogObserver(settings.log.level)
    observer = Observers([prometheus, log_observer])
    for advice in settings.advice if not place.shared else ():
        observer.observe(Trouble("configuration", "settings", advice))
    server = await rooms_store(settings, stack, observer)
    archived = settings.archive.url != "none"
    name = f"{settings.node.id}-{secrets.token_hex(6)}" if settings.node.id else secrets.token_hex(8)
    alone = not settings.redis.url  # a store of our own: nobody else is there, and nobody has to be watched
    roster = RedisRoster(server)
    formats = RedisFormats(server, "rooms")
    with patience(server):
        await enter_rooms(formats, None if alone else roster, name, settings)
    bus = RedisBus(server, observer)
    log = RedisRoomLog(server, record_bytes_max=settings.archive.backlog_bytes if archived else 0)
    later(stack, observer, log.close, CLOSE_STORE_S)
    later(stack, observer, bus.close, CLOSE_STORE_S)

    money_server = await ledger_store(settings, stack, observer)
    ledger = RedisLedger(money_server, opening=DEV_COINS if settings.dev else 0)
    later(stack, observer, ledger.close, CLOSE_STORE_S)

    shards = Shards(bus=bus, log=log, clock=clock, rules=settings.room, observer=observer)
    house_rules = RedisHouseRules(server)
    house = House(id=secrets.token_hex(8), rules=house_rules, bus=bus, clock=clock, observer=observer)
    shards.keep_to(house)
    if settings.review.url:
        shards.have_reviewed(_reviewer(settings, clock, stack, observer))
    treasury = Treasury(
        ledger=ledger, shards=shards, bus=bus, clock=clock, observer=observer, catalogue_rev=catalogue_rev(settings.gifts.catalogue)
    )
    webhooks = RedisWebhooks(money_server, settings.webhooks)
    sender = HttpSender(timeout_s=settings.webhooks.timeout_s, inside=settings.dev)
    later(stack, observer, sender.close, CLOSE_STORE_S)
    office = WebhookOffice(
        webhooks=webhooks,
        sender=sender,
        ledger=ledger,
        log=log,
        clock=clock,
        observer=observer,
        rules=settings.webhooks,
        read=treasury.read,
        pseudonym_of=house.pseudonym_then,
    )
    treasury.tell(office.feed)
    tenants: list[Tenant] = [treasury, office.feed]
    archive = archivist = None
    if archived:
        archive = SqlArchive(settings.archive.url or sqlite_url(settings.server.data_dir))
        later(stack, observer, archive.close, CLOSE_STORE_S)
        archivist = _archivist(settings, archive, RedisRoomRecords(server), ledger, treasury, clock, observer)
        observer.add(archivist)
        checkpointer = Checkpointer(
            archive=archive, ledger=ledger, readers=[webhooks.cursors, archivist.read_to], clock=clock, observer=observer,
        )  # fmt: skip
        tenants += [archivist, checkpointer]
        checkpointer.start(())
        stack.callback(checkpointer.stop)
    workers = cores() if settings.server.workers == "auto" else settings.server.workers
    with patience(server):
        receipts, key_apart = await _receipts(settings, house_rules)
    siblings = 2 * workers if place.shared else 1  # each may have a successor while it goes
    observer.add(Neighbours(settings, siblings, observer, key_apart=key_apart))
    ownership = Ownership(
        me=name, shards=shards, roster=roster, bus=bus, clock=clock, observer=observer, rules=settings.node,
        tenants=tenants, on_gone=treasury.look_for_half_done,
    )  # fmt: skip
    keys = KeyRing(settings.auth.api_keys)
    node = Node(
        id=name,
        clock=clock,
        bus=bus,
        log=log,
        authenticator=authenticator(settings, clock, observer),
        keys=keys,
        observer=observer,
        rules=settings.edge,
        room_rules=settings.room,
    )
    node.archive = archive
    place.furnish(node)
    Doorman(node, house)
    node.money = Money(node, ledger, receipts, treasury.ring, money_rules(settings))

    node.webhooks = WebhookDesk(webhooks, office.dispatcher.kick, settings.webhooks, inside=settings.dev)

    def count() -> PrometheusObserver:
        prometheus.observe(RoomsHeld(shards.owned, shards.active, len(node.views.hubs()), node.views.bytes))
        prometheus.publish()
        return prometheus

    keeper = None
    if settings.ledger.durability != "none":  # what may lose its entries at any time may stand anywhere
        keeper = PositionKeeper(ledger=ledger, positions=RedisPositions(server), observer=observer)
        node.money.closed = keeper.closed

    app = build_app(
        node,
        idempotency=RedisIdempotency(server),
        metrics=MetricsPage(place.page, settings.dev),
        readiness=partial(place.readiness, Health(node)),
    )
    http = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_HTTP_S / 4)  # it takes twice as long at worst
    await http.setup()
    later(stack, observer, http.cleanup, CLOSE_HTTP_S)
    revoking = Revoking(keys, settings.auth.api_keys, RedisRevokedKeys(server), observer)
    try:
        with patience(server):
            await revoking.refresh()
            await house.start()
            stack.callback(house.stop)
            await node.start()
            later(stack, observer, lambda: node.drain(place.stop.spread_ms), DRAIN_VIEWERS_S)
            if archivist is not None:
                # Before anybody can pay: a ledger that has lost entries is closed by what the archive knows of it.
                later(stack, observer, archivist.stop, ARCHIVE_S)
                if not await archivist.start(range(SHARDS) if alone else (), within_s=START_ARCHIVE_S):
                    advice = "until it answers, a ledger that came back without its end would not be noticed: look at [archive] url"
                    observer.observe(Trouble("the archive does not answer", "archive", advice, "error"))
            if keeper is not None:
                await keeper.start()
                stack.callback(keeper.stop)
            await _own(alone, shards, ownership, treasury, office, stack, observer)
    except StoreError as error:
        raise StartFailed(f"the store does not answer as it should: {error}") from error
    later(stack, observer, partial(office.drain, DRAIN_WEBHOOKS_S), 2 * DRAIN_WEBHOOKS_S)

    revoking.start()
    stack.callback(revoking.stop)
    probe = LagProbe(observer)
    probe.start()
    stack.callback(probe.stop)
    watch = FormatWatch(formats=formats, mine=Knows(), observer=observer, leave=partial(_leave, place, observer, name, expelled))
    watch.start()
    stack.callback(watch.stop)
    stores = StoreProbe({"rooms": server, "ledger": money_server}, keeper.closed if keeper else str, clock, observer)
    stores.start()
    later(stack, observer, stores.stop, CLOSE_STORE_S)
    reloading = Reloading(settings, node=node, shards=shards, revoking=revoking, log=log_observer)
    place.parts = Parts(observer, reloading, count)
    settle_memory()
    front = FrontDoor(node, http_connections(node, http.server))
    for listener in listeners:
        await front.listen(listener)
    stack.callback(front.close)
    stack.callback(setattr, node, "draining", True)  # from the first moment of a stop `/readyz` says so


def _reviewer(settings: Settings, clock: Clock, stack: AsyncExitStack, observer: Observer) -> Reviewer:
    """Who asks somebody outside about comments."""
    judge = HttpJudge(settings.review.url, JudgeFailed, connections_max=settings.review.in_flight_max)
    later(stack, observer, judge.close, CLOSE_STORE_S)
    reviewer = Reviewer(rules=settings.review, judge=judge, clock=clock, observer=observer)
    stack.callback(reviewer.stop)
    return reviewer


def _archivist(  # noqa: PLR0917 - what it reads, and whom it tells
    settings: Settings, archive: Archive, records: RoomRecords, ledger: Ledger, treasury: Treasury, clock: Clock, observer: Observer
) -> Archivist:
    """Who keeps the archive up; of new entries it hears from the treasury."""
    kept = Retention(settings.archive.chat_days, settings.archive.money_days, settings.archive.staff_days)
    archivist = Archivist(
        archive=archive, records=records, ledger=ledger, clock=clock, observer=observer, retention=kept, read=treasury.read,
    )  # fmt: skip
    treasury.listen(archivist.hear)
    return archivist


async def _own(  # noqa: PLR0917 - those who have to do with it
    alone: bool,
    shards: Shards,
    ownership: Ownership,
    treasury: Treasury,
    office: WebhookOffice,
    stack: AsyncExitStack,
    observer: Observer,
) -> None:
    """Own all shards, being alone with one's own store, or a share of them. Raises `StoreError`."""
    if alone:
        await shards.start()
        later(stack, observer, shards.drain, DRAIN_ROOMS_S)
        observer.observe(ShardsHeld(SHARDS, 1, 0))
        observer.observe(VersionsSeen({__version__: 1}))
    at_once = range(SHARDS) if alone else ()
    await treasury.start(at_once)
    stack.callback(treasury.stop)
    office.start(at_once)
    stack.callback(office.stop)
    if not alone:
        later(stack, observer, ownership.leave, DRAIN_ROOMS_S)
        await ownership.start()


def _leave(place: Place, observer: Observer, name: str, expelled: list[str], why: str) -> None:
    """A later version has raised the format of what is written while this node slept: stop, in order."""
    observer.observe(Trouble("this node must not go on", name, why, "error"))
    expelled.append(why)
    place.stop.set()


async def _receipts(settings: Settings, rules: HouseRules) -> tuple[Receipts, bool]:
    """What signs receipts, and whether other nodes on the same stores sign with another key.

    A receipt is part of the answer to a claim, and that is the same on whatever node it is asked for again: nodes that share a
    store take the key of the first of them, unless they have one from before.
    """
    try:
        if settings.ledger.receipt_key:
            return Receipts(settings.ledger.receipt_key), False
        if not settings.redis.url:
            return Receipts(kept_key(settings.server.data_dir)), False
        first = (await rules.secret("receipts", offered_key(settings.server.data_dir).encode())).decode()
        pem = kept_key(settings.server.data_dir, first)
        return Receipts(pem), pem != first
    except (OSError, BadReceiptKey) as error:
        where = f"{settings.server.data_dir}/{KEY_FILE}"
        raise StartFailed(f"receipts cannot be signed: {where}: {error}. Or give a key with [ledger] receipt_key") from error
    except StoreError as error:
        raise StartFailed(f"the store does not answer as it should: {error}") from error
