"""Sockets for many people of whom few speak at once: one each while they speak, and no more than a bound at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from livecast.client import LivecastClient
from livecast.ops.people.visitors import Tokens, user_id


class Seat:
    """One person's socket, and how many of their comments are under way on it."""

    __slots__ = ("busy", "client", "opened")

    def __init__(self, client: LivecastClient) -> None:
        self.client = client
        self.busy = 0
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Seats:
    """At most `seats_max` people have a socket. When all seats are taken, the person who has been idle longest goes."""

    def __init__(self, url: str, room: str, tokens: Tokens, seats_max: int) -> None:
        self.opened = 0
        """Sockets opened so far."""
        self._url, self._room, self._tokens, self._seats_max = url, room, tokens, seats_max
        self._seats: OrderedDict[str, Seat] = OrderedDict()  # longest unused first
        self._turn = asyncio.Lock()  # newcomers wait in line
        self._freed = asyncio.Event()

    async def take(self, user: str) -> LivecastClient:
        """The socket of `user`, opened if need be; to be given back. Raises `ClientError` if they are not let in."""
        seat = self._seats.get(user)
        if seat is None:
            async with self._turn:
                seat = self._seats.get(user) or await self._sit_down(user)
        seat.busy += 1
        self._seats.move_to_end(user)
        try:
            await asyncio.shield(seat.opened)
        except BaseException:
            self.give_back(user)
            raise
        return seat.client

    def give_back(self, user: str) -> None:
        """One comment of `user` less under way."""
        if (seat := self._seats.get(user)) is not None:
            seat.busy -= 1
            if not seat.busy:
                self._freed.set()

    async def leave(self, user: str) -> None:
        """`user` has nothing more to say."""
        seat = self._seats.get(user)
        if seat is not None and not seat.busy:
            del self._seats[user]
            self._freed.set()
            await seat.client.close()

    async def close(self) -> None:
        """Everybody goes."""
        seats, self._seats = list(self._seats.values()), OrderedDict()
        await asyncio.gather(*(seat.client.close() for seat in seats))

    async def _sit_down(self, user: str) -> Seat:
        while len(self._seats) >= self._seats_max:
            idle = next((name for name, seat in self._seats.items() if not seat.busy), None)
            if idle is not None:
                await self.leave(idle)
            else:
                self._freed.clear()
                await self._freed.wait()
        token = await self._tokens.of(user_id(user), user)
        seat = self._seats[user] = Seat(LivecastClient(self._url, self._room, token=token, light=True, connect_timeout_s=30))
        self.opened += 1
        opening = asyncio.create_task(seat.client.start())
        opening.add_done_callback(lambda done: self._opened(user, seat, done))
        return seat

    def _opened(self, user: str, seat: Seat, done: asyncio.Task[None]) -> None:
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is None:
            seat.opened.set_result(None)
            return
        if self._seats.get(user) is seat:
            del self._seats[user]  # the next comment tries anew
            self._freed.set()
        seat.opened.set_exception(error)
        seat.opened.exception()  # marked as seen: perhaps nobody waits any more
