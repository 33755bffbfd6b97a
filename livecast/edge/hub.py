"""One room on this node: its view, and everybody who watches it here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from livecast.core.events import Notice
from livecast.edge.identity import Identity

if TYPE_CHECKING:
    from livecast.core.view import RoomView
    from livecast.edge.node import Node
    from livecast.wire.codec import Codec
    from livecast.wire.messages import Bye
    from livecast.wire.sealing import Sealed


class Watcher(Protocol):
    """Somebody who watches a room over something other than a WebSocket (event streams).

    All calls come on the loop, in order, and must neither block nor raise. A watcher bounds its own queue: when it is
    full it drops what it holds, remembers that, and asks the hub for a new `welcome` (`reason="skipped"`) once it drains.
    """

    identity: Identity

    def frame(self, sealed: Sealed) -> None:
        """The next frame: `sealed.frame.seq` is one above the last, unless `renewed` or a skip came between."""

    def renewed(self) -> None:
        """A new epoch (or a hole that could not be filled): send a welcome (`hub.welcome(..., reason="epoch")`), then go on."""

    def notice(self, notice: Notice) -> None:
        """To this user alone."""

    def bye(self, bye: Bye) -> None:
        """Say this and close. The hub has forgotten the watcher already."""


class Joining(NamedTuple):
    """What someone who joins is sent: `welcome` (a message's body in the codec asked for), then `missed` frames in order."""

    welcome: bytes
    missed: list[Sealed]
    seq: int
    """The last frame among what is sent: the next one follows on it."""


class RoomHub:
    """A room's view and its viewers on this node. Made by `Views`; everything happens on the loop, without waiting."""

    room: str
    view: RoomView

    def __init__(self, node: Node, room: str) -> None:
        self.node = node
        self.room = room

    def welcome(self, codec: Codec, identity: Identity, conn: str, *, reason: str = "joined", since: str | None = None) -> Joining:
        """The welcome at this moment. No `await` may stand between this and `watch`.

        `since` is `EPOCH:SEQ` as the client sent it (anything else counts as unknown).
        """
        raise NotImplementedError

    def snapshot(self) -> bytes:
        """What `welcome` has, without `you` and `conn`, as JSON."""
        raise NotImplementedError

    def refuses(self, identity: Identity) -> str | None:
        """The code (`unauthorized`, `forbidden`) for which this identity may not watch now, or None.

        Covers `anonymous: "off"` and bans; whether the token is meant for the room is the authenticator's part.
        """
        raise NotImplementedError

    def watch(self, watcher: Watcher) -> None:
        """From now on `watcher` gets every frame after the view's `seq`."""
        raise NotImplementedError

    def unwatch(self, watcher: Watcher) -> None:
        """No more calls to `watcher`. Harmless when it is gone already."""
        raise NotImplementedError

    def sealed(self, seq: int) -> Sealed | None:
        """A kept frame of the current epoch."""
        raise NotImplementedError

    async def until(self, epoch: str, seq: int, timeout_s: float) -> Sealed | None:
        """A frame not yet made, once it is; None at the time-out or if the epoch ends first."""
        raise NotImplementedError

    def over(self) -> bool:
        """Whether the broadcast ended and its grace is past: nobody is let in any more, and those inside were told 4010."""
        raise NotImplementedError
