"""What the owners of rooms know of claimants, kept here for a moment: asked for many people at once.

Kept facts may let somebody in; before they keep somebody out they are asked for again, unless they are from just now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from livecast.core.drops import ANYBODY, Eligibility, Facts, Missing, missing
from livecast.core.events import Ask, Done, Person
from livecast.edge.identity import Identity

if TYPE_CHECKING:
    from livecast.edge.node import Node

KEEP_MS: Final = 15_000
"""Facts older than this count for nothing."""
FRESH_MS: Final = 1_000
"""Facts this young are not asked for again, whatever they say: a clicker costs the owner one question a second."""
KEPT_MAX: Final = 50_000
"""Facts kept, some 20 MB; when there are more, all are forgotten and asked for again."""
ASK_MAX: Final = 500
"""People in one question."""
ASK_S: Final = 0.5
"""How long the owner has: what is left of a claim's second is the ledger's."""
NODE: Final = Person("node", "", role="service")


class FactBook:
    """Facts by room and user."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._kept: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}

    async def lacking(
        self, room: str, eligibility: Eligibility, claimants: Collection[Identity], *, ask: bool
    ) -> dict[str, list[Missing] | None]:
        """What each claimant lacks, by user; None: the room was asked and does not answer. (Gifts are the ledger's to say.)"""
        eligibility = msgspec.structs.replace(eligibility, gifted=False)
        if eligibility == ANYBODY:
            return {who.person.id: [] for who in claimants}
        found: dict[str, list[Missing] | None] = {}
        doubtful: dict[str, Identity] = {}
        now = self._node.clock()
        for who in claimants:
            user = who.person.id
            at, known = self._kept.get((room, user), (-KEEP_MS, {}))
            if ask and now - at >= KEEP_MS:
                doubtful[user] = who
                continue
            found[user] = missing(eligibility, facts_of(who, known))
            if ask and found[user] and now - at >= FRESH_MS:
                doubtful[user] = who
        if doubtful:
            await self._ask(room, doubtful)
            for user, who in doubtful.items():
                at, known = self._kept.get((room, user), (-KEEP_MS, {}))
                found[user] = missing(eligibility, facts_of(who, known)) if now - at < KEEP_MS else None
        return found

    async def _ask(self, room: str, people: Iterable[str]) -> None:
        asked = list(people)
        for first in range(0, len(asked), ASK_MAX):
            some = asked[first : first + ASK_MAX]
            now = self._node.clock()
            answer = await self._node.ask(room, partial(Ask, by=NODE, what="facts", args={"users": some}), ASK_S)
            if not isinstance(answer, Done):
                return
            if len(self._kept) + len(some) > KEPT_MAX:
                self._kept.clear()
            users = answer.value["users"]
            self._kept.update({(room, user): (now, users.get(user) or {}) for user in some})


def facts_of(who: Identity, known: dict[str, Any]) -> Facts:
    """What is known of a claimant: the room's word, the token's level and facts."""
    told = {name: known[name] for name in ("watch_s", "liked", "commented") if name in known}
    if "commented" in told:
        told["commented"] = tuple(told["commented"])
    return Facts(level=who.person.level, facts=who.facts or {}, **told)
