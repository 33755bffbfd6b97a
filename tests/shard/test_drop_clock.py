"""What happens to drops at their times, whoever owns them by then: opened, closed, drawn, settled, given back, once each."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from livecast.adapters.memory_ledger import MemoryLedger
from livecast.core.draw import DrawResult, commitment_of, drawn, seed_of
from livecast.core.units import Confirm, Drop, Unit
from livecast.ledger import DropAnswer
from livecast.ports import Unavailable
from support.vault import ROOM, Vault
from support.virtual import VirtualLoop, run_virtual


class Forgetful(MemoryLedger):
    """The memory ledger whose line breaks once, behind a call of that name: it is done, and nobody hears of it."""

    loses = ""

    def _lose(self, name: str) -> None:
        if self.loses == name:
            self.loses = ""
            raise Unavailable("lost on the way back")

    async def freeze_pot(self, room: str, drop: str, now: int) -> DropAnswer:
        answer = await super().freeze_pot(room, drop, now)
        self._lose("freeze_pot")
        return answer

    async def award(self, room: str, drop: str, offset: int, users: Any, now: int) -> Any:
        answer = await super().award(room, drop, offset, users, now)
        self._lose("award")
        return answer

    async def draw_pot(self, room: str, drop: str, result: bytes, now: int) -> DropAnswer:
        answer = await super().draw_pot(room, drop, result, now)
        self._lose("draw_pot")
        return answer


async def kept(vault: Vault, id_: str = "d") -> Drop:
    """A drop as the ledger has it."""
    drop: Drop | None = await vault.ledger.drop(ROOM, id_)
    assert drop is not None
    return drop


def test_a_drop_is_announced_opened_and_closed_at_its_times():
    """Each at most a second late and never early; then it is settled, as nothing is reserved."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        began = loop.unix_ms()
        await vault.drop(announce_at=began + 10_000, opens_at=began + 20_000, closes_at=began + 30_000)
        for state, at in (("announced", 10_000), ("open", 20_000), ("settled", 30_000)):
            await vault.until(lambda state=state: (vault.shown() or ("", 0))[0] == state, state)
            assert at <= loop.unix_ms() - began <= at + 1_500

    run_virtual(main)


def test_both_clocks_must_have_come_to_the_time():
    """The store's clock is three seconds behind ours: it opens when that one says so, and people are told to wait until then."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop, MemoryLedger(lambda: loop.unix_ms() - 3_000)).begin()
        began = loop.unix_ms()
        await vault.drop(opens_at=began + 5_000)
        await asyncio.sleep(6)
        assert (await kept(vault)).state == "draft"
        await vault.until(lambda: vault.shown() == ("open", 3), "open drop")
        assert 8_000 <= loop.unix_ms() - began <= 9_000

    run_virtual(main)


@pytest.mark.parametrize("between", ["open", "close"])
def test_a_restart_in_between_makes_it_late_and_nothing_else(between: str):
    """The next owner does what was due while there was none."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        began = loop.unix_ms()
        await vault.drop(opens_at=began + 5_000, closes_at=began + 30_000)
        if between == "close":
            await vault.until(lambda: vault.shown() == ("open", 3), "open drop")
        vault.die()
        await asyncio.sleep(15 if between == "open" else 60)
        await vault.take_over()
        vault.shards.wake(ROOM)
        wanted = "open" if between == "open" else "settled"
        await vault.until(lambda: (vault.shown() or ("", 0))[0] == wanted, wanted, within_s=3)

    run_virtual(main)


@pytest.mark.parametrize("lost", ["", "freeze_pot", "award", "draw_pot"])
def test_a_draw_gives_its_units_by_the_seed_whatever_is_lost_on_the_way(lost: str):
    """Winners follow from the seed and the entrants, get one unit each, are told so, and the result is published with the seed."""

    async def main(loop: VirtualLoop) -> None:
        ledger = Forgetful(loop.unix_ms)
        ledger.loses = lost
        vault = await Vault(loop, ledger).begin()
        await vault.drop(kind="draw", stock=2)
        await vault.step("open")
        await vault.claim("ann", "bob", "cyn", "dan", "eve")
        await vault.step("close")
        await vault.until(lambda: (vault.shown() or ("", 0))[0] == "settled", "settled draw")
        seed, entrants = seed_of(b"secret"), await ledger.entrants(ROOM, "d", 0, 100)
        winners = [entrant.user for entrant in drawn(seed, entrants)][:2]
        assert [unit.user for unit in await ledger.units(ROOM, "d", 0, 100)] == winners
        result = msgspec.convert(vault.state()["drops"]["d"]["result"], DrawResult)
        assert (result.seed, result.commitment) == (seed.hex(), commitment_of(seed))
        assert (result.entrants, result.winners) == (5, 2)
        if lost != "draw_pot":  # who draws again after that hears that it is done, and not who won: `…/me` knows
            told = [user for user, notice in vault.notices if notice.kind == "draw.won"]
            assert told == winners

    run_virtual(main)


def test_the_first_claims_of_a_fair_drop_are_drawn_when_its_window_is_over():
    """Then it goes on, first come, first served."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.drop(stock=3, fair_window_ms=2_000)
        await vault.step("open")
        began = loop.unix_ms()
        await vault.claim("ann", "bob")
        await vault.until(lambda: vault.shown() == ("open", 1), "drawn window")
        assert 2_000 <= loop.unix_ms() - began <= 3_500
        (won,) = await vault.claim("cyn")
        assert won.serial == 3

    run_virtual(main)


def test_a_reservation_that_runs_out_goes_back_and_its_holder_was_reminded():
    """A quarter of its time before; what was confirmed stays, and then the closed drop is settled."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.drop(stock=2, reserve_ms=40_000)
        await vault.step("open")
        began = loop.unix_ms()
        await vault.claim("ann", "bob")
        assert isinstance(await vault.ledger.step_unit(ROOM, "d", 1, Confirm("o1"), loop.unix_ms()), Unit)
        await vault.until(lambda: vault.shown() == ("sold_out", 0), "sold out")
        await vault.until(lambda: [u for u, n in vault.notices if n.kind == "reservation.expiring"], "reminder")
        assert 30_000 <= loop.unix_ms() - began <= 31_000
        await vault.step("close")
        await vault.until(lambda: (vault.shown() or ("", 0))[0] == "settled", "settled drop")
        assert 40_000 <= loop.unix_ms() - began <= 43_000
        assert [unit.state for unit in await vault.ledger.units(ROOM, "d", 0, 9)] == ["confirmed", "expired"]

    run_virtual(main)


def test_the_end_of_a_broadcast_closes_its_drops_and_draws_its_draws():
    """What is only announced stays for another day."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        for id_, kind in (("d", "coupon"), ("e", "draw"), ("f", "coupon")):
            await vault.drop(id_, kind=kind)
        await vault.step("open", "d")
        await vault.step("open", "e")
        await vault.step("announce", "f")
        await vault.claim("ann", id_="e")
        await vault.end()
        await vault.until(lambda: [(vault.shown(i) or ("",))[0] for i in "def"] == ["settled", "settled", "announced"], "ends")
        assert [unit.user for unit in await vault.ledger.units(ROOM, "e", 0, 9)] == ["ann"]

    run_virtual(main)
