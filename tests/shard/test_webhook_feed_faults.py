"""Events of ledgers and rooms over deaths, outages, rushes and what cannot be read: all of them, once, in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from livecast.core.commands import Ban
from livecast.core.events import Person
from livecast.core.money.coins import Gift, SpendLimits
from livecast.core.money.gifts import about_of
from livecast.core.nodes.placement import shard_of
from livecast.core.webhooks.deliveries import Draft
from livecast.facts import Trouble
from livecast.shard import webhook_feed
from livecast.wire import records
from support.newsroom import Newsroom, newsroom
from support.vault import ROOM
from support.virtual import VirtualLoop


def test_one_fault_silences_nobody_else() -> None:
    """An entry that cannot be read holds up its own shard, and is reported; others go on."""

    async def story(room: Newsroom, loop: VirtualLoop) -> None:
        read, other = room.ledger.read, "another-room"

        async def broken(shard: int, after: int, limit: int) -> Any:
            if shard == shard_of(ROOM) and room.spoilt:
                raise ValueError("not an entry")
            return await read(shard, after, limit)

        room.ledger.read = broken
        room.spoilt = True
        await room.give("ann", ring=False)
        room.feed._dirty.add(shard_of(ROOM))
        gift = Gift("bob/1", "bob", other, "b1", "rose", 1, 1, about=about_of(Person("bob", "Bob"), 1))
        await room.ledger.debit_gift(gift, SpendLimits(), loop.unix_ms())
        await room.ledger.commit_gift(gift, loop.unix_ms())
        room.treasury.ring(other)
        await room.told("room.started", "gift.sent")
        faults = [fact for fact in room.facts if isinstance(fact, Trouble) and "webhook" in fact.what]
        assert [fact.level for fact in faults] == ["error"]
        room.facts[:] = [fact for fact in room.facts if fact not in faults]
        room.spoilt = False
        await asyncio.sleep(400)
        await room.told("room.started", "gift.sent", "gift.sent")

    newsroom(story)


def test_the_end_of_a_broadcast_is_told_behind_that_of_its_drops() -> None:
    """Also where all of it waited for a store that was away."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        await room.drop(stock=2)
        await room.step("open")
        await room.told(*(before := ("room.started", "drop.opened")))
        room.webhooks.away = True
        await room.end()
        await room.until(lambda: room.state()["status"] == "ended", "end")
        await asyncio.sleep(2)
        room.webhooks.away = False
        await room.told(*before, "drop.closed", "drop.settled", "room.ended")

    newsroom(story)


def test_nothing_is_lost_or_told_twice_over_deaths() -> None:
    """Owners die at every moment; also where the store did what it was asked and its answer was lost."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        await room.drop(stock=40)
        await room.step("open")
        for n in range(40):
            await room.claim(f"u{n}")
            if n % 4 == 1:
                await room.give(f"u{n}")
            if n % 10 == 3:
                room.webhooks.mute = True
                await asyncio.sleep(0.3)
                room.webhooks.mute = False
            if n % 5 == 2:
                await asyncio.sleep(0.013 * n)
                room.die()
                await room.take_over()
                room.shards.wake(ROOM)
        await room.end()
        end = room.loop.time() + 200
        while "drop.settled" not in await room.types():
            assert room.loop.time() < end, await room.types()
            await asyncio.sleep(0.5)
        events = await room.events()
        counts = Counter(event.type for event in events if event.type != "claim.granted")
        assert counts == {
            "room.started": 1, "drop.opened": 1, "gift.sent": 10, "drop.sold_out": 1, "room.ended": 1, "drop.closed": 1,
            "drop.settled": 1,
        }  # fmt: skip
        serials = [claim["serial"] for event in events if event.type == "claim.granted" for claim in event.data["claims"]]
        assert serials == list(range(1, 41))
        assert len({event.id for event in events}) == len(events)

    newsroom(story)


def test_an_end_in_the_moment_of_death_is_told_by_the_next() -> None:
    """The room had committed it and nobody was told: whoever starts next looks at all rooms."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        room.webhooks.away = True
        await room.end()
        await asyncio.sleep(1)
        room.die()
        room.webhooks.away = False
        await room.take_over()
        events = await room.told("room.started", "room.ended")
        assert events[1].merchant == "m1"

    newsroom(story)


