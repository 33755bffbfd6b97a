"""What `livecast check` finds when it looks at the configured stores, and what is wrong with that.

Nothing is changed there, and nothing is written. A problem is what keeps a node from starting or money from opening, or will lose
something one day; a hint is what costs time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct, field

from livecast.adapters.redis.address import without_password
from livecast.adapters.redis.formats import RedisFormats
from livecast.adapters.redis.node import Node, fields_of, version_of
from livecast.adapters.redis.roster import RedisRoster
from livecast.adapters.redis.server import RedisServer
from livecast.core.nodes.formats import Knows, fits, too_new, versions
from livecast.ops.configuration.settings import Settings
from livecast.ports import Roster, StoreError

Role: TypeAlias = Literal["redis", "ledger"]

DEADLINE_S: Final = 3.0
PINGS: Final = 5
SLOW_MS: Final = 5.0
"""A comment waits for one answer of the rooms' store, a claim for one of the ledger's: within a machine or a data centre it is
below 1 ms."""
FAIL_OVER_MS: Final = 5_000
"""What viewers are promised: back within so long."""
BEATS: Final = 2.5
"""A living node has shown another sign of life after so many of ours."""
CLOCK_MS: Final = 1_000
"""Drops open by both clocks, so one that is behind opens them late."""
_ASKED: Final = (
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "maxmemory-policy",
    "min-replicas-to-write",
    "cluster-node-timeout",
)


class Seen(Struct):
    """One server: what it says of itself. `config` is empty where it does not tell."""

    name: str
    info: dict[str, str]
    config: dict[str, str]
    took_ms: float
    clock_ms: float

    def line(self, what: str) -> str:
        """In one line."""
        shown = ("appendonly", "appendfsync", "maxmemory-policy")
        settings = [f"{key} {self.config[key]}" for key in shown if key in self.config]
        return ", ".join([f"{what} {self.name}".rstrip(), self._product(), f"{self.took_ms:.1f} ms", *settings])

    def _product(self) -> str:
        return f"{'Valkey' if 'valkey_version' in self.info else 'Redis'} {version_of(self.info)}"


class Look(Struct):
    """A store: who was seen there, what is wrong (`problems`), what could be better (`hints`)."""

    role: Role
    url: str
    seen: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    lives: frozenset[str] = frozenset()
    """Run ids of its primaries."""


async def look_at_stores(settings: Settings) -> list[Look]:
    """All that are configured; embedded ones are as they should be."""
    roles: tuple[tuple[Role, str], ...] = (("redis", settings.redis.url), ("ledger", settings.ledger.url))
    looks = list(await asyncio.gather(*(_look(settings, role, url) for role, url in roles if url)))
    if len(looks) == 2 and looks[0].lives & looks[1].lives and not settings.dev:
        looks[1].problems.append("it is the same server as [redis] url: the ledger needs one of its own")
    return looks


async def _look(settings: Settings, role: Role, url: str) -> Look:
    look = Look(role, without_password(url))
    server = RedisServer(url, deadline_s=DEADLINE_S)
    try:
        await server.check()
        primaries = [await _seen(node) for node, _ in await server.everywhere("PING")]
        look.lives = frozenset(each.info.get("run_id", "") for each in primaries)
        for primary in primaries:
            look.seen.append(primary.line("primary"))
            _judge(look, primary, settings, "")
            replicas = _replicas(primary.info)
            for host, port in replicas:
                await _look_at_replica(look, server, host, port, settings)
            judge_replicas(look, primary, len(replicas), settings, server.address.form)
        if server.address.form == "sentinel":
            await _look_at_sentinels(look, server)
        await _look_at_format(look, server)
        if role == "redis":
            await _look_at_nodes(look, RedisRoster(server), settings.node.heartbeat_ms)
    except (StoreError, TimeoutError) as error:
        look.problems.append(f"it cannot be used: {error or f'no answer within {DEADLINE_S:g} s'}")
    finally:
        await server.close()
    return look


async def _seen(node: Node) -> Seen:
    """Ask one server for everything. Raises `StoreError`, `TimeoutError`."""
    async with asyncio.timeout(DEADLINE_S):
        asked = time.time()
        (clock, *infos) = await node.exchange(
            [("TIME",), ("INFO", "server"), ("INFO", "replication"), ("INFO", "persistence"), ("INFO", "cluster")], safe=False
        )
        answered = time.time()
        took = [await _ping_ms(node) for _ in range(PINGS)]
        config: dict[str, str] = {}
        for name in _ASKED:
            (answer,) = await node.exchange([("CONFIG", "GET", name)], safe=False)
            if isinstance(answer, list) and len(answer) == 2:
                config[name] = answer[1].decode()
    for each in (clock, *infos):
        if isinstance(each, Exception):
            raise each
    ahead_ms = (int(clock[0]) + int(clock[1]) / 1e6 - (asked + answered) / 2) * 1000
    return Seen(node.name, fields_of("\n".join(each.decode("utf-8", "replace") for each in infos)), config, min(took), ahead_ms)


async def _ping_ms(node: Node) -> float:
    began = time.perf_counter()
    await node.exchange([("PING",)], safe=False)
    return (time.perf_counter() - began) * 1000


def _judge(look: Look, seen: Seen, settings: Settings, who: str) -> None:
    """What is wrong with one server. `who` is "" for a primary."""
    config, at = seen.config, f"{who}{seen.name}: " if seen.name or who else ""
    policy = config.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        look.problems.append(f"{at}maxmemory-policy is {policy}: a full server would throw away rooms or money. Set noeviction")
    if config.get("appendonly", "yes") != "yes":
        what = (
            "what is acknowledged is lost with a restart, so money stays closed"
            if look.role == "ledger"
            else "a restart loses all rooms"
        )
        look.problems.append(f"{at}appendonly is {config['appendonly']}: {what}. Set yes")
    elif look.role == "ledger" and settings.ledger.durability == "always":
        if "appendfsync" not in config:
            look.problems.append(f'{at}it does not tell its appendfsync: money opens with [ledger] durability = "external" only')
        elif config["appendfsync"] != "always":
            why = "every call would wait a second for it" if who else "what it acknowledges can be lost, so money stays closed"
            look.problems.append(f"{at}appendfsync is {config['appendfsync']}: {why}. Set always")
        elif config.get("no-appendfsync-on-rewrite", "no") != "no":
            why = "what it acknowledges while it rewrites its file can be lost, so money stays closed"
            look.problems.append(f"{at}no-appendfsync-on-rewrite is {config['no-appendfsync-on-rewrite']}: {why}. Set no")
    elif config.get("appendfsync") == "no":
        look.hints.append(f"{at}appendfsync is no: a loss of power costs half a minute of chat, with everysec a second")
    if seen.info.get("aof_last_write_status", "ok") != "ok":
        look.problems.append(f"{at}its last write to disk failed: is the disk full?")
    if seen.took_ms > SLOW_MS:
        look.hints.append(f"{at}it takes {seen.took_ms:.1f} ms to answer: bring it nearer to the nodes")
    if abs(seen.clock_ms) > CLOCK_MS:
        look.hints.append(
            f"{at}its clock is {abs(seen.clock_ms) / 1000:.1f} s {'ahead' if seen.clock_ms > 0 else 'behind'}: run an NTP client"
        )
    timeout_ms = int(config.get("cluster-node-timeout", "0"))
    if seen.info.get("cluster_enabled") == "1" and timeout_ms > FAIL_OVER_MS:
        look.hints.append(f"{at}cluster-node-timeout is {timeout_ms} ms: a fail-over takes longer than that. Set 2000")


def judge_replicas(look: Look, primary: Seen, online: int, settings: Settings, form: str) -> None:
    """What is wrong with how many there are, of whom so many are `online`."""
    wanted, at = settings.ledger.replicas, f"{primary.name}: " if primary.name else ""
    if look.role == "ledger" and online < wanted:
        look.problems.append(f"{at}{online} replicas are online, and [ledger] replicas wants {wanted}: money says unavailable")
    if look.role == "ledger" and form != "server" and 0 < wanted < online:
        why = "what another has not got is lost when that is promoted"
        look.problems.append(
            f"{at}{online} replicas can take over, and [ledger] replicas waits for {wanted}: {why}. Wait for all of them"
        )
    if look.role == "ledger" and wanted and int(primary.config.get("min-replicas-to-write", wanted)) < wanted:
        look.hints.append(f"{at}min-replicas-to-write is below {wanted}: set it, so that a primary alone refuses instead of taking")
    if look.role == "ledger" and form != "server" and not wanted and settings.ledger.durability == "always":
        look.problems.append("a fail-over can lose what was acknowledged: set [ledger] replicas = 1")
    if form != "server" and not online:
        look.problems.append(f"{at}it has no replica: nobody takes over when it fails")


async def _look_at_replica(look: Look, server: RedisServer, host: str, port: int, settings: Settings) -> None:
    node = server.another(host, port)
    try:
        seen = await _seen(node)
    except (StoreError, TimeoutError) as error:
        look.hints.append(f"replica {host}:{port} could not be looked at: {error or f'no answer within {DEADLINE_S:g} s'}")
        return
    finally:
        await node.close()
    look.seen.append(seen.line("  replica"))
    _judge(look, seen, settings, "replica ")


def _replicas(info: dict[str, str]) -> list[tuple[str, int]]:
    """Replicas that are in step, from INFO's `slave0:ip=…,port=…,state=online,…`."""
    found = []
    for n in range(int(info.get("connected_slaves", "0"))):
        said = dict(pair.split("=", 1) for pair in info.get(f"slave{n}", "").split(",") if "=" in pair)
        if said.get("state") == "online":
            found.append((said["ip"], int(said["port"])))
    return found


