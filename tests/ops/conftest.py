"""What the tests of commands share: a node to run them against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.node import NodeProcess


@pytest.fixture(scope="session")
def node_of_commands() -> Iterator[NodeProcess]:
    """One node for all commands, each in rooms of its own: to start it takes longer than most of what they do."""
    with NodeProcess() as process:
        yield process


@pytest.fixture(scope="module")
def node(node_of_commands: NodeProcess) -> Iterator[NodeProcess]:
    """It wrote no traceback while it was a file's."""
    before = len(node_of_commands.log_text())
    yield node_of_commands
    assert "Traceback" not in (log := node_of_commands.log_text()[before:]), log[-4000:]
