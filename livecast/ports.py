"""The seams of the service: what rooms need from the outside, as promises.

Each `Protocol` here has a memory and a Redis implementation in `livecast.adapters`, and one contract suite
(`tests/contract/`) that both must pass. A docstring promises delivery, order and atomicity, and says what is *not* promised.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from livecast.core.errors import LivecastError
from livecast.core.events import Event, Notice, Reply
from livecast.core.nodes.formats import Mark
from livecast.core.nodes.membership import Beat


# --- Faults -----------------------------------------------------------------------------------------------------------
class StoreError(LivecastError):
    """The store did not do it, or did not say so in time."""


class Unavailable(StoreError):  # noqa: N818 - the field's word
    """No answer in time: it may or may not have happened. Repeat the same call with the same bytes."""


class Fenced(StoreError):  # noqa: N818 - the field's word
    """Another owner holds the shard now: nothing was written, and nothing this owner writes will be. Step down."""


class WrongFormat(StoreError):  # noqa: N818 - says what is wrong
    """What is in the store, or would be put there, is of a format that this version or another node there cannot read."""


class OutOfOrder(StoreError):  # noqa: N818 - says what the commit was
    """The log's last commit is not the one before this: the owner's picture is wrong. Step down and load anew."""


# --- Records ----------------------------------------------------------------------------------------------------------
class Commit(Struct, frozen=True):
    """One tick of one room, made durable in one step.

    `number` counts the room's commits within `epoch` from 1, without gaps (not every commit has a frame); (token, epoch,
    number) makes it idempotent: the same commit again answers as the first time and writes nothing. `snapshot` replaces
    the stored one and is required with number 1; entries before `keep_from` (a number) may be dropped with it.
    """

    room: str
    token: str
    epoch: str
    number: int
    seq: int
    """Last frame number after this commit."""
    at: int
    """Unix ms."""
    frame: bytes | None = None
    """The frame in MessagePack; published to all followers in the same step."""
    private: bytes | None = None
    """RFC 7396 patch of the owner's private part, MessagePack."""
    remembered: bytes | None = None
    """Answers for repeated ids (MessagePack array), kept for `remember_ms`."""
    remember_ms: int = 600_000
    snapshot: bytes | None = None
    """A `Snapshot` as of this commit, MessagePack."""
    keep_from: int = 1
    new_users: tuple[str, ...] = ()
    """Ids to add to the broadcast's distinct users."""
    broadcast: str = ""
    summary: bytes | None = None
    """The room's line in `RoomLog.rooms`, JSON; None leaves it as it is."""
    counts_for: str = ""
    """The broadcast that the frame's comments and figures belong to: while a new one begins still the one before."""
    notes: bytes | None = None
    """What else the archive shall have: what staff did (MessagePack)."""
    acts: bytes | None = None
    """What staff did (an array of `StaffAct`, MessagePack), kept apart for whoever asks."""
    replies: tuple[tuple[str, tuple[Reply, ...]], ...] = ()
    """Answers for viewers on nodes elsewhere. They travel with what is published, so that none comes after its frame."""


class Committed(Struct, frozen=True):
    """What the log says after a commit: distinct users of the broadcast so far (approximate, ±2 %)."""

    users_total: int


class Entry(Struct, frozen=True):
    """One commit as stored, without its snapshot."""

    number: int
    seq: int
    frame: bytes | None
    private: bytes | None


class Stored(Struct, frozen=True):
    """A room as stored: the snapshot was taken with commit `snapshot_number` and `entries` are all later ones, in order, plus
    as many earlier ones as are kept (for resume), less those without frame and private part. `remembered` is filled only for
    owners.
    """

    epoch: str
    number: int
    seq: int
    snapshot: bytes
    snapshot_number: int
    entries: Sequence[Entry]
    remembered: Sequence[bytes] = ()


class Published(Struct, frozen=True):
    """What followers of a room get: a committed frame, or (`snapshot`) that a new epoch has begun.

    With neither it says that something may have been missed, and the log is to be asked.
    """

    room: str
    epoch: str
    seq: int
    frame: bytes | None = None
    snapshot: bytes | None = None

    @classmethod
    def something_missed(cls, room: str) -> Published:
        """Word from the bus itself: deliveries in this room were interrupted."""
        return cls(room, "", 0)


