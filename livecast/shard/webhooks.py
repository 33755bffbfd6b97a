"""Webhooks as one: events kept, deliveries sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from livecast.core.nodes.placement import SHARDS
from livecast.core.webhooks.deliveries import WebhookRules
from livecast.core.webhooks.forgotten import PseudonymOf
from livecast.facts import Observer
from livecast.ledger import Ledger
from livecast.ports import Clock, RoomLog
from livecast.shard.ledger_tail import Read
from livecast.shard.webhook_dispatcher import WebhookDispatcher
from livecast.shard.webhook_feed import WebhookFeed
from livecast.webhooks import Sender, Webhooks


class WebhookOffice:
    """What a process does about webhooks: `feed` makes events of what its shards say, `dispatcher` delivers for everybody."""

    def __init__(
        self,
        *,
        webhooks: Webhooks,
        sender: Sender,
        ledger: Ledger,
        log: RoomLog,
        clock: Clock,
        observer: Observer,
        rules: WebhookRules,
        chance: Callable[[], float] | None = None,
        read: Read | None = None,
        pseudonym_of: PseudonymOf | None = None,
    ) -> None:
        more: dict[str, Any] = {} if chance is None else {"chance": chance}
        more |= {} if pseudonym_of is None else {"pseudonym_of": pseudonym_of}
        self.dispatcher = WebhookDispatcher(webhooks=webhooks, sender=sender, clock=clock, observer=observer, rules=rules, **more)
        self.feed = WebhookFeed(
            webhooks=webhooks, ledger=ledger, log=log, clock=clock, observer=observer, kick=self.dispatcher.kick, read=read
        )

    def start(self, shards: Sequence[int] = range(SHARDS)) -> None:
        """Begin, with what a former process left."""
        self.feed.start(shards)
        self.dispatcher.start()

    async def drain(self, within_s: float) -> None:
        """Let what is under way come to its end, for so long."""
        self.feed.stop()
        await self.dispatcher.drain(within_s)

    def stop(self) -> None:
        """No more. What is under way is found again by whoever comes next."""
        self.feed.stop()
        self.dispatcher.stop()
