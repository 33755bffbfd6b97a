"""Work in the background: nothing of it fails unheard."""

from __future__ import annotations

import asyncio

from livecast.facts import Fact, Trouble
from livecast.shard.background import AGAIN_S, Background
from support.virtual import VirtualLoop, run_virtual


class Notes:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.troubles: list[Trouble] = []

    def observe(self, fact: Fact) -> None:
        assert isinstance(fact, Trouble)
        self.troubles.append(fact)


def test_a_fault_is_told_with_where_it_happened():
    """Whoever reads the log can report it; the others go on."""

    async def main(_: VirtualLoop) -> None:
        notes, done = Notes(), asyncio.Event()
        background = Background(notes, "baking failed", "kitchen")

        async def burn() -> None:
            raise ValueError("too hot")

        async def cool() -> None:
            done.set()

        background.spawn(burn())
        background.spawn(cool())
        await done.wait()
        await asyncio.sleep(0)
        (trouble,) = notes.troubles
        assert (trouble.what, trouble.about, trouble.level) == ("baking failed", "kitchen", "error")
        assert "burn" in trouble.advice
        assert "too hot" in trouble.advice

    run_virtual(main)


def test_endless_work_begins_anew():
    """Each fault is told, and none ends it; being stopped does, which is no fault."""

    async def main(loop: VirtualLoop) -> None:
        notes, began = Notes(), list[float]()
        background = Background(notes, "baking failed", "kitchen")

        async def bake() -> None:
            began.append(loop.time())
            await asyncio.sleep(1)
            raise ValueError("too hot")

        background.keep_up(bake)
        await asyncio.sleep(3 * (1 + AGAIN_S) - 0.5)
        background.stop()
        await asyncio.sleep(10)
        assert [at - began[0] for at in began] == [0, 1 + AGAIN_S, 2 * (1 + AGAIN_S)]
        assert len(notes.troubles) in {2, 3}

    run_virtual(main)
