"""Gifts that were left half way come to their end by themselves."""

from __future__ import annotations

import asyncio

from livecast.adapters.memory.ledger import MemoryLedger
from livecast.core.nodes.placement import shard_of
from support.vault import ROOM, Vault
from support.virtual import VirtualLoop, run_virtual
from support.weather import StormyLedger


def test_a_gift_that_was_only_debited_is_booked_in_its_room():
    """Whoever took it died behind the debit: seconds later it is shown and on the board, once."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.give("ann", 4, commit=False)
        await asyncio.sleep(1)
        assert not vault.combos()
        await vault.until(lambda: ("ann", 4, False) in vault.combos(), "combo", within_s=5)
        assert await vault.ledger.given(ROOM, vault.broadcast, "ann") == 4
        assert await vault.ledger.pending(shard_of("ann"), loop.unix_ms(), 10) == []

    run_virtual(main)


def test_a_new_owner_finishes_what_it_finds():
    """Nobody rang for it, and nobody heard of it."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        vault.die()
        await vault.give("ann", 4, commit=False, ring=False)
        await asyncio.sleep(3)
        await vault.take_over()
        await vault.until(lambda: ("ann", 4, False) in vault.combos(), "combo", within_s=5)

    run_virtual(main)


def test_what_a_dead_node_left_is_found_by_who_is_left():
    """Its shards were theirs all the time, and nobody rang: with the next reading it would be found half a minute later."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.give("ann", 4, commit=False, ring=False)
        await asyncio.sleep(3)
        assert not vault.combos()
        vault.treasury.look_for_half_done()
        await vault.until(lambda: ("ann", 4, False) in vault.combos(), "combo", within_s=1.5)

    run_virtual(main)


def test_a_new_owner_whose_store_is_silent_finishes_it_soon_after():
    """What it could not look at is looked at again within seconds, and not with the next round of all shards."""

    async def main(loop: VirtualLoop) -> None:
        ledger = StormyLedger(MemoryLedger(loop.unix_ms, opening=10_000), seed=1)
        vault = await Vault(loop, ledger).begin()
        vault.die()
        await vault.give("ann", 4, commit=False, ring=False)
        await asyncio.sleep(3)
        silence = asyncio.ensure_future(ledger.freeze(5))
        await vault.take_over()
        await silence
        await asyncio.sleep(5)
        assert await ledger.calm.given(ROOM, vault.broadcast, "ann") == 4

    run_virtual(main)


def test_a_new_owner_finishes_what_was_debited_a_moment_before():
    """Too young to be touched when it looks, and in the books before it reads them: it is not left for the next round."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        vault.die()
        await vault.give("ann", 4, commit=False, ring=False)
        await vault.take_over()
        await asyncio.sleep(6)
        assert await vault.ledger.given(ROOM, vault.broadcast, "ann") == 4
        assert not vault.treasury._sweeper._since
        assert not vault.treasury._sweeper._heard

    run_virtual(main)


def test_a_reversed_gift_is_paid_back():
    """Also when nobody was left to do it."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        gift = await vault.give("ann", 4)
        await vault.ledger.reverse_gift(ROOM, gift.tx, "by mistake", loop.unix_ms())
        assert (await vault.ledger.wallet("ann")).balance == 9_996
        vault.treasury.ring(ROOM)
        await asyncio.sleep(5)
        assert (await vault.ledger.wallet("ann")).balance == 10_000

    run_virtual(main)
