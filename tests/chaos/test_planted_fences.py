"""Bugs planted where rooms are committed: the suite that every room log has to pass convicts each of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos import mutants
from chaos.mutants import Bug, plant

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


def failures(package: Path) -> str:
    """What the suite says of the room log on Valkey in this package."""
    # Not `python -m pytest`, nor with all of our `pythonpath`: both would look for the package in the working directory first.
    command = [
        str(Path(sys.executable).with_name("pytest")),
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not chaos",
        "-o",
        "pythonpath=tests",
    ]
    suite = [str(ROOT / "tests/contract/test_room_log.py"), "-k", "redis"]
    env = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run([*command, *suite], cwd=ROOT, env=env, capture_output=True, text=True, check=False).stdout


def test_a_copy_without_a_bug_is_convicted_of_nothing(tmp_path: Path) -> None:
    """Or the convictions below would mean nothing."""
    said = failures(plant(Bug("none", (), ()), tmp_path / "mutant"))
    assert " passed" in said
    assert "FAILED" not in said


@pytest.mark.parametrize("bug", [mutants.NO_FENCE, mutants.FENCE_BY_ORDER, mutants.HOLES_TAKEN], ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(tmp_path: Path, bug: Bug) -> None:
    """By one of the tests that are there for it."""
    said = failures(plant(bug, tmp_path / "mutant"))
    assert any(line.startswith("FAILED") and promise in line for line in said.splitlines() for promise in bug.promises), said
