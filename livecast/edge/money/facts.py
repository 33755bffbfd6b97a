"""What the owners of rooms and the platform know of claimants, kept here for a moment: asked for many people at once.

Kept facts may let somebody in; before they keep somebody out they are asked for again: who was told what is missing does it and
clicks once more, within the same second. Only who clicks on and on is told what was known a moment ago.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from livecast.core.events import Ask, Done, Person
from livecast.core.money.drops import ANYBODY, Eligibility, Facts, Missing, missing
from livecast.edge.access.identity import Identity
from livecast.edge.rates import Rates
from livecast.ledger import Ledger

if TYPE_CHECKING:
    from livecast.edge.node import Node

KEEP_MS: Final = 15_000
"""Facts older than this count for nothing."""
ASKED_PER_S: Final = 1.0
ASKED_BURST: Final = 5
"""How often the facts that keep somebody out are asked for again: a clicker costs their source one question a second."""
KEPT_MAX: Final = 50_000
"""Facts kept of each source, some 20 MB; when there are more, all are forgotten and asked for again."""
ASK_MAX: Final = 500
"""People in one question."""
ASK_S: Final = 0.5
"""How long the owner has: what is left of a claim's second is the ledger's."""
NODE: Final = Person("node", "", role="service")

Answers: TypeAlias = dict[str, dict[str, Any]]
"""User -> what is known of them."""


class Source:
    """Somebody who knows facts, and what they said lately. `ask` answers None if they do not answer."""

    def __init__(self, node: Node, ask: Callable[[str, list[str]], Awaitable[Answers | None]]) -> None:
        self._node = node
        self._ask = ask
        self._kept: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}

    def known(self, room: str, user: str) -> tuple[int, dict[str, Any]]:
        """How many ms ago it said what of a user."""
        at, facts = self._kept.get((room, user), (-KEEP_MS, {}))
        return self._node.clock() - at, facts

    async def ask(self, room: str, users: Iterable[str]) -> None:
        """Have it say so anew, as far as it does."""
        asked = list(users)
        for first in range(0, len(asked), ASK_MAX):
            some = asked[first : first + ASK_MAX]
            now = self._node.clock()
            answers = await self._ask(room, some)
            if answers is None:
                return
            if len(self._kept) + len(some) > KEPT_MAX:
                self._kept.clear()
            self._kept.update({(room, user): (now, answers.get(user) or {}) for user in some})

    def forget(self, room: str, user: str) -> None:
        """Something else is true of this user now."""
        self._kept.pop((room, user), None)


class FactBook:
    """Facts by room and user: of the rooms' owners, and of the platform, which the ledger keeps."""

    def __init__(self, node: Node, ledger: Ledger) -> None:
        self._node = node
        self._ledger = ledger
        self._asked_again = Rates(ASKED_PER_S, ASKED_BURST)
        self._room = Source(node, self._room_says)
        self.platform = Source(node, self._platform_says)

    async def lacking(
        self, room: str, eligibility: Eligibility, claimants: Collection[Identity], *, ask: bool
    ) -> dict[str, list[Missing] | None]:
        """What each claimant lacks, by user; None: the room was asked and does not answer. (Gifts are the ledger's to say.)

        `ask`: the room is to be asked. Raises `StoreError` where the platform's facts matter and the ledger does not answer.
        """
        eligibility = msgspec.structs.replace(eligibility, gifted=False)
        if eligibility == ANYBODY:
            return {who.person.id: [] for who in claimants}
        sources = [source for source, wanted in ((self._room, ask), (self.platform, bool(eligibility.facts))) if wanted]
        found: dict[str, list[Missing] | None] = {}
        doubtful: dict[str, Identity] = {}
        for who in claimants:
            user = who.person.id
            age_ms, lacking = self._lacking(room, eligibility, who, sources)
            found[user] = lacking
            if age_ms >= KEEP_MS or (lacking and sources and not self._asked_again.take(f"{room}/{user}", self._node.clock())):
                doubtful[user] = who
        if doubtful:
            for source in sources:
                await source.ask(room, doubtful)
            for user, who in doubtful.items():
                age_ms, lacking = self._lacking(room, eligibility, who, sources)
                found[user] = lacking if age_ms < KEEP_MS else None
        return found

    def _lacking(self, room: str, eligibility: Eligibility, who: Identity, sources: Iterable[Source]) -> tuple[int, list[Missing]]:
        """How old the oldest is that this rests on, ms, and what is lacking."""
        known = [source.known(room, who.person.id) for source in sources]
        facts: dict[str, Any] = {}
        for _, each in known:
            facts |= each
        return max((age_ms for age_ms, _ in known), default=0), missing(eligibility, facts_of(who, facts))

    async def _room_says(self, room: str, users: list[str]) -> Answers | None:
        answer = await self._node.ask(room, partial(Ask, by=NODE, what="facts", args={"users": users}), ASK_S)
        return answer.value["users"] if isinstance(answer, Done) else None

    async def _platform_says(self, room: str, users: list[str]) -> Answers:
        said = await self._ledger.facts(room, users)
        return {user: {"facts": msgspec.json.decode(facts)} for user, facts in zip(users, said, strict=True) if facts}


def facts_of(who: Identity, known: dict[str, Any]) -> Facts:
    """What is known of a claimant: the room's word, the token's level and facts, over these what the platform said."""
    told = {name: known[name] for name in ("watch_s", "liked", "commented") if name in known}
    if "commented" in told:
        told["commented"] = tuple(told["commented"])
    return Facts(level=who.person.level, facts={**(who.facts or {}), **known.get("facts", {})}, **told)
