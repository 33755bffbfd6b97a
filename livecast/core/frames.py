"""What comes out of a room at a tick: the frame that every viewer is told, and all else that is made durable with it.

The structs of a frame are its wire shape: field names are those of the protocol; absent parts are `None` and not sent.
All times are Unix milliseconds (int).
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from livecast.core.errors import Refusal
from livecast.core.events import NOBODY, Answer, Json, Notice, Origin, Person, Verdict


class Quote(Struct, frozen=True):
    """What a reply answers: `text` is at most 60 code points."""

    id: str
    u: Json
    text: str


class Comment(Struct, frozen=True, omit_defaults=True):
    """One line on the screen. `n` > 1: so many people said it. `late`: a held one, approved; not counted again.

    A redacted one is `{id, redacted}` and nothing else.
    """

    id: str
    u: Person = NOBODY
    text: str = ""
    at: int = 0
    n: int = 1
    style: dict[str, Json] | None = None
    lane: int = 3
    reply_to: Quote | None = None
    mentions: tuple[str, ...] = ()
    meta: dict[str, Json] | None = None
    paid: dict[str, Json] | None = None
    late: bool = False
    redacted: bool = False


class Merge(Struct, frozen=True):
    """A comment already shown is now said by `n` people."""

    id: str
    n: int


class Likes(Struct, frozen=True):
    """Taps since the last frame, and of the broadcast."""

    delta: int
    total: int


class Combo(Struct, frozen=True, gc=False):
    """One person's run of the same gift. `n` and `value` are of the whole run so far; `done` is said once, at its end.

    `tier` is that of the gift. A reversed gift takes its share off; a run of which nothing is left is done.
    """

    combo: str
    u: Person
    gift: str
    n: int
    value: int
    tier: int
    done: bool
    to: str | UnsetType = UNSET


class Viewers(Struct, frozen=True):
    """Who watches, counted.

    `connections` are sockets and event streams, `users` distinct ids per node, summed, `total` distinct ids of the
    broadcast (approximate).
    """

    connections: int
    users: int
    total: int


class Custom(Struct, frozen=True, omit_defaults=True):
    """An event of the platform's own. `type` starts with `x.`."""

    id: str
    type: str
    at: int
    data: Json
    u: Person | None = None


class Redact(Struct, frozen=True, omit_defaults=True):
    """Remove these comments, and everything of these users, from the screen and from what is replayed."""

    comments: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


class Tally(Struct, frozen=True, rename={"in_": "in"}):
    """What became of the comments: in = shown + merged + sampled + held + Σ rejected, per frame and so over any number of them.

    `in` is a keyword of Python, hence `in_`.
    """

    in_: int = 0
    shown: int = 0
    merged: int = 0
    sampled: int = 0
    held: int = 0
    rejected: dict[str, int] = {}

    def __post_init__(self) -> None:
        if self.in_ != self.shown + self.merged + self.sampled + self.held + sum(self.rejected.values()):
            msg = f"tally does not add up: {self}"
            raise ValueError(msg)


class Frame(Struct, frozen=True, omit_defaults=True, tag_field="t", tag="frame"):
    """What a room says at one tick. Only the parts that have something to say are there."""

    epoch: str
    seq: int
    ts: int
    comments: tuple[Comment, ...] = ()
    merges: tuple[Merge, ...] = ()
    likes: Likes | None = None
    gifts: tuple[Combo, ...] = ()
    viewers: Viewers | None = None
    activity: dict[str, Json] | None = None
    events: tuple[Custom, ...] = ()
    state: dict[str, Json] | UnsetType = UNSET
    redact: Redact | None = None
    tally: Tally | None = None


class Remembered(Struct, frozen=True, array_like=True):
    """A final answer kept for its (user, kind, cid), so that a repeat gets it again. `body` as in `Said`."""

    user: str
    kind: str
    cid: str
    body: int
    at: int
    answer: Verdict | Refusal


class StaffAct(Struct, frozen=True, array_like=True):
    """One line of the log of what staff did: who (`role` `service`: an API key), what, with which arguments, when and why."""

    at: int
    by: str
    name: str
    role: str
    action: str
    args: dict[str, Json]
    reason: str


class Happened(Struct, frozen=True):
    """Something that other services may want to hear of: `comment.held`, `comment.reported`, `user.banned`. `id` is its own."""

    type: str
    id: str
    at: int
    data: dict[str, Json]


TO_STAFF = 0
"""The number of an asker that nobody has: a reply to it is for the staff of a room (`Done` with a `desk` message) on that node."""


class ForStaff(Struct, frozen=True):
    """What only staff see of a tick, and the nodes on which some are: `told` is the message, as plain values."""

    nodes: tuple[str, ...]
    told: dict[str, Json]


class Flush(Struct):
    """What a tick produced: everything of it is made durable in one commit before anybody hears of it.

    `replies` go back to their nodes, `frame` to all viewers, `notices` to single users; `private` is an RFC 7396 patch of
    what only the next owner needs (mutes, slow-mode times, counters); `remembered` are answers for repeated ids.
    """

    frame: Frame | None
    replies: list[tuple[Origin, str | None, Answer]]
    private: dict[str, Json]
    remembered: list[Remembered]
    notices: list[tuple[str, Notice]]
    new_users: list[str]
    """Ids first seen since the last flush; the log counts the distinct ones of the broadcast."""
    renew: bool = False
    """A new broadcast begins: after this flush the owner begins a new epoch (`Room.begin_epoch`), so that within an epoch
    `likes.total` is always the welcome's figure plus the deltas since."""
    acts: list[StaffAct] = []
    """What staff did, to be kept with the commit."""
    for_staff: ForStaff | None = None
    happened: list[Happened] = []
    """What other services may want to hear of."""


class Snapshot(Struct, omit_defaults=True):
    """Everything a new owner or a joining node needs to go on from `seq`: the public view and the owner's private part."""

    epoch: str
    seq: int
    state: dict[str, Json]
    policy: dict[str, Json]
    recent: tuple[Comment, ...]
    private: dict[str, Json] = {}
