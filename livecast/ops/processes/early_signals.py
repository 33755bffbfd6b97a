"""Signals that come before there is anybody to heed them: remembered, where they would end the process.

A tool that has just written the configuration may ask for it to be read again while the node still starts.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Final

HELD: Final = (signal.SIGHUP, signal.SIGUSR2)
_noted: set[int] = set()


def hold() -> None:
    """From here on the signals of `HELD` end nothing. A handler that is set later takes them over."""
    for each in HELD:
        signal.signal(each, _note)


def noted(which: signal.Signals) -> bool:
    """Whether this signal came meanwhile. Asked once, by who will hear of it from now on."""
    came = which in _noted
    _noted.discard(which)
    return came


def _note(number: int, _frame: FrameType | None) -> None:
    _noted.add(number)
