"""The examples in `deploy/stores`: read with the real settings, run with real servers, and found fit for use."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.log import RedisRoomLog
from livecast.adapters.redis.server import RedisServer
from livecast.core.money.units import Won
from livecast.core.nodes.placement import shard_of
from livecast.ops.cli import main
from livecast.ops.configuration.settings import Settings, load
from livecast.ops.stores.look import Look, Seen, judge_replicas, lines, look_at_stores
from livecast.ports import Commit, StoreError
from support.drops import ROOM, click, opened
from support.stores import Clustered, Guarded, PortBlock, Server, scratch, until
from support.tls import Authority, Front

STORES = Path(__file__).parents[2] / "deploy" / "stores"
SECRET = {"LIVECAST_AUTH__JWT_SECRETS": '["a secret of thirty-two bytes, or a few more"]'}
TLS_FILES = {"ca.pem": "ca", "client.pem": "client", "client.key": "client_key"}


def conf(directory: Path, *names: str) -> Path:
    """Files for servers as one, without the place and port of the machine they are meant for."""
    lines_of = [line for name in names for line in STORES.joinpath(name).read_text().splitlines()]
    file = directory / ("+".join(names).replace("/", "") + ".conf")
    file.write_text("\n".join(line for line in lines_of if not line.startswith(("dir ", "port "))))
    return file


def example(tmp_path: Path, form: str, **instead: str) -> Settings:
    """An example's settings, with these texts in place of addresses and files. Each has to be there."""
    text = STORES.joinpath(f"livecast-{form}.toml").read_text()
    for old, new in instead.items():
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / f"{form}.toml"
    file.write_text(text)
    return load(file=file, environment=SECRET)


@pytest.fixture(scope="module")
def singles() -> Iterator[dict[str, Server]]:
    """A server of the rooms and one of the ledger, with the users of the example."""
    ports = PortBlock()
    with scratch() as directory:
        users = ("--aclfile", str(STORES / "users.acl"))
        made = {
            role: Server(directory / role, ports.first + n, str(conf(directory, f"{role}.conf")), *users)
            for n, role in enumerate(("rooms", "ledger"))
        }
        try:
            for each in made.values():
                each.start()
            until(lambda: all(b"PONG" in each.command("PING") for each in made.values()), "answer")
            yield made
        finally:
            for each in made.values():
                each.stop()
            ports.give_back()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """The ledger under Sentinels."""
    with scratch() as directory:
        made = Guarded(directory, conf=conf(directory, "ledger.conf", "replicas.conf"))
        try:
            yield made.start()
        finally:
            made.stop()


@pytest.fixture(scope="module")
def clustered() -> Iterator[Clustered]:
    """The ledger as a cluster."""
    with scratch() as directory:
        made = Clustered(directory, replicas=1, fsync="always", conf=conf(directory, "ledger.conf", "cluster.conf"))
        try:
            yield made.start()
        finally:
            made.stop()


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    """Who signs the certificates."""
    with scratch() as directory:
        yield Authority(directory)


@pytest.fixture
async def fronts(singles: dict[str, Server], authority: Authority) -> AsyncIterator[dict[str, Front]]:
    """TLS in front of both."""
    async with AsyncExitStack() as stack:
        yield {role: await stack.enter_async_context(Front(authority, server.port)) for role, server in singles.items()}


def said(looks: list[Look]) -> str:
    """Everything that is wrong."""
    return "\n".join(each for look in looks for each in look.problems)


def with_tls(tmp_path: Path, fronts: dict[str, Front], authority: Authority) -> Settings:
    """The example for TLS and users, as these servers need it."""
    files = {f"/etc/livecast/tls/{name}": str(getattr(authority, kind)) for name, kind in TLS_FILES.items()}
    places = {"10.0.0.11:6379": f"127.0.0.1:{fronts['rooms'].port}", "10.0.0.12:6380": f"127.0.0.1:{fronts['ledger'].port}"}
    return example(tmp_path, "tls-acl", **files, **places)


