"""A receiver that takes nothing for three days: the whole schedule as it is documented, over HTTP, on a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.webhooks import RedisWebhooks
from livecast.adapters.webhook_http import HttpSender
from livecast.core.rules import RoomRules
from livecast.core.webhooks.deliveries import Delivery, WebhookRules
from livecast.edge.rules import EdgeRules
from livecast.edge.webhooks import WebhookDesk
from livecast.facts import Trouble
from livecast.shard.webhook_dispatcher import WebhookDispatcher
from support.hooks import HOUR_MS, Receiver, draft
from support.house import House

#: As docs/protocol.md says it: 0.25 s, half as long again each time, an hour at most, give or take a fifth; three days.
FIRST_MS, GROWS, LONGEST_MS, GIVE_OR_TAKE, DAYS_MS = 250, 1.5, HOUR_MS, 0.2, 72 * HOUR_MS


class Office(House):
    """A node that delivers webhooks, kept in a Valkey, to real receivers. For those it is `now` until `wait_until` says else."""

    def __init__(self, url: str) -> None:
        super().__init__(EdgeRules(), RoomRules())
        rules = WebhookRules()
        self.ledger_server = LedgerServer(url)
        self.store = RedisWebhooks(self.ledger_server, rules)
        self.sender = HttpSender(timeout_s=rules.timeout_s, inside=True)
        self.now = self.clock()
        self.dispatcher = WebhookDispatcher(
            webhooks=self.store, sender=self.sender, clock=lambda: self.now, observer=self.notes, rules=rules
        )
        self.node.webhooks = WebhookDesk(self.store, self.dispatcher.kick, rules, inside=True)

    def wait_until(self, at: int) -> None:
        """It is that late."""
        self.now = at
        self.dispatcher.kick()

    async def tried(self, webhook: str, seq: int, more_than: int) -> Delivery:
        """A delivery once it was tried more often than that."""
        while True:
            found = dict(await self.store.deliveries(webhook, None, seq + 1, 1))
            if seq in found and found[seq].attempts > more_than:
                return found[seq]
            await asyncio.sleep(0.002)


@pytest.fixture
async def office(ledger_valkey: str) -> AsyncIterator[Office]:
    """A running one."""
    office = Office(ledger_valkey)
    await office.open()
    office.dispatcher.start()
    yield office
    office.dispatcher.stop()
    await office.sender.close()
    await office.close()
    await office.ledger_server.close()


def tries_if(all_waits_are: float) -> int:
    """How often it is tried if chance makes all waits as long as that, compared with what they are without it."""
    at, wait, tries = 0.0, float(FIRST_MS), 1
    while at < DAYS_MS:
        at, wait, tries = at + min(LONGEST_MS, wait) * all_waits_are, wait * GROWS, tries + 1
    return tries


async def test_three_days_without_success(office: Office) -> None:
    """Each wait is within its bounds, and chance is in them; what comes behind waits, other rooms do not; after three days it is
    dead, and the next one's turn; a replay arrives under the same id and seq. The list of deliveries says all of it.
    """
    is_down, came = True, list[tuple[str, int]]()

    def answer(_n: int) -> int:
        said = msgspec.json.decode(receiver.got[-1][1])["id"]
        came.append((said, office.now))
        return 503 if is_down and said == "a1" else 200

    async with Receiver(answer) as receiver:
        made = await office.call("POST", "/v1/webhooks", json={"url": receiver.url, "events": ["*"]})
        webhook, path = made.json["id"], f"/v1/webhooks/{made.json['id']}"
        began = office.now
        events = [draft("a1", "a"), draft("a2", "a"), draft("b1", "b")]
        await office.store.append(1, 0, 1, events, began)
        office.dispatcher.kick()
        assert (await office.tried(webhook, 3, 0)).state == "delivered"

        waits, delivery = list[int](), await office.tried(webhook, 1, 0)
        while delivery.state == "pending":
            waits.append(delivery.next_at - delivery.changed_at)
            office.wait_until(delivery.next_at)
            delivery = await office.tried(webhook, 1, delivery.attempts)
        assert (delivery.state, delivery.attempts, delivery.since) == ("dead", len(waits) + 1, began)
        assert (await office.tried(webhook, 2, 0)).state == "delivered"

        assert tries_if(1 + GIVE_OR_TAKE) <= delivery.attempts <= tries_if(1 - GIVE_OR_TAKE)
        for n, wait in enumerate(waits):
            longest = min(LONGEST_MS, FIRST_MS * GROWS**n)
            is_last = n == len(waits) - 1  # cut short, so that the last try is on time
            assert is_last or (1 - GIVE_OR_TAKE) * longest - 1 <= wait <= (1 + GIVE_OR_TAKE) * longest, (n, wait)
        hourly = waits[30:-1]
        assert min(hourly) < 0.95 * LONGEST_MS < 1.05 * LONGEST_MS < max(hourly)
        times = [at for said, at in came if said == "a1"]
        assert [later - earlier for earlier, later in pairwise(times)] == waits
        assert (times[0], times[-1]) == (began, began + DAYS_MS)

        assert [said for said, _ in came if said[0] == "a"] == ["a1"] * len(times) + ["a2"]
        assert ("b1", began) in came
        of_a1 = [(headers["webhook-id"], body) for headers, body in receiver.got if headers["webhook-id"] == "a1"]
        assert len(of_a1) == len(times)
        assert len(set(of_a1)) == 1

        async def listed(state: str) -> list[dict[str, Any]]:
            data: list[dict[str, Any]] = (await office.call("GET", f"{path}/deliveries?state={state}")).json["data"]
            return data

        [dead] = await listed("dead")
        assert dead.items() >= {"seq": 1, "event": "a1", "attempts": len(times), "status": 503, "reason": "HTTP 503"}.items()
        assert [(line["event"], line["attempts"]) for line in await listed("delivered")] == [("b1", 1), ("a2", 1)]
        assert await listed("pending") == []
        assert (await office.call("GET", path)).json.items() >= {"state": "enabled", "dead": 1, "pending": 0}.items()

        is_down = False
        assert (await office.call("POST", f"{path}/deliveries/1/replay")).json["state"] == "pending"
        assert (await office.tried(webhook, 1, 0)).state == "delivered"
        assert (receiver.got[-1][0]["webhook-id"], receiver.payloads[-1]["seq"]) == ("a1", 1)
        assert await listed("dead") == []
    assert not [fact for fact in office.notes.of(Trouble) if fact.level == "error"]