# --- Ports ------------------------------------------------------------------------------------------------------------
class RoomLog(Protocol):
    """Where rooms are kept: frame log, snapshots, remembered answers, ownership of shards.

    Every call may raise `Unavailable` after its deadline (2 s). All keys of a shard can live on one server of a cluster.
    """

    async def take(self, shard: int, token: str) -> None:
        """Make `token` the owner of `shard`. From then on every commit under another token is `Fenced`. Last taker wins.

        For whoever is alone with its store. Where there are several nodes they go by the `Roster`.
        """

    async def regain(self, shard: int, former: str, token: str) -> bool:
        """Make `token` the owner of `shard` if `former` is, or nobody. False: somebody else owns it, and nothing was changed.

        For an owner whose store lost the end of its log, or all of it, and came back: what it has in memory is then the newest
        there is. The former token itself is never written again, so a commit that was still on its way stays refused.
        """

    def on_reborn(self, tell: Callable[[Collection[int]], None]) -> None:
        """Have `tell` called with shards that are served by another process of the store than before: it was started again, or a
        replica took over. What was committed last may be gone. Must not block or raise.
        """

    async def load(self, room: str) -> Stored | None:
        """The room for its owner, or None if it was never committed. Reflects every acknowledged commit."""

    async def commit(self, commit: Commit) -> Committed:
        """Check the fence and the number, append, store, count and publish in one atomic step.

        Raises `Fenced`, `OutOfOrder` or `Unavailable` (repeat with the same bytes). Calls made within `batch_ms` (5) share a
        round trip; calls for one room are never under way at the same time. Durable against the death of this process at
        once, and against power loss as the store's fsync policy says (`everysec`: a second).
        """

    async def read(self, room: str) -> Stored | None:
        """The room for a node that wants to follow it, without the remembered answers. Consistent: one moment's picture."""

    async def heads(self, rooms: Sequence[str]) -> list[tuple[str, int] | None]:
        """(epoch, seq) of each room's last commit, None for one that was never committed. Not one moment's picture."""

    async def rooms(self, after: str, limit: int) -> list[tuple[str, bytes]]:
        """(room, summary) in order of room id, from the first id above `after` on. Not one moment's picture."""

    async def acts(self, room: str, before: str, limit: int) -> list[tuple[str, bytes]]:
        """(position, `Commit.acts`) of the room's last commits that have some, from before a position (`""`: the newest on),
        latest first. At least the last 2,000 are kept.
        """

    async def close(self) -> None:
        """Let connections go. Calls under way raise `Unavailable`."""


class Roster(Protocol):
    """Who is there, and who owns which shard, where several nodes share the rooms' store. Calls raise `Unavailable`.

    It judges nobody: who is dead and what is whose, each node decides from what it sees (`core.membership`, `core.placement`).
    """

    async def beat(self, node: str, beat: Beat) -> dict[str, Beat]:
        """Show this node's sign of life; the signs of all that are kept, as they are right then."""

    async def signs(self) -> dict[str, Beat]:
        """The signs of all that are kept, without showing one: of nodes that died lately, too."""

    async def forget(self, node: str, beat: Beat) -> None:
        """Keep a node's sign no longer, if it is still this one."""

    async def tokens(self, shards: Collection[int]) -> dict[int, str]:
        """What stands in each shard's fence; "" for nothing. Not one moment's picture."""

    async def swap(self, moves: Mapping[int, tuple[str, str]]) -> set[int]:
        """By shard (former, new): put the new token in its place where the former stands, one atomic step per shard.

        Gives the shards in which the new token stands then, so that a call without an answer can be repeated. From that moment
        every commit under another token is `Fenced`.
        """


class Formats(Protocol):
    """The mark of one store, which says what is in it (`core.nodes.formats`). Calls raise `Unavailable`."""

    async def mark(self) -> Mark | None:
        """What stands there. Raises `WrongFormat` if it is nothing that this version knows as a mark."""

    async def put(self, former: Mark | None, mark: Mark, beside: Collection[str] | None = None) -> bool:
        """Put `mark` in the place of `former`. With `beside` only if nobody but these shows signs of life in this store.

        One atomic step: whoever shows a first sign and then looks at the mark either is seen here or sees the new mark. False:
        something else stood there, or somebody else is there; nothing was written.
        """


