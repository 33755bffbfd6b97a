"""When the ledger's file is written anew: not amid a rush, not for nothing, and with everything in it."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from livecast.adapters.redis.server import RedisServer
from livecast.facts import Fact
from livecast.ops.stores import valkey_rewrites
from livecast.ops.stores.embedded import EmbeddedValkey
from livecast.ops.stores.valkey_remains import left_behind
from livecast.ops.stores.valkey_rewrites import AGAIN_S, APPENDED_WORTH_IT, QUIET_BYTES, QUIET_S, Appended, QuietMoments, appended

ENOUGH = APPENDED_WORTH_IT
WITHIN_S = 30.0


class Silent:
    """An observer that a store's death is told to."""

    def observe(self, fact: Fact) -> None:
        """Nothing to do."""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory with a short path, and no store left running in it."""
    path = Path(tempfile.mkdtemp(prefix="livecast-test-"))
    yield path
    for pid in left_behind(path / "ledger"):
        os.kill(pid, signal.SIGKILL)
    rmtree(path)


@pytest.mark.parametrize(
    ("seen", "due"),
    [
        pytest.param([(0, 0, ENOUGH), (QUIET_S, 0, ENOUGH)], True, id="quiet for long enough"),
        pytest.param([(0, 0, ENOUGH), (QUIET_S - 1, 0, ENOUGH)], False, id="not yet"),
        pytest.param([(0, 0, ENOUGH - 1), (QUIET_S, 0, ENOUGH - 1)], False, id="too little to be worth it"),
        pytest.param([(0, 4 * ENOUGH + 4, ENOUGH), (QUIET_S, 4 * ENOUGH + 4, ENOUGH)], False, id="too little beside all there is"),
        pytest.param([(0, 4 * ENOUGH, ENOUGH), (QUIET_S, 4 * ENOUGH, ENOUGH)], True, id="a fourth of all there is"),
        pytest.param([(0, 0, ENOUGH), (QUIET_S, 0, ENOUGH + QUIET_BYTES)], True, id="a few gifts meanwhile"),
        pytest.param([(0, 0, ENOUGH), (QUIET_S, 0, ENOUGH + QUIET_BYTES + 1)], False, id="many gifts meanwhile"),
        pytest.param([(0, 0, ENOUGH), (1, 0, 2 * ENOUGH), (QUIET_S, 0, 2 * ENOUGH)], False, id="a rush ended just now"),
        pytest.param([(0, 0, ENOUGH), (1, 0, 2 * ENOUGH), (1 + QUIET_S, 0, 2 * ENOUGH)], True, id="a rush ended a while ago"),
        pytest.param([(0, 0, ENOUGH), (9, 0, ENOUGH), (10, 0, ENOUGH)], False, id="asked for already"),
        pytest.param([(0, 0, ENOUGH), (9, 0, ENOUGH), (9 + AGAIN_S, 0, ENOUGH)], True, id="asked for, and it did not work"),
    ],
)
def test_a_moment_is_quiet_when_little_was_appended(seen: list[tuple[float, int, int]], due: bool) -> None:
    """(when, bytes of the last rewrite, bytes since) as they were found; whether the last look asks for a rewrite."""
    moments = QuietMoments()
    *_, last = [moments.is_one(Appended(base, since), at) for at, base, since in seen]
    assert last is due


async def test_what_piled_up_is_written_anew_and_nothing_is_missing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is left in peace makes its file short by itself; started again it has all that was in it."""
    monkeypatch.setattr(valkey_rewrites, "APPENDED_WORTH_IT", 100_000)
    monkeypatch.setattr(valkey_rewrites, "QUIET_S", 0.05)
    monkeypatch.setattr(valkey_rewrites, "LOOK_S", 0.02)
    monkeypatch.setattr(valkey_rewrites, "AGAIN_S", 0.5)
    store = EmbeddedValkey(data_dir, "ledger", Silent())
    server = RedisServer(await store.start())
    try:
        for _ in range(30):  # one value, written again and again: a rewrite leaves a thirtieth
            await server.run("SET", "k", "x" * 10_000)
        async with asyncio.timeout(WITHIN_S):
            while appended(store.directory).since >= 100_000:  # noqa: ASYNC110 - a file signals nothing
                await asyncio.sleep(0.02)
        await server.run("SET", "later", "y")
    finally:
        await server.close()
    await store.stop()
    again = EmbeddedValkey(data_dir, "ledger", Silent())
    server = RedisServer(await again.start())
    try:
        assert await server.run("MGET", "k", "later") == [b"x" * 10_000, b"y"]
        assert appended(again.directory).since < 100_000
    finally:
        await server.close()
        await again.stop()


async def test_a_ledger_is_not_rewritten_amid_a_rush_before_128_mb(data_dir: Path) -> None:
    """By default Valkey does so at 64 MB: with each 25,000 gifts, and those of that second wait. Syncing never pauses for it."""
    store = EmbeddedValkey(data_dir, "ledger", Silent())
    server = RedisServer(await store.start())
    try:
        shown = [await server.run("CONFIG", "GET", name) for name in ("auto-aof-rewrite-min-size", "no-appendfsync-on-rewrite")]
    finally:
        await server.close()
        await store.stop()
    assert [value for _, value in shown] == [str(128 * 1024 * 1024).encode(), b"no"]
