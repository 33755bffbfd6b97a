"""Nodes that come, go, sleep and die, on virtual time: one voice per room, no silent hole, nothing acknowledged is lost.

A seed that fails is the bug report: `simulate(seed)` does the same again. `make chaos` runs a thousand, and so does `.ci/run`.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from livecast.adapters.memory import log as memory_log
from livecast.core.nodes.placement import shard_of
from livecast.ports import Commit, Committed
from support import several
from support.several import simulate
from support.several_wires import PublishingLog, SimulatedBus

SHORT, LONG = 60, int(os.environ.get("CHAOS_SEEDS", "1000"))
CAUGHT_WITHIN = 100
"""Seeds in which a planted bug has to show."""


def tell(seeds: range) -> Counter[str]:
    """What happened in all these; nothing went wrong in any of them."""
    told: Counter[str] = Counter()
    for seed in seeds:
        wrong, counts = simulate(seed)
        assert not wrong, f"seed {seed}: {wrong}"
        told += counts
    return told


def test_whatever_becomes_of_nodes_their_rooms_go_on() -> None:
    """And the seeds are not idle: nodes are killed, sleep, leave and are cut off, the store goes away, and people are heard."""
    told = tell(range(SHORT))
    assert min(told[word] for word in ("killed", "slept", "left", "cut", "store away")) > 5, told
    assert told["CommitRefused"], told
    assert told["shown"] > 20 * SHORT


def test_a_seed_does_the_same_again() -> None:
    """To the last count."""
    assert simulate(7) == simulate(7)


@pytest.mark.chaos
@pytest.mark.timeout(900 + LONG)
def test_a_thousand_seeds() -> None:
    """On all cores."""
    seeds = [range(first, first + 50) for first in range(SHORT, SHORT + LONG, 50)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for told in pool.map(tell, seeds):
            assert told["shown"]


class NoFence(PublishingLog):
    """Takes commits of whoever was the owner once, behind whatever was the last."""

    async def commit(self, commit: Commit) -> Committed:
        shard = shard_of(commit.room)
        token = self.fences.get(shard)
        self.fences[shard] = commit.token
        try:
            return await super().commit(commit)
        finally:
            if token is not None:
                self.fences[shard] = token


def found(seeds: range) -> bool:
    """Whether anything was noticed."""
    for seed in seeds:
        try:
            if simulate(seed)[0]:
                return True
        except AssertionError:
            return True
    return False


def test_a_fence_that_is_not_compared_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two owners speak, and what one of them acknowledged is not in the other's room."""
    monkeypatch.setattr(several, "PublishingLog", NoFence)
    monkeypatch.setattr(memory_log, "_check_order", lambda *_: None)
    assert found(range(CAUGHT_WITHIN))


def test_an_interruption_that_nobody_is_told_of_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A room that went quiet meanwhile stays behind."""
    monkeypatch.setattr(SimulatedBus, "_on_gap", lambda _self, _channel: None)
    assert found(range(CAUGHT_WITHIN))
