"""What happens to drops at their times, whoever owns them by then: opened, closed, drawn, settled, given back, once each."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from livecast.adapters.memory.ledger import MemoryLedger
from livecast.core.commands import SetPolicy
from livecast.core.money.draw import DrawResult, commitment_of, drawn, seed_of
from livecast.core.money.units import Claim, Confirm, Drop, Due, NewDrop, Terms, Unit
from livecast.core.nodes.placement import shard_of
from livecast.ledger import DropAnswer
from livecast.ports import Unavailable
from livecast.shard.drop_clock import FAR
from support.vault import ABOUT, ROOM, Vault
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
        await vault.take_over()  # and nobody comes to the room
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
        told = await vault.until(lambda: [user for user, notice in vault.notices if notice.kind == "draw.won"], "notices")
        assert told == winners
        await asyncio.sleep(600)  # longer than until the ledger is asked again what is due
        assert len([notice for _, notice in vault.notices if notice.kind == "draw.won"]) == 2

    run_virtual(main)


class Deadly(MemoryLedger):
    """The memory ledger behind which the process dies, once, at a call of that name: done or (`before`) not."""

    dies_at = ""
    die: Any = None

    async def _die(self, name: str) -> None:
        if self.dies_at == name:
            self.dies_at = ""
            self.die()
            await asyncio.sleep(FOREVER_S)

    async def draw_pot(self, room: str, drop: str, result: bytes, now: int) -> DropAnswer:
        answer = await super().draw_pot(room, drop, result, now)
        await self._die("draw_pot")
        return answer

    async def told(self, room: str, drop: str, now: int) -> None:
        await self._die("told")
        await super().told(room, drop, now)

    async def freeze_pot(self, room: str, drop: str, now: int) -> DropAnswer:
        await self._die("freeze_pot")
        return await super().freeze_pot(room, drop, now)

    async def award(self, room: str, drop: str, offset: int, users: Any, now: int) -> Any:
        await self._die("award")
        return await super().award(room, drop, offset, users, now)


FOREVER_S = 10_000_000


@pytest.mark.parametrize("config", [{"kind": "draw"}, {"fair_window_ms": 2_000}])
@pytest.mark.parametrize("dies_at", ["freeze_pot", "award", "draw_pot", "told"])
def test_winners_hear_of_it_whoever_dies_in_between(dies_at: str, config: dict[str, Any]):
    """The next owner draws what is not drawn and tells what may not be told, in a room that nobody has touched since."""

    async def main(loop: VirtualLoop) -> None:
        ledger = Deadly(loop.unix_ms)
        vault = await Vault(loop, ledger).begin()
        ledger.dies_at, ledger.die = dies_at, vault.die
        await vault.drop(stock=2, **config)
        await vault.step("open")
        await vault.claim("ann", "bob", "cyn")
        if "kind" in config:
            await vault.step("close")
        await asyncio.sleep(10)
        assert not ledger.dies_at
        before = [notice.id for _, notice in vault.notices if notice.kind == "draw.won"]
        assert len(before) == (2 if dies_at == "told" else 0)
        vault.notices.clear()
        began = loop.unix_ms()
        await vault.take_over()
        told = await vault.until(lambda: [(u, n.id) for u, n in vault.notices if n.kind == "draw.won"], "notices", within_s=8)
        assert loop.unix_ms() - began >= 5_000, "nobody was back by then"
        units = await ledger.units(ROOM, "d", 0, 9)
        assert [user for user, _ in told] == [unit.user for unit in units]
        assert len(units) == 2
        assert before in ([], [id_ for _, id_ in told])  # the same ids: who heard it knows
        assert not [due for due in await ledger.due(shard_of(ROOM), FAR, 9) if due.what in {"tell", "window"}]

    run_virtual(main)


def test_winners_are_named_on_the_screens_where_the_policy_says_so():
    """By whoever owns the room, also one that took it over meanwhile; somebody who lost their unit is not among them."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.command("policy", SetPolicy({"winners": "masked"}))
        await vault.drop(kind="draw", stock=2)
        await vault.step("open")
        await vault.claim("ann", "bob", "cyn")
        await vault.step("close")
        told = await vault.until(lambda: vault.state()["drops"].get("d", {}).get("winners"), "winners")
        units = await vault.ledger.units(ROOM, "d", 0, 9)
        assert told == [{"u": {"name": f"{unit.user[0]}**"}, "serial": unit.serial} for unit in units]
        await vault.take_over()
        await asyncio.sleep(10)
        assert vault.state()["drops"]["d"]["winners"] == told

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


