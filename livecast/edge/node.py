"""What every part of the edge shares: one `Node` per process."""

from __future__ import annotations

from collections.abc import Callable

from livecast.core.events import Answer, Event, Origin
from livecast.core.rules import RoomRules
from livecast.edge.admission import Admission
from livecast.edge.auth import Authenticator
from livecast.edge.identity import Identity
from livecast.edge.keys import KeyRing
from livecast.edge.rules import EdgeRules
from livecast.edge.views import Views
from livecast.ports import Bus, Clock, Observer, RoomLog
from livecast.wire.messages import ClientMessage


class Node:
    """The context of the front door: who we are, what we keep to, and the ports behind us."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - it is the node's id
        clock: Clock,
        bus: Bus,
        log: RoomLog,
        authenticator: Authenticator,
        keys: KeyRing,
        observer: Observer,
        rules: EdgeRules | None = None,
        room_rules: RoomRules | None = None,
    ) -> None:
        self.id = id
        self.clock = clock
        self.bus = bus
        self.log = log
        self.authenticator = authenticator
        self.keys = keys
        self.observer = observer
        self.rules = rules or EdgeRules()
        self.room_rules = room_rules or RoomRules()
        self.admission = Admission(self.rules)
        self.views = Views(self)
        self.draining = False

    async def start(self) -> None:
        """Be reachable on the bus and begin to keep deadlines."""
        raise NotImplementedError

    async def drain(self, spread_ms: int = 10_000) -> None:
        """Stop: refuse newcomers, tell everybody `bye` 4000 with a delay spread over `spread_ms`, and close."""
        raise NotImplementedError

    async def ask(self, room: str, make_event: Callable[[Origin], Event], timeout_s: float = 2.0) -> Answer:
        """Post an event to the room's owner and wait for its answer; `Refusal("unavailable")` if none comes in time.

        An unknown room is answered by its owner with `Refusal("unknown_room")`.
        """
        raise NotImplementedError

    async def enter(self, room: str, identity: Identity, message: ClientMessage) -> Answer:
        """A viewer's message that came over HTTP: the same checks as on a socket, then the room's answer.

        Includes the per-user message rate. A like without `cid` and a `tap` are answered `ok` without waiting.
        """
        raise NotImplementedError

    def address(self, peer: str, forwarded_for: str) -> str:
        """The client's address: `peer`, or behind trusted proxies the rightmost untrusted entry of `X-Forwarded-For`."""
        raise NotImplementedError
