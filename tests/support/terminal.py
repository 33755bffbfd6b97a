"""What a terminal shows of a room: the lines a pipe gets, and the picture."""

from __future__ import annotations

import io
import json
from typing import Any

from rich.console import Console

from livecast.client.messages import Reader
from livecast.ops.screen.screen import RoomScreen, plain_lines

READER = Reader("json")


def told(screen: RoomScreen, *bodies: dict[str, Any]) -> list[str]:
    """What a pipe gets of these messages, without the time of day."""
    out: list[str] = []
    for body in bodies:
        event: Any = READER.read(json.dumps(body).encode())
        screen.take(event, 1.0)
        out += [line.split(" ", 1)[1] for line in plain_lines(event, screen)]
    return out


def drawn(screen: RoomScreen) -> str:
    """The picture as text."""
    out = io.StringIO()
    console = Console(file=out, width=100, height=20, force_terminal=True, color_system=None, legacy_windows=False)
    console.print(screen.picture(1.0, 20))
    return out.getvalue()
