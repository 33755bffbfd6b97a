"""Signals that come before anybody heeds them."""

from __future__ import annotations

import signal
import subprocess
import sys

ASKED = """
import os, signal
from livecast.ops.processes import early_signals
early_signals.hold()
os.kill(os.getpid(), signal.SIGHUP)
print([early_signals.noted(each) for each in (signal.SIGHUP, signal.SIGHUP, signal.SIGUSR2)])
os.kill(os.getpid(), signal.SIGUSR2)
print(early_signals.noted(signal.SIGUSR2))
signal.raise_signal(signal.SIGTERM)
"""


def test_they_are_remembered_once_and_end_nothing() -> None:
    """SIGTERM is none of them."""
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.splitlines() == ["[True, False, False]", "True"]
    assert done.returncode == -signal.SIGTERM
