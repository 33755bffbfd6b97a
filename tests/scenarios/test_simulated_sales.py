"""Flash sales on virtual time: what must always be true is, whatever the seed does to nodes, owners and the ledger.

A seed that fails is the bug report: `simulate(seed)` does the same again. `make chaos` runs a thousand, and so does `.ci/run`.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from support.checker import check
from support.simulated import Sale, simulate
from support.virtual import VirtualLoop, run_virtual

SHORT, LONG = 30, int(os.environ.get("CHAOS_SEEDS", "1000"))


def tell(seeds: range) -> Counter[str]:
    """How often people were told what in all these sales; none of them broke a promise."""
    told: Counter[str] = Counter()
    for seed in seeds:
        violations, counts = simulate(seed)
        assert not violations, f"seed {seed}: {violations}"
        told += counts
    return told


def test_thirty_seeds_keep_every_promise() -> None:
    """And they are not idle: people win, are turned away, and are left in doubt."""
    told = tell(range(SHORT))
    assert min(told[word] for word in ("won", "sold_out", "limit", "sent", "unavailable", "not_open")) > 20, told


@pytest.mark.chaos
@pytest.mark.timeout(900 + LONG)
def test_a_thousand_seeds_keep_every_promise() -> None:
    """On all cores."""
    slices = [range(first, first + 50) for first in range(SHORT, SHORT + LONG, 50)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        told = sum(pool.map(tell, slices), Counter[str]())
    assert told["won"] > LONG, told


def test_a_seed_tells_the_same_story_again() -> None:
    """Else a failing one could not be looked into."""
    assert simulate(7) == simulate(7)


def test_a_ledger_that_forgets_answers_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation can fail: without the memory of answers a repeat after a lost answer takes another unit."""

    async def main(loop: VirtualLoop) -> list[str]:
        sale = Sale(loop, seed=5)
        sale.chance = random.Random(5)
        monkeypatch.setattr(sale.ledger.calm, "_known", lambda *_: None)  # the planted bug
        return await sale.run()

    found = run_virtual(main)
    assert any(each.startswith(("changed answer", "unclaimed", "lost", "per_user")) for each in found), found


def test_the_checker_calls_an_empty_run_a_failure() -> None:
    """Nobody acknowledged, nothing shown."""
    assert [each.partition(":")[0] for each in check([], None)] == ["nothing shown"]  # type: ignore[arg-type]  # it does not look
