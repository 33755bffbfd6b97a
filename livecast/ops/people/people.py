"""The simulated crowd as a value: ask `step(now_s)` what happened since, and somebody joined, left, spoke or tapped.

Not a load generator that types random letters: people mostly watch; a few talk. They talk in bursts around what happens on
the stage (a price, a joke), and then many say the same short word, which is what a room has to merge. Between bursts there
is chatter and questions. Likes come in waves and swell with the bursts. People come and go. Same seed, same crowd.
"""

from __future__ import annotations

import math
import random
from typing import Final, Literal

from msgspec import Struct

from livecast.ops.people.phrases import CHATTER, GIVEN, HANDLES, MOMENTS, QUESTIONS, SLOTS, SURNAMES

#: Between two moments, seconds: a host does something about so often.
MOMENT_EVERY_S: Final = (9.0, 24.0)
#: A burst peaks at once and is over after about so long.
MOMENT_LASTS_S: Final = 4.0
#: Share of comments that belong to moments; the rest is chatter and questions.
MOMENT_SHARE: Final = 0.55
QUESTION_SHARE: Final = 0.3
#: Share of likes that come in the waves between moments; and how long such a wave is.
WAVE_S: Final = 37.0
#: How long people stay, on average; who leaves makes room for somebody new.
STAY_S: Final = 240.0
#: The crowd gathers over so many seconds rather than at once; a small one sooner, at so many people a second.
GATHER_S: Final = 5.0
GATHER_PER_S: Final = 50
#: Taps of one person in one go.
TAPS_MAX: Final = 12
STEP_MAX_S: Final = 1.0


class Person(Struct, frozen=True):
    """Somebody in the crowd."""

    id: str
    name: str
    level: int


class Act(Struct, frozen=True):
    """Something a person does. `text` with `say`, `n` with `tap`."""

    kind: Literal["join", "leave", "say", "tap"]
    person: Person
    text: str = ""
    n: int = 0


class Moment(Struct, frozen=True):
    """What happens on the stage."""

    kind: str
    at_s: float
    what: str
    line: str
    """What the host says."""


class Crowd:
    """`viewers` people who together write `rate` comments and tap `likes` times a second, on average."""

    def __init__(self, *, viewers: int, rate: float, likes: float, seed: int = 1) -> None:
        self.present: list[Person] = []
        self.moment: Moment | None = None
        """The last one."""
        self._viewers, self._rate, self._likes = viewers, rate, likes
        self._rng = random.Random(seed)  # noqa: S311 - a simulation: the same seed must give the same crowd
        self._seed = seed
        self._gather_s = min(GATHER_S, viewers / GATHER_PER_S)
        self._born = 0
        self._began_s: float | None = None
        self._now_s = 0.0
        self._next_moment_s = 0.0
        self._said: dict[str, str] = {}
        """The last words of everybody present."""
        self._owed = {"say": 0.0, "tap": 0.0, "leave": 0.0}

    def step(self, now_s: float) -> list[Act]:
        """What happened between the last step and `now_s` (any clock in seconds). A long pause is not caught up with."""
        if self._began_s is None:
            self._began_s = self._now_s = now_s
            self._next_moment_s = now_s + self._gather_s
        dt_s = min(max(now_s - self._now_s, 0.0), STEP_MAX_S)
        self._now_s = now_s
        if now_s >= self._next_moment_s:
            self._moment(now_s)
        acts = self._come_and_go(now_s - self._began_s, dt_s)
        if self.present:
            excited = self._excitement(now_s)
            acts += self._talk(dt_s, excited)
            acts += self._tap(now_s, dt_s, excited)
        return acts

    # --- Private ------------------------------------------------------------------------------------------------------

    def _moment(self, now_s: float) -> None:
        kind = self._rng.choice([kind for kind in MOMENTS if self.moment is None or kind != self.moment.kind])
        what, line, _ = MOMENTS[kind]
        self.moment = Moment(kind, now_s, what, line)
        self._next_moment_s = now_s + self._rng.uniform(*MOMENT_EVERY_S)

    def _excitement(self, now_s: float) -> float:
        """How many times the average of moments' comments falls now: a spike that decays; its mean over time is 1."""
        if self.moment is None:
            return 0.0
        every_s = sum(MOMENT_EVERY_S) / 2
        return every_s / MOMENT_LASTS_S * math.exp(-(now_s - self.moment.at_s) / MOMENT_LASTS_S)

    def _come_and_go(self, age_s: float, dt_s: float) -> list[Act]:
        acts: list[Act] = []
        wanted = self._viewers if age_s >= self._gather_s else max(1, round(self._viewers * age_s / self._gather_s))
        while len(self.present) < wanted:
            person = self._somebody()
            self.present.append(person)
            acts.append(Act("join", person))
        for _ in range(self._due("leave", len(self.present) / STAY_S * dt_s) if age_s > self._gather_s else 0):
            at = self._rng.randrange(len(self.present))
            person, self.present[at] = self.present[at], self.present[-1]
            self.present.pop()
            self._said.pop(person.id, None)
            acts.append(Act("leave", person))
        return acts

    def _talk(self, dt_s: float, excited: float) -> list[Act]:
        calm = 1.0 if self.moment is None else (1.0 - MOMENT_SHARE)
        shouting = MOMENT_SHARE * excited
        acts = []
        for _ in range(self._due("say", self._rate * (calm + shouting) * dt_s)):
            person = self._rng.choice(self.present)
            shouts = self.moment is not None and self._rng.random() < shouting / (calm + shouting)
            text = self._shout() if shouts else self._phrase()
            if text == self._said.get(person.id):  # people seldom repeat themselves; some do
                text = self._shout() if shouts else self._phrase()
            self._said[person.id] = text
            acts.append(Act("say", person, text=text))
        return acts

    def _tap(self, now_s: float, dt_s: float, excited: float) -> list[Act]:
        wave = 1.0 + 0.7 * math.sin(2 * math.pi * now_s / WAVE_S)
        acts = []
        left = self._due("tap", self._likes * (0.6 * wave + 0.4 * excited) * dt_s)
        while left > 0:
            n = min(left, self._rng.randint(1, TAPS_MAX))
            left -= n
            acts.append(Act("tap", self._rng.choice(self.present), n=n))
        return acts

    def _due(self, what: str, amount: float) -> int:
        """Whole ones of an amount that comes in fractions, with chance in when they come and not in how many."""
        self._owed[what] += amount * self._rng.uniform(0.5, 1.5)
        whole = int(self._owed[what])
        self._owed[what] -= whole
        return whole

    def _shout(self) -> str:
        """The first words of a moment are said most: the n-th about 1/n as often."""
        words = MOMENTS[self.moment.kind][2] if self.moment else CHATTER
        return self._rng.choices(words, [1 / (k + 1) for k in range(len(words))])[0]

    def _phrase(self) -> str:
        phrase = self._rng.choice(QUESTIONS if self._rng.random() < QUESTION_SHARE else CHATTER)
        return phrase.format_map({slot: self._rng.choice(words) for slot, words in SLOTS.items()})

    def _somebody(self) -> Person:
        self._born += 1
        chinese = self._rng.choice(SURNAMES) + self._rng.choice(GIVEN)
        name = chinese if self._rng.random() < 0.6 else self._rng.choice(HANDLES)
        if self._rng.random() < 0.4:
            name += str(self._rng.randint(1, 99))
        # Levels as platforms hand them out: most people have none.
        level = self._rng.choices((0, 1, 5, 12, 30), (80, 10, 6, 3, 1))[0]
        return Person(f"crowd-{self._seed}-{self._born}", name, level)
