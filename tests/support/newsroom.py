"""A vault whose events for webhooks are kept, and stories told of its live room, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from livecast.adapters.memory.webhooks import MemoryWebhooks
from livecast.core.commands import PatchRoom
from livecast.core.webhooks.deliveries import Draft, WebhookEvent
from livecast.facts import Trouble
from livecast.ledger import Ledger
from livecast.ports import Unavailable
from livecast.shard.webhook_feed import WebhookFeed
from support.vault import Vault
from support.virtual import VirtualLoop, run_virtual


class Frail(MemoryWebhooks):
    """A store that does not answer while `away`, or says nothing although it did what it was asked while `mute`."""

    away = mute = False

    async def append(self, source: int, expected: int, upto: int, drafts: Sequence[Draft], now: int) -> int:
        if self.away:
            raise Unavailable("away")
        stands = await super().append(source, expected, upto, drafts, now)
        if self.mute:
            raise Unavailable("mute")
        return stands


class Newsroom(Vault):
    """A vault whose events are kept."""

    def __init__(self, loop: VirtualLoop, ledger: Ledger | None = None) -> None:
        self.webhooks = Frail()
        self.kicks = 0
        self.spoilt = False
        super().__init__(loop, ledger)

    async def _own(self) -> None:
        await super()._own()
        self.tell()

    def tell(self) -> None:
        """Begin to make events, as a process does when it starts."""
        self.feed = WebhookFeed(
            webhooks=self.webhooks, ledger=self.ledger, log=self.log, clock=self.loop.unix_ms, observer=self, kick=self.kick,
            read=self.treasury.read,
        )  # fmt: skip
        self.treasury.tell(self.feed)
        self.feed.start()

    def kick(self) -> None:
        self.kicks += 1

    def die(self) -> None:
        self.feed.stop()
        super().die()

    async def events(self) -> list[WebhookEvent]:
        return [listed.event for listed in await self.webhooks.events(0, 10_000)]

    async def types(self) -> list[str]:
        return [event.type for event in await self.events()]

    async def told(self, *types: str) -> list[WebhookEvent]:
        """Wait until these types, in this order, are all there is to tell; the events."""
        end = self.loop.time() + 20
        while (got := await self.types()) != list(types):
            assert self.loop.time() < end, got
            await asyncio.sleep(0.05)
        return await self.events()


def newsroom(story: Callable[[Newsroom, VirtualLoop], Awaitable[None]]) -> None:
    """A story told of a live room."""

    async def main(loop: VirtualLoop) -> None:
        room = await Newsroom(loop).begin()
        assert isinstance(room, Newsroom)
        await room.command("patch_room", PatchRoom(merchant="m1", title="Night"))
        await room.told("room.started")
        await asyncio.sleep(0.5)
        await story(room, loop)
        room.die()
        troubles = [fact for fact in room.facts if isinstance(fact, Trouble) and fact.level == "error"]
        assert not [fact for fact in troubles if "webhook" in fact.what], troubles

    run_virtual(main)
