"""What every roster promises: signs of life that all see, and fences that change hands only from the very token in them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from livecast.core.nodes.membership import Beat, bits_of
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.ports import Commit, Fenced

ROOM = "demo"
SHARD = shard_of(ROOM)


async def test_everybody_sees_every_sign(stores: Any) -> None:
    """A sign is seen by all with the next look, whole, in place of the one before."""
    one, two = stores.roster(), stores.roster()
    first = Beat(1, bits_of({0, 17, 255}), version="1.2.3")
    assert await one.beat("a", first) == {"a": first}
    other, second = Beat(7, leaving=True), Beat(2)
    assert await two.beat("b", other) == {"a": first, "b": other}
    assert await one.beat("a", second) == {"a": second, "b": other}


async def test_a_sign_is_forgotten_unless_there_is_a_newer_one(stores: Any) -> None:
    """Who was taken for dead and wakes is not forgotten."""
    roster = stores.roster()
    await roster.beat("a", Beat(1))
    await roster.beat("a", Beat(2))
    await roster.forget("a", Beat(1))
    assert set(await roster.beat("b", Beat(1))) == {"a", "b"}
    await roster.forget("a", Beat(2))
    await roster.forget("never there", Beat(2))
    assert set(await roster.beat("b", Beat(2))) == {"b"}


async def test_a_token_takes_the_place_of_the_one_that_was_judged(stores: Any) -> None:
    """Nothing, a former token or one that says free: whatever is told as standing there must stand there."""
    roster = stores.roster()
    assert await roster.tokens([3, 4]) == {3: "", 4: ""}
    assert await roster.swap({3: ("", "a.1"), 4: ("", "a.2")}) == {3, 4}
    assert await roster.swap({3: ("", "b.1"), 4: ("a.2", "b.2")}) == {4}
    assert await roster.tokens([3, 4]) == {3: "a.1", 4: "b.2"}
    assert await roster.swap({3: ("b.1", "c.1")}) == set()
    assert await roster.tokens([]) == {}
    assert await roster.swap({}) == set()


async def test_a_change_without_an_answer_is_repeated(stores: Any) -> None:
    """The same change again says the same, as long as nobody came in between."""
    roster = stores.roster()
    assert await roster.swap({3: ("", "a.1")}) == {3}
    assert await roster.swap({3: ("", "a.1")}) == {3}
    assert await roster.swap({3: ("a.1", "b.1")}) == {3}
    assert await roster.swap({3: ("", "a.1")}) == set()


async def test_of_many_who_take_one_gets_it(stores: Any) -> None:
    """All shards at once, from several processes."""
    rosters = {name: stores.roster() for name in "abc"}
    taken = await asyncio.gather(
        *(roster.swap({shard: ("", f"{name}.{shard}") for shard in range(SHARDS)}) for name, roster in rosters.items())
    )
    assert sum(map(len, taken)) == SHARDS
    assert set().union(*taken) == set(range(SHARDS))
    stands = await rosters["a"].tokens(range(SHARDS))
    for name, mine in zip(rosters, taken, strict=True):
        assert {shard for shard, token in stands.items() if token == f"{name}.{shard}"} == mine


async def test_who_was_replaced_commits_nothing_more(stores: Any) -> None:
    """The token in the fence is the one that commits are compared with."""
    roster, log = stores.roster(), stores.log()
    commit = Commit(ROOM, "a.1", "e", 1, 0, 1_000, snapshot=b"s")
    with pytest.raises(Fenced):
        await log.commit(commit)
    await roster.swap({SHARD: ("", "a.1")})
    await log.commit(commit)
    await roster.swap({SHARD: ("a.1", "b.1")})
    with pytest.raises(Fenced):
        await log.commit(Commit(ROOM, "a.1", "e", 2, 1, 1_000, frame=b"f"))
    assert await log.heads([ROOM, "never"]) == [("e", 0), None]
    await log.commit(Commit(ROOM, "b.1", "f", 1, 0, 1_000, snapshot=b"s"))
    assert await log.heads([ROOM]) == [("f", 0)]
    assert await log.heads([]) == []
