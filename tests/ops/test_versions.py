"""Stores of later versions: what a node and the tools say of them, and that they touch nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from livecast.adapters.redis.formats import RedisFormats
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.roster import RedisRoster
from livecast.adapters.redis.server import RedisServer
from livecast.core.money.coins import Movement
from livecast.core.nodes.formats import Mark
from livecast.core.nodes.membership import Beat
from livecast.facts import Fact, Trouble
from livecast.ledger import LedgerClosed
from livecast.ops.cli import main
from livecast.ops.configuration.settings import load
from livecast.ops.processes.stopping import EXIT_FORMAT, StartFailed
from livecast.ops.stores.holding import LedgerHolder
from livecast.ops.stores.look import look_at_stores
from livecast.ops.stores.opening import ledger_store
from livecast.ports import WrongFormat

LATER = json.dumps({"format": 9, "reader": 9, "since": "7.0.0", "what_this_version_does_not_know": [1]})
MARKS = "{nodes}:format"


class Facts:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[Fact] = []

    def observe(self, fact: Fact) -> None:
        """Keep it."""
        self.seen.append(fact)


def marked(valkey: Any, role: str) -> None:
    """A later version has been here."""
    assert valkey.command("HSET", MARKS, role, LATER).startswith(b":")


def test_a_node_goes(valkey: str, valkey_server: Any, tmp_path: Path) -> None:
    """Exit code 4, one line that says what to do, and no trace in the store but what was there."""
    marked(valkey_server, "rooms")
    command = [str(Path(sys.executable).with_name("livecast")), "serve", "--dev", "--port", "0", "--data-dir", str(tmp_path)]
    done = subprocess.run([*command, "--redis", valkey], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == EXIT_FORMAT == 4, done.stderr
    assert done.stdout == ""
    assert "the rooms' store is written in format 9 by livecast 7.0.0" in (said := done.stderr.splitlines()[-1])
    assert "Run livecast 7.0.0 or a later one" in said
    assert "Traceback" not in done.stderr
    assert LATER.encode() in valkey_server.command("HGET", MARKS, "rooms")
    assert valkey_server.command("DBSIZE") == b":1\r\n"


async def test_a_node_goes_from_a_ledger(ledger_valkey: str, ledger_server: Any) -> None:
    """Likewise."""
    marked(ledger_server, "ledger")
    settings = load(dev=True, environment={"LIVECAST_LEDGER__URL": ledger_valkey})
    async with AsyncExitStack() as stack:
        with pytest.raises(StartFailed, match="the ledger is written in format 9") as refused:
            await ledger_store(settings, stack, Facts())
    assert refused.value.code == EXIT_FORMAT
    assert ledger_server.command("DBSIZE") == b":1\r\n"
    assert ledger_server.command("HSET", MARKS, "ledger", "scribble").startswith(b":")
    async with AsyncExitStack() as stack:
        with pytest.raises(StartFailed, match=r"no mark that this version knows.*HDEL") as refused:
            await ledger_store(settings, stack, Facts())
    assert refused.value.code == EXIT_FORMAT


def test_tools_say_it(ledger_valkey: str, ledger_server: Any) -> None:
    """An audit by rules of an earlier version would accuse books that agree."""
    marked(ledger_server, "ledger")
    for command in (["audit"], ["ledger", "status"], ["ledger", "confirm"]):
        done = CliRunner().invoke(main, [*command, "--ledger", ledger_valkey])
        assert done.exit_code == 3, done.output
        assert "the ledger is written in format 9 by livecast 7.0.0" in done.output


async def test_check_shows_who_is_there(valkey: str) -> None:
    """Versions of living nodes, how many are silent, and the format; nothing is written."""
    settings = load(dev=True, environment={"LIVECAST_REDIS__URL": valkey})
    server = RedisServer(valkey)
    roster = RedisRoster(server)
    await roster.beat("dead", Beat(1, version="0.0.9"))

    async def live(name: str, version: str) -> None:
        for count in range(1, 10_000):
            await roster.beat(name, Beat(count, version=version))
            await asyncio.sleep(0.05)

    living = [asyncio.create_task(live(name, version)) for name, version in (("a", "0.1.0"), ("b", "0.2.0"), ("c", "0.2.0"))]
    try:
        await RedisFormats(server, "rooms").put(None, Mark(1, 1, "0.1.0"))
        async with asyncio.timeout(30):
            while len(await roster.signs()) < 4:  # noqa: ASYNC110 - tasks bring it about
                await asyncio.sleep(0.02)
        look, *_ = await look_at_stores(settings)
        assert "nodes: 1 of livecast 0.1.0, 2 of livecast 0.2.0, 1 silent" in look.seen
        assert "format 1, as livecast 0.1.0 writes it" in look.seen
        assert any("several versions" in hint for hint in look.hints)
        await server.run("HSET", MARKS, "rooms", LATER)
        look, *_ = await look_at_stores(settings)
        assert any("format 9 by livecast 7.0.0" in problem for problem in look.problems)
    finally:
        for task in living:
            task.cancel()
        await asyncio.gather(*living, return_exceptions=True)
        await server.close()


async def credit(ledger: RedisLedger) -> None:
    """Anything that needs the ledger."""
    await ledger.move(Movement("ann", "t1", 5, "house"), 1_000)


async def test_a_ledger_that_was_away_opens_when_it_is_known(crashable_ledger: Any) -> None:
    """Until then nothing reaches it, and whoever asks hears why."""
    facts, url = Facts(), crashable_ledger.url
    crashable_ledger.kill()
    server = LedgerServer(url)
    ledger, holder = RedisLedger(server), LedgerHolder(server, url, facts)
    try:
        await holder.start()
        with pytest.raises(LedgerClosed, match="not known"):
            await credit(ledger)
        crashable_ledger.start()
        async with asyncio.timeout(20):
            while server.held:  # noqa: ASYNC110 - a store that starts brings it about
                await asyncio.sleep(0.02)
        await credit(ledger)
        assert b'"format":1' in crashable_ledger.command("HGET", MARKS, "ledger")
        assert facts.seen == []
    finally:
        await holder.stop()
        await ledger.close()
        await server.close()


async def test_a_ledger_that_was_away_and_is_of_a_later_version_stays_shut(crashable_ledger: Any) -> None:
    """The rooms go on; money says why it is closed, and an operator hears it once."""
    facts, url = Facts(), crashable_ledger.url
    marked(crashable_ledger, "ledger")
    server = LedgerServer(url)
    ledger, holder = RedisLedger(server), LedgerHolder(server, url, facts)
    try:
        with pytest.raises(WrongFormat):
            await holder.start()
        crashable_ledger.kill()
        await holder.start()
        crashable_ledger.start()
        async with asyncio.timeout(20):
            while not facts.seen:  # noqa: ASYNC110 - its next look brings it about
                await asyncio.sleep(0.02)
        with pytest.raises(LedgerClosed, match="format 9"):
            await credit(ledger)
        assert [fact.level for fact in facts.seen if isinstance(fact, Trouble)] == ["error"]
    finally:
        await holder.stop()
        await ledger.close()
        await server.close()
