"""Ledger entries of a kind that only a later version knows, read by this one: rooms go on, books wait, nothing is left out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from livecast.adapters.archive.store import SqlArchive, sqlite_url
from livecast.adapters.memory.ledger import MemoryLedger
from livecast.adapters.memory.records import MemoryRoomRecords
from livecast.adapters.memory.webhooks import MemoryWebhooks
from livecast.adapters.redis.ledger_entries import entry_of
from livecast.core.books.bookkeeping import BookEntry, LaterFact, PendingCleared, ShardConfirmed
from livecast.core.money.coins import Movement
from livecast.core.nodes.placement import shard_of
from livecast.facts import Trouble
from livecast.ledger import LaterEntry, audit, understood
from livecast.shard.archivist import Archivist
from livecast.shard.checkpointer import Checkpointer
from livecast.shard.webhook_feed import WebhookFeed
from support.vault import ROOM, Vault
from support.virtual import VirtualLoop, run_virtual

SHARD = shard_of(ROOM)
LATER = LaterFact("loan")


def entries(*facts: Any) -> list[BookEntry]:
    """Entries from position 1 on."""
    return [BookEntry(n, 1_000, fact) for n, fact in enumerate(facts, 1)]


def test_an_entry_of_a_later_kind_is_known_as_such() -> None:
    """And fields that a later version adds to a kind that we know are not looked at."""
    fields = [b"k", b"loan", b"at", b"5", b"user", b"ann"]
    assert entry_of(b"7-0", fields) == BookEntry(7, 5, LATER)
    more = [b"k", b"cleared", b"at", b"5", b"kind", b"commit", b"tx", b"t", b"why", b"\xc1"]
    assert entry_of(b"8-0", more) == BookEntry(8, 5, PendingCleared("commit", "t"))


@pytest.mark.parametrize(
    ("facts", "read"),
    [((), 0), ((ShardConfirmed(1, 1),), 1), ((ShardConfirmed(1, 1), LATER, ShardConfirmed(1, 1)), 1), ((LATER,), None)],
)
def test_books_are_read_up_to_there(facts: Sequence[Any], read: int | None) -> None:
    """The next reader begins with it, and says so."""
    found = entries(*facts)
    if read is None:
        with pytest.raises(LaterEntry, match=r"entry 1 of shard 3 is a 'loan'.*a later version wrote it"):
            understood(3, found)
    else:
        assert understood(3, found) == found[:read]


def test_rooms_go_on_and_webhooks_wait() -> None:
    """A gift behind it is shown. No event is made of it, so none of a shard comes before one that only others can tell."""

    async def story(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        webhooks = MemoryWebhooks()
        feed = WebhookFeed(
            webhooks=webhooks, ledger=vault.ledger, log=vault.log, clock=loop.unix_ms, observer=vault, kick=lambda: None,
            read=vault.treasury.read,
        )  # fmt: skip
        vault.treasury.tell(feed)
        feed.start()

        def troubles() -> list[Trouble]:
            return [fact for fact in vault.facts if isinstance(fact, Trouble)]

        async def gifts() -> list[str]:
            return [listed.event.data["user"] for listed in await webhooks.events(0, 100) if listed.event.type == "gift.sent"]

        async def until(condition: Any) -> None:
            end = loop.time() + 60
            while not (condition() if not asyncio.iscoroutinefunction(condition) else await condition()):
                assert loop.time() < end, troubles()
                await asyncio.sleep(0.1)

        await vault.give("ann")

        async def told() -> bool:
            return await gifts() == ["ann"]

        await until(told)
        vault.ledger._books.shards[SHARD].append(loop.unix_ms(), LATER)
        await vault.give("bob")
        await until(lambda: {line["u"]["id"] for line in vault.state()["board"]} >= {"ann", "bob"})
        assert "a ledger entry is of a later version" in {each.what for each in troubles()}
        await until(lambda: any("events for webhooks" in each.what and "'loan'" in each.advice for each in troubles()))
        assert await gifts() == ["ann"]
        feed.stop()
        vault.die()

    run_virtual(story)


async def test_archive_audit_and_checkpoints_wait(tmp_path: Path) -> None:
    """What stands before it is archived, what stands behind is not; no checkpoint stands for it; an audit says why it ends."""

    class Facts:
        seen: list[Trouble] = []  # noqa: RUF012 - one test, one object

        def observe(self, fact: Any) -> None:
            if isinstance(fact, Trouble):
                self.seen.append(fact)

    ledger, facts, archive = MemoryLedger(lambda: 1_000), Facts(), SqlArchive(sqlite_url(tmp_path))
    await ledger.move(Movement(ROOM, "t1", 1, "key:k"), 1_000)  # a user whose shard is the room's
    ledger._books.shards[SHARD].append(1_000, LATER)
    await ledger.move(Movement(ROOM, "t2", 1, "key:k"), 1_000)
    archivist = Archivist(
        archive=archive, records=MemoryRoomRecords(), ledger=ledger, clock=lambda: 1_000, observer=facts, gather_s=0.01
    )
    try:
        assert await archivist.start(within_s=30)
        await archivist.stop()
        assert (await archivist.read_to())[SHARD] == 1
        with pytest.raises(LaterEntry):
            await audit(ledger)
        keeper = Checkpointer(archive=archive, ledger=ledger, readers=[], clock=lambda: 1_000, observer=facts, step=2, keep=1)
        keeper._shards = {SHARD}
        assert await keeper.look() == 0
        made, _ = await archive.basis()
        assert all(checkpoint.position < 2 for checkpoint in made.values())
    finally:
        await archive.close()
