"""Two hours of a broadcast in some seconds: the report's sums are those of the tallies, the ledger and the polls, and what is
exported comes out the same when it is played again.

Room, journal, ledger, records, archivist and archive are the real ones; only the clock is handed in.
"""

from __future__ import annotations

import io
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livecast.adapters.archive.store import SqlArchive, sqlite_url
from livecast.adapters.memory.ledger import MemoryLedger
from livecast.adapters.memory.log import MemoryRoomLog
from livecast.adapters.memory.records import MemoryRoomRecords
from livecast.archive import Broadcast
from livecast.core.commands import COMMANDS, Ensure
from livecast.core.events import Command, Event, Liked, Origin, Person, Said, Tapped, Voted
from livecast.core.frames import Comment, Frame
from livecast.core.money.coins import Gift
from livecast.core.money.gifts import about_of
from livecast.core.money.units import Claim, NewDrop, Order, Terms
from livecast.core.nodes.placement import shard_of
from livecast.core.room import Room
from livecast.core.rules import RoomRules
from livecast.edge.reports.replays import as_xml
from livecast.edge.reports.report import BroadcastReport, report_of
from livecast.ops.danmaku_xml import read_danmaku
from livecast.ops.people.phrases import CHATTER
from livecast.shard.archivist import Archivist
from livecast.shard.journal import Journal
from livecast.wire import records

ROOM = "night"
BEGAN = 1_700_000_000_000
HOURS_MS = 2 * 3_600_000
HERE = Origin("n", 1)
SERVICE = Person("shop", "Shop", role="service")
COMMENTS = int(os.environ.get("LONG_BROADCAST_COMMENTS", "12000"))
"""`LONG_BROADCAST_COMMENTS=200000` plays a full house; it takes minutes."""


class Stage:
    """A room driven by a clock that is handed in; every flush is committed and leaves its record."""

    def __init__(self, room: str, **policy: Any) -> None:
        self.rules = msgspec.convert({"policy": policy}, RoomRules)
        self.records = MemoryRoomRecords()
        self.log = MemoryRoomLog(self.records)
        self.room = Room.create(room, "epoch1", self.rules, BEGAN)
        self.journal = Journal(room, "token", self.log, self.rules)
        self.tallies: Counter[str] = Counter()
        self.shown: list[Comment] = []
        self.likes = 0
        self._cids = 0

    async def open(self) -> None:
        """Live from now on."""
        await self.log.take(shard_of(ROOM), "token")
        await self.hear(BEGAN, Command(HERE, SERVICE, "ensure", Ensure(), cid="ensure"))

    async def tell(self, at: int, name: str, **args: Any) -> None:
        """A command."""
        await self.hear(at, Command(HERE, SERVICE, name, msgspec.convert(args, COMMANDS[name]), cid=f"{name}{at}"))

    async def hear(self, at: int, event: Event) -> Any:
        """Let time pass until `at`, then take an event in; what was answered at once."""
        await self.run(at)
        return self.room.receive(event, at)

    async def say(self, at: int, user: str, text: str, style: dict[str, Any] | None = None) -> None:
        """A comment."""
        self._cids += 1
        await self.hear(at, Said(HERE, Person(user, user), f"c{self._cids}", text, style=style))

    async def run(self, until: int) -> None:
        """Flush whenever the room wants to."""
        while (due := self.room.next_flush_at()) is not None and due <= until:
            at = max(due, BEGAN)
            flush = self.room.flush(at)
            if flush is None:
                continue
            if flush.frame is not None:
                self._note(flush.frame)
            encoded = records.encode_frame(flush.frame) if flush.frame is not None else None
            await self.log.commit(self.journal.next(self.room, flush, encoded, at))
            if flush.renew:
                await self.log.commit(self.journal.begin(self.room, f"epoch{at}", None, at))

    def _note(self, frame: Frame) -> None:
        self.shown += frame.comments
        self.likes += frame.likes.delta if frame.likes else 0
        if frame.tally is not None:
            told = frame.tally
            figures = {"in": told.in_, "shown": told.shown, "merged": told.merged, "sampled": told.sampled, "held": told.held}
            self.tallies.update(figures | {f"rejected:{code}": n for code, n in told.rejected.items()})