async def _look_at_sentinels(look: Look, server: RedisServer) -> None:
    state: dict[str, Any] = await server.sentinels_say()
    sentinels, quorum = int(state["num-other-sentinels"]) + 1, int(state["quorum"])
    look.seen.append(f"{sentinels} Sentinels, {quorum} of which decide on a fail-over")
    if sentinels < 3:
        look.problems.append(f"there are {sentinels} Sentinels: with fewer than three, one that is gone leaves nobody to decide")
    if int(state["down-after-milliseconds"]) > FAIL_OVER_MS // 2:
        after_ms = state["down-after-milliseconds"]
        look.hints.append(f"the Sentinels wait {after_ms} ms before they take a primary for dead. Set down-after-milliseconds 1000")


async def _look_at_format(look: Look, server: RedisServer) -> None:
    mark = await RedisFormats(server, "rooms" if look.role == "redis" else "ledger").mark()
    if mark is None:
        return  # nobody was here yet
    look.seen.append(f"format {mark.reader}, as livecast {mark.since or '?'} writes it")
    if not fits(mark, Knows()):
        look.problems.append(too_new("it", mark, Knows()))


async def _look_at_nodes(look: Look, roster: Roster, heartbeat_ms: int) -> None:
    """Who is there: whoever shows another sign after a while."""
    before = await roster.signs()
    if not before:
        return
    await asyncio.sleep(heartbeat_ms * BEATS / 1000)
    signs = await roster.signs()
    living = [sign for name, sign in signs.items() if name not in before or before[name].count != sign.count]
    silent = f", {len(signs) - len(living)} silent" if len(signs) > len(living) else ""
    there = versions(living)
    said = ", ".join(f"{count} of livecast {version}" for version, count in there.items()) or "none"
    look.seen.append(f"nodes: {said}{silent}")
    if len(there) > 1:
        look.hints.append(
            "nodes of several versions are at work, as while they are upgraded: let it be two at most, next to each other"
        )


def lines(looks: Sequence[Look]) -> list[str]:
    """For people, and as comments for TOML."""
    said: list[str] = []
    for look in looks:
        said.append(f"# [{look.role}] {look.url}")
        said += [f"#   {each}" for each in look.seen]
        if not look.problems:
            said.append("#   fit for use")
    return said
