"""What a client did right and wrong in the scripted room, and what that comes to."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from rich.console import Console
from rich.markup import escape

Weight = Literal["must", "should"]

MEANING: Final = {
    "A": "keeps to the protocol in all that was tried",
    "B": "right in all that matters; a few courtesies are missing",
    "C": "right in all that must be, careless in much that should be",
    "D": "mostly right; viewers will see what is wrong",
    "F": "not a client of this protocol yet",
}
COURTESIES_MISSED_AT_MOST: Final = 2
"""For a B."""
MOSTLY: Final = 0.8
"""Of what must be right, for a D."""


class Check(msgspec.Struct):
    """One thing that a client did or did not do. `why` says what was seen where it is not right."""

    step: str
    what: str
    weight: Weight
    right: bool
    why: str = ""


def grade_of(checks: list[Check], *, whole: bool) -> str:
    """A to F. A walk that broke off (`whole` is False) is an F: nobody knows what else would have gone wrong."""
    must = [check for check in checks if check.weight == "must"]
    wrong = sum(not check.right for check in must)
    careless = sum(not check.right for check in checks if check.weight == "should")
    if not whole or not must:
        return "F"
    if wrong:
        return "D" if 1 - wrong / len(must) >= MOSTLY else "F"
    if careless:
        return "B" if careless <= COURTESIES_MISSED_AT_MOST else "C"
    return "A"


def show(console: Console, checks: list[Check], *, whole: bool) -> None:
    """Everything that was tried, and the grade beneath. `WRONG`: must be otherwise; `amiss`: should be."""
    before = ""
    for check in checks:
        if check.step != before:
            console.print(f"[bold]{check.step}[/]")
            before = check.step
        colour, mark = ("green", "right") if check.right else ("red", "WRONG") if check.weight == "must" else ("yellow", "amiss")
        console.print(f"  [{colour}]{mark}[/]  {escape(check.what)}", highlight=False)
        if check.why:
            console.print(f"         [dim]{escape(check.why)}[/]", highlight=False)
    grade = grade_of(checks, whole=whole)
    right = sum(check.right for check in checks)
    console.print(f"\n{right} of {len(checks)} right" + ("" if whole else "; the walk broke off"))
    console.print(f"[bold]grade {grade}[/]: {MEANING[grade]}")


def as_json(checks: list[Check], *, whole: bool) -> bytes:
    """The same for a program, for example a front end's CI."""
    return msgspec.json.encode({"grade": grade_of(checks, whole=whole), "whole": whole, "checks": checks})
