"""The rooms that this node follows: loaded when somebody wants to watch, dropped some time after the last one left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from livecast.core.commands import Ensure
from livecast.core.errors import Refusal
from livecast.core.events import Answer, Ask, Command, Done, Person
from livecast.edge.rooms.following import Following
from livecast.edge.rooms.hub import RoomHub
from livecast.ports import Unavailable

if TYPE_CHECKING:
    from livecast.edge.node import Node

UNKNOWN_MAX: Final = 10_000
"""Ids remembered as unknown; when there are more, all are forgotten: somebody is trying ids out."""
NEW_ROOM_S: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Pauses in which a room that was asked for a moment ago is waited for: its first commit takes milliseconds."""
SHARES: Final = 10
"""Quiet rooms are looked at in so many portions, one a second."""

RECHECK_MS: Final = 30_000
"""How often a room that is owned elsewhere is compared with its log: a word that was lost without anybody noticing is made good so
late at most. 10,000 rooms cost 333 reads a second, in pipelines."""

NODE: Final = Person("livecast", "livecast", role="service")


class Views:
    """Room id -> `RoomHub`. Joins that come together share one load."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._rooms: dict[str, Following] = {}
        self._loading: dict[str, asyncio.Task[RoomHub | None]] = {}
        self._unknown: dict[str, int] = {}
        self._round: list[str] = []
        self._share = 0

    def peek(self, room: str) -> RoomHub | None:
        """The hub if it is loaded."""
        following = self._rooms.get(room)
        return None if following is None else following.hub

    async def get(self, room: str) -> RoomHub | None:
        """The hub, loaded if need be; None if there is no such room (in `--dev` it is made).

        Raises `livecast.ports.Unavailable` when the store does not answer.
        """
        if (hub := self.peek(room)) is not None:
            return hub
        if self._unknown.get(room, 0) > self._node.clock():
            return None
        loading = self._loading.get(room)
        if loading is None:
            loading = self._loading[room] = asyncio.get_running_loop().create_task(self._load(room))
            loading.add_done_callback(lambda done: self._loaded(room, done))
        return await asyncio.shield(loading)

    def _loaded(self, room: str, loading: asyncio.Task[RoomHub | None]) -> None:
        del self._loading[room]
        if not loading.cancelled():
            loading.exception()  # told to those who wait; if all have gone meanwhile, it is nobody's concern

    def made(self, room: str) -> None:
        """The room was created just now: forget that it was unknown."""
        self._unknown.pop(room, None)

    def hubs(self) -> list[RoomHub]:
        """All that are loaded."""
        return [following.hub for following in self._rooms.values()]

    @property
    def bytes(self) -> int:
        """Frames held by all of them."""
        return sum(following.hub.view.bytes_kept for following in self._rooms.values())

    def sweep(self, now: int) -> None:
        """Drop views that nobody needs: idle for long, or idle at all while there is too much; cut the others to size."""
        rules, held = self._node.rules, self.bytes
        idle = [f for f in self._rooms.values() if f.hub.idle_since is not None]
        for following in sorted(idle, key=lambda f: f.hub.idle_since or 0):
            if held <= rules.views_bytes_max and now - (following.hub.idle_since or 0) < rules.view_idle_ms:
                break
            held -= following.hub.view.bytes_kept
            self.drop(following.hub.room)
        if held > rules.views_bytes_max:
            share = rules.views_bytes_max // len(self._rooms)
            for following in self._rooms.values():
                following.hub.view.trim(share)

    def next_share(self) -> list[RoomHub]:
        """Some of the hubs, the next ones with each call: all have had their turn after `SHARES` calls."""
        if not self._round:
            self._round = list(self._rooms)
            self._share = -(-len(self._round) // SHARES)
        names, self._round = self._round[: self._share], self._round[self._share :]
        return [following.hub for name in names if (following := self._rooms.get(name)) is not None]

    def recheck(self, hub: RoomHub, now: int) -> None:
        """Now and then compare a room watched here and owned elsewhere with its log: its last word may have been lost."""
        following = self._rooms.get(hub.room)
        if following is not None and hub.idle_since is None and now - following.checked_at >= RECHECK_MS:
            following.checked_at = now
            if not self._node.bus.here(hub.room, self._node.id):
                self._node.rechecks.note(following)

    def drop(self, room: str) -> None:
        """Follow this room no longer."""
        if (following := self._rooms.pop(room, None)) is not None:
            self._node.reports.forget(following.hub)
            self._node.ending.pop(following.hub, None)
            following.close()

    def close(self) -> None:
        """Follow nothing any more."""
        for loading in self._loading.values():
            loading.cancel()
        for room in list(self._rooms):
            self.drop(room)

    async def _load(self, room: str) -> RoomHub | None:
        answer = await self._wake(room)
        unknown = isinstance(answer, Refusal) and answer.code == "unknown_room"
        following = None if unknown else await self._follow(room)
        if following is None and isinstance(answer, Done):
            following = await self._follow_new(room)
        if following is None:
            if not unknown:
                # Neither the owner nor the log can tell whether there is such a room.
                raise Unavailable(answer.sentence() if isinstance(answer, Refusal) else "The room is just being made.")
            if len(self._unknown) >= UNKNOWN_MAX:
                self._unknown.clear()
            self._unknown[room] = self._node.clock() + self._node.rules.unknown_room_ms
            return None
        if isinstance(answer, Done):
            following.hub.merchant = answer.value["merchant"]
        self._rooms[room] = following
        return following.hub

    async def _follow_new(self, room: str) -> Following | None:
        """A room that its owner knows and the log does not: somebody else has just asked for it, and it is being kept."""
        for pause_s in NEW_ROOM_S:
            await asyncio.sleep(pause_s)
            if (following := await self._follow(room)) is not None:
                return following
        return None

    async def _wake(self, room: str) -> Answer:
        """Have the room's owner take it into memory; `unknown_room` if there is none.

        A room that sleeps wakes in a new epoch, so it is woken before its log is read: a resume is then decided once. An owner
        that does not answer (another one is about to take over) is not waited for: what the log has is shown meanwhile.
        """
        if self._node.rules.dev:
            return await self._node.ask(room, lambda origin: Command(origin, NODE, "ensure", Ensure()))
        return await self._node.ask(room, lambda origin: Ask(origin, NODE, "room"))

    async def _follow(self, room: str) -> Following | None:
        following = Following(self._node, room)
        try:
            exists = await following.start()
        except BaseException:
            following.close()
            raise
        if not exists:
            following.close()
            return None
        return following
