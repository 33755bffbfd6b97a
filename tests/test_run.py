"""How `make test` deals tests out, and how it treats what fails: once more alone, and only if it is little."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.dealing import FIRST, TOGETHER, together, turn

RUN = Path(__file__).with_name("run.py")

MANY = "import pytest\ntest_it = pytest.mark.parametrize('n', range(9))(lambda n: 1 / 0)"
FAILS_ONCE = """
from pathlib import Path
def test_it():
    seen = Path(__file__).with_suffix(".seen")
    before = seen.exists()
    seen.touch()
    assert before
"""


def run(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """`tests/run.py` over these files, with no plugin that they have no need of: to load all takes a second each time."""
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p xdist\n")
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    command = [sys.executable, str(RUN), "-q", "-n", "0"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_what_passes_alone_is_named_and_good(tmp_path: Path) -> None:
    """The run is good, and its last line says which test wants more time."""
    done = run(tmp_path, once=FAILS_ONCE, good="def test_it(): pass")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].strip() == "test_once.py::test_it"
    assert "Passed alone" in done.stdout


def test_what_fails_alone_is_wrong(tmp_path: Path) -> None:
    """One of two passes when it is tried again: the run is bad."""
    done = run(tmp_path, once=FAILS_ONCE, bad="def test_it(): assert 0")
    assert done.returncode == 1, done.stdout
    assert "Once more, alone" in done.stdout
    assert "Passed alone" not in done.stdout


@pytest.mark.parametrize("text", [MANY, "import nothing_of_that_name"], ids=["many fail", "a file cannot be read"])
def test_a_run_that_broke_is_not_tried_again(tmp_path: Path, text: str) -> None:
    """What cannot be a matter of time is told at once."""
    done = run(tmp_path, broken=text)
    assert done.returncode != 0
    assert "Once more" not in done.stdout


def test_tests_that_share_something_stay_together() -> None:
    """Files, and folders that share a browser; what waits begins before what computes. Each of the folders is there."""
    assert together("tests/browser/test_viewer.py::test_people_talk") == together("tests/browser/test_looks.py::test_a[x::y]")
    assert together("tests/core/test_room.py::test_a[x::y]") == "tests/core/test_room.py"
    assert turn("tests/browser/test_viewer.py::test_it") < turn("tests/ops/commands/test_tail.py::test_it")
    assert (
        turn("tests/shard/test_house.py::test_it") < turn("tests/core/test_room.py::test_it") == turn("tests/test_run.py::test_it")
    )
    assert all((RUN.parent / name).is_dir() for name in FIRST)
    assert all((RUN.parent.parent / folder).is_dir() for folder in TOGETHER)
