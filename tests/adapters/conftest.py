"""What the tests of the Redis adapters share."""

from __future__ import annotations

import pytest

from livecast.facts import Fact, Trouble


class Facts:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[Fact] = []

    def observe(self, fact: Fact) -> None:
        """Keep it."""
        self.seen.append(fact)

    @property
    def troubles(self) -> list[Trouble]:
        """What an operator would read."""
        return [fact for fact in self.seen if isinstance(fact, Trouble)]


@pytest.fixture
def facts() -> Facts:
    """An observer that keeps what it is told."""
    return Facts()
