"""What goes into a room, and the answers that it gives.

Inputs are `Event`s: what people and nodes did. They carry an `Origin`, which the room only hands back with its answer.
`Answer`s are one per event that asked for one; what every viewer is told at a tick is in `livecast.core.frames`.
All times are Unix milliseconds (int).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from livecast.core.errors import Refusal

Json: TypeAlias = Any  # a JSON value: None, bool, int, float, str, list, dict. Patches of it follow RFC 7396

STAFF_ROLES = frozenset({"host", "moderator", "merchant", "service"})


class Person(Struct, frozen=True, omit_defaults=True, gc=False):
    """A caller as the room and other viewers see them. One object per connection, shared by all its events."""

    id: str
    name: str
    role: str = "viewer"
    level: int = 0
    badges: tuple[str, ...] = ()
    avatar: str = ""
    anonymous: bool = False

    @property
    def staff(self) -> bool:
        """Staff and services skip modes, slow mode, rate limits, same-text and budget."""
        return self.role in STAFF_ROLES


#: Stands where a redaction took the speaker away; as a default it is not sent.
NOBODY = Person("", "")


class Origin(Struct, frozen=True):
    """Where an answer goes: the node and, on it, the asker's number.

    Above 0 it is a viewer's socket, whose node follows the room. Below 0 it is a call over HTTP, whose node need not.
    """

    node: str
    asker: int


# --- Inputs ---------------------------------------------------------------------------------------------------------


class Said(Struct, frozen=True):
    """A comment. `body` is a digest of everything but the cid: the same cid with another body is a `conflict`."""

    origin: Origin
    person: Person
    cid: str
    text: str
    body: int = 0
    reply_to: str | None = None
    mentions: tuple[str, ...] = ()
    style: dict[str, Json] | None = None
    meta: dict[str, Json] | None = None


class Liked(Struct, frozen=True):
    """`n` taps since the last message. Without a cid nobody waits for an answer."""

    origin: Origin
    person: Person
    n: int
    cid: str | None = None


class Voted(Struct, frozen=True):
    """One vote in a poll. `digest` is of the cid, 32 bits: it tells a repeat of this vote from another one."""

    origin: Origin
    person: Person
    cid: str
    poll: str
    choice: int
    digest: int


class Tapped(Struct, frozen=True):
    """`n` taps on a product's card since the last message. Nobody waits for an answer."""

    origin: Origin
    person: Person
    target: str
    n: int
    cid: str | None = None


class Reported(Struct, frozen=True):
    """A viewer tells the moderators of a comment or of a user (or both). `body` as in `Said`."""

    origin: Origin
    person: Person
    cid: str
    reason: str
    comment: str | None = None
    user: str | None = None
    body: int = 0


class Reviewed(Struct, frozen=True):
    """What somebody outside says of a comment that they were asked about; `text` is what it is to be, with `edit`.

    `none`: they say nothing, and will not.
    """

    ticket: int
    action: Literal["allow", "deny", "hold", "edit", "none"]
    text: str = ""


class Presence(Struct, frozen=True):
    """Who watches through one node, once a second while it changes. `joined` are people new since the last report.

    `users` counts distinct ids on that node, an anonymous connection being one. A report with zero connections
    takes the node off the count. `ttl_ms` is how long the report stands without another.

    For the time that people have watched: `left` are ids that were here at the last report and are gone now (who came back
    meanwhile is not among them); `present` are ids who watch already, told to a room that has not heard of them (a new owner).
    """

    node: str
    connections: int
    users: int
    joined: tuple[Person, ...] = ()
    ttl_ms: int = 15_000
    left: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    staff: int = 0
    """Connections of staff: while there are any the node is told what only staff see."""


class EdgeRefused(Struct, frozen=True):
    """Comments that a node refused before they reached the room, by code; they belong into the tally."""

    node: str
    codes: dict[str, int]


class Rung(Struct, frozen=True):
    """There is something new in the ledger of the room's shard: for whoever owns it, no matter of the room's."""


class Command(Struct, frozen=True):
    """A change asked for by the control plane; answered with the whole object (`Done`) once it is committed.

    `name` is one of `livecast.core.commands.COMMANDS`; `args` is its typed arguments struct; `by` is who asked. With
    `if_rev` the change happens only while the object's `rev` is that one (0: it does not exist yet), else it is refused
    with `precondition_failed`. `if_tags` is the same for a thing within the room that has a tag of its own (`core.shelf.tag_of`):
    it must be there, and one of the tags must be its own, or `*`.
    """

    origin: Origin
    by: Person
    name: str
    args: Struct
    cid: str | None = None
    if_rev: int | None = None
    if_tags: tuple[str, ...] | None = None


