"""Chance: repeatable, fair, and from everywhere the same."""

from __future__ import annotations

from collections import Counter

from livecast.core.tools.chance import SplitMix64


def test_numbers_are_those_of_the_published_generator() -> None:
    """From state 0 the generator gives the sequence of its reference implementation."""
    chance = SplitMix64("")
    assert [chance.below(2**64) for _ in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_the_same_seed_makes_the_same_choices() -> None:
    """Two rooms of one epoch would leave out the same comments; another epoch others."""
    first, again, other = (SplitMix64(seed).sample(list(range(1000)), 50) for seed in ("e1", "e1", "e2"))
    assert first == again
    assert first != other


def test_a_sample_is_fair() -> None:
    """Over many draws of 10 of 40 everyone is chosen about equally often, and never twice in one draw."""
    chance, chosen = SplitMix64("fair"), Counter[int]()
    for _ in range(4000):
        drawn = chance.sample(list(range(40)), 10)
        assert len(set(drawn)) == 10
        chosen.update(drawn)
    assert all(850 < chosen[i] < 1150 for i in range(40))
    assert chance.sample([1, 2], 5) in ([1, 2], [2, 1])
