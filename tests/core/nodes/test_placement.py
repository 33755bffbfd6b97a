"""Placement: the same shard for a room in every process, release and language."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.nodes.placement import SHARDS, deal, shard_of


@pytest.mark.parametrize(("room", "shard"), [("demo", 160), ("a", 67), ("room-1", 6), ("R_2", 215), ("x" * 64, 18)])
def test_the_shard_of_a_room_never_changes(room: str, shard: int) -> None:
    """These values are stored in key names: changing one would lose a room."""
    assert shard_of(room) == shard


def test_rooms_are_dealt_evenly() -> None:
    """10,000 numbered rooms leave no shard empty and none with more than twice its share."""
    dealt = Counter(shard_of(f"room-{n}") for n in range(10_000))
    assert len(dealt) == SHARDS
    assert max(dealt.values()) < 2 * 10_000 / SHARDS


names = st.sets(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=24), min_size=1, max_size=24)


@given(names, st.randoms(use_true_random=False))
def test_everybody_deals_the_same(nodes: set[str], chance: Random) -> None:
    """The order in which nodes are heard of, or how often, makes no difference: each of them comes to the same answer."""
    shuffled = [*nodes, *list(nodes)[:2]]
    chance.shuffle(shuffled)
    assert deal(shuffled) == deal(sorted(nodes))


@given(names)
def test_shares_differ_by_one_shard_at_most(nodes: set[str]) -> None:
    """Every shard is somebody's, and nobody has two more than another."""
    dealt = deal(nodes)
    shares = Counter(dealt.values())
    assert sorted(dealt) == list(range(SHARDS))
    assert max(shares.values()) - min(shares[node] for node in nodes) <= 1


@given(names, st.text("abcdef", min_size=1, max_size=8))
def test_few_shards_move_when_a_node_comes_or_goes(nodes: set[str], one: str) -> None:
    """Each shard that has to move does, and of the others less than a quarter, whatever the names. (Dealt by a remainder, or in
    order of names, nearly all would.) Of random names the worst of 4,000 moved 44 of 256 with the tenth node, 40 with the 24th.
    """
    without, with_it = deal(nodes - {one}), deal(nodes | {one})
    moved = sum(with_it[shard] != node for shard, node in without.items())
    assert moved <= -(-SHARDS // len(nodes | {one})) + SHARDS // 4


def test_two_become_three() -> None:
    """Of 256 shards 85 must move to the third node. (Numbers that follow from the names, and stay.)"""
    before, after = deal(["a", "b"]), deal(["a", "b", "c"])
    assert Counter(after.values()) == {"a": 85, "b": 85, "c": 86}
    assert sum(before[shard] != after[shard] for shard in before) <= 100


def test_nobody_owns_anything_without_nodes() -> None:
    """There is nobody to deal to."""
    assert deal([]) == {}
