"""Placement: the same shard for a room in every process, release and language."""

from __future__ import annotations

from collections import Counter

import pytest

from livecast.core.placement import SHARDS, shard_of


@pytest.mark.parametrize(("room", "shard"), [("demo", 160), ("a", 67), ("room-1", 6), ("R_2", 215), ("x" * 64, 18)])
def test_the_shard_of_a_room_never_changes(room: str, shard: int) -> None:
    """These values are stored in key names: changing one would lose a room."""
    assert shard_of(room) == shard


def test_rooms_are_dealt_evenly() -> None:
    """10,000 numbered rooms leave no shard empty and none with more than twice its share."""
    dealt = Counter(shard_of(f"room-{n}") for n in range(10_000))
    assert len(dealt) == SHARDS
    assert max(dealt.values()) < 2 * 10_000 / SHARDS
