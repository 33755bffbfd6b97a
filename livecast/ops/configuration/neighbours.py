"""What a node should have in common with others on the same stores, and may not: said when the first of them is seen."""

from __future__ import annotations

from livecast.facts import Fact, Observer, ShardsHeld, Trouble
from livecast.ops.configuration.settings import Settings


class Neighbours:
    """An `Observer` that waits for company. `siblings`: how many of the nodes it may see are workers of this one, with which it
    has everything in common.
    """

    def __init__(self, settings: Settings, siblings: int, observer: Observer) -> None:
        self._settings = settings
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
        if not settings.ledger.receipt_key:
            advice = "give all of them the same [ledger] receipt_key: now each publishes its own key only"
            apart.append(Trouble("nodes sign receipts with keys of their own", "[ledger] receipt_key", advice))
        if not settings.archive.url:
            advice = "give all of them the same [archive] url: now each knows only of the shards it happened to own"
            apart.append(Trouble("nodes keep archives of their own", "[archive] url", advice))
        return apart
