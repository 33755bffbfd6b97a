"""What every store promises of its mark: it is put in the place of the one that was judged, beside nobody who was not."""

from __future__ import annotations

import asyncio
from typing import Any

from livecast.core.nodes.formats import Mark
from livecast.core.nodes.membership import Beat

FIRST, SECOND = Mark(1, 1, "0.1.0"), Mark(2, 1, "0.2.0")


async def test_a_mark_takes_the_place_of_the_one_that_was_judged(stores: Any) -> None:
    """And the same again says the same."""
    one, two = stores.formats(), stores.formats()
    assert await one.mark() is None
    assert await one.put(None, FIRST)
    assert await two.mark() == FIRST
    assert await two.put(None, FIRST)
    assert not await two.put(None, SECOND)
    assert await two.put(FIRST, SECOND)
    assert not await one.put(FIRST, Mark(3, 3, "x"))
    assert await one.mark() == SECOND


async def test_nobody_else_may_be_there(stores: Any) -> None:
    """Who shows a sign before the mark is put is seen by whoever puts it."""
    formats, roster = stores.formats(), stores.roster()
    await roster.beat("a", Beat(1, version="0.1.0", format=1))
    await roster.beat("b", Beat(5, format=2))
    assert await roster.signs() == {"a": Beat(1, version="0.1.0", format=1), "b": Beat(5, format=2)}
    assert not await formats.put(None, FIRST, ["a"])
    assert await formats.mark() is None
    assert await formats.put(None, FIRST, ["a", "b", "c"])
    assert not await formats.put(FIRST, SECOND, ())
    assert await formats.put(FIRST, SECOND)  # not looked at


async def test_of_several_who_raise_it_one_does(stores: Any) -> None:
    """Each would write its own."""
    marks = [Mark(n, 1, f"0.{n}.0") for n in range(2, 8)]
    done = await asyncio.gather(*(stores.formats().put(None, mark) for mark in marks))
    assert sum(done) == 1
    assert await stores.formats().mark() == marks[done.index(True)]
