"""What the tests of the edge share: a running node."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from livecast.core.rules import Policy, RoomRules
from livecast.edge.rules import EdgeRules
from support.house import House


@pytest.fixture
def edge_rules() -> EdgeRules:
    """Bounds of the node; a test module may have its own."""
    return EdgeRules()


@pytest.fixture
def room_rules() -> RoomRules:
    """Bounds of the rooms; a test module may have its own."""
    return RoomRules(policy=Policy(tick_ms=50))  # so that a test that changes a room five times does not wait a second


@pytest.fixture
async def house(edge_rules: EdgeRules, room_rules: RoomRules) -> AsyncIterator[House]:
    """A running node."""
    house = House(edge_rules, room_rules)
    await house.open()
    yield house
    await house.close()
