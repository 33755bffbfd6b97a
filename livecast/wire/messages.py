"""What clients and servers say to each other: one struct per message, tagged by `t`.

Client messages state their bounds here and nowhere else. Three rules hold for all of them and are the codec's work:
an optional field that is null counts as absent, an unknown key is ignored, of duplicate keys the last wins.
(The structs forbid unknown keys so that the codec's fast path sees only what is known; whatever has more goes through its
thorough path, which takes the strangers out.)

Frames and notices are `livecast.core.frames.Frame` and `core.events.Notice`: their structs are their wire shape.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from livecast.core.events import Person
from livecast.core.frames import Quote
from livecast.core.rules import Cid, UserId

MESSAGE_BYTES_MAX = 4096
"""A client message above this is `too_large`. The longest comment a policy allows (1,000 code points of 3 bytes) fits with
its `meta`; twice as much would double what a hostile socket can make us look at."""
META_BYTES_MAX = 512
"""`comment.meta`, measured as compact JSON whatever the codec: it is copied to every viewer of the room."""
REASON_CHARS_MAX = 200
"""`report.reason`, in code points: a sentence for a moderator."""
NESTING_MAX = 4
"""Containers within containers, the message itself being the first: `meta` may hold two levels of its own."""
INT_MAX = 2**53 - 1
"""Integers are exact in JavaScript up to here."""

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
"""Id of a gift, drop, poll, product or comment."""
Amount: TypeAlias = Annotated[int, Meta(ge=0, le=INT_MAX)]
Taps: TypeAlias = Annotated[int, Meta(ge=1, le=100)]


# --- Client -> server -------------------------------------------------------------------------------------------------
# gc=False: a decoded message holds strings and small trees of JSON, never a cycle, so the collector need not look at it.


class Auth(Struct, frozen=True, tag_field="t", tag="auth", forbid_unknown_fields=True, gc=False):
    """Sign in on an anonymous socket, or renew before the token expires."""

    cid: Cid
    token: str


class Style(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """How a comment wants to look; the room's policy has the last word."""

    color: Annotated[int, Meta(ge=0, le=0xFFFFFF)] | None = None
    mode: Literal["scroll", "top", "bottom"] | None = None


class CommentMessage(Struct, frozen=True, tag_field="t", tag="comment", forbid_unknown_fields=True, gc=False):
    """A comment. The length of `text` is the room's to judge, as its policy says."""

    cid: Cid
    text: str
    reply_to: Name | None = None
    mentions: Annotated[tuple[UserId, ...], Meta(max_length=5)] | None = None
    style: Style | None = None
    meta: dict[str, Any] | None = None


class LikeMessage(Struct, frozen=True, tag_field="t", tag="like", forbid_unknown_fields=True, gc=False):
    """`n` taps since the last one. Without a `cid` nobody waits for an answer."""

    n: Taps
    cid: Cid | None = None


class GiftMessage(Struct, frozen=True, tag_field="t", tag="gift", forbid_unknown_fields=True, gc=False):
    """`cid` is the transaction's id. `unit_price` guards against a price that changed meanwhile."""

    cid: Cid
    gift: Name
    n: Annotated[int, Meta(ge=1, le=9999)]
    to: UserId | None = None
    unit_price: Amount | None = None
    text: str | None = None


class ClaimMessage(Struct, frozen=True, tag_field="t", tag="claim", forbid_unknown_fields=True, gc=False):
    """One unit of a drop, please."""

    cid: Cid
    drop: Name


class VoteMessage(Struct, frozen=True, tag_field="t", tag="vote", forbid_unknown_fields=True, gc=False):
    """One choice (its index) in a poll."""

    cid: Cid
    poll: Name
    choice: Amount


class TapMessage(Struct, frozen=True, tag_field="t", tag="tap", forbid_unknown_fields=True, gc=False):
    """`n` taps on a product; never answered."""

    target: Name
    n: Taps


class ReportMessage(Struct, frozen=True, tag_field="t", tag="report", forbid_unknown_fields=True, gc=False):
    """Something for the moderators: a comment or a user, at least one of them."""

    cid: Cid
    reason: str
    comment: Name | None = None
    user: UserId | None = None

    def __post_init__(self) -> None:
        if self.comment is None and self.user is None:
            msg = "a report names a `comment` or a `user`"
            raise ValueError(msg)


