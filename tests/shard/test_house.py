"""What two processes know of the house's rules, over a real store: at once where the ring is heard, soon where it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from livecast.adapters.redis.bus import RedisBus
from livecast.adapters.redis.house import RedisHouseRules
from livecast.adapters.redis.server import RedisServer
from livecast.core.events import NOBODY, Notice
from livecast.core.filter.filters import FilterLists
from livecast.house import Rule
from livecast.shard import house as module
from livecast.shard.house import House
from support.house import Notes, until


class Process:
    """A house on connections of its own; `deaf`: its bus brings it nothing."""

    def __init__(self, name: str, url: str) -> None:
        self.server = RedisServer(url)
        self.notes = Notes()
        self.bus = RedisBus(self.server, self.notes)
        self.now = 1_000_000
        self.house = House(id=name, rules=RedisHouseRules(self.server), bus=self.bus, clock=lambda: self.now, observer=self.notes)
        self.heard: list[Rule] = []
        self.out: list[tuple[Any, ...]] = []
        self.house.listeners.append(self.heard.append)
        self.house.on_put_out.append(lambda *told: self.out.append(told))

    async def close(self) -> None:
        self.house.stop()
        await self.bus.close()
        await self.server.close()


@pytest.fixture
async def two(valkey: str) -> AsyncIterator[tuple[Process, Process]]:
    """Two processes over one store."""
    made = Process("one", valkey), Process("two", valkey)
    for each in made:
        await each.house.start()
    yield made
    for each in made:
        await each.close()


async def test_a_ban_is_known_everywhere_at_once(two: tuple[Process, Process]) -> None:
    """Imposed and lifted; whoever listens is told."""
    one, other = two
    await one.house.impose("ban", "platform", "eve", 0, "spam", NOBODY)
    assert one.house.keeps_out("eve", "r", "")
    await until(lambda: other.house.keeps_out("eve", "r", ""), "the ban elsewhere")
    assert other.heard == one.heard == [Rule("ban", "platform", "eve")]
    assert other.house.sentences("ban", "platform")[0][2].reason == "spam"
    await other.house.lift("ban", "platform", "eve", NOBODY)
    await until(lambda: not one.house.keeps_out("eve", "r", ""), "the end of it")


async def test_a_filter_is_changed_everywhere(two: tuple[Process, Process]) -> None:
    """Where a room has it already; and where one asks for it later."""
    one, other = two
    words, _ = await other.house.rules_for("r", "m")
    assert words is None
    await one.house.put_lists("merchant:m", FilterLists(block=("damn",)), NOBODY)
    await until(lambda: other.heard, "the news")
    words, _ = other.house.rules_known("r", "m")
    assert words is not None
    assert words.judge("damn")[0] == "block"
    assert (await other.house.rules_for("r", ""))[0] is None


async def test_what_is_not_there_is_forgotten_in_time(two: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rooms without a filter do not fill the memory, and hear of one all the same."""
    monkeypatch.setattr(module, "KNOWN_MAX", 10)
    one, other = two
    await one.house.put_lists("platform", FilterLists(block=("damn",)), NOBODY)
    for n in range(30):
        assert (await other.house.rules_for(f"r{n}", ""))[0] is not None
    assert len(other.house._filters) <= 11
    assert not other.house.knows_filters("r0", "")
    other.heard.clear()
    await one.house.put_lists("room:r0", FilterLists(hold=("scam",)), NOBODY)
    await until(lambda: other.heard == [Rule("filter", "room:r0")], "the news")
    words, _ = await other.house.rules_for("r0", "")
    assert words is not None
    assert [words.judge(text)[0] for text in ("damn", "scam")] == ["block", "hold"]


async def test_the_key_of_aliases_outlives_its_store(two: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch) -> None:
    """All processes have the same; a store that lost it is told it again, before a new process could make another."""
    monkeypatch.setattr(module, "POLL_S", 0.02)
    one, other = two
    key = one.house.alias_key
    assert other.house.alias_key == key
    one.house._background.keep_up(one.house._poll)
    await one.server.run("DEL", "{house}:secrets")
    for _ in range(500):
        if await one.server.run("EXISTS", "{house}:secrets"):
            break
        await asyncio.sleep(0.01)
    assert await one.server.run("HGET", "{house}:secrets", "aliases") == key


async def test_a_user_is_put_out_everywhere(two: tuple[Process, Process]) -> None:
    """And kept out until then."""
    one, other = two
    await one.house.put_out("eve", ["rooms:r*"], "flood", 1_060_000, NOBODY)
    await until(lambda: other.out and other.house.keeps_out("eve", "r1", ""), "the word")
    assert other.out == one.out == [("eve", ["rooms:r*"], "flood", 1_060_000)]
    assert not other.house.keeps_out("eve", "x1", "")
    other.now = 1_060_000
    assert not other.house.keeps_out("eve", "r1", "")


async def test_a_lost_ring_is_made_up_for(two: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch) -> None:
    """By looking at the revision; what one did itself is not read again."""
    one, other = two
    await other.house.rules_for("r", "")
    for each in two:
        each.house.stop()
    monkeypatch.setattr(module, "POLL_S", 0.02)
    monkeypatch.setattr(one.bus, "notify", _silence)
    reads: list[int] = []
    monkeypatch.setattr(one.house, "_read", _noted(one.house._read, reads))
    for each in two:
        each.house._background.keep_up(each.house._poll)
    await one.house.impose("mute", "platform", "eve", 0, "", NOBODY)
    await one.house.put_lists("room:r", FilterLists(hold=("scam",)), NOBODY)
    await until(lambda: other.house.standing("mute", "eve", "platform"), "the mute")
    await until(lambda: other.house.rules_known("r", "")[0], "the filter")
    assert reads == []


def _silence(_room: str, _user: str, _notice: Notice) -> None:
    """Nothing is heard."""


def _noted(read: Any, reads: list[int]) -> Any:
    async def noted() -> None:
        reads.append(1)
        await read()

    return noted
