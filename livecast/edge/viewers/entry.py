"""From a viewer's message to an event for the room, or a refusal at once: the same for sockets and for HTTP.

What can be judged without the room is judged here: whether the token allows this kind of message, and what the anonymous
may do. All else is the room's to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec

from livecast.core.errors import Refusal
from livecast.core.events import Event, Liked, Origin, Reported, Said, Tapped, Voted
from livecast.edge.access.identity import Identity
from livecast.wire.codec import body_digest
from livecast.wire.messages import (
    ClaimMessage,
    ClientMessage,
    CommentMessage,
    GiftMessage,
    LikeMessage,
    ReportMessage,
    TapMessage,
    VoteMessage,
)

if TYPE_CHECKING:
    from livecast.edge.rooms.hub import RoomHub

NOT_ALLOWED: Final = Refusal("not_allowed")
SIGN_IN: Final = Refusal("unauthorized", "Sign in to do this.")
UNAVAILABLE: Final = Refusal("unavailable", retry_after_ms=1000)
NOBODY_SO: Final = Refusal("not_found", "Nobody goes by this name here (any more).", field="user")
# Without a ledger nobody here knows any gift or drop: the truth, and not a fault.
UNKNOWN_GIFT: Final = Refusal("unknown_gift")
UNKNOWN_DROP: Final = Refusal("unknown_drop")

#: An event for the room, a refusal at once, or None: nothing to do and nobody to answer, or (claims, gifts) it is `node.money`'s.
Entered = Event | Refusal | None


def enter(message: ClientMessage, identity: Identity, hub: RoomHub, origin: Origin) -> Entered:
    """What becomes of a message here. `auth` and `ping` are the connection's own and never get here."""
    return ENTRIES[type(message)](message, identity, hub, origin)


def _comment(m: CommentMessage, who: Identity, hub: RoomHub, origin: Origin) -> Entered:
    if who.person.anonymous:
        return SIGN_IN
    if "comment" not in who.can:
        return NOT_ALLOWED
    style = None if m.style is None else msgspec.structs.asdict(m.style)
    if style is not None:
        style = {name: value for name, value in style.items() if value is not None} or None
    mentions = m.mentions or ()
    if mentions and hub.aliases is not None:
        mentions = hub.aliases.mentioned(mentions, by_staff=who.person.staff)
    return Said(origin, who.person, m.cid, m.text, body_digest(m), m.reply_to, mentions, style, m.meta)


def _like(m: LikeMessage, who: Identity, hub: RoomHub, origin: Origin) -> Entered:
    if "like" not in who.can and "like" not in hub.can(who):  # what the anonymous may is the room's to say
        return SIGN_IN if who.person.anonymous else NOT_ALLOWED
    return Liked(origin, who.person, m.n, m.cid)


def _money(kind: str, unknown: Refusal) -> Callable[[Any, Identity, RoomHub, Origin | None], Refusal | None]:
    def entry(_m: ClientMessage, who: Identity, hub: RoomHub, _origin: Origin | None) -> Refusal | None:
        if who.person.anonymous:
            return SIGN_IN
        if kind not in who.can:
            return NOT_ALLOWED
        return None if hub.node.money is not None else unknown

    return entry


claim: Final = _money("claim", UNKNOWN_DROP)


def _vote(m: VoteMessage, who: Identity, _hub: RoomHub, origin: Origin) -> Entered:
    if who.person.anonymous:
        return SIGN_IN
    if "vote" not in who.can:
        return NOT_ALLOWED
    return Voted(origin, who.person, m.cid, m.poll, m.choice, crc32(m.cid.encode()))


def _tap(m: TapMessage, who: Identity, _hub: RoomHub, origin: Origin) -> Entered:
    return Tapped(origin, who.person, m.target, m.n)


def _report(m: ReportMessage, who: Identity, hub: RoomHub, origin: Origin) -> Entered:
    if who.person.anonymous:
        return SIGN_IN
    user = m.user
    if user is not None and hub.aliases is not None:
        user = hub.user_of(user)
        if user is None and m.comment is None:
            return NOBODY_SO
    return Reported(origin, who.person, m.cid, m.reason, m.comment, user, body_digest(m))


#: How each kind of message enters; `auth` and `ping` are the connection's own.
ENTRIES: Final[dict[type, Callable[[Any, Identity, RoomHub, Origin], Entered]]] = {
    CommentMessage: _comment,
    LikeMessage: _like,
    GiftMessage: _money("gift", UNKNOWN_GIFT),
    ClaimMessage: claim,
    VoteMessage: _vote,
    TapMessage: _tap,
    ReportMessage: _report,
}