class Ask(Struct, frozen=True):
    """A question about the room that changes nothing; answered at once with `Done`.

    `what` names it: `room`, `me`, `mutes`, `bans`, `facts` (args `users`: ids; what eligibility asks of them), `held`,
    `reports`, `comments`, `moderators`, `polls`, `products`, `product` (args `product`: its id),
    `staff` (args `user`: is this one of them).
    """

    origin: Origin
    by: Person
    what: str
    args: dict[str, Json] = {}
    cid: str | None = None


# What the ledger tells the room. `position` is the entry's place in the shard's ledger: what a room has heard is not heard again.
class GiftShown(Struct, frozen=True, omit_defaults=True, gc=False):
    """A gift is booked: `n` times `gift`, worth `value` in all, of this `tier`, to a host (`to`) or to the room itself.

    `total` is what this person has given in `broadcast`, this gift included; 0: not said. `text` makes it a paid comment.
    """

    position: int
    tx: str
    person: Person
    broadcast: str
    gift: str
    n: int
    value: int
    tier: int = 1
    to: str = ""
    text: str = ""
    total: int = 0


class GiftReversed(Struct, frozen=True, omit_defaults=True):
    """A gift counts no more. `total` is what its user's others in the broadcast are worth."""

    position: int
    tx: str
    user: str
    broadcast: str
    gift: str
    n: int
    value: int
    to: str = ""
    total: int = 0


class DropChanged(Struct, frozen=True, omit_defaults=True):
    """A drop as viewers shall see it (`view`: its place in `state.drops`, whole), or None: not at all.

    `ended_at` (Unix ms) says since when nobody claims any more; ten minutes later it leaves the screens.
    """

    position: int
    drop: str
    view: dict[str, Json] | None
    ended_at: int | None = None


class StockChanged(Struct, frozen=True):
    """What is left of a drop, and the state it is in for that (`open`, `sold_out`…); all else of it is as it was."""

    position: int
    drop: str
    left: int
    state: str


class Sold(Struct, frozen=True):
    """An order was told for the first time."""

    position: int
    sku: str
    user: str = ""


class Drawn(Struct, frozen=True):
    """Who won a drop's pot: (user, serial) of the first who still have their units. `position` is where the drop stands."""

    position: int
    drop: str
    winners: tuple[tuple[str, int], ...]


class Ranked(Struct, frozen=True):
    """A line of the board. A person without a name is one whom the ledger knows by id only."""

    person: Person
    value: int


class BoardChanged(Struct, frozen=True):
    """The board as it was read from the ledger at `position`, best first; needed at the start and after a reversal."""

    position: int
    broadcast: str
    ranks: tuple[Ranked, ...]


class DropsDone(Struct, frozen=True):
    """The broadcast is to end, and its drops are closed and settled as far as they can be: the room has heard of it all."""

    position: int


TradeEvent: TypeAlias = GiftShown | GiftReversed | DropChanged | StockChanged | BoardChanged
LedgerEvent: TypeAlias = TradeEvent | Sold | Drawn | DropsDone
Event: TypeAlias = Said | Liked | Voted | Tapped | Reported | Reviewed | Presence | EdgeRefused | Rung | Command | Ask | LedgerEvent


# --- Answers --------------------------------------------------------------------------------------------------------


class Verdict(Struct, frozen=True, omit_defaults=True):
    """What became of a message: `shown` {id, seq}, `merged` {id, seq}, `sampled` {seq}, `held` {id}, `counted` {counted}, `ok`…"""

    verdict: str
    id: str | None = None
    seq: int | None = None
    counted: int | None = None


class Done(Struct, frozen=True):
    """The answer of a command or a question: the whole object as it is now, and whether it was made by this call."""

    value: Json
    created: bool = False


Answer: TypeAlias = Verdict | Done | Refusal


class Reply(Struct, frozen=True):
    """An answer on its way to `asker` of the node that it is sent to."""

    asker: int
    cid: str | None
    answer: Answer


class Notice(Struct, frozen=True, omit_defaults=True, tag_field="t", tag="notice"):
    """To one user, on every socket of theirs. At most once: the durable form is what `…/me` shows."""

    id: str
    kind: str
    at: int
    data: Json
