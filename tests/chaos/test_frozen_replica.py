"""With `[ledger] replicas = 1`: what one machine alone has is not told to anybody, and what was told survives that machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.crowd import Crowd
from chaos.fail_over import fail_over, in_doubt
from chaos.replicas import pair
from chaos.sale import sell
from support.checker import Broken
from support.node import NodeProcess

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


async def test_a_replica_that_is_frozen_leaves_all_in_doubt_and_its_disk_is_enough(tmp_path: Path) -> None:
    """Neither the claims nor their repeats over other connections are answered `won`; then the primary is lost for good."""
    told = await fail_over(tmp_path)
    assert in_doubt(told.frozen), told.frozen
    if told.violations:
        raise Broken(told.violations)


async def test_a_sale_goes_on_when_the_replica_wakes_up(tmp_path: Path) -> None:
    """Four seconds without the replica's word are four seconds of `unavailable`, and nothing else."""
    with pair() as both, NodeProcess("--ledger", both.url, env={"LIVECAST_LEDGER__REPLICAS": "1"}) as node:

        async def fault(crowd: Crowd) -> None:
            both.replica.freeze()
            try:
                doubts = crowd.counts["asked again: unavailable"]
                await crowd.until(lambda: crowd.counts["asked again: unavailable"] > doubts + 500, "many in doubt")
            finally:
                both.replica.thaw()

        outcome = await sell(node, tmp_path, fault, name="replica frozen", ledger=both.url, users=2000)
        if outcome.violations:
            raise Broken(outcome.violations)
        assert len(outcome.books.claims) == 500