async def test_one_server_each(tmp_path: Path, singles: dict[str, Server]) -> None:
    """As users with the least rights; what was found is shown without passwords."""
    rooms, ledger = singles["rooms"], singles["ledger"]
    settings = example(
        tmp_path,
        "single",
        **{
            "10.0.0.11:6379": f"rooms:change-me-rooms@{rooms.place}",
            "10.0.0.12:6380": f"ledger:change-me-ledger@{ledger.place}",
        },
    )
    looks = await look_at_stores(settings)
    assert said(looks) == ""
    shown = "\n".join(lines(looks))
    assert "appendfsync always, maxmemory-policy noeviction" in shown
    assert "change-me" not in shown
    assert all(line.startswith("#") for line in shown.splitlines())  # what is printed before them is TOML


async def test_tls_and_users(tmp_path: Path, fronts: dict[str, Front], authority: Authority) -> None:
    """Rooms are written and money moves over TLS, as users who may do nothing else."""
    settings = with_tls(tmp_path, fronts, authority)
    assert said(await look_at_stores(settings)) == ""
    rooms, ledger_server = RedisServer(settings.redis.url, deadline_s=20), LedgerServer(settings.ledger.url, deadline_s=20)
    try:
        log, ledger = RedisRoomLog(rooms), RedisLedger(ledger_server)
        await log.take(shard_of(ROOM), "t")
        await log.commit(Commit(ROOM, "t", "e", 1, 1, 1_000, frame=b"f", snapshot=b"s", broadcast="b"))
        await opened(ledger)
        assert isinstance(await click(ledger, "ann"), Won)
        with pytest.raises(StoreError, match="no permissions to run the 'flushall' command"):
            await rooms.run("FLUSHALL")
        with pytest.raises(StoreError, match="No permissions to access a key"):
            await rooms.run("GET", "somebody-elses")
    finally:
        await rooms.close()
        await ledger_server.close()


async def test_who_is_not_let_in(tmp_path: Path, fronts: dict[str, Front], authority: Authority) -> None:
    """Another authority than the server's, no certificate of one's own, another name: each is told, and nothing is sent."""
    settings = with_tls(tmp_path, fronts, authority)
    stranger = Authority(tmp_path / "stranger", "stranger")
    for url in (
        settings.redis.url.replace(str(authority.ca), str(stranger.ca)),
        settings.redis.url.split("&ssl_certfile")[0],
        settings.redis.url.replace("127.0.0.1", "localhost"),
        settings.redis.url.replace("change-me-rooms", "wrong"),
    ):
        server = RedisServer(url)
        with pytest.raises(StoreError):
            await server.check()
        await server.close()


async def test_under_sentinels(tmp_path: Path, guarded: Guarded, singles: dict[str, Server]) -> None:
    """Fit for use; and what is said of a replica that syncs too seldom and throws things away, and of none."""
    sentinels = ",".join(each.place for each in guarded.sentinels)
    rooms = f"redis://rooms:change-me-rooms@{singles['rooms'].place}"
    settings = example(
        tmp_path,
        "sentinel",
        **{
            "redis+sentinel://10.0.0.11,10.0.0.12,10.0.0.13/rooms": rooms,
            "10.0.0.11,10.0.0.12,10.0.0.13/ledger": f"{sentinels}/mymaster",
        },
    )
    assert settings.ledger.replicas == 1
    look = (await look_at_stores(settings))[1]
    assert look.problems == []
    assert len([each for each in look.seen if each.startswith("  replica")]) == 1
    assert any(each.startswith("3 Sentinels") for each in look.seen)
    (replica,) = (each for each in guarded.servers if each is not guarded.primary)
    replica.command("CONFIG", "SET", "appendfsync", "everysec")
    replica.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    told = said(await look_at_stores(settings))
    assert f"replica {replica.place}: appendfsync is everysec" in told
    assert f"replica {replica.place}: maxmemory-policy is allkeys-lru" in told
    replica.kill()
    until(lambda: guarded.primary.info("replication")["connected_slaves"] == "0", "primary that is alone")
    told = said(await look_at_stores(settings))
    assert "0 replicas are online, and [ledger] replicas wants 1" in told
    assert "nobody takes over" in told


