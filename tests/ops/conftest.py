"""What the tests of commands share: a node to run them against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.node import NodeProcess


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """One node for all commands of a file; each uses rooms of its own."""
    with NodeProcess() as process:
        yield process
