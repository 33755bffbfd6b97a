"""How much of something one user, or one room, may do: pure arithmetic on integers, time handed in.

What is kept per user is one integer, the moment at which the user's debt is paid off; whoever owes nothing need not be
kept at all. That is why a `Fading` map may forget them without any bookkeeping.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

USERS_MAX: Final = 100_000
"""Users a limit remembers at once before it forgets the older half early, which is to their advantage. About 15 MB."""


class Fading(Generic[K, V]):
    """A map that forgets by itself: what is put in stays for at least `keep_ms`, and is gone after at most the second turn.

    Two dicts: entries are put into the young one; when its time is up (or it holds `entries_max`) it becomes the old one,
    and the old one is dropped whole. No sweep ever walks over it.
    """

    __slots__ = ("_entries_max", "_keep_ms", "_old", "_turn_at", "_young")

    def __init__(self, keep_ms: int, entries_max: int = USERS_MAX) -> None:
        self._keep_ms = keep_ms
        self._entries_max = entries_max
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._turn_at = 0

    def get(self, key: K) -> V | None:
        """The last value put in, if it is not forgotten."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def put(self, key: K, value: V, now: int) -> None:
        """Remember `value` for at least `keep_ms` (less only if `entries_max` others come meanwhile)."""
        if now >= self._turn_at or len(self._young) >= self._entries_max:
            self._turn(now)
        self._young[key] = value

    def drop(self, key: K) -> None:
        """Forget this one now."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def items(self) -> list[tuple[K, V]]:
        """Everything still remembered, the oldest first."""
        return [*((k, v) for k, v in self._old.items() if k not in self._young), *self._young.items()]

    def fade(self, now: int) -> bool:
        """Forget what is due without waiting for the next `put`; True if nothing is left."""
        if now >= self._turn_at and (self._young or self._old):
            self._turn(now)
        return not (self._young or self._old)

    def _turn(self, now: int) -> None:
        # After a silence of a whole further `keep_ms` the young ones are due as well.
        self._old = self._young if now < self._turn_at + self._keep_ms else {}
        self._young = {}
        self._turn_at = now + self._keep_ms

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Pace(Fading[str, int]):
    """GCRA: `burst` at once, then one per `interval_ms`, for each user. What is refused costs nothing.

    Per user the moment at which what was taken is paid off.
    """

    __slots__ = ("_interval_ms", "_slack_ms")

    def __init__(self, burst: int, interval_ms: int) -> None:
        super().__init__(burst * interval_ms)
        self._interval_ms = interval_ms
        self._slack_ms = (burst - 1) * interval_ms

    def wait_ms(self, user: str, now: int) -> int:
        """Take one and return 0, or return the time after which it is worth another try."""
        paid_at = self.get(user)
        if paid_at is None or paid_at < now:
            paid_at = now
        wait = paid_at - now - self._slack_ms
        if wait > 0:
            return wait
        self.put(user, paid_at + self._interval_ms, now)
        return 0


class Taps(Fading[str, int]):
    """A token bucket per user that never refuses but clamps: `per_s` taps a second, `burst` saved up.

    Counted in thousandths of a tap, of which each millisecond pays off `per_s`: per user the sum at which all is paid.
    """

    __slots__ = ("_burst", "_per_s")

    def __init__(self, per_s: int, burst: int) -> None:
        super().__init__(-(-burst * 1000 // per_s))
        self._per_s = per_s
        self._burst = burst * 1000

    def take(self, user: str, n: int, now: int) -> int:
        """How many of `n` taps count. The hottest lines of the service: `get` and `put` are written out."""
        paying = now * self._per_s
        owed = self._young.get(user)
        if owed is None:
            owed = self._old.get(user, paying)
        if owed < paying:  # noqa: PLR1730 - a call of max costs half as much as all the rest
            owed = paying
        counted = (paying + self._burst - owed) // 1000
        if counted <= 0:
            return 0
        if counted > n:  # noqa: PLR1730 - as above
            counted = n
        if now >= self._turn_at or len(self._young) >= self._entries_max:
            self._turn(now)
        self._young[user] = owed + counted * 1000
        return counted

    def change(self, per_s: int) -> None:
        """Another rate from now on. What is owed is forgiven: a moment's generosity, once per change of policy."""
        if per_s != self._per_s:
            Taps.__init__(self, per_s, self._burst // 1000)


class Budget:
    """How many comments a room may show: a token bucket of one second's worth, with an overdraft for those who have a lane.

    `per_s` tokens come in each second. Everyone may take what is there; lanes 1 and 2 may go on until `reserved` tokens are
    owed, which later comments of lane 3 pay back by waiting. So the reserved part is always there for them, nothing is
    left unused while they are silent, and over time no more than `per_s` are shown. Counted in thousandths.
    """

    __slots__ = ("_at", "_per_s", "_reserved", "_tokens")

    def __init__(self, per_s: int, reserved_share: float, now: int) -> None:
        self._at = now
        self._per_s = per_s
        self._reserved = int(per_s * 1000 * reserved_share)
        self._tokens = per_s * 1000

    def change(self, per_s: int, reserved_share: float) -> None:
        """Another budget from now on."""
        if per_s != self._per_s:
            self._per_s = per_s
            self._reserved = int(per_s * 1000 * reserved_share)
            self._tokens = min(self._tokens, per_s * 1000)

    def refill(self, now: int) -> None:
        """Time has passed."""
        self._tokens = min(self._tokens + (now - self._at) * self._per_s, self._per_s * 1000)
        self._at = now

    def room(self, *, reserved: bool = False) -> int:
        """How many comments may be shown now; with `reserved`, for those the overdraft is for."""
        return max(self._tokens + (self._reserved if reserved else 0), 0) // 1000

    def take(self, n: int) -> None:
        """That many are shown."""
        self._tokens -= n * 1000
