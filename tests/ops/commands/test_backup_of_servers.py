"""`livecast backup`, `restore`, `audit` and `ledger status` where the stores are servers: one, behind Sentinels, and a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.core.money.coins import Movement, SpendLimits
from livecast.ops.cli import main
from livecast.ports import Unavailable
from support.drops import NOW, click, opened, rose
from support.stores import Guarded, scratch

USERS = [f"u{n}" for n in range(30)]


def livecast(*args: object) -> Result:
    """`livecast ARGS`, whatever the environment says."""
    return CliRunner().invoke(main, list(map(str, args)), env={"LIVECAST_CONFIG": None})


async def trade(url: str) -> None:
    """Wallets in many shards, a drop with winners, a gift half way."""
    server = LedgerServer(url)
    ledger = RedisLedger(server)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    await opened(ledger, stock=20)
                    break
                except Unavailable:  # replicas are only just in step
                    await asyncio.sleep(0.05)
        await asyncio.gather(*(ledger.move(Movement(user, f"{user}/1", 100, "key:k"), NOW) for user in USERS))
        await asyncio.gather(*(click(ledger, user) for user in USERS))
        await ledger.debit_gift(rose("u1"), SpendLimits(), NOW)
    finally:
        await ledger.close()
        await server.close()


def sums(url: str) -> str:
    """What `livecast audit` counts, if the books agree."""
    said = livecast("audit", "--ledger", url)
    assert said.exit_code == 0, said.output
    return "\n".join(said.output.splitlines()[1:])


def stands(url: str, rooms: str, tmp_path: Path) -> str:
    """What `livecast ledger status` says of the shards, if they are open."""
    said = livecast("ledger", "status", "--ledger", url, "--redis", rooms, "--data-dir", tmp_path / "none")
    assert said.exit_code == 0, said.output
    assert "appendonly yes, appendfsync always" in said.output
    return said.output.partition("\n\n")[2]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """A ledger behind Sentinels that has been traded on."""
    with scratch() as directory:
        made = Guarded(directory)
        try:
            made.start()
            asyncio.run(trade(made.url))
            yield made
        finally:
            made.stop()


def as_admin(server: Any) -> str:
    """The address of a Valkey of the tests as the user who may do everything; it gives snapshots without waiting for replicas."""
    assert server.command("CONFIG", "SET", "repl-diskless-sync-delay", "0").startswith(b"+OK")
    return f"unix://{server.socket}"


def test_from_sentinels_to_a_directory(guarded: Guarded, valkey_server: Any, valkey: str, tmp_path: Path) -> None:
    """Taken over the wire from whoever is the primary; restored, the books are what they were."""
    del valkey
    file = tmp_path / "one.tar"
    done = livecast("backup", file, "--ledger", guarded.url, "--redis", as_admin(valkey_server), "--data-dir", tmp_path / "d")
    assert done.exit_code == 0, done.output
    before = sums(guarded.url)
    done = livecast("restore", file, "--data-dir", tmp_path / "back")
    assert done.exit_code == 0, done.output
    said = livecast("audit", "--data-dir", tmp_path / "back")
    assert said.exit_code == 0, said.output
    assert "\n".join(said.output.splitlines()[1:]) == before


@pytest.mark.usefixtures("valkey", "ledger_valkey")
def test_to_a_server_and_a_cluster(guarded: Guarded, valkey_server: Any, ledger_server: Any, cluster: str, tmp_path: Path) -> None:
    """An empty server, and an empty cluster, are filled with it: the same sums, the same positions. One that has anything is not
    touched.
    """
    file, rooms = tmp_path / "one.tar", as_admin(valkey_server)
    assert livecast("backup", file, "--ledger", guarded.url, "--redis", rooms, "--data-dir", tmp_path / "d").exit_code == 0
    before = sums(guarded.url)
    at = stands(guarded.url, rooms, tmp_path)
    for name, target in (("server", as_admin(ledger_server)), ("cluster", cluster)):
        done = livecast("restore", file, "--ledger", target, "--redis", rooms, "--data-dir", tmp_path / name)
        assert done.exit_code == 0, done.output
        assert sums(target) == before
        assert stands(target, rooms, tmp_path) == at
        again = livecast("restore", file, "--ledger", target, "--redis", rooms, "--data-dir", tmp_path / "again")
        assert again.exit_code == 3
        assert "only an empty one is filled" in again.output
    assert not (tmp_path / "cluster" / "ledger").exists()


def test_a_cluster_has_no_backup(cluster: str, tmp_path: Path) -> None:
    """Its nodes share no moment: refused, with what to do instead."""
    done = livecast("backup", tmp_path / "one.tar", "--ledger", cluster, "--data-dir", tmp_path / "d")
    assert done.exit_code == 2
    assert "share no moment" in done.output
    assert "BGSAVE" in done.output
    assert not list(tmp_path.iterdir())


def test_a_user_who_may_not(guarded: Guarded, valkey_server: Any, valkey: str, tmp_path: Path) -> None:
    """The nodes' user may not SYNC: the operator is told, and nothing is left behind."""
    del valkey_server
    done = livecast("backup", tmp_path / "one.tar", "--redis", valkey, "--ledger", guarded.url, "--data-dir", tmp_path / "d")
    assert done.exit_code == 3
    assert "no permissions to run the 'replconf' command" in done.output
    assert not list(tmp_path.iterdir())
