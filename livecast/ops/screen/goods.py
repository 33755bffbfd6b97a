"""What is given away and given in a room, as a terminal shows it: drops with what is left of them, gifts as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from rich.text import Text

from livecast.client import Frame
from livecast.core.tools.patch import merge

DROPS_SHOWN_MAX: Final = 4
GIFTS_SHOWN: Final = 1
BAR_CELLS: Final = 20
_STYLES: Final = {"open": "bold green", "sold out": "bold red", "announced": "cyan", "paused": "yellow"}


class Goods:
    """The drops and gifts of one room, as of the frames fed so far. `news` is what the last frame changed, in words."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        """`clean` makes a stranger's text fit for a terminal."""
        self._clean = clean
        self.drops: dict[str, dict[str, Any]] = {}
        self.gifts: deque[str] = deque(maxlen=20)
        self.news: list[str] = []

    def begin(self, state: dict[str, Any]) -> None:
        """The whole room is known anew."""
        self.drops = dict(state.get("drops") or {})
        self.news = [self._said(drop) for drop in self.drops.values()]

    def take(self, frame: Frame) -> None:
        """What a frame says of them."""
        self.news = []
        if isinstance(frame.state, dict) and isinstance(patch := frame.state.get("drops"), dict):
            before, self.drops = self.drops, merge(self.drops, patch)
            changed = [id_ for id_ in patch if id_ in self.drops and _figures(self.drops[id_]) != _figures(before.get(id_, {}))]
            self.news = [self._said(self.drops[id_]) for id_ in changed]
            drawn = [id_ for id_ in patch if self.drops.get(id_, {}).get("winners") and "winners" not in before.get(id_, {})]
            self.news += [self._winners(self.drops[id_]) for id_ in drawn]
        for combo in frame.gifts:
            if combo.done:
                self.gifts.append(
                    f"{self._clean(combo.u.name) or combo.u.id} gave {self._clean(combo.gift)} ×{combo.n} ({combo.value:,})"
                )
                self.news.append(self.gifts[-1])

    def lines(self) -> list[Text]:
        """For the picture: drops that are still of interest, and the last gift."""
        return [*(self._line(drop) for drop in list(self.drops.values())[-DROPS_SHOWN_MAX:]), *self._last_gifts()]

    def _last_gifts(self) -> list[Text]:
        return [Text.assemble(("gift ", "dim"), (gift, "yellow")) for gift in list(self.gifts)[-GIFTS_SHOWN:]]

    def _line(self, drop: dict[str, Any]) -> Text:
        state, left, stock = _figures(drop)
        gone = round(BAR_CELLS * (stock - left) / stock) if stock else 0
        return Text.assemble(
            ("drop ", "dim"),
            (self._clean(str(drop.get("title", ""))), "bold"),
            "  ",
            (state.upper(), _STYLES.get(state, "dim")),
            "  ",
            ("█" * gone, "magenta"),
            ("░" * (BAR_CELLS - gone), "dim"),
            f"  {left:,} of {stock:,} left",
            ("  TEST", "yellow") if drop.get("test") else "",
        )

    def _winners(self, drop: dict[str, Any]) -> str:
        names = ", ".join(self._clean(str(one["u"].get("name", ""))) for one in drop["winners"])
        return f"drop {self._clean(str(drop.get('title', '')))}: won by {names}"

    def _said(self, drop: dict[str, Any]) -> str:
        state, left, stock = _figures(drop)
        return f"drop {self._clean(str(drop.get('title', '')))}: {state}, {left:,} of {stock:,} left"


def _figures(drop: dict[str, Any]) -> tuple[str, int, int]:
    """State in words, what is left, and of how many."""
    return str(drop.get("state", "")).replace("_", " "), int(drop.get("left") or 0), int(drop.get("stock") or 0)
