"""Power loss under the ledger: its Valkey is killed, and its AOF cut back to what the last fdatasync had put on disk.

Kill -9 alone shows no durability: what a process has written, the kernel keeps. So the harness has to prove itself first: with
`appendfsync everysec` it must be seen to lose what was acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos import sale
from chaos.crowd import Crowd
from chaos.disk import Disk
from chaos.sale import Outcome, sell
from conftest import Valkey
from support.checker import Broken
from support.node import NodeProcess

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

USERS, STOCK = min(2000, sale.USERS), min(1500, sale.USERS * 3 // 4)
WRITTEN_MIN = {"always": 1, "everysec": 4000}
TOLD_MIN = {"always": 0, "everysec": 100}
"""When the power goes: bytes written since the last sync, and people told `won` since it. With `always` nobody was."""
SLOW_MS = 15
"""What a sync takes beyond its time, so that the cut finds it under way: a busy disk."""


@contextmanager
def store_on(disk: Disk, fsync: str) -> Iterator[Valkey]:
    """A Valkey whose syncs are seen."""
    with tempfile.TemporaryDirectory(prefix="lc-") as directory:
        store = Valkey(Path(directory), fsync, env=disk.env)
        store.start()
        yield store
        store.stop()


async def power_loss(directory: Path, fsync: str, durability: str) -> Outcome:
    """A sale on such a store; the power goes in its midst and comes back."""
    disk = Disk(directory, slow_ms=SLOW_MS)
    with (
        store_on(disk, fsync) as store,
        NodeProcess("--ledger", store.url, env={"LIVECAST_LEDGER__DURABILITY": durability}) as node,
    ):

        async def fault(crowd: Crowd) -> None:
            enough, told = WRITTEN_MIN[fsync], TOLD_MIN[fsync]
            noted, won = -1, 0
            async with asyncio.timeout(60):
                while True:
                    store.freeze()  # so that what is found unsynced still is when it dies
                    if (synced := disk.synced_in(store.directory)) != noted:
                        noted, won = synced, crowd.counts["won"]
                    if disk.unsynced(store.directory) >= enough and crowd.counts["won"] >= won + told:
                        break
                    store.thaw()
                    await asyncio.sleep(0.005)
            store.kill()
            lost = disk.cut_power(store.directory)
            assert lost > 0, "the power went when there was nothing to lose"
            sys.stderr.write(f"\n  power loss with {fsync}: {lost} bytes were not on disk\n")
            store.start()

        return await sell(node, directory, fault, name=f"power loss, {fsync}", ledger=store.url, users=USERS, stock=STOCK, over_s=8)


async def test_nothing_acknowledged_is_lost_with_the_power(tmp_path: Path) -> None:
    """`appendfsync always`, as the ledger demands."""
    outcome = await power_loss(tmp_path, "always", "always")
    if outcome.violations:
        raise Broken(outcome.violations)


async def test_the_harness_is_seen_to_lose_with_everysec(tmp_path: Path) -> None:
    """Which is why a node refuses such a store unless it is told that nothing matters."""
    outcome = await power_loss(tmp_path, "everysec", "none")
    lost = [each for each in outcome.violations if each.startswith(("lost", "changed answer", "serials"))]
    sys.stderr.write(f"  of what was acknowledged, {len(lost)} are lost or changed; the first: {lost[:1]}\n")
    assert [each for each in lost if each.startswith(("lost", "changed answer"))]
