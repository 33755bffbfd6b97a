"""What the checks come to."""

from __future__ import annotations

import pytest

from livecast.ops.conform.grade import Check, grade_of


@pytest.mark.parametrize(
    ("musts", "wrong", "amiss", "whole", "grade"),
    [
        (30, 0, 0, True, "A"),
        (30, 0, 2, True, "B"),
        (30, 0, 3, True, "C"),
        (30, 1, 0, True, "D"),
        (30, 6, 0, True, "D"),
        (30, 7, 0, True, "F"),
        (30, 0, 0, False, "F"),
        (0, 0, 0, True, "F"),
    ],
)
def test_grades(musts: int, wrong: int, amiss: int, whole: bool, grade: str) -> None:
    """What must be right weighs more than any courtesy; an unfinished walk proves nothing."""
    checks = [Check("s", "w", "must", n >= wrong) for n in range(musts)]
    checks += [Check("s", "w", "should", n >= amiss) for n in range(5)]
    assert grade_of(checks, whole=whole) == grade
