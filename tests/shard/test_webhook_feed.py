"""Events made of ledgers and rooms: what each says, to whom it belongs, and that it is told once, in order; on virtual time."""

from __future__ import annotations

import asyncio

import msgspec

from livecast.core.commands import Ban, PatchRoom, Start
from livecast.core.events import Person
from livecast.core.money.codes import code_key, code_of
from livecast.core.money.coins import Gift, service_tx
from livecast.core.money.gifts import about_of
from livecast.core.money.units import Confirm, DropChange, Release, Revoke
from livecast.core.webhooks.deliveries import BATCH_MAX
from livecast.shard.webhook_feed import WebhookFeed
from support.newsroom import Newsroom, newsroom
from support.vault import ROOM
from support.virtual import VirtualLoop


def test_a_drop_from_announcement_to_settlement() -> None:
    """Each step once, in order, with its room's merchant and broadcast, and the drop as viewers see it."""

    async def story(room: Newsroom, loop: VirtualLoop) -> None:
        await room.drop(stock=2)
        for step in ("announce", "open", "pause", "resume", "close"):
            await room.step(step)
        started, announced, opened, *_ = events = await room.told(
            "room.started", "drop.announced", "drop.opened", "drop.closed", "drop.settled"
        )
        assert {(event.room, event.broadcast, event.merchant, event.test) for event in events[1:]} == {
            (ROOM, room.broadcast, "m1", False)
        }
        assert announced.data.items() >= {"drop": "d", "title": "A drop", "state": "announced", "stock": 2, "left": 2}.items()
        assert (opened.data["state"], opened.timestamp <= loop.unix_ms()) == ("open", True)
        assert started.id == f"evt_{ROOM}_{room.broadcast}_started"
        assert len({event.id for event in events}) == len(events)
        assert room.kicks

    newsroom(story)


def test_sold_out_is_told_the_first_time_only() -> None:
    """Stock comes back and sells out again, by a claim or by a change: nobody is told twice."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        await room.drop(stock=2)
        await room.step("open")
        await room.claim("ann")
        await asyncio.sleep(1)
        await room.claim("bob")
        await room.told("room.started", "drop.opened", "claim.granted", "claim.granted", "drop.sold_out")
        await room.ledger.step_unit(ROOM, "d", 1, Revoke("fraud", return_stock=True), 0)
        room.treasury.ring(ROOM)
        await room.claim("cyn")
        events = await room.told(
            "room.started", "drop.opened", "claim.granted", "claim.granted", "drop.sold_out", "claim.revoked", "claim.granted"
        )
        assert events[4].data == {"drop": "d", "title": "A drop", "stock": 2, "left": 0}
        revoked = events[5].data
        assert (revoked["reason"], revoked["returned"], revoked["claims"][0]["serial"]) == ("fraud", True, 1)

    newsroom(story)


def test_stock_that_is_taken_away_sells_out() -> None:
    """Down to what is granted; further changes while it is sold out tell nothing more."""

    async def story(room: Newsroom, loop: VirtualLoop) -> None:
        await room.drop(stock=3)
        await room.step("open")
        await room.claim("ann")
        for change in (DropChange("t1", stock_delta=-2), DropChange("t2", closes_at=loop.unix_ms() + 500_000)):
            await room.ledger.change_drop(ROOM, "d", change, loop.unix_ms())
            room.treasury.ring(ROOM)
            await asyncio.sleep(1)
        await room.step("close")
        events = await room.told("room.started", "drop.opened", "claim.granted", "drop.sold_out", "drop.closed", "drop.settled")
        assert events[3].data.items() >= {"drop": "d", "left": 0, "stock": 1}.items()

    newsroom(story)


def test_claims_are_told_in_batches() -> None:
    """Up to a hundred, every winner once, in the order of the serials, with the code that the winner was told."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        await room.drop(stock=500, secret=b"s" * 32)
        await room.step("open")
        await room.claim(*(f"u{n}" for n in range(250)))
        for n in range(250, 330):
            await room.claim(f"u{n}")
        await room.step("close")
        end = room.loop.time() + 20
        while "drop.settled" not in await room.types():
            assert room.loop.time() < end
            await asyncio.sleep(0.05)
        granted = [event.data for event in await room.events() if event.type == "claim.granted"]
        claims = [claim for data in granted for claim in data["claims"]]
        assert [claim["serial"] for claim in claims] == list(range(1, 331))
        assert [claim["user"] for claim in claims] == [f"u{n}" for n in range(330)]
        assert max(len(data["claims"]) for data in granted) == BATCH_MAX
        assert len(granted) < 20
        assert claims[7]["code"] == code_of(code_key(b"s" * 32), 8)
        assert claims[7].items() >= {"state": "granted", "of": 500, "cid": "c-u7"}.items()

    newsroom(story)


