"""The drops on show: put into the state in the ledger's order, taken off ten minutes after they end."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from livecast.core.events import DropChanged, Json, StockChanged
from livecast.core.tools.kept import Kept
from livecast.core.tools.patch import merge

STAYS_MS: Final = 600_000
"""An ended drop is looked at for a while: who won, what was it. As long as a claim's refusal is remembered."""
SHOWN_MAX: Final = 50
"""Drops on show at once. Everybody downloads them on joining; beyond it the one that ended first, or else the one that has not
changed for longest, goes early."""


def masked(name: str) -> str:
    """A name as winners' lists show it, its first letter alone (`王**`): whoever it is knows, and nobody else does."""
    return f"{name[:1]}**"


class _Shown(Struct, frozen=True):
    """What was heard of a drop: until which ledger position, and when it leaves (Unix ms). Without a view it is not on show."""

    position: int
    leaves_at: int | None
    view: dict[str, Json] | None


class Showcase:
    """The drops of one room that viewers see, and how much of the ledger they know. `kept` is what the next owner goes on from."""

    __slots__ = ("_drops", "_soonest", "kept")

    def __init__(self) -> None:
        self._drops: dict[str, _Shown] = {}  # the one that changed last comes last
        self._soonest: int | None = None
        self.kept = Kept()

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def put(self, event: DropChanged, now: int) -> bool:
        """Take a whole drop in; False if it is older than what is known, or nothing to show."""
        before = self._drops.get(event.drop)
        if before is not None and event.position <= before.position:
            return False
        view = None if event.view is None else merge({}, event.view)
        if view is not None and before is not None and before.view is not None and "winners" in before.view:
            view["winners"] = before.view["winners"]
        leaves_at = None if event.ended_at is None else event.ended_at + STAYS_MS
        is_shown = before is not None and before.view is not None
        is_nobodys = view is None or (view["state"] == "cancelled" and not is_shown)  # a draft that came to nothing
        if is_nobodys or (leaves_at is not None and leaves_at <= now):
            if before is None:
                return False
            view, leaves_at = None, now + STAYS_MS  # till then older news of it may still come in
        self._keep(event.drop, _Shown(event.position, leaves_at, view))
        self._make_room()
        return True

    def count(self, event: StockChanged) -> bool:
        """Take in what is left of a drop; False if it is older than what is known, or not on show."""
        before = self._drops.get(event.drop)
        if before is None or before.view is None or event.position <= before.position:
            return False
        view = {**before.view, "left": event.left, "state": event.state}
        self._keep(event.drop, _Shown(event.position, before.leaves_at, view))
        return True

    def tell_winners(self, drop: str, winners: list[Json]) -> bool:
        """Name those who won, from the next frame on; False if it is not on show, or nothing new."""
        before = self._drops.get(drop)
        if before is None or before.view is None or before.view.get("winners", []) == winners:
            return False
        view = {name: value for name, value in before.view.items() if name != "winners"}
        self._keep(drop, _Shown(before.position, before.leaves_at, {**view, "winners": winners} if winners else view))
        return True

    def forget(self, user: str) -> bool:
        """This user is named among no winners any more; whether they were."""
        told = [(drop, shown.view["winners"]) for drop, shown in self._drops.items() if shown.view and "winners" in shown.view]
        changed = [self.tell_winners(drop, [one for one in winners if one["u"].get("id") != user]) for drop, winners in told]
        return any(changed)  # all of them were told

    def pass_time(self, now: int) -> bool:
        """Take off what has ended long enough ago; whether there was anything."""
        if self._soonest is None or now < self._soonest:
            return False
        for drop in [d for d, shown in self._drops.items() if shown.leaves_at is not None and shown.leaves_at <= now]:
            del self._drops[drop]
            self.kept.drop(drop)
        self._look()
        return True

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def due_at(self) -> int | None:
        """When the next one leaves."""
        return self._soonest

    @property
    def drops(self) -> dict[str, Json]:
        """As they stand in the state."""
        return {drop: shown.view for drop, shown in self._drops.items() if shown.view is not None}

    def names(self, user: str) -> bool:
        """Whether a list of winners names this user."""
        views = [shown.view for shown in self._drops.values() if shown.view and "winners" in shown.view]
        return any(one["u"].get("id") == user for view in views for one in view["winners"])

    def restore(self, kept: dict[str, Json], views: dict[str, Json]) -> None:
        """Go on where a former owner stopped. `views` is what the state says of the drops."""
        self.kept = Kept(kept)
        self._drops = {drop: _Shown(position, leaves_at, views.get(drop)) for drop, (position, leaves_at) in kept.items()}
        self._look()

    # --- Private ------------------------------------------------------------------------------------------------------
    def _keep(self, drop: str, shown: _Shown) -> None:
        self._drops.pop(drop, None)
        self._drops[drop] = shown
        self.kept.put(drop, [shown.position, shown.leaves_at])
        self._look()

    def _make_room(self) -> None:
        while len(self._drops) > SHOWN_MAX:
            ended = [(shown.leaves_at, drop) for drop, shown in self._drops.items() if shown.leaves_at is not None]
            drop = min(ended)[1] if ended else next(iter(self._drops))
            del self._drops[drop]
            self.kept.drop(drop)
        self._look()

    def _look(self) -> None:
        self._soonest = min((s.leaves_at for s in self._drops.values() if s.leaves_at is not None), default=None)
