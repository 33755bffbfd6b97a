"""The checker of what is shown works: nodes with a bug planted in them, run as real processes, are each convicted of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chaos import mutants
from chaos.fleet import Fleet, frozen
from chaos.mutants import Bug, plant
from chaos.watchers import Watchers
from support.bookkeeper import Bookkeeper
from support.streams import check_streams

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

ROOMS = ("kitchen", "garden", "attic", "cellar")


async def story(directory: Path, package: Path | None, fault: Callable[[Fleet], Awaitable[None]]) -> list[str]:
    """People watch and talk in four rooms on two nodes while something happens; what the checker has to say."""
    with Fleet(2, package=package) as fleet:
        async with Bookkeeper(fleet.bases, ROOMS[0], directory) as keeper:
            for room in ROOMS:
                await keeper.call("PUT", f"/v1/rooms/{room}", {"title": room})
                await keeper.call("POST", f"/v1/rooms/{room}/start")
        async with Watchers(fleet.bases, ROOMS, directory, viewers=40, processes=1) as audience:
            await audience.mark()
            await fault(fleet)
            return check_streams(await audience.end())


async def sleeping_owner(fleet: Fleet) -> None:
    """The owner of a room stands still until another one has it, and wakes up."""
    with frozen(fleet.nodes[fleet.owner(ROOMS[0])].pid):
        await asyncio.sleep(6)
    await asyncio.sleep(4)


async def lost_messages(fleet: Fleet) -> None:
    """The store hangs up on whoever listens, again and again: what is published meanwhile is lost to them."""
    for n in range(60):
        fleet.rooms.command("CLIENT", "KILL", "TYPE", "pubsub")
        await asyncio.sleep((0.05, 0.1, 0.15, 0.3)[n % 4])  # at ever other moments of a tick


async def nothing(_fleet: Fleet) -> None:
    """No fault, for a while."""
    await asyncio.sleep(3)


@pytest.mark.parametrize("fault", [sleeping_owner, lost_messages, nothing])
async def test_the_service_itself_is_convicted_of_nothing(tmp_path: Path, fault: Callable[[Fleet], Awaitable[None]]) -> None:
    """Or the convictions below would mean nothing."""
    assert await story(tmp_path, None, fault) == []


@pytest.mark.parametrize(
    ("bug", "fault"),
    [(mutants.TWO_OWNERS, sleeping_owner), (mutants.HOLES_SHOWN, lost_messages), (mutants.FRAMES_ASTRAY, nothing)],
    ids=lambda each: getattr(each, "name", ""),
)
async def test_a_planted_bug_is_caught(tmp_path: Path, bug: Bug, fault: Callable[[Fleet], Awaitable[None]]) -> None:
    """By the promise that it breaks."""
    violations = await story(tmp_path, plant(bug, tmp_path / "mutant"), fault)
    assert any(each.startswith(promise) for each in violations for promise in bug.promises), violations[:5]
