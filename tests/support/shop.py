"""A node with a ledger in memory, for what is asked of money from outside."""

from __future__ import annotations

from livecast.adapters.memory.ledger import MemoryLedger
from livecast.core.nodes.placement import shard_of
from livecast.core.rules import RoomRules
from livecast.edge.money.money import Money, MoneyRules
from livecast.edge.money.receipts import Receipts, new_key
from livecast.edge.rules import EdgeRules
from support.house import House


class Shop(House):
    """A node whose ledger is there. `rung` keeps for whom shards' owners were told to read on."""

    def __init__(self, rules: EdgeRules, room_rules: RoomRules) -> None:
        super().__init__(rules, room_rules)
        self.ledger = MemoryLedger(self.clock)
        self.rung: list[str] = []
        money_rules = MoneyRules(shown_s=0)  # nobody tells the rooms of their drops here
        self.node.money = Money(self.node, self.ledger, Receipts(new_key()), self.rung.append, money_rules)

    async def close_money(self, place: str) -> None:
        """The shard of a room or a user turns out to stand behind what was seen of it."""
        await self.ledger.expect(shard_of(place), 10**9)

    async def open_money(self, place: str) -> None:
        """An operator opens that shard again as it is."""
        await self.ledger.confirm(shard_of(place), self.clock())
