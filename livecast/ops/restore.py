"""`livecast restore`: the other half of `livecast.ops.backup`."""

from __future__ import annotations

from livecast.ops.backup import restore as command

__all__ = ["command"]
