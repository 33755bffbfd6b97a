"""Whether this process has a file descriptor left for whoever comes next.

Who connects when there is none is cut off without an answer, and nobody is told: the event loop (libuv) keeps one in reserve, gives
it up to accept and close whoever waits, and takes it again. So it does not spin, and the connections that are there go on; but
stores, webhooks and files want descriptors, too. Therefore one is asked for with each sweep and given back: two system calls.
"""

from __future__ import annotations

import errno
import os
import resource
from typing import Final

from livecast.facts import NoDescriptor, Observer, Trouble

TELL_MS: Final = 60_000
"""An operator is told once in so long while it lasts: there may be as many occasions as viewers who try again."""


class Descriptors:
    """Looks whether there are any."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._tell_at = 0

    def look(self, now: int, of: int) -> None:
        """Is there another descriptor for what `of` is one of? (`now` in Unix ms.)"""
        try:
            os.close(os.dup(of))
        except OSError as fault:
            if fault.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
            self._observer.observe(NoDescriptor())
            if now >= self._tell_at:
                self._tell_at = now + TELL_MS
                self._observer.observe(Trouble("no file descriptor is left", *_advice(fault), level="error"))


def _advice(fault: OSError) -> tuple[str, str]:
    """Of whom there are too many, and what to do."""
    what = "whoever connects is cut off unanswered, and so is our way to a store that broke off"
    if fault.errno == errno.ENFILE:
        return "all processes of this machine", f"{what}: raise fs.file-max (sysctl), or find who holds so many"
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    ways = "LimitNOFILE= in a systemd unit, ulimits.nofile in Compose, `ulimit -Hn` in a shell"
    return (
        f"{allowed} are allowed to this process",
        f"{what}: raise the hard limit ({ways}), or run more nodes. Each viewer takes one",
    )
