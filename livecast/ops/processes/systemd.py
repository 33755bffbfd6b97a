"""What a service manager is told, as `sd_notify(3)` describes it: one datagram a message to the socket that it names.

Without `NOTIFY_SOCKET` in the environment nobody is told anything. The manual itself offers the protocol for implementing: it is
part of systemd's stable interface.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from typing import Final

NOTIFY_SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG_USEC: Final = "WATCHDOG_USEC"
WATCHDOG_PID: Final = "WATCHDOG_PID"


def notify(*assignments: str) -> bool:
    """Tell the service manager, such as `READY=1` or `STATUS=…`; False if there is none, or it does not listen."""
    address = os.environ.get(NOTIFY_SOCKET, "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # a name in the kernel's abstract namespace
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to_manager:
        to_manager.setblocking(False)  # a manager that does not read must not hold us up
        to_manager.sendto("\n".join(assignments).encode(), address)
        return True
    return False


def ready(status: str) -> None:
    """We accept connections; also the end of `reloading`."""
    notify("READY=1", f"STATUS={status}")


def reloading() -> None:
    """The configuration is being read again; `ready` follows. `Type=notify-reload` wants the monotonic clock with it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """We are on our way out."""
    notify("STOPPING=1")


def watchdog_s() -> float:
    """How often the manager wants to hear that we live (half of what it allows, as the manual advises); 0: it does not."""
    if os.environ.get(WATCHDOG_PID, str(os.getpid())) != str(os.getpid()):
        return 0.0
    allowed = os.environ.get(WATCHDOG_USEC, "")
    return int(allowed) / 2_000_000 if allowed.isdigit() else 0.0


class KeepAlive:
    """Tells the manager that we live as often as it wants to hear it, for as long as the event loop turns."""

    def __init__(self) -> None:
        self._every_s = watchdog_s()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, if anybody wants to hear it."""
        if self._every_s:
            notify("WATCHDOG=1")
            self._timer = asyncio.get_running_loop().call_later(self._every_s, self.start)

    def stop(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()
