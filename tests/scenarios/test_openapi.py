"""The description against the real thing: whatever it says of calls, bodies and answers is what a node does.

`schemathesis` makes requests from `/openapi.json`, fitting and not fitting, single and in sequences, and runs all of its checks.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.node import NodeProcess

ROOT = Path(__file__).parent.parent.parent


def explore(node: NodeProcess, *, seed: int, examples: int, seconds: int) -> str:
    """What schemathesis says, which finds nothing. With the settings of `schemathesis.toml`."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "run", f"{node.base}/openapi.json", "--checks", "all", "--header", "Authorization: Bearer lck_dev_dev"]
    command += ["--seed", str(seed), "--max-examples", str(examples), "--max-time", str(seconds), "--continue-on-failure"]
    command += ["--no-shrink", "--generation-database", "none", "--no-color", "--warnings", "off"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 120, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.timeout(240)
def test_the_description_is_true(node: NodeProcess) -> None:
    """Thousands of requests, the same each time as far as time allows: no answer that is not described, no crash."""
    said = explore(node, seed=1, examples=8, seconds=60)
    tested, made = re.search(r"Tested: (\d+)", said), re.search(r"(\d+) generated", said)
    assert tested
    assert made
    assert int(tested[1]) > 50
    assert int(made[1]) > 500


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [2, 3])
def test_the_description_is_true_at_length(node: NodeProcess, seed: int) -> None:
    """The same for ten minutes."""
    explore(node, seed=seed, examples=150, seconds=600)