def test_reservations_are_reminded_of_and_drops_settled_after_a_restart_without_any_viewer():
    """What the former owner knew is read again from the ledger: each reservation's time, and that a drop is closed."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.drop(stock=3, reserve_ms=100_000)
        await vault.step("open")
        began = loop.unix_ms()
        await vault.claim("ann", "bob", "cyn")
        assert isinstance(await vault.ledger.step_unit(ROOM, "d", 1, Confirm("o1"), loop.unix_ms()), Unit)
        await vault.step("close")
        await asyncio.sleep(1)
        vault.die()
        await asyncio.sleep(20)
        await vault.take_over()
        await vault.until(lambda: vault.notices, "reminder")
        assert 75_000 <= loop.unix_ms() - began <= 76_000
        assert [(user, notice.kind) for user, notice in vault.notices] == [
            (user, "reservation.expiring") for user in ("bob", "cyn")
        ]
        await asyncio.sleep(20)  # until 95 s
        assert (await kept(vault)).state == "closed"
        await vault.until(lambda: (vault.shown() or ("", 0))[0] == "settled", "settled drop")
        assert 100_000 <= loop.unix_ms() - began <= 103_000

    run_virtual(main)


def test_what_is_due_is_found_although_the_ledger_is_away_at_the_start():
    """It is asked until it answers, not five minutes later."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop, Away(loop.unix_ms)).begin()
        await vault.drop(opens_at=loop.unix_ms() + 5_000)
        vault.die()
        vault.ledger.away = True
        await vault.take_over()
        await asyncio.sleep(20)
        vault.ledger.away = False
        await vault.until(lambda: vault.shown() == ("open", 3), "open drop", within_s=3)

    run_virtual(main)


def test_a_death_between_the_end_of_a_broadcast_and_that_of_its_drops_leaves_none_open():
    """Nobody comes to the room any more: its next owner looks at it, because a drop is open there."""

    async def main(loop: VirtualLoop) -> None:
        ledger = Away(loop.unix_ms)
        vault = await Vault(loop, ledger).begin()
        await vault.drop()
        await vault.step("open")
        ledger.away = True
        await vault.end()
        await asyncio.sleep(1)
        vault.die()
        ledger.away = False
        await vault.take_over()
        await vault.until(lambda: (vault.shown() or ("", 0))[0] == "settled", "settled drop", within_s=3)

    run_virtual(main)


class Away(MemoryLedger):
    """The memory ledger, which can be out of reach for the clock of the drops."""

    away = False

    async def due(self, shard: int, until: int, limit: int) -> list[Due]:
        if self.away:
            raise Unavailable("it is away")
        return await super().due(shard, until, limit)

    async def step_drop(self, *args: Any, **more: Any) -> DropAnswer:
        if self.away:
            raise Unavailable("it is away")
        return await super().step_drop(*args, **more)


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


def test_the_end_of_a_broadcast_closes_a_drop_that_many_newer_ones_hide():
    """However many were prepared since it opened."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.drop("first")
        await vault.step("open", "first")
        for number in range(120):
            await vault.drop(f"d{number}")
        await vault.end()
        await vault.until(lambda: (vault.shown("first") or ("",))[0] == "settled", "settled drop")

    run_virtual(main)


def test_a_closed_shard_keeps_no_other_ones_reservations():
    """Its own units stay reserved until an operator has looked at it; those of all others go back in time."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        rooms = [room for room in map("room-{}".format, range(20)) if shard_of(room) != shard_of(ROOM)]
        for room in (ROOM, *rooms):
            terms = Terms(stock=2, reserve_ms=30_000)
            assert isinstance(await vault.ledger.put_drop(NewDrop(room, "d", terms, ABOUT, b"secret"), loop.unix_ms()), Drop)
            assert isinstance(await vault.ledger.step_drop(room, "d", "open", loop.unix_ms()), Drop)
            await vault.ledger.claim(room, "d", "b", [Claim("ann", "c")], loop.unix_ms())
            vault.treasury.ring(room)
            await asyncio.sleep(0.1)
        closed = vault.ledger._books.shards[shard_of(ROOM)]
        closed.closed = "entries are missing"
        await asyncio.sleep(45)
        units = [await vault.ledger.unit(room, "d", 1) for room in rooms]
        assert {unit.state for unit in units} == {"expired"}
        assert (await vault.ledger.unit(ROOM, "d", 1)).state == "reserved"
        closed.closed = ""
        await asyncio.sleep(5)
        assert (await vault.ledger.unit(ROOM, "d", 1)).state == "expired"

    run_virtual(main)
