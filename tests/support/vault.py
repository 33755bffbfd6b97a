"""An owner of all shards with a ledger, on virtual time: rooms, bus, log and ledger in memory; nothing is a stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from livecast.adapters.memory.bus import MemoryBus
from livecast.adapters.memory.ledger import MemoryLedger
from livecast.adapters.memory.log import MemoryRoomLog
from livecast.core.commands import End, Ensure
from livecast.core.events import Command, Notice, Origin, Person
from livecast.core.frames import Snapshot
from livecast.core.money.coins import Gift, Moved, SpendLimits
from livecast.core.money.drops import About, Eligibility
from livecast.core.money.gifts import about_of
from livecast.core.money.units import Claim, Drop, NewDrop, Terms
from livecast.core.rules import RoomRules
from livecast.core.tools.patch import merge
from livecast.facts import Fact, Trouble
from livecast.ledger import Ledger
from livecast.ports import Published
from livecast.shard.shards import Shards
from livecast.shard.treasury import Treasury
from livecast.wire import records
from support.virtual import VirtualLoop

HOST = Person("host", "Host", role="host")
ROOM = "r"
ABOUT = msgspec.msgpack.encode(About("A drop", Eligibility()))


class Vault:
    """`take_over` lets a process die without a word and another one own everything."""

    def __init__(self, loop: VirtualLoop, ledger: Ledger | None = None) -> None:
        self.loop = loop
        self.log = MemoryRoomLog()
        self.bus = MemoryBus()
        self.ledger: Any = ledger or MemoryLedger(loop.unix_ms, opening=10_000)
        self.facts: list[Fact] = []
        self.notices: list[tuple[str, Notice]] = []
        self.published: list[Published] = []
        self.first: dict[str, Any] = {}
        self._asked = 0

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    async def begin(self, *, room: str = ROOM) -> Vault:
        """Own everything, and have a live room."""

        def told(_room: str, user: str, notice: Notice) -> None:
            if user:  # what is for nodes goes to nobody
                self.notices.append((user, notice))

        await self.bus.attach("n", lambda _: None, told)
        await self._own()
        await self.bus.follow(room, self.published.append)
        await self.command("ensure", Ensure(), room)
        await asyncio.sleep(0.1)
        stored = await self.log.read(room)
        assert stored is not None
        self.first = records.decode_snapshot(stored.snapshot).state
        return self

    async def _own(self) -> None:
        self.shards = Shards(bus=self.bus, log=self.log, clock=self.loop.unix_ms, rules=RoomRules(), observer=self)
        self.treasury = Treasury(ledger=self.ledger, shards=self.shards, bus=self.bus, clock=self.loop.unix_ms, observer=self)
        await self.shards.start()
        await self.treasury.start()

    def die(self) -> None:
        """Stop owning, in the middle of everything."""
        self.treasury.stop()
        for loop in self.shards._rooms.values():
            loop.close()
        self.shards._rooms.clear()
        self.shards._tokens.clear()

    async def take_over(self) -> None:
        """Own everything again, as another process would."""
        await self._own()

    async def command(self, name: str, args: Any, room: str = ROOM) -> None:
        self._asked += 1
        assert self.bus.post(room, Command(Origin("n", self._asked), HOST, name, args))

    async def end(self, room: str = ROOM) -> None:
        """The broadcast is over."""
        await self.command("end", End(), room)

    # --- What is asked of the ledger ---
    async def drop(self, id_: str = "d", *, secret: bytes = b"secret", **terms: Any) -> Drop:
        made = await self.ledger.put_drop(NewDrop(ROOM, id_, Terms(**{"stock": 3, **terms}), ABOUT, secret), self.loop.unix_ms())
        assert isinstance(made, Drop)
        self.treasury.ring(ROOM)
        return made

    async def step(self, step: Any, id_: str = "d") -> Drop:
        drop = await self.ledger.step_drop(ROOM, id_, step, self.loop.unix_ms())
        assert isinstance(drop, Drop), drop
        self.treasury.ring(ROOM)
        return drop

    async def claim(self, *users: str, id_: str = "d") -> list[Any]:
        claims = [Claim(user, f"c-{user}", nonce=f"n-{user}") for user in users]
        answers: list[Any] = await self.ledger.claim(ROOM, id_, self.broadcast, claims, self.loop.unix_ms())
        self.treasury.ring(ROOM)
        return answers

    async def give(self, user: str, n: int = 1, *, tx: str = "1", commit: bool = True, ring: bool = True) -> Gift:
        about = about_of(Person(user, user.title()), 1)
        gift = Gift(f"{user}/{tx}", user, ROOM, self.broadcast, "rose", n, n, about=about)
        assert isinstance(await self.ledger.debit_gift(gift, SpendLimits(), self.loop.unix_ms()), Moved)
        if commit:
            await self.ledger.commit_gift(gift, self.loop.unix_ms())
        if ring:
            self.treasury.ring(ROOM)
            self.treasury.ring(user)
        return gift

    # --- What viewers are told ---
    @property
    def broadcast(self) -> str:
        return str(self.state()["broadcast"])

    def state(self, room: str = ROOM) -> dict[str, Any]:
        """The room's state as a viewer who heard everything knows it."""
        state: dict[str, Any] = self.first
        for heard in self.published:
            if heard.room == room and heard.snapshot is not None:
                snapshot: Snapshot = records.decode_snapshot(heard.snapshot)
                state = snapshot.state
            elif heard.room == room and heard.frame is not None:
                frame = records.decode_frame(heard.frame)
                state = merge(state, frame.state) if frame.state else state
        return state

    def combos(self) -> list[tuple[str, int, bool]]:
        """(user, n, done) of every line of every frame."""
        frames = [records.decode_frame(heard.frame) for heard in self.published if heard.frame is not None]
        return [(combo.u.id, combo.n, combo.done) for frame in frames for combo in frame.gifts]

    def shown(self, id_: str = "d") -> tuple[str, int] | None:
        """State and rest of a drop, as viewers see them."""
        view = self.state().get("drops", {}).get(id_)
        return None if view is None else (view["state"], view["left"])

    async def until(self, condition: Callable[..., Any], what: str = "that", within_s: float = 60.0) -> Any:
        """Let virtual time pass until the condition holds."""
        end = self.loop.time() + within_s
        while not (held := condition()):
            troubles = [fact for fact in self.facts if isinstance(fact, Trouble)]
            assert self.loop.time() < end, f"no {what} within {within_s} s: {self.state()} {troubles[-2:]}"
            await asyncio.sleep(0.01)
        return held
