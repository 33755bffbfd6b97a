"""What is to come true in rooms that nobody watches does, although their owner died: whoever is next wakes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from livecast.adapters.memory.webhooks import MemoryWebhooks
from livecast.core.commands import End, Start
from livecast.shard.webhook_feed import WebhookFeed
from support.vault import ROOM, Vault
from support.virtual import VirtualLoop, run_virtual


class House(Vault):
    """A vault with all that looks at rooms when their shard comes to it."""

    async def _own(self) -> None:
        await super()._own()
        self.feed = WebhookFeed(
            webhooks=MemoryWebhooks(), ledger=self.ledger, log=self.log, clock=self.loop.unix_ms, observer=self, kick=lambda: None
        )
        self.treasury.tell(self.feed)
        self.feed.start()

    def die(self) -> None:
        self.feed.stop()
        super().die()

    async def until_status(self, status: str, within_s: float = 10) -> None:
        await self.until(lambda: self.state()["status"] == status, status, within_s=within_s)

    async def ended(self) -> None:
        await self.end()
        await self.until_status("ended")


def unwatched(story: Callable[[House, VirtualLoop], Awaitable[None]]) -> None:
    """A story told of a live room."""

    async def main(loop: VirtualLoop) -> None:
        room = House(loop)
        await room.begin()
        await story(room, loop)
        room.die()

    run_virtual(main)


@pytest.mark.parametrize("done", [False, True], ids=["before its drops are closed", "behind them"])
def test_a_broadcast_is_brought_to_its_end(*, done: bool) -> None:
    """Its owner dies right after the wish was kept, or when the drops are done and the end is not committed."""

    async def story(room: House, _: VirtualLoop) -> None:
        await room.drop()
        await room.step("open")
        await room.until(lambda: room.shown() == ("open", 3), "drop")
        room.treasury._clock.ending = lambda room: None  # type: ignore[method-assign]  # noqa: ARG005 - it dies before it does anything
        await room.end()
        await asyncio.sleep(0.5)
        if done:
            for step in ("close", "settle"):
                await room.step(step)
            await room.until(lambda: room.shown() == ("settled", 3), "settlement")
        room.die()
        assert room.state()["status"] == "live"
        await room.take_over()
        await room.until_status("ended")
        assert room.shown() == ("settled", 3)

    unwatched(story)


def test_without_drops_it_ends_too() -> None:
    """There is nothing in the ledger that would tell of the room."""

    async def story(room: House, _: VirtualLoop) -> None:
        room.treasury._clock.ending = lambda room: None  # type: ignore[method-assign]  # noqa: ARG005 - it dies before it does anything
        await room.command("end", End("https://shop.example/next"))
        await asyncio.sleep(0.5)
        room.die()
        await room.take_over()
        await room.until_status("ended")
        assert room.state()["redirect"] == "https://shop.example/next"

    unwatched(story)


def test_a_broadcast_begins_by_itself() -> None:
    """At its time, behind another owner. A room that waits for nothing is left alone."""

    async def story(room: House, loop: VirtualLoop) -> None:
        await room.ended()
        await room.command("start", Start(starts_at=loop.unix_ms() + 60_000))
        await room.until_status("scheduled")
        await asyncio.sleep(0.5)
        room.die()
        await room.take_over()
        await room.until_status("live", within_s=70)
        await room.ended()
        room.die()
        await room.take_over()
        await asyncio.sleep(5)
        assert ROOM not in room.shards._rooms

    unwatched(story)
