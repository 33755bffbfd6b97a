"""Opaque cursors of lists: where the next page begins, in a form nobody is tempted to build."""

from __future__ import annotations

import base64
import binascii

from livecast.edge.problems import Fault, ProblemError


def make(position: str) -> str:
    """The cursor of what follows on `position`."""
    return base64.urlsafe_b64encode(b">" + position.encode()).decode().rstrip("=")


def read(cursor: str) -> str:
    """The position that a cursor stands for; empty for the start. Raises `invalid` for what `make` did not make."""
    if not cursor:
        return ""
    try:
        position = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        position = ""
    if position[:1] != ">":
        detail = "This cursor is not one of ours."
        raise ProblemError("invalid", detail, errors=[Fault("?cursor", detail)])
    return position[1:]