class Ping(Struct, frozen=True, tag_field="t", tag="ping", forbid_unknown_fields=True, gc=False):
    """Are you there, and which frame is the last?"""

    cid: Cid | None = None


ClientMessage: TypeAlias = (
    Auth
    | CommentMessage
    | LikeMessage
    | GiftMessage
    | ClaimMessage
    | VoteMessage
    | TapMessage
    | ReportMessage
    | Ping
)  # fmt: skip


# --- Server -> client -------------------------------------------------------------------------------------------------


class You(Struct, frozen=True, omit_defaults=True):
    """How the server sees the caller. `can` lists the kinds of message it takes from them; `expires_at` is Unix ms.

    `alias` is what others see instead of `id`, where the room hides ids.
    """

    id: str
    name: str
    role: str
    anonymous: bool
    can: tuple[str, ...]
    expires_at: int | None = None
    balance: int | None = None
    alias: str | None = None


class Welcome(Struct, frozen=True, tag_field="t", tag="welcome"):
    """Replaces everything the client knew. `seq` is the last frame that `state`, `policy` and `recent` reflect.

    Those three are the same for all who join at one `seq`: they come encoded already, by `Codec.raw` of the same codec.
    """

    v: Literal[1]
    room: str
    reason: Literal["joined", "skipped", "epoch"]
    conn: str
    you: You
    epoch: str
    seq: int
    recovered: bool
    state: Raw
    recent: Raw
    policy: Raw
    now: int


# At most 15 keys with the tag: from 16 on msgspec writes MessagePack's longer map header even if most of them are absent.


class Ack(Struct, frozen=True, omit_defaults=True, tag_field="t", tag="ack", gc=False):
    """What became of the message `cid`: a verdict, and beside it what that verdict needs."""

    cid: str
    verdict: str
    id: str | None = None
    seq: int | None = None
    counted: int | None = None
    you: You | None = None
    tx: str | None = None
    balance: int | None = None
    value: Any | UnsetType = UNSET


class ClaimAck(Struct, frozen=True, omit_defaults=True, tag_field="t", tag="ack", gc=False):
    """What became of a claim."""

    cid: str
    verdict: str
    serial: int | None = None
    of: int | None = None
    code: str | None = None
    receipt: str | None = None
    expires_at: int | None = None
    nonce: str | None = None
    opens_in_ms: int | None = None
    missing: tuple[Any, ...] | None = None
    test: bool | None = None


class ErrorMessage(Struct, frozen=True, omit_defaults=True, tag_field="t", tag="error", gc=False):
    """Why something was not done; `code` as in `livecast.core.errors.CODES`. Closes nothing by itself."""

    code: str
    message: str
    cid: str | None = None
    retry_after_ms: int | None = None
    field: str | None = None


class Pong(Struct, frozen=True, omit_defaults=True, tag_field="t", tag="pong"):
    """A `seq` above the client's means that it missed frames."""

    now: int
    epoch: str
    seq: int
    cid: str | None = None


class Bye(Struct, frozen=True, omit_defaults=True, tag_field="t", tag="bye"):
    """The server is about to close with `code`. Come back after `retry_after_ms` if `reconnect`, elsewhere if `redirect`."""

    code: int
    reason: str
    reconnect: bool
    retry_after_ms: int
    redirect: str | None = None


class DeskComment(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A comment that viewers did not get to see, and why (`verdict`). Only a held one has an `id`."""

    id: str | None = None
    u: Person
    text: str
    at: int
    verdict: str
    style: dict[str, Any] | None = None
    lane: int = 3
    reply_to: Quote | None = None
    late: bool = False


class Desk(Struct, frozen=True, omit_defaults=True, tag_field="t", tag="desk"):
    """To staff alone, never stored: the tick's comments that viewers did not get, how many are held, what was reported, and what is
    known of those who wrote them (`users`, by id).
    """

    comments: tuple[DeskComment, ...] = ()
    held: int | None = None
    reports: tuple[Any, ...] = ()
    users: dict[str, Any] = {}
    room: str = ""
