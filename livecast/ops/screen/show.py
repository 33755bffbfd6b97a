"""What hosts and moderators do in a room, as a terminal shows it: the rules, the card on air, polls, who moderates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rich.text import Text

from livecast.client import Frame
from livecast.core.tools.patch import merge

PARTS: Final = ("policy", "products", "on_air", "polls", "moderators")
POLLS_SHOWN_MAX: Final = 2


class Show:
    """The show of one room, as of the frames fed so far. `news` is what the last frame changed, in words."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        """`clean` makes a stranger's text fit for a terminal."""
        self._clean = clean
        self._known: dict[str, Any] = {}
        self.news: list[str] = []

    def begin(self, state: dict[str, Any], policy: dict[str, Any]) -> None:
        """The whole room is known anew. The card on air and open polls are told, the rest was so before."""
        self._known = {**{name: state[name] for name in PARTS if name in state}, "policy": dict(policy)}
        polls = [self._poll(id_) for id_, poll in self._polls().items() if poll.get("state") == "open"]
        self.news = [*([self._on_air()] if self._known.get("on_air") else []), *polls]

    def take(self, frame: Frame) -> None:
        """What a frame says of it."""
        self.news = []
        if not isinstance(frame.state, dict) or not (patch := {name: frame.state[name] for name in PARTS if name in frame.state}):
            return
        before, self._known = self._known, merge(self._known, patch)
        for name, value in (patch.get("policy") or {}).items():
            self.news.append(f"policy: {name} {self._brief(value)}")
        if "on_air" in patch:
            self.news.append(self._on_air())
        shelf, was = self._known.get("products") or {}, before.get("products") or {}
        for id_ in patch.get("products") or {}:
            if id_ in shelf:
                self.news.append(f"product {self._title(id_)}: {'changed' if id_ in was else 'on the shelf'}")
            else:
                self.news.append(f"product {self._clean(id_)}: taken off the shelf")
        self.news += [self._poll(id_) for id_ in patch.get("polls") or {} if id_ in self._polls()]
        if "moderators" in patch:
            names = [self._clean(str(one.get("name") or one.get("id"))) for one in self._known.get("moderators") or ()]
            self.news.append(f"moderators: {', '.join(names) or 'none'}")

    def lines(self) -> list[Text]:
        """For the picture: the card on air, polls that are open."""
        polls = [self._poll(id_) for id_, poll in self._polls().items() if poll.get("state") == "open"][-POLLS_SHOWN_MAX:]
        on_air = (
            [Text.assemble(("on air ", "dim"), (self._title(self._known["on_air"]), "bold"))] if self._known.get("on_air") else []
        )
        return [*on_air, *(Text.assemble(("poll ", "dim"), poll.removeprefix("poll ")) for poll in polls)]

    # --- In words -----------------------------------------------------------------------------------------------------
    def _polls(self) -> dict[str, Any]:
        polls: dict[str, Any] = self._known.get("polls") or {}
        return polls

    def _on_air(self) -> str:
        card = self._known.get("on_air")
        return f"on air: {self._title(card) if card else 'no product'}"

    def _title(self, product: str) -> str:
        known = (self._known.get("products") or {}).get(product) or {}
        return self._clean(str(known.get("title") or product))

    def _poll(self, id_: str) -> str:
        poll = self._polls()[id_]
        votes = ", ".join(f"{self._clean(str(choice['text']))} {choice['votes']:,}" for choice in poll.get("choices", ()))
        return f"poll {self._clean(str(poll.get('question', '')))} ({poll.get('state')}): {votes}"

    def _brief(self, value: Any) -> str:
        return self._clean(", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value))
