"""What a client that keeps to the protocol shows after what it was sent: the script's own copy of the room.

It is the same `RoomView` that nodes answer joins from, so the script expects what a node would say.
"""

from __future__ import annotations

from typing import Any

import msgspec

from livecast.core.events import Json
from livecast.core.frames import Comment, Frame, Snapshot
from livecast.core.rules import RoomRules
from livecast.core.view import RoomView


class Shown(msgspec.Struct):
    """One comment on a client's screen: `n` people said it."""

    id: str
    text: str
    n: int = 1


class Banner(msgspec.Struct):
    """One combo on a client's screen, counted up in place."""

    combo: str
    n: int
    done: bool = False


class Report(msgspec.Struct):
    """What a client under test says it shows. `step` is the one it was asked in.

    `comments` are those on the screen, oldest first (the last 20 will do), without redacted ones; `gifts` the combos of the
    present epoch, one entry each.
    """

    step: str
    epoch: str
    seq: int
    likes: int = 0
    title: str = ""
    notice: str = ""
    custom: dict[str, Any] = {}
    comments: tuple[Shown, ...] = ()
    gifts: tuple[Banner, ...] = ()


class Picture:
    """The scripted room as it stands."""

    def __init__(self) -> None:
        self.view = RoomView(RoomRules())
        self.frames: list[dict[str, Any]] = []
        """Those of this epoch, in order, as they were or would be sent."""
        self._banners: dict[str, Banner] = {}
        self._epochs = 0
        self.begin()

    def begin(self) -> None:
        """A new epoch of the same room: numbers begin anew, comments and state stay."""
        self._epochs += 1
        state: dict[str, Json] = self.view.state if self._epochs > 1 else {
            "broadcast": "b1", "title": "The first title", "status": "live", "likes": 100, "hosts": [],
            "custom": {"deal": {"of": "the day", "left": 3}, "stale": True},
        }  # fmt: skip
        self.view.reset(Snapshot(f"EPOCH{self._epochs:03d}", 0, state, self.view.policy, self.view.recent))
        self.frames = []
        self._banners = {}

    def frame(self, at: int, parts: dict[str, Any]) -> dict[str, Any]:
        """The next frame, taken in as a client should: what it does not know is no business of its."""
        message = {"t": "frame", "epoch": self.view.epoch, "seq": self.view.seq + 1, "ts": at, **parts}
        known = msgspec.convert(message, Frame)
        self.view.apply(known, None, 0)
        for combo in known.gifts:
            was = self._banners.get(combo.combo)
            if was is None or not was.done:
                self._banners[combo.combo] = Banner(combo.combo, combo.n, combo.done)
        self.frames.append(message)
        return message

    def forget_banners(self) -> None:
        """A snapshot replaced everything; combos are no part of it."""
        self._banners = {}

    def differences(self, report: Report) -> list[str]:
        """In which ways a client's screen is not what it should be; [] if it is right."""
        state, found = self.view.state, []
        notice: Any = state.get("notice") or {}
        for what, have, want in (
            ("epoch", report.epoch, self.view.epoch),
            ("seq", report.seq, self.view.seq),
            ("likes", report.likes, state["likes"]),
            ("title", report.title, state["title"]),
            ("notice", report.notice, notice.get("text", "")),
            ("custom", report.custom, state["custom"]),
            ("gifts", _sorted(report.gifts), _sorted(self._banners.values())),
        ):
            if have != want:
                found.append(f"{what}: shows {_brief(have)}, should show {_brief(want)}")
        return found + _misplaced(list(report.comments), [_shown(comment) for comment in self.view.recent])


def _shown(comment: Comment) -> Shown:
    return Shown(comment.id, comment.text, comment.n)


def _sorted(banners: Any) -> list[tuple[str, int, bool]]:
    return sorted((banner.combo, banner.n, banner.done) for banner in banners)


def _misplaced(have: list[Shown], want: list[Shown]) -> list[str]:
    if have[-len(want) :] == want or (not want and not have):
        return []
    ids, wanted = [each.id for each in have], [each.id for each in want]
    found = [f"comments: {each!r} is there {ids.count(each)} times" for each in dict.fromkeys(ids) if ids.count(each) > 1]
    found += [f"comments: {each.id!r} ({each.text!r}) is missing" for each in want if each.id not in ids]
    found += [f"comments: {each!r} should not be there" for each in dict.fromkeys(ids) if each not in wanted]
    by_id = {each.id: each for each in have}
    for each in want:
        mine = by_id.get(each.id)
        if mine is not None and mine.n != each.n:
            found.append(f"comments: {each.id!r} is said by {mine.n}, should be {each.n}")
        elif mine is not None and mine.text != each.text:
            found.append(f"comments: {each.id!r} says {mine.text!r}, should be {each.text!r}")
    return found or [f"comments: in the order {ids}, should be {wanted}"]


def _brief(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 120 else said[:117] + "…"
