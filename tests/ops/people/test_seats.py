"""Seats: a socket for everybody who speaks, a bound on how many at once, and who goes when it is reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from livecast.client import Refused
from livecast.ops.configuration.groups import DEV_SECRET
from livecast.ops.people.seats import Seats
from livecast.ops.people.visitors import Tokens
from support.stage import Stage, Visit, linger, until, welcome


class Door:
    """A server that counts who is in."""

    def __init__(self, stage: Stage) -> None:
        self.inside = self.most = 0
        self.url = stage.url
        self.refuse = False
        stage.acts = [self._let_in]

    async def _let_in(self, visit: Visit) -> None:
        if self.refuse:
            await visit.socket.close(4404)
            return
        self.inside += 1
        self.most = max(self.most, self.inside)
        await visit.say(welcome())
        await linger(visit)
        self.inside -= 1


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """Open."""
    stage = Stage()
    await stage.start()
    yield Door(stage)
    await stage.stop()


async def seats_at(door: Door, seats_max: int) -> Seats:
    """Seats for visitors of `door`."""
    return Seats(door.url, "r", Tokens(door.url, "r", token_secret=DEV_SECRET), seats_max)


async def test_one_socket_each_and_never_more_than_there_are_seats(door: Door) -> None:
    """Forty people through four seats: all get their turn; two things that one of them says at once share the socket."""
    seats = await seats_at(door, 4)

    async def speak(user: str) -> None:
        client = await seats.take(user)
        assert client.connected
        await asyncio.sleep(0)
        seats.give_back(user)

    await asyncio.gather(*(speak(f"u{k}") for k in range(40) for _ in range(2)))
    assert seats.opened == 40
    assert door.most <= 5  # the server may hear of the newcomer before it hears that the last one left
    await seats.close()
    await until(lambda: door.inside == 0)


async def test_the_longest_idle_goes_first(door: Door) -> None:
    """Somebody who has just spoken keeps the seat; somebody who speaks is never taken off it."""
    seats = await seats_at(door, 2)
    await seats.take("a")
    await seats.take("b")
    waiting = asyncio.create_task(seats.take("c"))
    await asyncio.sleep(0.05)  # nobody is idle, so nothing may happen however long it takes
    assert not waiting.done()
    seats.give_back("b")
    await waiting
    seats.give_back("a")
    await seats.take("a")
    assert seats.opened == 3  # a, b, c: b had to go, a stayed
    await seats.close()


async def test_leaving_frees_the_seat(door: Door) -> None:
    """Whoever has nothing more to say makes room; while something is under way they stay."""
    seats = await seats_at(door, 1)
    await seats.take("a")
    await seats.leave("a")
    assert door.inside == 1
    seats.give_back("a")
    await seats.leave("a")
    await until(lambda: door.inside == 0)


async def test_a_refusal_reaches_everybody_who_waits_for_the_socket(door: Door) -> None:
    """It is raised, the seat is free again, and the next one tries anew."""
    seats = await seats_at(door, 1)
    door.refuse = True
    results = await asyncio.gather(seats.take("a"), seats.take("a"), return_exceptions=True)
    assert [type(result) for result in results] == [Refused, Refused]
    door.refuse = False
    assert (await seats.take("b")).connected
    await seats.close()
