"""Combos: one person's run of the same gift is one line that grows, instead of a line for each tap.

A combo is open while the next gift comes within three seconds. What is shown comes from here, what is paid from the ledger:
`n` and `value` are of the whole run, so that a line lost heals with the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from livecast.core.events import GiftReversed, GiftShown, Json, Person
from livecast.core.frames import Combo
from livecast.core.tools.kept import Kept
from livecast.core.tools.numerals import base36

COMBO_MS: Final = 3000
"""A run ends when no gift comes for longer (inclusive: exactly this long still goes on). A thumb taps again within a second;
with twice as much the end of a run, which pages celebrate, comes when nobody thinks of it any more."""
OPEN_MAX: Final = 20_000
"""Runs open at once, more than 6,000 people can start a second; beyond it the one that rested longest ends early. About 12 MB."""
TXS_MAX: Final = 64
"""Gifts of one run that a reversal still finds on the screen. The older ones are taken off the board only."""


class _Run(Struct):
    """An open combo. `txs`: gift -> its n and value, the last ones."""

    id: str
    person: Person
    gift: str
    to: str
    tier: int
    n: int
    value: int
    at: int
    txs: dict[str, tuple[int, int]]

    def line(self, *, done: bool) -> Combo:
        """What the screens are told."""
        return Combo(self.id, self.person, self.gift, self.n, self.value, self.tier, done, self.to or UNSET)


class Combos:
    """The open combos of a room.

    Feed it with `add`, `take_back` and `pass_time`, drain it with `drain`. `kept` is what the next owner goes on from: a combo's
    id comes from its first gift's place in the ledger and stays the same with every owner.
    """

    __slots__ = ("_lines", "_runs", "kept")

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str, str], _Run] = {}  # the one that rested longest first
        self._lines: dict[str, _Run | Combo] = {}  # what changed: of one that goes on the line is made when it is told
        self.kept = Kept()

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def add(self, gift: GiftShown, at: int) -> None:
        """A gift came at `at`."""
        key = (gift.person.id, gift.gift, gift.to)
        run = self._runs.pop(key, None)
        if run is not None and at - run.at > COMBO_MS:
            self._end(run)
            run = None
        if run is None:
            if len(self._runs) >= OPEN_MAX:
                self._end(self._runs.pop(next(iter(self._runs))))
            run = _Run(f"g{base36(gift.position)}", gift.person, gift.gift, gift.to, gift.tier, 0, 0, at, {})
        self._runs[key] = run
        run.person, run.at = gift.person, at
        run.n += gift.n
        run.value += gift.value
        if len(run.txs) >= TXS_MAX:
            del run.txs[next(iter(run.txs))]
        run.txs[gift.tx] = (gift.n, gift.value)
        self._lines[run.id] = run

    def take_back(self, gift: GiftReversed) -> None:
        """A gift counts no more: its combo shrinks if it is still open, and ends if nothing is left of it."""
        key = (gift.user, gift.gift, gift.to)
        run = self._runs.get(key)
        if run is None or (share := run.txs.pop(gift.tx, None)) is None:
            return
        run.n -= share[0]
        run.value -= share[1]
        if run.n > 0:
            self._lines[run.id] = run
        else:
            del self._runs[key]
            self._end(run)

    def pass_time(self, now: int) -> None:
        """End what rested too long."""
        while self._runs:
            key, run = next(iter(self._runs.items()))
            if now - run.at <= COMBO_MS:
                return
            del self._runs[key]
            self._end(run)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def due_at(self) -> int | None:
        """When the next one ends if nothing comes."""
        return next(iter(self._runs.values())).at + COMBO_MS + 1 if self._runs else None

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain(self) -> tuple[Combo, ...]:
        """The lines for a frame, one for each combo that changed."""
        changed, self._lines = self._lines, {}
        lines: list[Combo] = []
        for run in changed.values():
            if isinstance(run, Combo):
                lines.append(run)
                continue
            lines.append(run.line(done=False))
            who = msgspec.to_builtins(run.person)
            self.kept.put(run.id, [who, run.gift, run.to, run.tier, run.n, run.value, run.at])
        return tuple(lines)

    def restore(self, kept: dict[str, Json]) -> None:
        """Go on where a former owner stopped."""
        self.kept = Kept(kept)
        for combo, (person, gift, to, tier, n, value, at) in sorted(kept.items(), key=_last_touched):
            who = msgspec.convert(person, Person)
            self._runs[who.id, gift, to] = _Run(combo, who, gift, to, tier, n, value, at, {})

    # --- Private ------------------------------------------------------------------------------------------------------
    def _end(self, run: _Run) -> None:
        self._lines[run.id] = run.line(done=True)
        self.kept.drop(run.id)


def _last_touched(entry: tuple[str, Iterable[Json]]) -> int:
    *_, at = entry[1]
    return int(at)
