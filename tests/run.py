"""What `make test` runs: every test, several at a time; then the few that failed once more, one at a time.

Many tests kill processes, freeze stores and wait for what becomes of it, within bounds that a machine can miss which does four
such things at once. What fails beside others and passes alone says nothing about livecast: it is named at the end, so that
somebody gives it more time, and the run is good. What fails alone as well is wrong, and so is a run in which more than
`AGAIN_MAX` tests fail: those are not tried again.

`python tests/run.py ARGS`: the arguments are pytest's. Exit codes are pytest's too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

AGAIN_MAX: Final = 8
FAILED: Final = Path("cache", "lastfailed")  # where pytest's cache keeps the ids of tests that failed
TESTS_FAILED: Final = 1  # pytest's exit code for this, and for nothing else


def failed_tests(cache: Path) -> list[str]:
    """The ids of the tests that failed in the last run with this cache."""
    kept = cache / "v" / FAILED
    return sorted(json.loads(kept.read_text())) if kept.exists() else []


def say(what: str, tests: list[str]) -> None:
    """A line, and the tests below it."""
    sys.stdout.write("\n  ".join(["\n" + what, *tests]) + "\n")
    sys.stdout.flush()


def run(args: list[str]) -> int:
    """All that `args` choose; what failed of it again. Returns the exit code."""
    pytest = [sys.executable, "-m", "pytest"]
    with tempfile.TemporaryDirectory() as folder:  # of its own: what failed days ago is not what failed now
        code = subprocess.run([*pytest, "-o", f"cache_dir={folder}", *args], check=False).returncode
        failed = failed_tests(Path(folder))
    if code != TESTS_FAILED or not 0 < len(failed) <= AGAIN_MAX:
        return code
    say(f"{len(failed)} failed while others ran beside them. Once more, alone:", failed)
    code = subprocess.run([*pytest, "-n", "0", *failed], check=False).returncode
    if code == 0:
        say("Passed alone, so the run is good. But they want bounds that a busy machine keeps:", failed)
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
