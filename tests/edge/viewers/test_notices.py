"""Notices reach their user's connections, and what a new owner tells again reaches nobody twice."""

from __future__ import annotations

import pytest

from livecast.core.events import Notice
from livecast.edge.viewers import notices
from livecast.edge.viewers.notices import Notices
from support.house import House, until
from support.viewer import Viewer


async def heard(viewer: Viewer, count: int) -> list[str]:
    """The ids of the notices of a viewer, once there are so many."""

    def ids() -> list[str]:
        return [message["id"] for message in viewer.told if message["t"] == "notice"]

    await until(lambda: len(ids()) >= count, f"{count} notices")
    return ids()


async def test_what_is_told_again_is_heard_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """By room, user and id; other kinds are told as often as they come; memory is bounded, oldest first."""
    monkeypatch.setattr(notices, "REMEMBERED_MAX", 2)
    await house.live_room("r")
    deliver = Notices(house.node).deliver
    async with Viewer(house.port, "r", house.token("ann")) as ann:
        await until(lambda: ann.told, "welcome")
        for id_ in ("a", "a", "b", "a"):
            deliver("r", "ann", Notice(id_, "draw.won", 1, {}))
        deliver("r", "bob", Notice("a", "draw.won", 1, {}))
        deliver("other", "ann", Notice("b", "draw.won", 1, {}))
        for _ in range(2):
            deliver("r", "ann", Notice("x", "x.hello", 1, {}))
        deliver("r", "ann", Notice("a", "draw.won", 1, {}))  # forgotten by now
        assert await heard(ann, 5) == ["a", "b", "x", "x", "a"]
