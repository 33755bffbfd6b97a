"""What the tests of the edge share: a running node."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable

import pytest

from livecast.core.rules import Policy, RoomRules
from livecast.edge.rules import EdgeRules
from support.house import House
from support.loops import ClosingLoop


def pytest_asyncio_loop_factories(config: object, item: object) -> dict[str, Callable[[], AbstractEventLoop]]:  # noqa: ARG001 - as pytest calls it
    """The loop that the service runs on: its transports are part of what is tested."""
    return {"uvloop": ClosingLoop}


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