def test_reservations_are_told_to_their_end() -> None:
    """Reserved, then confirmed with its order, given up, or expired."""

    async def story(room: Newsroom, loop: VirtualLoop) -> None:
        await room.drop(stock=5, reserve_ms=60_000)
        await room.step("open")
        await room.claim("ann", "bob", "cyn")
        await room.ledger.step_unit(ROOM, "d", 1, Confirm("order-7", 1_999, "EUR"), loop.unix_ms())
        await room.ledger.step_unit(ROOM, "d", 2, Release(), loop.unix_ms())
        room.treasury.ring(ROOM)
        await asyncio.sleep(70)
        events = await room.told(
            "room.started", "drop.opened", "claim.granted", "claim.confirmed", "claim.released", "claim.expired"
        )
        granted, confirmed, released, expired = (event.data for event in events[2:])
        assert {claim["state"] for claim in granted["claims"]} == {"reserved"}
        assert {claim["expires_at"] - claim["at"] for claim in granted["claims"]} == {60_000}
        assert (confirmed["order_id"], confirmed["amount"], confirmed["currency"]) == ("order-7", 1_999, "EUR")
        assert [(data["claims"][0]["serial"], data["returned"]) for data in (confirmed, released, expired)] == [
            (1, False), (2, True), (3, True),
        ]  # fmt: skip

    newsroom(story)


def test_a_room_that_changes_hands() -> None:
    """From its commit on events are the new merchant's."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        await room.command("patch_room", PatchRoom(merchant="m2"))
        await room.until(lambda: b'"m2"' in room.feed._known[ROOM], "new merchant", within_s=5)
        await room.give("ann")
        events = await room.told("room.started", "gift.sent")
        assert events[1].merchant == "m2"

    newsroom(story)


def test_a_draw() -> None:
    """Its winners are told like all others, before it is settled with its result; it is never sold out."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        await room.drop(kind="draw", stock=2)
        await room.step("open")
        await room.claim("ann", "bob", "cyn")
        await room.step("close")
        events = await room.told("room.started", "drop.opened", "drop.closed", "claim.granted", "drop.settled")
        winners = {claim["user"] for claim in events[3].data["claims"]}
        assert len(winners) == 2
        assert winners < {"ann", "bob", "cyn"}
        assert events[2].data["entrants"] == 3
        assert (events[4].data["state"], events[4].data["granted"]) == ("settled", 2)
        assert events[4].data["result"]

    newsroom(story)


def test_gifts_and_reversals() -> None:
    """A gift is told once it counts in its room, of the broadcast it was given in."""

    async def story(room: Newsroom, loop: VirtualLoop) -> None:
        gift = await room.give("ann", 9)
        await room.ledger.reverse_gift(ROOM, gift.tx, "card stolen", loop.unix_ms())
        room.treasury.ring(ROOM)
        _, sent, taken_back = await room.told("room.started", "gift.sent", "gift.reversed")
        assert sent.data.items() >= {"tx": "ann/1", "user": "ann", "gift": "rose", "n": 9, "value": 9, "total": 9}.items()
        assert taken_back.data.items() >= {"tx": "ann/1", "reason": "card stolen", "total": 0}.items()
        assert sent.broadcast == room.broadcast
        about = about_of(Person("bob", "Bob"), 1)
        elsewhere = Gift(service_tx("shop", "s-1"), "bob", ROOM, room.broadcast, "rose", 1, 1, paid="elsewhere", about=about)
        await room.ledger.commit_gift(elsewhere, loop.unix_ms())
        room.treasury.ring(ROOM)
        of_service = (await room.told("room.started", "gift.sent", "gift.reversed", "gift.sent"))[3]
        assert of_service.data.items() >= {"tx": "s-1", "key": "shop", "user": "bob", "paid": "elsewhere"}.items()
        assert "key" not in sent.data

    newsroom(story)


