"""A drop of 500 and 5,000 people, with processes killed, frozen and out of disk in the middle of it.

What must hold is the same each time: nothing acknowledged is missing, nothing is given out twice, everybody is answered, and who
repeats themselves hears the same. The checker and the service's own auditor say so.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from chaos.crowd import Crowd
from chaos.disk import Disk, small_disk
from chaos.sale import STOCK, USERS, Outcome, sell
from support.checker import Broken
from support.node import NodeProcess

pytestmark = pytest.mark.timeout(400)
chaos = pytest.mark.chaos

BACK_S = 5.0
"""Money is back so long after its store is."""
LATE_S = 4.0
"""What a machine with more to do than it can may add to a time that is promised."""


def sold_out(outcome: Outcome, stock: int = STOCK) -> None:
    """No promise broken, and all of it found its people."""
    if outcome.violations:
        raise Broken(outcome.violations)
    assert outcome.books.drop["state"] == "sold_out"
    assert len({claim["user"] for claim in outcome.books.claims}) == len(outcome.books.claims) == stock


async def nothing(_: Crowd) -> None:
    """No fault."""


async def test_a_small_sale_with_a_killed_ledger(tmp_path: Path) -> None:
    """The short one of every day: 200 people, 40 units, kill -9 of the ledger in between."""
    with NodeProcess() as node:

        async def fault(_: Crowd) -> None:
            os.kill(node.stores("ledger")[0], signal.SIGKILL)

        outcome = await sell(node, tmp_path, fault, name="small sale", users=200, stock=40, over_s=2, seed=7)
        sold_out(outcome, 40)


@chaos
async def test_everybody_is_answered_when_nothing_breaks(tmp_path: Path) -> None:
    """5,000 sockets, 15,000 clicks: 500 distinct winners, and nobody is left in doubt."""
    with NodeProcess() as node:
        outcome = await sell(node, tmp_path, nothing, name="no fault")
        sold_out(outcome)
        clicks = Counter(each.user for each in outcome.asked if each.kind == "claim" and not each.settling)
        assert len(clicks) == USERS
        assert min(clicks.values()) >= 3


@chaos
async def test_a_killed_node(tmp_path: Path) -> None:
    """Kill -9 of the node, started again at once: its people come back and go on clicking."""
    with NodeProcess() as node:

        async def fault(_: Crowd) -> None:
            node.kill()
            await asyncio.to_thread(node.start)

        outcome = await sell(node, tmp_path, fault, name="kill -9 of the node")
        sold_out(outcome)
        assert outcome.felt.unknown > 0, "the kill came too late to show anything"


@chaos
async def test_a_killed_ledger(tmp_path: Path) -> None:
    """Kill -9 of the ledger's Valkey: the node starts it again."""
    with NodeProcess() as node:

        async def fault(_: Crowd) -> None:
            os.kill(node.stores("ledger")[0], signal.SIGKILL)

        outcome = await sell(node, tmp_path, fault, name="kill -9 of the ledger")
        sold_out(outcome)
        assert outcome.felt.away_s < BACK_S + LATE_S


@chaos
async def test_a_frozen_ledger(tmp_path: Path) -> None:
    """SIGSTOP for seven seconds: everybody hears `unavailable` soon, and is served once it wakes up."""
    with NodeProcess() as node:

        async def fault(_: Crowd) -> None:
            ledger = node.stores("ledger")[0]
            os.kill(ledger, signal.SIGSTOP)
            await asyncio.sleep(7)
            os.kill(ledger, signal.SIGCONT)

        outcome = await sell(node, tmp_path, fault, name="ledger frozen for 7 s")
        sold_out(outcome)
        assert 7 <= outcome.felt.away_s < 7 + BACK_S + LATE_S
        assert outcome.felt.unknown > 0


@chaos
async def test_a_full_disk(tmp_path: Path) -> None:
    """Not one byte left under the ledger for three seconds: its Valkey ends rather than promise what it cannot write."""
    with small_disk(tmp_path / "disk") as disk:
        node = NodeProcess()
        node.data.mkdir(parents=True)
        (node.data / "ledger").symlink_to(disk.directory)
        with node:

            async def fault(crowd: Crowd) -> None:
                disk.fill()
                await crowd.until(lambda: crowd.counts["asked again: unavailable"] > 0, "somebody in doubt")
                await asyncio.sleep(3)
                disk.clear()

            outcome = await sell(node, tmp_path, fault, name="full disk")
            assert "the disk is full" in node.log_text()
        sold_out(outcome)


@chaos
async def test_a_disk_that_fails(tmp_path: Path) -> None:
    """Every sync of the ledger answers EIO for three seconds."""
    disk = Disk(tmp_path, under="/ledger/")
    with NodeProcess(env=disk.env) as node:

        async def fault(crowd: Crowd) -> None:
            with disk.failing():
                await crowd.until(lambda: crowd.counts["asked again: unavailable"] > 0, "somebody in doubt")
                await asyncio.sleep(3)

        sold_out(await sell(node, tmp_path, fault, name="fdatasync fails"))
