"""The checker works: services with a bug planted in them, run as real processes, are each convicted of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chaos import mutants
from chaos.fail_over import fail_over, in_doubt
from chaos.mutants import Bug, plant
from chaos.sale import audited
from support.bookkeeper import Bookkeeper
from support.checker import check
from support.journal import Journal, Kind
from support.node import NodeProcess

pytestmark = pytest.mark.timeout(120)

ROOM, STOCK, USERS = "sale", 10, 60


async def story(directory: Path, package: Path | None) -> list[str]:
    """A small sale with everything in it that the bugs are about; what the checker has to say.

    People click too early, all at once, again, and with another id; give more than they have, get coins, and try again.
    """
    with NodeProcess(env={"PYTHONPATH": str(package)} if package else None) as node:
        async with Bookkeeper(node.base, ROOM, directory) as keeper:
            early = await keeper.make_drop(STOCK)
            with Journal(directory / "people.journal") as journal:

                async def ask(kind: Kind, user: str, cid: str, **body: Any) -> None:
                    n = journal.ask(kind, user, cid, body)
                    journal.told(n, await keeper.ask(kind, user, cid, body))

                await ask("claim", "u0", "a", drop=early)
                await ask("gift", "poor", "g", gift="rocket", n=11, value=11_000)
                await keeper.call("POST", f"/v1/rooms/{ROOM}/drops/{early}/open")
                await ask("credit", "poor", "t", value=5_000)
                clicks = [ask("claim", f"u{n}", cid, drop=early) for n in range(USERS) for cid in ("a", "b", "a")]
                gifts = [ask("gift", f"u{n}", "g", gift="rose", n=2, value=2) for n in range(5) for _ in range(2)]
                await asyncio.gather(*clicks, *gifts)
            asked = await keeper.settle()
            return check(asked, await keeper.books(early, asked, lambda: audited("--data-dir", str(node.data))))


def convicted(bug: Bug, violations: list[str]) -> None:
    """Of what it was planted for, and not just of anything."""
    for promise in bug.promises:
        if any(each.startswith(promise) for each in violations):
            return
    raise AssertionError(f"{bug.name}: not caught. What was found: {violations[:5]}")


async def test_the_service_itself_is_convicted_of_nothing(tmp_path: Path) -> None:
    """Or the convictions below would mean nothing."""
    assert await story(tmp_path, None) == []


def rare(bug: Bug) -> Any:
    """One for `make chaos`: the others show every day that the checker works."""
    return pytest.param(bug, marks=pytest.mark.chaos)


@pytest.mark.parametrize(
    "bug",
    [
        mutants.NO_LIMIT_PER_USER,
        mutants.REFUSAL_KEPT,
        rare(mutants.STOCK_READ_EARLY),
        rare(mutants.POVERTY_KEPT),
        rare(mutants.TWICE_BOOKED),
    ],
    ids=lambda bug: bug.name,
)
async def test_a_planted_bug_is_caught(tmp_path: Path, bug: Bug) -> None:
    """In a small sale."""
    convicted(bug, await story(tmp_path, plant(bug, tmp_path / "mutant")))


@pytest.mark.chaos
@pytest.mark.parametrize("bug", [mutants.TOLD_BEFORE_SAFE, mutants.NO_BARRIER], ids=lambda bug: bug.name)
async def test_a_bug_of_durability_is_caught(tmp_path: Path, bug: Bug) -> None:
    """When the primary is lost while its replica was frozen."""
    told = await fail_over(tmp_path, plant(bug, tmp_path / "mutant"))
    assert not in_doubt(told.frozen)
    convicted(bug, told.violations)