def test_what_is_a_test_says_so() -> None:
    """Every event of a test drop."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        await room.drop(stock=1, test=True)
        await room.step("open")
        await room.claim("ann")
        events = await room.told("room.started", "drop.opened", "claim.granted", "drop.sold_out")
        assert [event.test for event in events] == [False, True, True, True]

    newsroom(story)


def test_a_rehearsal_says_so() -> None:
    """Its broadcast, and everything in it; the next broadcast is none."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        await room.end()
        await room.told("room.started", "room.ended")
        await room.command("start", Start(test=True))
        await room.told("room.started", "room.ended", "room.started")
        await room.give("ann")
        await room.told("room.started", "room.ended", "room.started", "gift.sent")
        await room.end()
        await room.told("room.started", "room.ended", "room.started", "gift.sent", "room.ended")
        await room.command("start", Start())
        events = await room.told("room.started", "room.ended", "room.started", "gift.sent", "room.ended", "room.started")
        assert [event.test for event in events] == [False, False, True, True, True, False]

    newsroom(story)


def test_what_was_sold_before_a_rehearsal_is_no_rehearsal() -> None:
    """A shop that confirms, and a gift that is taken back, while one is on: that is real."""

    async def story(room: Newsroom, loop: VirtualLoop) -> None:
        await room.drop(stock=2, reserve_ms=3_600_000)
        await room.step("open")
        await room.claim("ann")
        gift = await room.give("ann")
        before: tuple[str, ...] = ("room.started", "drop.opened", "claim.granted", "gift.sent")
        await room.told(*before)
        await room.end()
        await room.told(*(before := (*before, "drop.closed", "room.ended")))
        await room.command("start", Start(test=True))
        await room.told(*before, "room.started")
        await room.ledger.step_unit(ROOM, "d", 1, Confirm("o1"), loop.unix_ms())
        await room.ledger.reverse_gift(ROOM, gift.tx, "card stolen", loop.unix_ms())
        room.treasury.ring(ROOM)
        events = await room.told(*before, "room.started", "claim.confirmed", "gift.reversed", "drop.settled")
        assert [event.test for event in events[-4:]] == [True, False, False, False]

    newsroom(story)


def test_broadcasts_are_told() -> None:
    """Start and end of each, once; their ids differ."""

    async def story(room: Newsroom, loop: VirtualLoop) -> None:
        await room.end()
        await room.told("room.started", "room.ended")
        await room.command("start", Start())
        await room.end()
        events = await room.told("room.started", "room.ended", "room.started", "room.ended")
        first, second = events[0].broadcast, events[2].broadcast
        assert [event.broadcast for event in events] == [first, first, second, second]
        assert [event.merchant for event in events] == ["", "m1", "m1", "m1"]
        assert events[1].data["ended_at"] == events[1].timestamp <= loop.unix_ms()
        assert len({event.id for event in events}) == 4

    newsroom(story)


def test_what_moderators_look_at_is_told() -> None:
    """Bans of a room, once each, also when the store is away for a while; as its merchant's, in its broadcast."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        room.webhooks.away = True
        await room.command("ban", Ban("eve", reason="spam"))
        await asyncio.sleep(3)
        room.webhooks.away = False
        events = await room.told("room.started", "user.banned")
        assert (events[1].data["user"], events[1].data["reason"], events[1].merchant) == ("eve", "spam", "m1")
        assert events[1].broadcast == events[0].broadcast
        await room.command("ban", Ban("dan"))
        events = await room.told("room.started", "user.banned", "user.banned")
        assert len({event.id for event in events}) == 3

    newsroom(story)


def test_a_room_that_sleeps_is_still_its_merchants() -> None:
    """Nobody has it in memory, and the process has just started: merchant and broadcast are read from its log."""

    async def story(room: Newsroom, _: VirtualLoop) -> None:
        broadcast = room.broadcast
        await asyncio.sleep(1)
        room.die()
        await room.drop()
        room.treasury._feed.stop()
        fresh = WebhookFeed(
            webhooks=room.webhooks, ledger=room.ledger, log=room.log, clock=room.loop.unix_ms, observer=room, kick=room.kick
        )
        about = await fresh._about_room(ROOM)
        assert (about.merchant, about.broadcast) == ("m1", broadcast)
        assert (await fresh._about_room("nowhere")).merchant == ""
        assert msgspec.to_builtins(about)["test"] is False

    newsroom(story)