class Record(Struct, frozen=True):
    """A commit as the archive reads it. `number` counts the records of its shard, without gaps."""

    position: str
    number: int
    room: str
    broadcast: str
    epoch: str
    commit: int
    """The commit's number."""
    seq: int
    at: int
    frame: bytes | None = None
    snapshot: bytes | None = None
    """Only of the first commit of an epoch."""
    summary: bytes | None = None
    notes: bytes | None = None


class RoomRecords(Protocol):
    """What was committed in the rooms of a shard and is not archived yet, in order.

    A record is written in the same atomic step as its commit. It is kept until it is forgotten; beyond a bound in bytes per
    shard the oldest go, which the numbers of those that are left tell. A store that lost its end, or all, counts anew from
    there; positions grow nevertheless.
    """

    async def read(self, after: Mapping[int, str], limit: int) -> dict[int, list[Record]]:
        """By shard up to `limit` records above a position (`""`: from the oldest on). Raises `Unavailable`."""

    async def forget(self, upto: Mapping[int, str]) -> None:
        """By shard forget records up to a position, it included. Raises `Unavailable`."""


EventsHandler: TypeAlias = Callable[[str, Sequence[Event]], None]
RepliesHandler: TypeAlias = Callable[[Sequence[Reply]], None]
NoticeHandler: TypeAlias = Callable[[str, str, Notice], None]
PublishedHandler: TypeAlias = Callable[[Published], None]


class Subscription(Protocol):
    """A followed room."""

    def close(self) -> None:
        """No more deliveries from now on."""


class Bus(Protocol):
    """Between nodes with viewers and owners of shards. At most once, in order per sender and room, nothing stored.

    Handlers are called on the event loop, must not block and must not raise.
    """

    async def attach(self, node: str, replies: RepliesHandler, notices: NoticeHandler) -> None:
        """Make this process reachable as `node`: replies sent to it, and notices (room or "", user, notice) sent to all."""

    async def serve(self, shard: int, events: EventsHandler) -> None:
        """Hand over what is posted to rooms of `shard`, until `unserve`. One receiver per shard and process."""

    async def unserve(self, shard: int) -> None:
        """Stop receiving for `shard`. When this returns everything was handed over that was on its way here."""

    def here(self, room: str, node: str) -> bool:
        """Whether answers for `node` go by `reply` before what is published in `room`, as both are in this process. Else they go
        with the commit.
        """

    def post(self, room: str, event: Event) -> bool:
        """Send to the room's owner. False if it is known that nobody receives it (answer `unavailable`); True promises nothing
        but an attempt: without a reply in 2 s the outcome is unknown.

        An event that found nobody is offered again for a moment, as the shard may be changing hands; so it can come after a
        later one.
        """

    def reply(self, node: str, replies: Sequence[Reply]) -> None:
        """Send answers back. Replies of one call arrive together and, within this process, before anything published later."""

    async def follow(self, room: str, deliver: PublishedHandler) -> Subscription:
        """Deliver everything published in `room` after this returns. Losses are possible and show as a hole in `seq`; where
        deliveries were interrupted as a whole, `Published.something_missed` is delivered once they flow again.
        """

    def publish(self, published: Published) -> None:
        """Hand a committed frame or epoch to the followers in this process. (Those in others heard from the log's commit.)"""

    def notify(self, room: str, user: str, notice: Notice) -> None:
        """To every node: for all sockets of `user` in `room` (or everywhere, if room is "")."""

    async def close(self) -> None:
        """Stop everything that was started."""


class IdempotencyStore(Protocol):
    """First answers of HTTP POSTs by `Idempotency-Key`, for 24 h."""

    async def begin(self, key: str, digest: bytes, lease_ms: int) -> bytes | None:
        """None: go ahead (the key is now in flight for `lease_ms`). Bytes: the stored answer to give again.

        Raises `InFlight` while another request holds the key, `OtherBody` if it was used with another digest.
        """

    async def finish(self, key: str, digest: bytes, answer: bytes | None) -> None:
        """Store the answer for 24 h, or (None) forget the key so that it can be tried again."""


class InFlight(StoreError):  # noqa: N818 - says what the request is
    """A request with this key is still being worked on."""


class OtherBody(StoreError):  # noqa: N818 - says what is wrong with the request
    """This key was used with another body."""


class Clock(Protocol):
    """Wall time in Unix ms that never steps: the wall at process start plus a monotonic clock."""

    def __call__(self) -> int:
        """Unix ms."""
