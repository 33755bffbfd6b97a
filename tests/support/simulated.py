"""A flash sale on virtual time: two nodes, the rooms' owner, people and faults, all drawn from one seed, in some milliseconds.

Nothing is a stand-in but the weather around the ledger and the people: nodes batch claims, the owner opens and settles drops,
and the ledger in memory is the one that passes the same suite as the one on Valkey. The independent checker has the last word.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import msgspec

from livecast.adapters.memory.ledger import MemoryLedger
from livecast.core.books.audit import Difference
from livecast.core.errors import Refusal
from livecast.core.events import Person
from livecast.core.rules import RoomRules
from livecast.edge.access.auth import Authenticator
from livecast.edge.access.identity import Identity
from livecast.edge.access.keys import KeyRing
from livecast.edge.money.money import Money, MoneyRules
from livecast.edge.money.receipts import Receipts, new_key
from livecast.edge.node import Node
from livecast.edge.rules import EdgeRules
from livecast.ledger import audit
from livecast.wire.codec import ack_of
from livecast.wire.messages import ClaimMessage, GiftMessage
from support.checker import Books, Wallet, check
from support.journal import Answer, Asked, Kind
from support.vault import ROOM, Vault
from support.virtual import VirtualLoop, run_virtual
from support.weather import StormyLedger

RECEIPTS = Receipts(new_key())
OVER_S = 2.0
"""People click within this; whoever is left in doubt asks again for a minute."""


class Sale:
    """One seed's sale. `violations` is what the checker found; `acknowledged` counts answers by verdict."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.loop = loop
        self.chance = random.Random(seed)
        self.ledger = StormyLedger(MemoryLedger(loop.unix_ms, opening=20), seed)
        self.vault = Vault(loop, self.ledger)
        self.nodes: list[Node] = []
        self.asked: list[Asked] = []
        self.told: Counter[str] = Counter()

    async def run(self) -> list[str]:
        """From opening to the books."""
        await self.vault.begin()
        for number in range(2):
            await self._add_node(f"node{number}")
        terms: dict[str, Any] = {
            "stock": self.chance.randint(1, 6),
            "per_user": self.chance.choice([1, 1, 2]),
            "reserve_ms": self.chance.choice([0, 0, 1500]),
        }
        drop = await self.vault.drop(opens_at=self.loop.unix_ms() + 500, **terms)
        self.ledger.storm = self.chance.choice([0.0, 0.1, 0.3, 0.6])
        people = [self._person(f"u{n}") for n in range(self.chance.randint(3, 8))]
        await asyncio.gather(*people, self._faults())
        await self.ledger.calm_down()
        await self._settle()
        return check(self.asked, await self._books(drop.id))

    async def _add_node(self, name: str) -> None:
        vault = self.vault
        node = Node(
            id=name, clock=self.loop.unix_ms, bus=vault.bus, log=vault.log, authenticator=Authenticator(["s" * 32]),
            keys=KeyRing([]), observer=vault, rules=EdgeRules(), room_rules=RoomRules(),
        )  # fmt: skip
        rules = MoneyRules(claims_per_user_per_s=0)
        node.money = Money(node, self.ledger, RECEIPTS, lambda place: vault.treasury.ring(place), rules)  # noqa: PLW0108 - the treasury changes with its owner
        await node.start()
        self.nodes.append(node)

    # --- Faults -------------------------------------------------------------------------------------------------------
    async def _faults(self) -> None:
        """The owner dies and another takes over; the ledger freezes."""
        for _ in range(self.chance.randint(0, 2)):
            await asyncio.sleep(self.chance.uniform(0, OVER_S / 2))
            if self.chance.random() < 0.5:
                self.vault.die()
                await asyncio.sleep(self.chance.uniform(0, 1))
                await self.vault.take_over()
            else:
                await self.ledger.freeze(self.chance.uniform(0.2, 3))

    # --- People -------------------------------------------------------------------------------------------------------
    async def _person(self, user: str) -> None:
        clicks = [self._insist("claim", user, cid, {"drop": "d"}) for cid in ("a", "b", "a")]
        if self.chance.random() < 0.3:
            n = self.chance.randint(1, 15)
            clicks += [self._insist("gift", user, "g", {"gift": "rose", "n": n, "value": n}) for _ in range(2)]
        await asyncio.gather(*clicks)

    async def _insist(self, kind: Kind, user: str, cid: str, body: dict[str, Any]) -> None:
        """Ask, on any node, until somebody knows."""
        await asyncio.sleep(self.chance.uniform(0, OVER_S))
        for _ in range(60):
            if (await self._ask(kind, user, cid, body)).is_final:
                return
            await asyncio.sleep(self.chance.uniform(0.1, 2))

    async def _ask(self, kind: Kind, user: str, cid: str, body: dict[str, Any], *, settling: bool = False) -> Asked:
        message = ClaimMessage(cid, body["drop"]) if kind == "claim" else GiftMessage(cid, body["gift"], body["n"])
        at, number = self.loop.time(), len(self.asked)
        asked = Asked(kind, user, cid, body, at, settling)
        self.asked.append(asked)
        answer = await self.chance.choice(self.nodes).enter(ROOM, Identity(Person(user, user)), message)
        told: Answer = {"code": answer.code} if isinstance(answer, Refusal) else msgspec.to_builtins(ack_of(cid, answer))
        self.told[str(told.get("verdict") or told["code"])] += 1
        self.asked[number] = asked._replace(told_at=self.loop.time(), answer=told)
        return self.asked[number]

    async def _settle(self) -> None:
        for each in {each.id: each for each in self.asked}.values():
            await self._ask(each.kind, each.user, each.cid, each.body, settling=True)

    async def _rest(self, id_: str) -> None:
        """Until the owner has finished gifts that were half done, and given back what was reserved and not wanted."""
        ledger, end = self.ledger.calm, self.loop.time() + 60
        while True:
            pending = list(ledger._pending.values())
            drop = await ledger.drop(ROOM, id_)
            if not pending and drop is not None and not drop.reserved:
                return
            assert self.loop.time() < end, (pending, drop)
            await asyncio.sleep(1)

    # --- Books --------------------------------------------------------------------------------------------------------
    async def _books(self, id_: str) -> Books:
        ledger = self.ledger.calm
        await self._rest(id_)
        drop = await ledger.drop(ROOM, id_)
        assert drop is not None
        money = self.nodes[0].money
        assert money is not None
        code_of = await money.coder(ROOM, id_)
        units = await ledger.units(ROOM, id_, 0, 999)
        claims = [{"serial": unit.serial, "user": unit.user, "state": unit.state, "code": code_of(unit)} for unit in units]
        wallets = {}
        for user in {each.user for each in self.asked if each.kind == "gift"}:
            entries = [msgspec.structs.asdict(line) for line in await ledger.bookings(user, None, 999)]
            wallets[user] = Wallet((await ledger.wallet(user)).balance, entries[::-1])
        takings = await ledger.takings(ROOM, None)
        shown = {"state": drop.state, "stock": drop.terms.stock, "per_user": drop.terms.per_user, "codes": drop.terms.codes}
        try:
            await audit(ledger)
        except Difference as difference:
            return Books(shown, claims, wallets, takings.gifts, takings.value, audit=str(difference))
        return Books(shown, claims, wallets, takings.gifts, takings.value)


def simulate(seed: int) -> tuple[list[str], Counter[str]]:
    """What the checker found, and how often people were told what."""

    async def main(loop: VirtualLoop) -> tuple[list[str], Counter[str]]:
        sale = Sale(loop, seed)
        return await sale.run(), sale.told

    return run_virtual(main)