async def play(stage: Stage, ledger: MemoryLedger) -> dict[str, Any]:
    """The evening; what the ledger and the polls should say of it."""
    chance = random.Random(7)
    crowd = [f"u{n}" for n in range(max(50, COMMENTS // 20))]
    told: dict[str, Any] = {"votes": Counter(), "given": Counter(), "claims": 0, "sold": 0, "taps": 0}
    await stage.open()
    await stage.tell(BEGAN + 10, "put_product", id="lip", title="Lip", price={"amount": 100, "currency": "CNY"}, sku="s1")
    await stage.tell(BEGAN + 20, "on_air", product="lip")
    await stage.tell(BEGAN + 30, "open_poll", question="Which?", choices=["a", "b", "c"])
    await stage.run(BEGAN + 2_000)
    poll = next(iter(stage.room.state["polls"]))
    broadcast = stage.room.broadcast
    await ledger.put_drop(NewDrop(ROOM, "d1", Terms(50)), BEGAN + 40)
    await ledger.step_drop(ROOM, "d1", "open", BEGAN + 50)
    at = float(BEGAN + 3_000)
    for n in range(COMMENTS):
        # A crowd comes in waves: now and then everybody says the same.
        at += chance.expovariate(COMMENTS / (HOURS_MS - 600_000)) * (0.1 if n % 1_000 < 100 else 1)
        now, user = int(at), chance.choice(crowd)
        text = "666" if n % 1_000 < 60 else chance.choice(CHATTER) + (str(n) if n % 3 else "")
        await stage.say(now, user, text, {"color": chance.randrange(0xFFFFFF)} if n % 7 == 0 else None)
        if n % 5 == 0:
            await stage.hear(now, Liked(HERE, Person(user, user), 3))
        if n % 50 == 0:
            vote = await stage.hear(now, Voted(HERE, Person(user, user), f"v{n}", poll, n % 3, n))
            told["votes"][user] += 0 if vote is not None and getattr(vote, "verdict", "") != "counted" else 1
            await stage.hear(now, Tapped(HERE, Person(user, user), "lip", 2))
            told["taps"] += 2
        if n % 40 == 0:
            gift = Gift(
                f"{user}/g{n}", user, ROOM, broadcast, "heart", 1, 10, paid="elsewhere", about=about_of(Person(user, user), 1)
            )
            await ledger.commit_gift(gift, now)
            told["given"][user] += 10
        if n % 100 == 0:
            (answer,) = await ledger.claim(ROOM, "d1", broadcast, [Claim(user, f"k{n}")], now)
            if type(answer).__name__ == "Won":
                told["claims"] += 1
                await ledger.order(ROOM, Order(f"o{n}", user, "s1", 990, "CNY", "paid"), now)
                told["sold"] += 990
    await stage.tell(int(at) + 1_000, "close_poll", poll=poll)
    told["poll"] = poll
    await stage.tell(int(at) + 60_000, "end")
    await stage.run(int(at) + 120_000)
    return told


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[SqlArchive]:
    """An empty one."""
    made = SqlArchive(sqlite_url(tmp_path))
    yield made
    await made.close()


def wall_ms() -> int:
    """Unix ms."""
    return time.time_ns() // 1_000_000


class Deaf:
    """Nobody to be told of anything."""

    def observe(self, fact: object) -> None:
        """It is not noted."""


async def archived(stage: Stage, ledger: MemoryLedger, archive: SqlArchive) -> tuple[Broadcast, BroadcastReport]:
    """All of it in the archive, and the report."""
    archivist = Archivist(
        archive=archive, records=stage.records, ledger=ledger, clock=wall_ms, observer=Deaf(), gather_s=0.0
    )  # fmt: skip
    assert await archivist.start(within_s=30)
    await archivist.stop()
    of = await archive.broadcast(ROOM, None)
    assert of is not None
    return of, report_of(await archive.figures(of), BEGAN + HOURS_MS)


@pytest.mark.timeout(600)
async def test_two_hours(archive: SqlArchive) -> None:
    """Every sum of the report, and every comment of the replay."""
    stage, ledger = Stage(ROOM), MemoryLedger(lambda: BEGAN + 10)
    told = await play(stage, ledger)
    of, report = await archived(stage, ledger, archive)

    assert stage.tallies["in"] >= COMMENTS
    told_comments = {"in": report.comments.total, "shown": report.comments.shown, "merged": report.comments.merged}
    told_comments |= {"sampled": report.comments.sampled, "held": report.comments.held}
    told_comments |= {f"rejected:{code}": n for code, n in report.comments.rejected.items()}
    assert {name: n for name, n in told_comments.items() if n} == {name: n for name, n in stage.tallies.items() if n}
    assert sum(point.comments for point in report.series.data) == stage.tallies["in"]
    assert report.likes == stage.likes == sum(point.likes for point in report.series.data)
    assert report.gifts.value == sum(told["given"].values()) == sum(point.gift_value for point in report.series.data)
    givers = report.gifts.givers
    assert [giver.value for giver in givers] == sorted(told["given"].values(), reverse=True)[: len(givers)]
    assert all(told["given"][giver.user] == giver.value for giver in givers)
    (drop,) = report.drops
    assert drop.granted == told["claims"] == sum(point.claims for point in report.series.data)
    assert report.sales.value == ({"CNY": told["sold"]} if told["sold"] else {})
    assert sum(minute.value["CNY"] for minute in report.sales.by_minute) == told["sold"]
    (poll,) = report.polls
    assert poll.state == "closed"
    assert [choice.votes for choice in poll.choices] == [c["votes"] for c in stage.room.state["polls"][told["poll"]]["choices"]]
    assert (report.status, report.sales.products[0].taps) == ("ended", told["taps"])

    pages = [each async for page in archive.comments(of) for each in page]
    assert sorted(row.id for row in pages if not isinstance(row, str)) == sorted(comment.id for comment in stage.shown)
    await played_again(b"".join([piece async for piece in as_xml(archive, of)]))


async def played_again(exported: bytes) -> None:
    """In a room that has room for all of it, every comment of the file is shown again, and nothing else."""
    recorded = sorted(read_danmaku(io.BytesIO(exported)), key=lambda comment: comment.at_s)
    again = Stage(ROOM, chat_budget_per_s=1000)
    await again.open()
    for comment in recorded:
        await again.say(BEGAN + 5_000 + round(comment.at_s * 1000), comment.user, comment.text, comment.style)
    await again.run(BEGAN + 2 * HOURS_MS)
    shown = Counter((comment.text, (comment.style or {}).get("color")) for comment in again.shown)
    assert shown == Counter((comment.text, (comment.style or {}).get("color")) for comment in recorded)
    assert again.tallies["shown"] == again.tallies["in"] == len(recorded)
