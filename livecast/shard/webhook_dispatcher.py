"""Deliveries on their way out: taken when they are due, signed, sent, and what became of them noted.

Rules for whoever edits this file:
- What is due stands in the store, tries and times included: a process that dies takes nothing along, its leases run out.
- Of one endpoint and room one delivery is under way, the oldest; a slow or dead endpoint holds none of the others' places.
- The body and its `webhook-id` are the same for every try; the signature is made anew, as it has the time in it. But
  who asked to be forgotten between two tries is not named in the second one.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import msgspec
from standardwebhooks import Webhook

from livecast.core.webhooks.deliveries import Answer, Delivery, Endpoint, WebhookRules, after, envelope, signing
from livecast.core.webhooks.forgotten import PseudonymOf, without_forgotten
from livecast.facts import Observer, Trouble, WebhooksCounted, WebhookTried, fault_of
from livecast.ports import Clock, StoreError
from livecast.shard.background import Background
from livecast.webhooks import Due, Sender, Tried, Webhooks

POLL_S: Final = 5.0
"""How often the store is asked without a reason: for what another process left when it died. New events and retries have one."""
LEASE_MORE_MS: Final = 5_000
"""A lease lasts so much longer than a try may: until the store has answered to what became of it. A process that dies holds
its deliveries up for so long."""
SLOW_MS: Final = 2_000
"""An endpoint that took so long to answer gets one request at a time: its slowness costs it alone."""
RETRY_S: Final = 1.0
"""A store that does not answer is asked again after so long."""
SETTLE_MAX: Final = 100
"""Results noted in one call."""
DRAIN_LOOK_S: Final = 0.02
"""How often a process that stops looks whether all is noted."""
CENSUS_S: Final = 15.0
"""How often it is counted what waits."""
USER_AGENT: Final = "livecast-webhooks/1"
FAILED: Final = "delivering webhooks failed"


def _nobody_forgotten(_user: str, _at: int) -> str:
    return ""


class WebhookDispatcher:
    """Delivers for all endpoints. Several processes may do so side by side; a lease keeps them apart."""

    def __init__(
        self,
        *,
        webhooks: Webhooks,
        sender: Sender,
        clock: Clock,
        observer: Observer,
        rules: WebhookRules | None = None,
        chance: Callable[[], float] = random.random,
        pseudonym_of: PseudonymOf = _nobody_forgotten,
    ) -> None:
        self._webhooks = webhooks
        self._sender = sender
        self._clock = clock
        self._observer = observer
        self._rules = rules or WebhookRules()
        self._chance = chance
        self._pseudonym_of = pseudonym_of
        self._lease_ms = self._rules.timeout_s * 1000 + LEASE_MORE_MS
        self._busy: Counter[str] = Counter()
        self._one_at_a_time: set[str] = set()
        """Endpoints whose last answer was late or bad."""
        self._tried: list[Tried] = []
        self._draining = False
        self._kicked = asyncio.Event()
        self._settling = asyncio.Event()
        self._background = Background(observer, FAILED, "webhooks")

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin, with what a former process left."""
        self._kicked.set()
        for work in (self._run, self._settle, self._count):
            self._background.keep_up(work)

    def stop(self) -> None:
        """No more. What is under way is tried again by whoever comes next."""
        self._background.stop()

    async def drain(self, within_s: float) -> None:
        """Take no more, and give what is under way so long to be answered and noted."""
        self._draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._busy or self._tried:  # noqa: ASYNC110 - two things end it, and a stop happens once
                    await asyncio.sleep(DRAIN_LOOK_S)

    def kick(self) -> None:
        """Something may be due."""
        self._kicked.set()

    # --- Take ---------------------------------------------------------------------------------------------------------
    async def _run(self) -> None:
        while True:
            try:
                self._kicked.clear()
                wait_s = await self._take()
            except StoreError as fault:
                advice = f"webhooks wait until the ledger's store answers ({fault})"
                self._observer.observe(Trouble("deliveries cannot be read", "webhooks", advice))
                await asyncio.sleep(RETRY_S)
                continue
            try:
                async with asyncio.timeout(wait_s):
                    await self._kicked.wait()
            except TimeoutError:
                continue

    async def _take(self) -> float:
        """Send what is due, as far as there are free places; how long until there is more to do, if nobody kicks."""
        rules, now = self._rules, self._clock()
        if self._draining:
            return POLL_S
        free = rules.in_flight_max - self._busy.total()
        if free <= 0:
            return POLL_S  # whoever is done kicks
        due = await self._webhooks.take(now, self._lease_ms, self._slots(), rules.per_endpoint, free)
        unnoted = {(tried.endpoint, tried.seq) for tried in self._tried}
        for each in due:
            if (each.endpoint.id, each.seq) in unnoted:
                continue  # its lease ran out while the store was away: it is sent, and that is noted next
            self._busy[each.endpoint.id] += 1
            self._background.spawn(self._deliver(each))
        if len(due) == free:
            return POLL_S
        at = await self._webhooks.next_at()
        if at is None:
            return POLL_S
        # What is due already and was not given waits for its endpoint's place, and is taken once that is free.
        return POLL_S if at <= now else min(POLL_S, (at - now) / 1000)

    def _slots(self) -> dict[str, int]:
        """Free places of the endpoints that have not all of them."""
        most = dict.fromkeys(self._one_at_a_time, 1)
        per_endpoint = self._rules.per_endpoint
        return {id_: max(0, most.get(id_, per_endpoint) - self._busy[id_]) for id_ in {*most, *self._busy}}

    # --- Send ---------------------------------------------------------------------------------------------------------
    async def _deliver(self, due: Due) -> None:
        id_, now = due.endpoint.id, self._clock()
        delivery, failed, lag_ms = due.delivery, True, now - due.delivery.since
        try:
            if due.event is None:
                reason = "the event is no longer kept"
                tried = msgspec.structs.replace(delivery, state="dead", changed_at=now, next_at=0, reason=reason)
                self._note(Tried(id_, due.seq, tried, failed=None), "dead", 0, lag_ms)
                return
            body = envelope(without_forgotten(due.event, self._pseudonym_of), due.seq)
            answer = await self._sender.send(due.endpoint.url, self._headers(due.endpoint, delivery, body, now), body)
            tried = after(delivery, answer, self._clock(), self._chance(), self._rules)
            failed = not answer.ok
            self._mind(id_, answer)
            self._note(Tried(id_, due.seq, tried, failed), _outcome(tried), answer.took_ms, lag_ms)
            if answer.gone:
                await self._webhooks.disable(id_, "the receiver answered 410 Gone", self._clock())
        finally:
            self._busy[id_] -= 1
            if not self._busy[id_]:
                del self._busy[id_]

    def _mind(self, id_: str, answer: Answer) -> None:
        if not answer.ok or answer.took_ms > SLOW_MS:
            self._one_at_a_time.add(id_)
        else:
            self._one_at_a_time.discard(id_)

    def _note(self, tried: Tried, outcome: str, took_ms: int, lag_ms: int) -> None:
        self._tried.append(tried)
        self._settling.set()
        self._observer.observe(WebhookTried(outcome, took_ms, lag_ms if outcome == "delivered" else None))

    @staticmethod
    def _headers(endpoint: Endpoint, delivery: Delivery, body: bytes, now: int) -> dict[str, str]:
        """As Standard Webhooks 1.0.0 names them, one signature for each secret in force."""
        at = datetime.fromtimestamp(now // 1000, UTC)
        text = body.decode()
        signatures = [Webhook(secret).sign(delivery.event, at, text) for secret in signing(endpoint, now)]
        return {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "webhook-id": delivery.event,
            "webhook-timestamp": str(now // 1000),
            "webhook-signature": " ".join(signatures),
        }

    # --- Note ---------------------------------------------------------------------------------------------------------
    async def _settle(self) -> None:
        """Write down what became of tries, in the order in which they ended, until the store has it."""
        while True:
            await self._settling.wait()
            tried = self._tried[:SETTLE_MAX]
            try:
                failing = await self._webhooks.settle(tried, self._clock())
                await self._give_up({each.endpoint: since for each, since in zip(tried, failing, strict=True)})
            except StoreError:
                await asyncio.sleep(RETRY_S)  # `_run` says that it does not answer
                continue
            except Exception as fault:  # noqa: BLE001 - what cannot be noted must not keep the rest from it: it is sent again
                self._observer.observe(fault_of(FAILED, "webhooks", fault))
            del self._tried[: len(tried)]
            if not self._tried:
                self._settling.clear()
            self.kick()

    async def _give_up(self, failing: dict[str, int | None]) -> None:
        now, hours = self._clock(), self._rules.disable_after_h
        for id_, since in failing.items():
            if since is not None and now - since >= hours * 3_600_000:
                await self._webhooks.disable(id_, f"it took nothing for {hours} hours", now)
                advice = "look at /v1/webhooks/{id}; PATCH {state: enabled} once its receiver is back, then replay what is dead"
                self._observer.observe(Trouble("a webhook was disabled", id_, advice))

    async def _count(self) -> None:
        while True:
            try:
                census, now = await self._webhooks.census(), self._clock()
            except StoreError:
                await asyncio.sleep(CENSUS_S)
                continue
            oldest_ms = 0 if census.oldest_since is None else max(0, now - census.oldest_since)
            self._observer.observe(
                WebhooksCounted(census.endpoints, census.disabled, census.pending, oldest_ms, census.dead, self._busy.total())
            )
            await asyncio.sleep(CENSUS_S)


def _outcome(delivery: Delivery) -> str:
    """`delivered`, `dead`, or `retry`."""
    return "retry" if delivery.state == "pending" else delivery.state
