"""What the client's tests share: the client's other end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A server that listens; a failure within an act fails the test."""
    made = Stage()
    await made.start()
    yield made
    await made.stop()
    assert made.failures == []
