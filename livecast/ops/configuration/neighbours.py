"""What a node should have in common with others on the same stores, and may not: said when the first of them is seen."""

from __future__ import annotations

from livecast.facts import Fact, Observer, ShardsHeld, Trouble
from livecast.ops.configuration.settings import Settings


class Neighbours:
    """An `Observer` that waits for company. `siblings`: how many of the nodes it may see are workers of this one, with which it
    has everything in common. `key_apart`: it signs receipts with another key than they.
    """

    def __init__(self, settings: Settings, siblings: int, observer: Observer, *, key_apart: bool) -> None:
        self._settings = settings
        self._key_apart = key_apart
        self._siblings = siblings
        self._observer = observer
        self._said = False

    def observe(self, fact: Fact) -> None:
        """There are so many."""
        if type(fact) is ShardsHeld and fact.nodes > self._siblings and not self._said:
            self._said = True
            for trouble in self._apart():
                self._observer.observe(trouble)

    def _apart(self) -> list[Trouble]:
        settings = self._settings
        apart: list[Trouble] = []
        if self._key_apart:
            advice = "give all of them the same [ledger] receipt_key: this one has its own from before, and publishes that only"
            apart.append(Trouble("nodes sign receipts with keys of their own", "[ledger] receipt_key", advice))
        if not settings.archive.url:
            advice = "give all of them the same [archive] url: now each knows only of the shards it happened to own"
            apart.append(Trouble("nodes keep archives of their own", "[archive] url", advice))
        return apart
