"""What the tests of money over HTTP share: a running node with a ledger in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from livecast.core.rules import RoomRules
from livecast.edge.rules import EdgeRules
from support.shop import Shop


@pytest.fixture
async def shop(edge_rules: EdgeRules, room_rules: RoomRules) -> AsyncIterator[Shop]:
    """A running node with a ledger."""
    shop = Shop(edge_rules, room_rules)
    await shop.open()
    yield shop
    await shop.close()
