"""A show on several nodes with something going wrong in the middle: a drop and tips in one room, people watching in all."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from chaos.crowd import Crowd, Felt, felt, moment, report
from chaos.fleet import Fleet
from chaos.sale import audited
from chaos.watchers import Watchers
from support.bookkeeper import Bookkeeper
from support.checker import Broken, check
from support.journal import Asked
from support.streams import Shown, check_streams, shown

ROOMS = ("sale", "kitchen", "garden")
"""The drop is in the first; in the others only frames can be wrong. Each run has its own, with its number behind the name."""
PEOPLE_MAX = 10_000
"""In one run: those of the next have other names."""
WATCHERS, BUYERS = int(os.environ.get("CHAOS_WATCHERS", "1500")), int(os.environ.get("CHAOS_BUYERS", "500"))
"""2,000 sockets. Fewer on a small machine."""
QUIET_S = 3.0
"""How long is watched on after the last answer: what is late by then is late."""


class Outcome(NamedTuple):
    """How the show went for those who pay, and for those who watch."""

    felt: Felt
    shown: Shown
    asked: Sequence[Asked]
    violations: list[str]

    def verify(self) -> None:
        """Raise `Broken` if any promise was broken."""
        if self.violations:
            raise Broken(self.violations)


async def broadcast(
    fleet: Fleet,
    directory: Path,
    fault: Callable[[str], Awaitable[None]],
    *,
    name: str,
    run: int = 0,
    watchers: int = WATCHERS,
    buyers: int = BUYERS,
    stock: int = 100,
    over_s: float = 8.0,
    seed: int = 1,
) -> Outcome:
    """Open, let a fifth be sold, let `fault` happen to the room where things are sold, wait until everybody is answered and back,
    read all books.
    """
    directory = directory / f"run{run}"
    directory.mkdir()
    rooms = [f"{room}{run}" for room in ROOMS]
    async with Bookkeeper(fleet.bases, rooms[0], directory) as keeper:
        for room in rooms[1:]:
            await keeper.call("PUT", f"/v1/rooms/{room}", {"title": room})
            await keeper.call("POST", f"/v1/rooms/{room}/start")
        drop = await keeper.open_drop(stock)
        processes = 2 if watchers > 100 else 1
        async with (
            Watchers(fleet.bases, rooms, directory, viewers=watchers, seed=seed + run, processes=processes) as audience,
            Crowd(
                fleet.bases,
                rooms[0],
                drop,
                directory,
                users=buyers,
                seed=seed + run,
                over_s=over_s,
                processes=processes,
                first=run * PEOPLE_MAX,
            ) as crowd,
        ):
            crowd.go()
            await crowd.until(lambda: crowd.counts["won"] >= stock // 5, "the first winners")
            await audience.mark()
            began = moment()
            await fault(rooms[0])
            await crowd.finish()
            await asyncio.sleep(QUIET_S)  # whatever else would come, comes in that time
            reports = await audience.end()
        asked = await keeper.settle()
        books = await keeper.books(drop, asked, lambda: audited("--ledger", fleet.ledger.url))
    outcome = Outcome(felt(asked, began), shown(reports), asked, [*check(asked, books), *check_streams(reports)])
    report(name, crowd, f"{outcome.felt}; {outcome.shown}; {len(outcome.violations)} violations {outcome.violations[:3]}")
    return outcome


def figures(name: str, values: Sequence[float]) -> None:
    """One line of figures of many runs, shown by `make chaos`."""
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    report_line(name, f"{len(ordered)} runs, median {ordered[len(ordered) // 2]:.2f}, p99 {p99:.2f}, worst {ordered[-1]:.2f}")


def report_line(name: str, said: str) -> None:
    """Shown by `make chaos`."""
    sys.stderr.write(f"\n  {name}: {said}\n")
