"""What is read in one turn of the loop is taken in together: in order, bounded, and nobody's fault is another's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from livecast.edge.viewers import inbox
from livecast.edge.viewers.inbox import Inbox
from livecast.edge.viewers.websocket import ViewerSocket

HEARD: list[str] = []
NOW = 1_700_000_000_000


class Talker:
    """Somebody whose bytes are words; a "?" is one that we fail at."""

    def __init__(self, name: str) -> None:
        self.name = name

        self.parser = self

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        return [(2, word) for word in data.split()]

    def take(self, messages: list[tuple[int, bytes]], now: int) -> None:
        assert now == NOW
        for _, word in messages:
            if word == b"?":
                raise ValueError("what?")
            HEARD.append(f"{self.name}: {word.decode()}")

    def read_failed(self, fault: Exception) -> None:
        HEARD.append(f"{self.name} {fault}")


@pytest.fixture
def crowd() -> list[ViewerSocket]:
    """Three of them, and nothing heard yet."""
    HEARD.clear()
    talkers: list[Any] = [Talker(name) for name in "abc"]
    return talkers


async def test_a_turn_is_taken_in_behind_it_and_in_order(crowd: list[ViewerSocket]) -> None:
    """Nothing is heard while the loop reads; then everything, as it came."""
    box = Inbox(lambda: NOW)
    for n, viewer in enumerate([*crowd, crowd[0]]):
        box.put(viewer, b"%d %d" % (n, n + 10))
    assert not HEARD
    await asyncio.sleep(0)
    assert HEARD == ["a: 0", "a: 10", "b: 1", "b: 11", "c: 2", "c: 12", "a: 3", "a: 13"]
    box.put(crowd[1], b"again")
    await asyncio.sleep(0)
    assert HEARD[-1] == "b: again"


async def test_a_fault_with_one_keeps_nobody_else_from_being_heard(crowd: list[ViewerSocket]) -> None:
    """The others' words are taken in; the one is told apart."""
    box = Inbox(lambda: NOW)
    for viewer, data in zip(crowd, (b"x", b"? y", b"z"), strict=True):
        box.put(viewer, data)
    await asyncio.sleep(0)
    assert HEARD == ["a: x", "b what?", "c: z"]


async def test_too_much_is_taken_in_at_once(crowd: list[ViewerSocket], monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded in bytes, and the turn that was asked for finds nothing left."""
    monkeypatch.setattr(inbox, "BYTES_MAX", 10)
    box = Inbox(lambda: NOW)
    box.put(crowd[0], b"12345")
    assert not HEARD
    box.put(crowd[1], b"67890 1")
    assert HEARD == ["a: 12345", "b: 67890", "b: 1"]
    await asyncio.sleep(0)
    assert len(HEARD) == 3
