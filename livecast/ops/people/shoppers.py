"""How people take part in a simulated sale, as a value: who clicks on the coupon and how fast, who votes, who sends gifts.

People are as fast as people are: the first clicks come a fifth of a second after the button, half of them within the first one,
and some find out when all is gone. Same seed, same people.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from livecast.ops.people.people import Person

REACTION_S: Final = 0.2
"""Nobody clicks sooner after the button is there."""
CLICKS_WITHIN_S: Final = 1.3
"""Mean of an exponential distribution: most are fast, a few come late."""
KEEN: Final = 0.6
"""Share of those present who want a coupon, or shout what is asked for."""
ENTER: Final = 0.5
VOTE: Final = 0.6
VOTES_WITHIN_S: Final = 15.0
SHOUTS_WITHIN_S: Final = 8.0
ENTRIES_WITHIN_S: Final = 20.0
#: (gift of the usual catalogue, how often).
GIFTS: Final = (("rose", 30), ("heart", 8), ("rocket", 1))
COMBO_MAX: Final = 8
COMBO_PAUSE_S: Final = (0.25, 1.6)


class Wish(Struct, frozen=True):
    """What somebody does now. `target`: a drop, a poll, a gift, or the words to say."""

    kind: Literal["claim", "vote", "give", "say"]
    person: Person
    target: str
    choice: int = 0
    n: int = 1


class Shoppers:
    """Those of a crowd who take part. `gifts`: per second, on average, for all together."""

    def __init__(self, *, gifts: float, seed: int = 1) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - a simulation: the same seed must give the same people
        self._gifts = gifts
        self._known: dict[str, str] = {}
        """Drop or poll -> its state when it was last looked at."""
        self._plans: list[tuple[float, int, Wish]] = []
        self._planned = 0
        self._last_s: float | None = None

    def step(self, now_s: float, present: Sequence[Person], state: Mapping[str, Any]) -> list[Wish]:
        """What is done now, given the room's state as a viewer has it. Any clock in seconds."""
        if present:
            self._look_at_drops(now_s, present, state.get("drops") or {})
            self._look_at_polls(now_s, present, state.get("polls") or {})
            self._feel_generous(now_s, present)
        self._last_s = now_s
        here = {person.id for person in present}
        due = []
        while self._plans and self._plans[0][0] <= now_s:
            wish = heapq.heappop(self._plans)[2]
            if wish.person.id in here:
                due.append(wish)
        return due

    # --- Private ------------------------------------------------------------------------------------------------------

    def _look_at_drops(self, now_s: float, present: Sequence[Person], drops: Mapping[str, Any]) -> None:
        for id_, drop in drops.items():
            was, is_ = self._known.get(id_), drop["state"]
            self._known[id_] = is_
            if was == is_:
                continue
            keyword = (drop.get("eligibility") or {}).get("commented")
            if is_ == "announced" and keyword:
                for person in self._some(present, KEEN):
                    self._plan(now_s + self._rng.uniform(0.5, SHOUTS_WITHIN_S), Wish("say", person, keyword))
            elif is_ == "open" and was != "sold_out":
                draw = drop["kind"] == "draw"
                for person in self._some(present, ENTER if draw else KEEN):
                    after_s = self._rng.uniform(0, ENTRIES_WITHIN_S) if draw else self._rng.expovariate(1 / CLICKS_WITHIN_S)
                    self._plan(now_s + REACTION_S + after_s, Wish("claim", person, id_))

    def _look_at_polls(self, now_s: float, present: Sequence[Person], polls: Mapping[str, Any]) -> None:
        for id_, poll in polls.items():
            was = self._known.get(id_)
            self._known[id_] = poll["state"]
            if was is None and poll["state"] == "open":
                # The first choices are the popular ones, by how much is the evening's own.
                likes = [self._rng.uniform(0.3, 1) / (nth + 1) for nth in range(len(poll["choices"]))]
                for person in self._some(present, VOTE):
                    choice = self._rng.choices(range(len(likes)), likes)[0]
                    self._plan(now_s + self._rng.uniform(0.5, VOTES_WITHIN_S), Wish("vote", person, id_, choice))

    def _feel_generous(self, now_s: float, present: Sequence[Person]) -> None:
        """Gifts come in combos: one person sends the same a few times in a row."""
        passed_s = 0.0 if self._last_s is None else min(now_s - self._last_s, 1.0)
        combo = (1 + COMBO_MAX) / 2
        if self._rng.random() < self._gifts / combo * passed_s:
            person = self._rng.choice(present)
            gift = self._rng.choices([name for name, _ in GIFTS], [often for _, often in GIFTS])[0]
            at_s = now_s
            for _ in range(self._rng.randint(1, COMBO_MAX) if gift != "rocket" else 1):
                self._plan(at_s, Wish("give", person, gift, n=self._rng.choice((1, 1, 1, 3, 10)) if gift == "rose" else 1))
                at_s += self._rng.uniform(*COMBO_PAUSE_S)

    def _some(self, present: Sequence[Person], share: float) -> list[Person]:
        return [person for person in present if self._rng.random() < share]

    def _plan(self, at_s: float, wish: Wish) -> None:
        self._planned += 1  # wishes have no order of their own
        heapq.heappush(self._plans, (at_s, self._planned, wish))
