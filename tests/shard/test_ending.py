"""A broadcast ends behind its drops: they are closed, drawn and settled in frames before its last, whoever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from livecast.adapters.memory.ledger import MemoryLedger
from livecast.core.commands import End
from livecast.core.errors import Refusal
from livecast.core.events import Command, Done, Origin, Reply
from livecast.core.money.units import Due
from livecast.core.show.ending import ENDING_MS
from livecast.ports import Unavailable
from livecast.wire import records
from support.vault import HOST, ROOM, Vault
from support.virtual import VirtualLoop, run_virtual


class Silent(MemoryLedger):
    """A ledger that does not say what is due while `away`."""

    away = False

    async def due(self, shard: int, until: int, limit: int) -> list[Due]:
        if self.away:
            raise Unavailable("away")
        return await super().due(shard, until, limit)


class Evening(Vault):
    """A room whose end somebody asks for and waits for."""

    def __init__(self, loop: VirtualLoop, ledger: Any = None) -> None:
        super().__init__(loop, ledger)
        self.answers: list[Any] = []

    async def listen(self) -> None:
        def heard(replies: Sequence[Reply]) -> None:
            self.answers += [reply.answer for reply in replies]

        await self.bus.attach("asker", heard, lambda *_: None)

    def ask_to_end(self, redirect: str | None = None) -> None:
        assert self.bus.post(ROOM, Command(Origin("asker", 1), HOST, "end", End(redirect)))

    def told(self) -> list[str]:
        """What frames said of drops and of the broadcast's status, in their order, a bar between two: `d:closed`, `|`, `ended`."""
        said: list[str] = []
        for heard in self.published:
            frame = records.decode_frame(heard.frame) if heard.frame is not None else None
            state = frame.state if frame is not None and frame.state else {}
            said += ["|"] if said and said[-1] != "|" else []
            said += [f"{id_}:{drop['state']}" for id_, drop in (state.get("drops") or {}).items() if drop and "state" in drop]
            said += [state["status"]] if "status" in state else []
        return said


def evening(story: Callable[[Evening, VirtualLoop], Awaitable[None]], ledger: type[MemoryLedger] = MemoryLedger) -> None:
    """A story told of a live room."""

    async def main(loop: VirtualLoop) -> None:
        room = Evening(loop, ledger(loop.unix_ms, opening=10_000))
        await room.begin()
        await room.listen()
        await story(room, loop)
        room.die()

    run_virtual(main)


def test_drops_are_settled_in_frames_before_the_last() -> None:
    """One without and one with an open reservation, and a draw with its winners; the answer comes with the last frame."""

    async def story(room: Evening, loop: VirtualLoop) -> None:
        await room.drop("plain")
        await room.drop("kept", reserve_ms=3_600_000)
        await room.drop("luck", kind="draw", stock=1)
        for id_ in ("plain", "kept", "luck"):
            await room.step("open", id_)
            await room.claim("ann", "bob", id_=id_)
        await room.until(lambda: room.shown("luck") == ("open", 1), "drops")
        began = loop.time()
        room.ask_to_end("https://shop.example/next")
        await room.until(lambda: room.answers, "answer")
        assert loop.time() - began < 2
        told = room.told()
        assert told[-2:] == ["|", "ended"]
        assert {id_: next(said for said in reversed(told) if said.startswith(id_)) for id_ in ("plain", "kept", "luck")} == {
            "plain": "plain:settled", "kept": "kept:closed", "luck": "luck:settled",
        }  # fmt: skip
        assert room.state()["drops"]["luck"]["result"]["winners"]
        [answer] = room.answers
        assert isinstance(answer, Done)
        assert answer.value["status"] == "ended"
        assert room.state()["redirect"] == "https://shop.example/next"

    evening(story)


def test_whoever_takes_over_in_between_brings_it_to_its_end() -> None:
    """The process dies right after the wish was kept: the next one closes the drop, then ends the broadcast."""

    async def story(room: Evening, _: VirtualLoop) -> None:
        await room.drop()
        await room.step("open")
        await room.until(lambda: room.shown() == ("open", 3), "drop")
        room.treasury._clock.ending = lambda room: None  # type: ignore[method-assign]  # noqa: ARG005 - it dies before it does anything
        room.ask_to_end()
        await asyncio.sleep(0.5)
        room.die()
        assert room.state()["status"] == "live"
        await room.take_over()
        await room.until(lambda: room.state()["status"] == "ended", "end", within_s=10)
        assert room.told()[-3:] == ["d:settled", "|", "ended"]

    evening(story)


def test_a_ledger_that_is_silent_keeps_nobody_from_ending() -> None:
    """The evening ends at once; the drop is closed as soon as the ledger speaks."""

    async def story(room: Evening, loop: VirtualLoop) -> None:
        assert isinstance(room.ledger, Silent)
        await room.drop()
        await room.step("open")
        await room.until(lambda: room.shown() == ("open", 3), "drop")
        room.ledger.away = True
        began = loop.time()
        room.ask_to_end()
        await room.until(lambda: room.answers, "answer")
        assert loop.time() - began < 2
        assert room.state()["status"] == "ended"
        room.ledger.away = False
        await room.until(lambda: room.shown() == ("settled", 3), "settlement")

    evening(story, Silent)


def test_nothing_keeps_an_evening_open_for_longer_than_it_may() -> None:
    """Whoever should say that the drops are done never does."""

    async def story(room: Evening, loop: VirtualLoop) -> None:
        room.treasury._clock.ending = lambda room: None  # type: ignore[method-assign]  # noqa: ARG005 - nobody does
        began = loop.time()
        room.ask_to_end()
        room.ask_to_end()
        await room.until(lambda: room.answers, "answer")
        assert loop.time() - began < ENDING_MS / 1000 + 1
        assert [answer.value["status"] for answer in room.answers] == ["ended", "ended"]

    evening(story)


def test_a_wish_that_cannot_come_true_is_refused_at_once() -> None:
    """A link that is none; and once it ended there is nothing to end."""

    async def story(room: Evening, _: VirtualLoop) -> None:
        room.ask_to_end("javascript:alert(1)")
        await room.until(lambda: room.answers, "refusal")
        assert isinstance(room.answers[0], Refusal)
        assert room.answers[0].field == "redirect"
        room.ask_to_end()
        await room.until(lambda: len(room.answers) == 2, "answer")
        room.ask_to_end()
        await room.until(lambda: len(room.answers) == 3, "refusal")
        assert room.answers[2].code == "conflict"

    evening(story)