def test_a_store_that_is_away_is_told_later() -> None:
    """Events wait in the ledger; the operator is told, and then nothing is missing."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        room.webhooks.away = True
        await room.give("ann")
        await room.give("bob")
        await asyncio.sleep(5)
        assert await room.types() == ["room.started"]
        assert "events for webhooks cannot be kept" in {fact.what for fact in room.facts if isinstance(fact, Trouble)}
        room.webhooks.away = False
        events = await room.told("room.started", "gift.sent", "gift.sent")
        assert [event.data["user"] for event in events[1:]] == ["ann", "bob"]

    newsroom(story)


def test_a_rush_is_told_in_bounded_calls() -> None:
    """A thousand entries of a shard, with more claims than fit one call: all are told, in order."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        room.feed.stop()
        await room.drop(stock=9_000, codes="none")
        await room.step("open")
        for n in range(0, 9_000, 450):
            await room.claim(*(f"u{n + k}" for k in range(450)))
        for n in range(150):
            await room.give("ann", tx=str(n))
        sizes: list[int] = []
        append = room.webhooks.append

        async def counted(source: int, expected: int, upto: int, drafts: Sequence[Draft], now: int) -> int:
            sizes.append(len(drafts))
            return await append(source, expected, upto, drafts, now)

        room.webhooks.append = counted  # type: ignore[method-assign]
        room.tell()
        end = room.loop.time() + 20
        while "drop.sold_out" not in await room.types():
            assert room.loop.time() < end
            await asyncio.sleep(0.05)
        serials: list[Any] = [c["serial"] for e in await room.events() if e.type == "claim.granted" for c in e.data["claims"]]
        assert serials == list(range(1, 9_001))
        assert max(sizes) <= 102
        assert len(sizes) > 1

    newsroom(story)


def test_what_rooms_say_while_the_store_is_away_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound nothing is kept: once the store answers it is looked up how things stand in all rooms."""
    monkeypatch.setattr(webhook_feed, "SAID_MAX", 3)

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        room.webhooks.away = True
        for n in range(9):
            said = {"room": f"other-{n}", "title": "", "merchant": "", "status": "live", "broadcast": f"b{n}", "started_at": 1}
            room.feed.say(f"other-{n}", records.encode_summary(said))
        await room.end()
        await room.until(lambda: room.state()["status"] == "ended", "end")
        await asyncio.sleep(5)
        assert len(room.feed._said) <= 3
        room.webhooks.away = False
        await room.told("room.started", "room.ended")

    newsroom(story)


def test_an_operator_hears_of_events_that_were_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bans and the like are found nowhere again: as many as are kept are told, and it is said that there were more."""
    monkeypatch.setattr(webhook_feed, "SAID_MAX", 3)

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        room.webhooks.away = True
        for n in range(5):
            await room.command("ban", Ban(f"eve{n}"))
            await asyncio.sleep(1)
        faults = [fact for fact in room.facts if isinstance(fact, Trouble) and fact.what.startswith("too many events")]
        assert [fact.level for fact in faults] == ["error", "error"]
        room.facts[:] = [fact for fact in room.facts if fact not in faults]
        room.webhooks.away = False
        await room.told("room.started", "user.banned", "user.banned", "user.banned")

    newsroom(story)


def test_a_room_that_cannot_be_read_ends_no_telling() -> None:
    """A line of the list of rooms is garbage: that is reported, those behind it are read, and what happens is told."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        room.log._summaries["broken"] = b"{not a summary"
        room.log._order.insert(0, "broken")
        room.feed._known.clear()
        room.feed.own([shard_of(ROOM)])
        await room.until(lambda: [fact for fact in room.facts if isinstance(fact, Trouble) and fact.about == "broken"], "report")
        await room.until(lambda: ROOM in room.feed._known, "the line behind it")
        await room.give("ann")
        await room.told("room.started", "gift.sent")

    newsroom(story)
