"""Which tests go to the same process, and which are begun first, where several processes run them (`make test`)."""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling

TOGETHER: Final = ("tests/browser/", "tests/ops/commands/")
"""Folders whose files stay together: they share a node, and one of them a Chromium, which every process would start for itself."""
FIRST: Final = ("browser", "scenarios", "chaos", "ops", "web", "deploy", "adapters", "client", "shard")
"""Folders below `tests` in the order in which they are begun; all others follow as they are found. What starts processes and waits
for them comes first, and what does nothing but compute last: it fills all cores, and none is left alone with something long.
"""


class Dealer(LoadFileScheduling):  # type: ignore[misc]  # it comes without types
    """A file's tests stay together, and those of some folders."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)


def together(test: str) -> str:
    """The folder or the file whose tests go to the same process as this one."""
    return next((folder for folder in TOGETHER if test.startswith(folder)), test.split("::", 1)[0])


def turn(test: str) -> int:
    """When a test is begun: those with the smallest number first."""
    folder = test.split("/", 2)[1] if test.startswith("tests/") else ""
    return FIRST.index(folder) if folder in FIRST else len(FIRST)
