"""The checker of what was shown, on stories made by hand: it finds what it is there for, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from support.streams import check_streams


def report(**versions: dict[str, tuple[int, float]]) -> dict[str, Any]:
    """What one process of viewers says: room -> place -> (looks, seconds)."""
    return {"frames": 9, "acks": 9, "violations": [], "versions": versions, "latencies": [], "viewers": []}


def frames(epoch: str, first: int, last: int, at: float, looks: int = 1) -> dict[str, tuple[int, float]]:
    """Five a second from `at` on."""
    return {f"{epoch}:{seq}": (looks, at + 0.2 * (seq - first)) for seq in range(first, last + 1)}


def test_a_change_of_owner_in_order_is_no_violation():
    """One epoch ends, the next begins; a node that stood still hands out one frame of the old one late."""
    after = frames("A", 1, 20, 0) | frames("B", 1, 20, 4.5) | {"A:21": (1, 7.0)}
    assert check_streams([report(a=after), report(a=frames("B", 3, 9, 5.0))]) == []


@pytest.mark.parametrize(
    ("reports", "promise"),
    [
        ([report(a=frames("A", 1, 40, 0) | frames("B", 1, 20, 4))], "fencing"),
        ([report(a=frames("A", 1, 5, 0)), report(a=frames("A", 3, 3, 0, looks=2))], "two versions"),
        ([report(a=frames("A", 1, 5, 0), b=frames("A", 6, 9, 1))], "cross-room"),
        ([report(a=frames("A", 1, 5, 0)) | {"violations": ["gap: w1: …"]}], "gap"),
        ([report(a=frames("A", 1, 5, 0)) | {"viewers": [{"room": "a", "lost": [1.0], "back": []}]}], "not back"),
        ([report() | {"frames": 0}], "nothing shown"),
        ([report(a=frames("A", 1, 5, 0)) | {"acks": 0}], "nothing shown"),
    ],
)
def test_each_broken_promise_is_named(reports: list[dict[str, Any]], promise: str):
    """And nothing else is found."""
    assert {each.partition(":")[0] for each in check_streams(reports)} == {promise}
