"""One room on this node: its view, and everybody who watches it here.

Rules for whoever edits this file:
- Nothing here awaits. Between reading the view's `seq` and joining there is no turn of the loop, so nobody misses a frame.
- A frame is applied to the view, then told: to those who were there when it was applied, in the order of frames.
- Whoever joins is told the view as it is; a frame still being handed out is in it already (`ViewerSocket.after`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from msgspec import UNSET, Raw

from livecast.core.audience.aliases import Aliases
from livecast.core.events import Json, Notice, Person
from livecast.core.frames import Frame
from livecast.core.view import RoomView
from livecast.edge.access.identity import Identity
from livecast.edge.rooms.backstage import Backstage
from livecast.edge.rooms.fanout import VARIANTS, FanOut
from livecast.edge.viewers.websocket import ViewerSocket
from livecast.wire.codec import JSON, Codec
from livecast.wire.messages import Bye, Welcome, You
from livecast.wire.sealing import Sealed

if TYPE_CHECKING:
    from livecast.edge.node import Node

FINAL_REFUSALS_MAX: Final = 4096
"""Final refusals of this edge remembered per room, so that a repeated id is not counted again; oldest forgotten first."""


class Member(Protocol):
    """Somebody who watches a room. All calls come on the loop, in order, and must neither block nor raise."""

    @property
    def identity(self) -> Identity:
        """Who it is."""

    def notice(self, notice: Notice) -> None:
        """To this user alone."""

    def bye(self, bye: Bye) -> None:
        """Say this and close. The hub has forgotten the member already."""


class Watcher(Member, Protocol):
    """Somebody who watches over something other than a WebSocket (event streams).

    A watcher bounds its own queue: when it is full it drops what it holds, remembers that, and asks the hub for a new
    `welcome` (`reason="skipped"`) once it drains.
    """

    def frame(self, sealed: Sealed) -> None:
        """The next frame: `sealed.frame.seq` is one above the last, unless `renewed` or a skip came between."""

    def renewed(self) -> None:
        """A new epoch (or a hole that could not be filled): send a welcome (`hub.welcome(..., reason="epoch")`), then go on."""


class Joining(NamedTuple):
    """What someone who joins is sent: `welcome` (a message's body in the codec asked for), then `missed` frames in order."""

    welcome: bytes
    missed: list[Sealed]
    seq: int
    """The last frame among what is sent: the next one follows on it."""


class _Parts(NamedTuple):
    """The parts of a welcome that all who join at one `seq` share, encoded."""

    epoch: str
    seq: int
    state: Raw
    recent: Raw
    none: Raw
    policy: Raw


class RoomHub:
    """A room's view and its viewers on this node. Made by `Views`; everything happens on the loop, without waiting."""

    __slots__ = (
        "_anonymous",
        "_awaited",
        "_bans_at",
        "_bans_seq",
        "_broadcast",
        "_fanout",
        "_final",
        "_parts",
        "_sockets",
        "_users",
        "_watchers",
        "aliases",
        "backstage",
        "bans",
        "closes_at",
        "idle_since",
        "joined",
        "left",
        "merchant",
        "node",
        "present",
        "refused",
        "reported",
        "reported_at",
        "room",
        "view",
    )

    def __init__(self, node: Node, room: str, view: RoomView) -> None:
        self.node = node
        self.room = room
        self.view = view
        self.bans: dict[str, int | None] = {}
        """User -> Unix ms until which they are kept out; None: until taken back."""
        self.refused: dict[str, int] = {}
        """Comments refused here since the last report, by code."""
        self.joined: list[Person] = []
        """People who came since the last report."""
        self.left: dict[str, None] = {}
        """Ids of those who went since the last report and are not back."""
        self.present: list[str] = []
        """Ids of those who were here before the room's owner was: it has not heard of them."""
        self.reported: tuple[int, int, int] = (0, 0, 0)
        self.reported_at = 0
        self.idle_since: int | None = node.clock()
        """Since when nobody watches here; None: somebody does."""
        self.closes_at: int | None = None
        """When everybody is told that the broadcast is over."""
        self.aliases: Aliases | None = None
        """What its viewers see instead of user ids, where the room hides them."""
        self._sockets: tuple[dict[ViewerSocket, None], ...] = tuple({} for _ in VARIANTS)
        self._watchers: dict[Watcher, None] = {}
        self._users: dict[str, Member | list[Member]] = {}
        self._anonymous = 0
        self.backstage = Backstage()
        self.merchant: str | None = None
        """Whose room it is, as its owner said last; empty if nobody's, None if it has not said yet."""
        self._fanout = FanOut(self)
        self._parts: dict[Codec, _Parts] = {}
        self._awaited: dict[int, list[asyncio.Future[None]]] = {}
        self._final: dict[tuple[str, str], None] = {}
        self._bans_at = node.clock()
        self._bans_seq = view.seq
        self._broadcast: str = view.state["broadcast"]
        self.look_at_state()

    # --- Who may, and what they are told first ------------------------------------------------------------------------

    def refuses(self, identity: Identity) -> str | None:
        """The code (`unauthorized`, `forbidden`, `unavailable`) for which this identity may not watch now, or None.

        Covers `anonymous: "off"`, bans and whose room it is; whether the token names the room is the authenticator's part.
        """
        person = identity.person
        if person.anonymous:
            return "unauthorized" if self.view.policy["anonymous"] == "off" else None
        if identity.merchant and identity.merchant != self.merchant:
            return "unavailable" if self.merchant is None else "forbidden"
        return "forbidden" if self.banned(person.id) else None

    def banned(self, user: str) -> bool:
        """Whether this user is kept out now."""
        if user in self.bans:
            until = self.bans[user]
            if until is None or until > self.node.clock():
                return True
        house = self.node.house
        return house is not None and house.keeps_out(user, self.room, self.merchant or "")

    def can(self, identity: Identity) -> tuple[str, ...]:
        """The kinds of message this room takes from them."""
        if not identity.person.anonymous:
            return identity.can
        return ("like",) if self.view.policy["anonymous"] == "like" else ()

    def you(self, identity: Identity) -> You:
        """How the room sees a caller."""
        identity = self.backstage.seen_as(identity)
        person, money = identity.person, self.node.money
        balance = None if money is None else money.balance(identity)
        alias = None if self.aliases is None or person.anonymous else self.aliases.of(person.id)
        can = self.can(identity)
        return You(person.id, person.name, person.role, person.anonymous, can, identity.expires_at_ms, balance, alias)

    def welcome(
        self, codec: Codec, identity: Identity, conn: str, *, reason: str = "joined", since: tuple[str, int] | None = None
    ) -> Joining:
        """The welcome at this moment. No `await` may stand between this and `watch`.

        `since` is what the client has already: (epoch, seq).
        """
        view, parts = self.view, self._shared_parts(codec)
        missed = view.since(*since) if since is not None else None
        recovered = missed is not None and since is not None
        body = codec.encode(
            Welcome(
                v=1,
                room=self.room,
                reason=reason,  # type: ignore[arg-type] # one of the three
                conn=conn,
                you=self.you(identity),
                epoch=parts.epoch,
                seq=since[1] if recovered and since is not None else parts.seq,
                recovered=recovered,
                state=parts.state,
                recent=parts.none if recovered else parts.recent,
                policy=parts.policy,
                now=self.node.clock(),
            )
        )
        return Joining(body, cast("list[Sealed]", missed or []), parts.seq)

    def snapshot(self) -> bytes:
        """What `welcome` has, without `you` and `conn`, as JSON."""
        parts = self._shared_parts(JSON)
        return JSON.encode(
            {
                "t": "welcome",
                "v": 1,
                "room": self.room,
                "reason": "joined",
                "recovered": False,
                "epoch": parts.epoch,
                "seq": parts.seq,
                "state": parts.state,
                "recent": parts.recent,
                "policy": parts.policy,
                "now": self.node.clock(),
            }
        )

    def _shared_parts(self, codec: Codec) -> _Parts:
        view = self.view
        parts = self._parts.get(codec)
        if parts is None or parts.seq != view.seq or parts.epoch != view.epoch:
            raw = codec.raw
            parts = _Parts(view.epoch, view.seq, raw(view.state), raw(view.recent), raw(()), raw(view.policy))
            self._parts[codec] = parts
        return parts

    # --- Coming and going ---------------------------------------------------------------------------------------------

    def join(self, socket: ViewerSocket) -> None:
        """From now on `socket` gets every frame after the view's `seq`."""
        self._sockets[socket.variant][socket] = None
        self.shuffled()
        socket.identity = self.backstage.seen_as(socket.identity)
        self._came(socket)

    def leave(self, socket: ViewerSocket) -> None:
        """No more frames to `socket`. Harmless when it is gone already."""
        self.shuffled()
        if self._sockets[socket.variant].pop(socket, socket) is None:
            self._went(socket)

    def shuffled(self) -> None:
        """The frames that a socket is still to get are others than fan-out may think: see `Roster`."""
        self._fanout.shuffled()

    def takes_along(self, viewer: ViewerSocket) -> bool:
        """This socket has acks to be written. Whether a frame will take them along: see `Crowd`."""
        return self._fanout.takes_along(viewer)

    def watch(self, watcher: Watcher) -> None:
        """From now on `watcher` gets every frame after the view's `seq`."""
        self._watchers[watcher] = None
        self._came(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """No more calls to `watcher`. Harmless when it is gone already."""
        if self._watchers.pop(watcher, watcher) is None:
            self._went(watcher)

    def signed_in(self, socket: ViewerSocket, identity: Identity) -> None:
        """A socket's identity becomes this one: the same user's renewed, or the first of an anonymous viewer."""
        identity = self.backstage.seen_as(identity)
        if not socket.identity.person.anonymous:
            socket.identity = identity
            return
        self._went(socket)
        socket.identity = identity
        self._came(socket)

    @property
    def connections(self) -> int:
        """Sockets and event streams."""
        return sum(map(len, self._sockets)) + len(self._watchers)

    @property
    def users(self) -> int:
        """Distinct people; an anonymous connection is one."""
        return len(self._users) + self._anonymous

    def sockets(self) -> tuple[dict[ViewerSocket, None], ...]:
        """The sockets by variant (see `fanout.VARIANTS`)."""
        return self._sockets

    def _came(self, member: Member) -> None:
        self.idle_since = None
        self.node.reports.note(self)
        self.backstage.came(member)
        person = member.identity.person
        if person.anonymous:
            self._anonymous += 1
            return
        known = self._users.get(person.id)
        if known is None:
            self._users[person.id] = member
            self.joined.append(person)
            self.left.pop(person.id, None)
        elif isinstance(known, list):
            known.append(member)
        else:
            self._users[person.id] = [known, member]

    def _went(self, member: Member) -> None:
        self.node.reports.note(self)
        self.backstage.went(member)
        person = member.identity.person
        if person.anonymous:
            self._anonymous -= 1
        else:
            known = self._users.get(person.id)
            if isinstance(known, list):
                known.remove(member)
                if len(known) == 1:
                    self._users[person.id] = known[0]
            else:
                self._users.pop(person.id, None)
                self.left[person.id] = None
        if not self._users and not self._anonymous:
            self.idle_since = self.node.clock()

    def _present(self) -> list[Person]:
        """Everybody who is signed in here, once each."""
        members = (known[0] if isinstance(known, list) else known for known in self._users.values())
        return [member.identity.person for member in members]

    def _of(self, user: str) -> list[Member]:
        known = self._users.get(user)
        if known is None:
            return []
        return list(known) if isinstance(known, list) else [known]

    # --- What the room says -------------------------------------------------------------------------------------------

    def apply(self, sealed: Sealed, frame: Frame) -> bool:
        """Take the next frame into the view and tell everybody; False (and nothing happens) if it is not the next."""
        if not self.view.apply(frame, sealed, len(sealed.msgpack)):
            return False
        self._fanout.frame(sealed, frame.seq)
        for watcher in tuple(self._watchers):
            watcher.frame(sealed)
        for done in self._awaited.pop(frame.seq, ()):
            if not done.done():
                done.set_result(None)
        if frame.state is not UNSET:
            self.look_at_state()
        return True

    def renewed(self) -> None:
        """The view was put in anew (another epoch, or a hole that could not be filled): everybody is welcomed again."""
        for waiting in self._awaited.values():
            for done in waiting:
                done.cancel()
        self._awaited.clear()
        self.reported = (0, 0, 0)  # a new owner has not heard from us
        if self._broadcast != self.view.state["broadcast"]:
            self._broadcast = self.view.state["broadcast"]
            self.joined = self._present()  # who stayed is of the new broadcast, too
        self.present = list(self._users)
        self.node.reports.note(self)
        self._fanout.renew()
        for watcher in tuple(self._watchers):
            watcher.renewed()
        self.look_at_state()

    def has(self, user: str) -> bool:
        """Whether this user watches here."""
        return user in self._users

    def notify(self, user: str, notice: Notice) -> None:
        """To one user, on every connection of theirs here."""
        for member in self._of(user):
            member.notice(notice)
        if notice.kind == "banned":
            until = notice.data.get("until") if isinstance(notice.data, dict) else None
            self.ban(user, until if isinstance(until, int) else None)
        elif notice.kind == "unbanned":
            self.bans.pop(user, None)

    def form(self, sealed: Sealed, variant: int) -> bytes:
        """A frame as sockets of this variant get it."""
        return self._fanout.form(sealed, variant)

    @property
    def sent_seq(self) -> int:
        """The last frame that went to everybody here."""
        return self._fanout.sent_seq

    def sealed(self, seq: int) -> Sealed | None:
        """A kept frame of the current epoch."""
        return cast("Sealed | None", self.view.frame(seq))

    async def until(self, epoch: str, seq: int, timeout_s: float) -> Sealed | None:
        """A frame not yet made, once it is; None at the time-out or if the epoch ends first."""
        if epoch != self.view.epoch:
            return None
        if seq > self.view.seq:
            done = asyncio.get_running_loop().create_future()
            self._awaited.setdefault(seq, []).append(done)
            await asyncio.wait({done}, timeout=timeout_s)
            if not done.done():
                self._awaited.get(seq, []).remove(done)
        return self.sealed(seq) if epoch == self.view.epoch else None

    def user_of(self, said: str) -> str | None:
        """Whom somebody means by what is shown of them: their alias, or the id itself. None: nobody seen here lately."""
        if self.aliases is None:
            return said
        return self.aliases.user(said) or self.aliases.search(self._users, (said,)).get(said)

    def tell_staff(self, told: dict[str, Json]) -> None:
        """A `desk` message: with real ids, and what viewers see instead of them."""
        if self.aliases is not None and "users" in told:
            users = {user: {**about, "alias": self.aliases.of(user)} for user, about in told["users"].items()}
            told = {**told, "users": users}
        self.backstage.tell(told)

    # --- Putting people out -------------------------------------------------------------------------------------------

    def ban(self, user: str, until: int | None) -> None:
        """Keep a user out until then (Unix ms; None: until taken back), those inside first."""
        self.bans[user] = until
        if self.banned(user):
            self.kick(user, until=until)

    def replace_bans(self, bans: dict[str, int | None]) -> None:
        """The room's whole ban list, as its owner tells it."""
        self.bans = bans
        for user, until in bans.items():
            if user in self._users and self.banned(user):
                self.kick(user, until=until)

    def bans_due(self, now: int) -> bool:
        """Whether to ask for the ban list: the room spoke since it was last asked for, which was a while ago.

        What comes with the list is whose room it is; while that is not known, it is asked for again and again.
        """
        if self.merchant is None:
            return True
        if self.idle_since is not None or now - self._bans_at < self.node.rules.bans_refresh_ms or self._bans_seq == self.view.seq:
            return False
        self._bans_at, self._bans_seq = now, self.view.seq
        return True

    def kick(self, user: str, reason: str = "", until: int | None = None) -> None:
        """Put a user's connections out (4003); `until` (Unix ms) they need not try again."""
        wait_ms = 0 if until is None else max(0, until - self.node.clock())
        said = f"You were put out of this room: {reason}" if reason else "You were put out of this room."
        self.say_bye(self._of(user), Bye(4003, said, reconnect=False, retry_after_ms=wait_ms))

    def look_at_state(self) -> None:
        """After a change of the room's state: is the broadcast over, are the anonymous still welcome?"""
        state, policy = self.view.state, self.view.policy
        for user in self.backstage.note(state):
            for member in self._of(user):
                self.backstage.renew(member)
            self.node.reports.note(self)
        if state.get("status") != "ended":
            self.closes_at = None
        elif self.closes_at is None:
            ended_at = state.get("ended_at")
            grace = self.node.room_rules.end_grace_ms
            self.closes_at = (ended_at if isinstance(ended_at, int) else self.node.clock()) + grace
            self.node.ending[self] = None
        if policy["anonymous"] == "off" and self._anonymous:
            bye = Bye(4401, "This room asks for a token now.", reconnect=False, retry_after_ms=0)
            self.say_bye([member for member in self.members() if member.identity.person.anonymous], bye)

    def belongs_to(self, merchant: str) -> None:
        """Whose room it is from now on: people of another merchant's have no business here."""
        if merchant != self.merchant:
            self.merchant = merchant
            theirs = [member for member in self.members() if member.identity.merchant not in {"", merchant}]
            self.say_bye(theirs, Bye(4403, "This room is another merchant's now.", reconnect=False, retry_after_ms=0))

    def over(self) -> bool:
        """Whether the broadcast ended and its grace is past: nobody is let in any more, and those inside were told 4010."""
        return self.closes_at is not None and self.closes_at <= self.node.clock()

    def bye_over(self) -> Bye:
        """What those who are or come in are told when the broadcast is over."""
        redirect = self.view.state.get("redirect")
        return Bye(
            4010,
            "The broadcast has ended.",
            reconnect=False,
            retry_after_ms=0,
            redirect=redirect if isinstance(redirect, str) else None,
        )

    def put_all_out(self, bye: Bye) -> None:
        """Say `bye` to everybody."""
        self.say_bye(list(self.members()), bye)

    def members(self) -> Iterator[Member]:
        """Everybody."""
        for sockets in self._sockets:
            yield from sockets
        yield from self._watchers

    def say_bye(self, members: list[Member], bye: Bye) -> None:
        """Forget these, and have each say `bye` and close."""
        for member in members:
            if isinstance(member, ViewerSocket):
                self.leave(member)
            else:
                self.unwatch(cast("Watcher", member))
            member.bye(bye)

    # --- Honest counting ----------------------------------------------------------------------------------------------

    def count_refused(self, user: str, cid: str, code: str, *, final: bool) -> None:
        """A signed-in user's comment was refused here: the room's tally shall know. A final refusal counts once per id."""
        if final:
            if (user, cid) in self._final:
                return
            if len(self._final) >= FINAL_REFUSALS_MAX:
                del self._final[next(iter(self._final))]
            self._final[user, cid] = None
        self.refused[code] = self.refused.get(code, 0) + 1
        self.node.reports.note(self)
