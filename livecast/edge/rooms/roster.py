"""Who of a room's sockets is handed frames without being looked at.

Most viewers of a large room are alike: they lag behind nothing and have nothing else to be told. To look at each of them before
each frame costs a tenth of handing it out, because what is looked at has long left the processor's caches. So a list is kept of
those who are alike, as long as nothing happens in the room that could make one of them different.

Rules for whoever edits this file:
- A socket is among `alike` only while its `after` is below the frames that come and nothing of it is unsent. Whatever changes
  that calls `RoomHub.shuffled`, and the roster is not used any more, not even for the rest of a frame.
- Acks are the exception: they come and go with every comment. Whoever has some is looked at, from the next roster on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from socket import SocketType
from typing import TYPE_CHECKING, Final

from livecast.edge.viewers.outbox import LAGGING

if TYPE_CHECKING:
    from livecast.edge.viewers.websocket import ViewerSocket

TALKERS_SHARE: Final = 8
"""No more than one in so many is looked at for having talked some time ago."""


class Rosters:
    """The rosters of one room by variant, and who was told something since they were made."""

    __slots__ = ("_news", "by_variant")

    def __init__(
        self, sockets: Sequence[Collection[ViewerSocket]], with_acks: Sequence[ViewerSocket], before: Rosters | None
    ) -> None:
        """`sockets` by variant; `with_acks`: all that have some waiting, also of other rooms; `before`: what held until now."""
        known = {} if before is None else before.by_variant
        self.by_variant: dict[int, Roster] = {
            variant: Roster(there, with_acks, known.get(variant)) for variant, there in enumerate(sockets) if there
        }
        self._news: list[ViewerSocket] = []

    def note(self, viewer: ViewerSocket) -> None:
        """`viewer` has acks from now on."""
        roster = self.by_variant.get(viewer.variant)
        if roster is None or viewer not in roster.talkers:
            self._news.append(viewer)

    def hold(self) -> bool:
        """Whether nobody has acks but those that are looked at."""
        if any(viewer.acks is not None for viewer in self._news):
            return False
        self._news.clear()
        return True


class Roster:
    """The sockets of one room and variant: first those to look at, then (from `alike` on) the others. It never changes."""

    __slots__ = ("alike", "lines", "talkers", "viewers")

    def __init__(self, there: Collection[ViewerSocket], with_acks: Sequence[ViewerSocket], before: Roster | None) -> None:
        """Who talked as the one `before` knew is looked at, too: they may well talk again."""
        talkers: set[ViewerSocket] = {viewer for viewer in with_acks if viewer in there}
        if before is not None and len(before.talkers) + len(talkers) <= len(there) // TALKERS_SHARE:
            talkers |= before.talkers
        odd: list[ViewerSocket] = []
        rest: list[ViewerSocket] = []
        for viewer in there:
            (odd if viewer.after >= LAGGING or viewer in talkers else rest).append(viewer)
        self.talkers: set[ViewerSocket] = talkers
        self.alike = len(odd)
        self.viewers = odd + rest
        self.lines: list[SocketType] = [viewer.sock for viewer in self.viewers]
        """Their descriptors, in the same order."""
