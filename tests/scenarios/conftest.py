"""Scenarios run against real processes."""

import pytest

from support.node import NodeProcess


@pytest.fixture(scope="module")
def node():
    """One node for all scenarios of a file that do not break it."""
    with NodeProcess() as process:
        yield process