async def test_a_cluster(tmp_path: Path, clustered: Clustered, singles: dict[str, Server]) -> None:
    """All its primaries and replicas are looked at; a node of it is not taken for a server of its own."""
    nodes = ",".join(each.place for each in clustered.servers[:3])
    rooms = f"redis://rooms:change-me-rooms@{singles['rooms'].place}"
    cluster_of_rooms = "redis+cluster://10.0.1.11:6379,10.0.1.12:6379,10.0.1.13:6379"
    places = "10.0.2.11:6380,10.0.2.12:6380,10.0.2.13:6380"
    settings = example(tmp_path, "cluster", **{cluster_of_rooms: rooms, places: nodes})
    look = (await look_at_stores(settings))[1]
    assert look.problems == []
    assert len([each for each in look.seen if each.startswith("primary")]) == 3
    assert len([each for each in look.seen if each.startswith("  replica")]) == 3
    settings = example(
        tmp_path, "cluster", **{cluster_of_rooms: rooms, f"redis+cluster://{places}": f"redis://{nodes.split(',')[0]}"}
    )
    assert "write redis+cluster://" in said(await look_at_stores(settings))


def test_the_examples_as_they_are(tmp_path: Path, authority: Authority) -> None:
    """Each can be read, and gives no advice that it should have followed itself."""
    for form in ("single", "sentinel", "cluster"):
        assert [each for each in example(tmp_path, form).advice if "ledger" in each] == []
    files = {f"/etc/livecast/tls/{name}": str(getattr(authority, kind)) for name, kind in TLS_FILES.items()}
    assert example(tmp_path, "tls-acl", **files).redis.url.startswith("rediss://rooms:")


def test_more_replicas_than_are_waited_for() -> None:
    """A replica that nobody waits for could take over without what was acknowledged."""
    settings = load(environment=SECRET | {"LIVECAST_LEDGER__REPLICAS": "1"})
    for online, form, warned in ((1, "sentinel", False), (2, "sentinel", True), (2, "cluster", True), (2, "server", False)):
        look = Look("ledger", "")
        judge_replicas(look, Seen("p", {}, {}, 0, 0), online, settings, form)
        assert any("Wait for all of them" in each for each in look.problems) == warned


def test_what_check_says_and_exits_with(singles: dict[str, Server], ledger_server: Any, ledger_valkey: str) -> None:
    """Right settings are right, whatever the stores are like; --stores is for scripts that want to know of both."""
    good = f"redis://rooms:change-me-rooms@{singles['rooms'].place}"
    run = CliRunner(env=SECRET | {"LIVECAST_CONFIG": None})

    def check(*words: str) -> Result:
        return run.invoke(main, ["check", *words])

    assert check("--stores", "--redis", good, "--ledger", ledger_valkey).exit_code == 0
    away = check("--redis", "redis://127.0.0.1:1", "--ledger", ledger_valkey)
    assert away.exit_code == 0
    assert "[redis] it cannot be used: " in away.stderr
    assert check("--stores", "--redis", "redis://127.0.0.1:1", "--ledger", ledger_valkey).exit_code == 3
    assert "cannot be used" not in check("--offline", "--stores", "--redis", "redis://127.0.0.1:1").stderr
    wrong = check("--stores", "--redis", "redis://u:secret/1@h")
    assert wrong.exit_code == 2
    assert "secret" not in wrong.output
    ledger_server.command("CONFIG", "SET", "appendfsync", "everysec")
    try:
        careless = check("--stores", "--redis", good, "--ledger", ledger_valkey)
    finally:
        ledger_server.command("CONFIG", "SET", "appendfsync", "always")
    assert careless.exit_code == 3
    assert "money stays closed. Set always" in careless.stderr
    assert tomllib.loads(careless.stdout)["redis"]["url"].startswith("redis://rooms:***@")
