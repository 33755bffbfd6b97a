"""The ledger's seam: everything that has value, decided once and told only when it is safe, as promises.

One `Protocol` with a memory and a Redis implementation in `livecast.adapters` and one contract suite (`tests/contract/`).
The structs of what is asked and answered are in `core.money` and `core.units`, the entries in `core.bookkeeping`.

Every operation is decided within one shard: a user's wallet lives in `shard_of(user)`, all else in `shard_of(room)`. A gift
goes through both: `debit_gift` in the giver's, `commit_gift` in the room's, then `clear_pending` in the giver's again. What a
crash leaves between is found by `pending` and brought to its end by `finish`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from livecast import __version__
from livecast.core.books.audit import AWAITED, Audit, HalfWay, Sums
from livecast.core.books.bookkeeping import BookEntry, LaterFact
from livecast.core.books.checkpoint import BadCheckpoint, Checkpoint, replay_of
from livecast.core.books.inventory import Difference, Found
from livecast.core.books.replay import ShardReplay
from livecast.core.errors import Refusal
from livecast.core.money.coins import (
    AMOUNT_MAX,
    Booking,
    Gift,
    GiftRecord,
    Moved,
    Movement,
    Pending,
    PendingKind,
    Rank,
    SpendLimits,
    Takings,
    Wallet,
    refund_of,
)
from livecast.core.money.units import (
    Claim,
    ClaimAnswer,
    Drop,
    DropChange,
    Due,
    Entrant,
    Holding,
    Lapsed,
    NewDrop,
    Order,
    Ordered,
    Step,
    Unit,
    UnitStep,
)
from livecast.core.nodes.placement import SHARDS
from livecast.ports import StoreError, Unavailable


class LedgerClosed(Unavailable):
    """Money is closed here until an operator acts; nothing was done. The message says why and what to do.

    Either the store is not as durable as was asked, or it stands behind a position that was seen before.
    """


class ShardStatus(Struct, frozen=True):
    """Where a shard's ledger stands: its position, why it is closed if it is, and (`Ledger.position` says it) up to where it has
    forgotten entries.
    """

    shard: int
    position: int
    closed: str = ""
    begins: int = 0


class NoCheckpoint(StoreError):  # noqa: N818 - says what is missing
    """The ledger's first entries are forgotten, and what they led to is not at hand: nothing is known about it."""


class LaterEntry(StoreError):  # noqa: N818 - says what it is
    """The next entry is of a kind that only a later version knows. Whoever may leave none out waits here."""


def understood(shard: int, entries: Sequence[BookEntry]) -> Sequence[BookEntry]:
    """Entries up to the first that only a later version understands. Raises `LaterEntry` if that is the next one."""
    for n, entry in enumerate(entries):
        if isinstance(entry.fact, LaterFact):
            if n:
                return entries[:n]
            what = f"entry {entry.position} of shard {shard} is a {entry.fact.kind!r}"
            raise LaterEntry(f"{what}, which livecast {__version__} does not know: a later version wrote it, and can read it")
    return entries


class Span(Struct, frozen=True):
    """How many entries a shard has, and up to which position it has forgotten its first ones (0: none)."""

    shard: int
    entries: int
    begins: int = 0


class UploadedCodes(Struct, frozen=True):
    """Lines of an upload that were taken so far, and those (from 1) that repeat an earlier one."""

    lines: int
    repeated: tuple[int, ...] = ()


GIFTS_MAX: Final = 100
"""Gifts in one call: some 5 ms of the store's time."""
AUDIT_TRIES: Final = 3
"""A shard forgets entries once in some hours at most; an audit that met it begins again."""
ENTRIES_READ_MAX: Final = 1000
"""Entries in one read of an audit: at 500 grants each some 30 MB, at 100 bytes some 100 KB."""

UNREADABLE: Final = (msgspec.MsgspecError, KeyError, ValueError)
"""What reading something raises that is not of ours: cut, overwritten, or from a later version."""

PENDING_LOOKED_AT_MAX: Final = 100_000
"""Half done gifts of one shard that an audit looks through; more would be seconds of a broken sweeper's work."""

MovementAnswer: TypeAlias = Moved | Refusal
DropAnswer: TypeAlias = Drop | Refusal
Bound: TypeAlias = Literal["new", "same", "other"]
"""What an id is bound to: to this content, now for the first time or before, or to another."""


class Ledger(Protocol):
    """Wallets, gifts, drops and their units, and the stream of entries that they follow from.

    Each operation is one atomic, one-way step which also appends its entry to the shard's stream. It is answered only once it
    is as safe as was asked for, at the latest 800 ms after it was asked: later, or if that failed, it raises `Unavailable` and
    may or may not have happened. Then the same operation with the same ids settles it: a repeat never acts twice and gets the
    first answer again. `now` is the caller's clock, Unix ms.

    Reads reflect every answered operation, and nothing that is not safe.
    """

    # --- Wallets ---
    async def move(self, movement: Movement, now: int) -> MovementAnswer:
        """Credit or debit a wallet. Refused: `insufficient_funds`, `conflict`, `invalid` (beyond 53 bits)."""

    async def wallet(self, user: str) -> Wallet:
        """The balance: the sum of all bookings, never below zero."""

    async def bookings(self, user: str, before: int | None, limit: int) -> list[Booking]:
        """A wallet's statement, newest first, from below the number `before` on."""

    async def bind_tx(self, tx: str, body: str, now: int) -> Bound:
        """Bind an id that a service chose to one content, wherever that is carried out then; kept as long as answers are."""

    async def unbind_tx(self, tx: str, body: str, now: int) -> None:
        """Nothing came of it: let the id go, if it is bound to this."""

    # --- Gifts ---
    async def debit_gift(self, gift: Gift, limits: SpendLimits, now: int, objection: str = "") -> MovementAnswer:
        """Take a gift's value from its giver's wallet and note it as pending. Only for gifts paid from the wallet.

        In this order: known id → `objection` (a code the caller has against a new one) → `spend_limit` →
        `insufficient_funds`. The same id with another `body` is a `conflict`.
        """

    async def debit_gifts(
        self, debits: Sequence[tuple[Gift, str]], limits: SpendLimits, now: int
    ) -> list[MovementAnswer | StoreError]:
        """The same for many gifts, each with its objection and each by itself: of one whose outcome is not known the error is the
        answer, and the others have theirs. All are answered together: ask apart for users of different servers (`server_of`).
        """

    def server_of(self, place: str) -> str:
        """A name for the server that has a user's or a room's shard, as far as is known; "" where there is but one. What is asked
        of one server never waits for another.
        """

    async def commit_gift(self, gift: Gift, now: int) -> GiftRecord:
        """Book a gift in its room, once: board, earnings, totals. Never refused: it is paid for."""

    async def commit_gifts(self, shard: int, gifts: Sequence[tuple[Gift, int]]) -> list[GiftRecord]:
        """The same for up to `GIFTS_MAX` gifts in rooms of one shard, each with its time, in their order and in one step."""

    async def clear_pending(self, pending: Pending, now: int) -> None:
        """Note that the other half of a pending gift is done."""

    async def clear_pendings(self, shard: int, pendings: Sequence[Pending], now: int) -> None:
        """The same for up to `GIFTS_MAX` that lie in one shard, in one step."""

    async def reverse_gift(self, room: str, tx: str, reason: str, now: int) -> GiftRecord | Refusal:
        """Take a gift off the board and the earnings, and note its refund as pending. Again: the first reversal.

        Refused: `not_found` (also when it is not yet booked in the room).
        """

    async def find_gift(self, tx: str, room: str | None = None) -> GiftRecord | None:
        """A gift by its id, in the shard of `room`; without one wherever it is: for people, as it asks every shard."""

    async def pending(self, shard: int, before: int, limit: int) -> list[Pending]:
        """What lies in `shard` half done since before `before`, oldest first."""

    async def board(self, room: str, broadcast: str, limit: int) -> list[Rank]:
        """Who gave most, in order; of two with the same value the one who got there first."""

    async def given(self, room: str, broadcast: str, user: str) -> int:
        """What `user` has given in the broadcast."""

    async def takings(self, room: str, broadcast: str | None) -> Takings:
        """What the room earned in a broadcast, or (None) ever."""

    # --- Drops ---
    async def put_drop(self, drop: NewDrop, now: int) -> DropAnswer:
        """Make a drop, in state `draft`. The same id again with the same terms: the drop as it is now; else `conflict`."""

    async def change_drop(self, room: str, drop: str, change: DropChange, now: int) -> DropAnswer:
        """Change what may be changed in its state.

        Refused: `unknown_drop`, `precondition_failed` (`if_changed`), `conflict`, `invalid` (below what is granted).
        """

    async def put_codes(self, room: str, drop: str, upload: str, offset: int, codes: Sequence[str]) -> UploadedCodes | Refusal:
        """Lines `offset` + 1 … of an upload, in order, at most 10,000 a call. They count for nothing until `finish_codes`.

        Refused: `unknown_drop`, `conflict` (not the next lines; a drop without a list or already open). After `Unavailable`
        begin again under another upload id; uploads that are not finished within an hour are forgotten.
        """

    async def finish_codes(self, room: str, drop: str, upload: str, now: int, *, if_changed: int | None = None) -> DropAnswer:
        """Make an upload the drop's list, in place of an earlier one. `conflict` while it repeats lines, or is not there.

        With `if_changed` only that of the drop whose `changed` it is: else `precondition_failed`.
        """

    async def step_drop(self, room: str, drop: str, step: Step, now: int, *, timed: bool = False) -> DropAnswer:
        """Take a drop to another state, as `core.units.STEPS` says; it is there already: no change.

        `timed`: because its time has come. Unless both clocks are there, it is refused with `conflict` and `retry_after_ms`.
        `open` is refused (`conflict`) while a list has fewer codes than the stock, `settle` while units are reserved or
        a pot is not drawn.
        """

    async def secret(self, room: str, drop: str) -> bytes | None:
        """What `NewDrop.secret` said."""

    async def drop(self, room: str, drop: str) -> Drop | None:
        """A drop as it is."""

    async def drops(self, room: str, before: str | None, limit: int) -> list[Drop]:
        """A room's drops, newest first, from below the drop `before` on."""

    # --- Claims ---
    async def claim(self, room: str, drop: str, broadcast: str, claims: Sequence[Claim], now: int) -> list[ClaimAnswer]:
        """Decide up to `CLAIMS_MAX` claims in their order, in one step.

        For each: known cid → state and time → objection, eligibility → limit per user → stock → serial → code → record.
        Refusals leave no entry. `won` and `entered` are remembered as long as the drop, `limit`, `sold_out` and `closed`
        for ten minutes and at most the last 8 per user and drop, nothing else.
        """

    async def occasion(self, room: str, drop: str) -> str:
        """The broadcast in which the drop's first claim was taken; empty before."""

    async def units(self, room: str, drop: str, after: int, limit: int) -> list[Unit]:
        """Units in serial order, from above the serial `after` on."""

    async def unit(self, room: str, drop: str, serial: int) -> Unit | None:
        """One unit."""

    async def units_of(self, room: str, drop: str, user: str) -> list[Unit]:
        """A user's units, whatever became of them, in serial order."""

    async def step_unit(self, room: str, drop: str, serial: int, step: UnitStep, now: int) -> Unit | Refusal:
        """Confirm, release or revoke a unit. A repeat changes nothing. Refused: `not_found`, `unknown_drop`, `conflict`."""

    async def expire_units(self, room: str, drop: str, serials: Sequence[int], now: int) -> list[int]:
        """Give those back to stock that are reserved and whose time is over by both clocks; their serials. At most 500."""

    async def holdings(self, room: str, user: str, limit: int) -> list[Holding]:
        """What a user has of the room's `limit` newest drops."""

    # --- Facts ---
    async def put_facts(self, room: str, user: str, facts: bytes, now: int, was: bytes | None = None) -> bool:
        """Keep what the platform says of a user in place of what it said before; empty: nothing. For `FACTS_KEEP_MS`. With `was`
        only in place of that, in the same step; whether it is done.
        """

    async def facts(self, room: str, users: Sequence[str]) -> list[bytes]:
        """What the platform said of each of them, empty where that is nothing."""

    # --- Pots ---
    async def freeze_pot(self, room: str, drop: str, now: int) -> DropAnswer:
        """Fix the entrants of a closed draw, or of a fair window that is over by both clocks. Again: no change."""

    async def entrants(self, room: str, drop: str, after: int, limit: int) -> list[Entrant]:
        """The pot in order of arrival, from above the number `after` on."""

    async def award(self, room: str, drop: str, offset: int, users: Sequence[str], now: int) -> list[int] | Refusal:
        """Grant units to entrants of a frozen pot in the order of the draw; each one's serial, 0 for none.

        At most 500 a call; `offset` counts those of earlier calls, a repeat answers as the first time. None is left for those
        behind the last unit; an entrant who has their `per_user` by now (through a limit group) is passed over. Refused:
        `unknown_drop`, `conflict` (not frozen, not the next offset, not an entrant).
        """

    async def draw_pot(self, room: str, drop: str, result: bytes, now: int) -> DropAnswer:
        """Publish the outcome. A draw is then settled; a coupon goes on, first come, first served. `tell` is due until `told`."""

    async def told(self, room: str, drop: str, now: int) -> None:
        """The winners of a draw were told so. Harmless to repeat, and for a drop that is not there."""

    # --- Orders ---
    async def order(self, room: str, order: Order, now: int) -> Ordered | Refusal:
        """Take or change an order. Refused: `conflict` (another user, sku or unit), `not_found` (no such unit of the user)."""

    async def orders(self, room: str, after: int, limit: int) -> list[Ordered]:
        """Orders in the order they were first made, from the `after`th on."""

    # --- For the shard's owner ---
    async def due(self, shard: int, until: int, limit: int) -> list[Due]:
        """Steps of drops whose time is at or before `until`, earliest first."""

    async def lapsed(self, shard: int, until: int, limit: int) -> list[Lapsed]:
        """Reservations that ran out at or before `until`."""

    async def position(self, shard: int) -> ShardStatus:
        """Where the shard's ledger stands."""

    async def statuses(self, shards: Sequence[int] = range(SHARDS)) -> list[ShardStatus]:
        """Where these shards stand, in their order: nothing that is not safe, and not one moment's picture."""

    def moved(self) -> set[int]:
        """Shards whose position this process saw rise in answers to its own calls since it last asked for this."""

    async def read(self, shard: int, after: int, limit: int) -> list[BookEntry]:
        """Entries above the position `after`, in order."""

    async def expect(self, shard: int, position: int) -> None:
        """The shard was seen at `position` before: should it turn out to stand lower, its money closes for all."""

    async def used_shards(self) -> list[int]:
        """Shards that have anything, in order."""

    async def spans(self) -> list[Span]:
        """How long all shards are, in their order."""

    async def trim(self, shard: int, upto: int, now: int) -> int:
        """Forget entries up to the position `upto`, it included, for good; how many. What they led to stays as it is."""

    def held(self, replay: ShardReplay) -> AsyncIterator[tuple[int, list[Found]]]:
        """What is kept of the replay's shard, in pages, each as of the position with it: all that `replay` expects, and
        whatever else is there. For audits: it goes over the whole shard. `replay` may go on between pages.
        """

    async def confirm(self, shard: int, now: int) -> ShardStatus:
        """Open a closed shard again as it is: what is missing is lost. Its position goes on above all that were ever seen."""

    async def close(self) -> None:
        """Let connections go. Calls under way raise `Unavailable`."""


class Positions(Protocol):
    """Positions that shards of the ledger were seen at, remembered elsewhere than in the ledger itself."""

    async def seen(self) -> dict[int, int]:
        """Shard -> the highest position that was noted. Raises `StoreError`."""

    async def note(self, positions: Mapping[int, int]) -> None:
        """Remember these, each unless a higher one is remembered. Raises `StoreError`."""


class Checkpoints(Protocol):
    """What entries led to that may be forgotten, kept elsewhere than in the ledger."""

    async def basis(self) -> tuple[dict[int, Checkpoint], list[HalfWay]]:
        """The checkpoints by shard, and which halves of gifts were on their way when they were made; of one moment."""

    def checkpoint_parts(self, checkpoint: Checkpoint) -> AsyncIterator[bytes]:
        """A checkpoint's pieces in their order (`core.checkpoint.replay_of`); of one that was replaced there are fewer, or none."""


async def finish(ledger: Ledger, pending: Pending, now: int) -> None:
    """Bring a pending gift to its end. Harmless to repeat, also side by side. Raises `Unavailable`."""
    if pending.kind == "commit":
        await ledger.commit_gift(pending.gift, now)
    else:
        booked = await ledger.find_gift(pending.gift.tx, pending.gift.room)
        await ledger.move(refund_of(pending.gift, 0 if booked is None else booked.at), now)
    await ledger.clear_pending(pending, now)


async def audit(ledger: Ledger, checkpoints: Checkpoints | None = None) -> Sums:
    """Replay everything and compare it with what is kept, beside whatever goes on. Raises `core.inventory.Difference`.

    Each page of what is kept is compared with the entries up to the very position that it was read at. A shard that has a
    checkpoint is replayed from there on; one that has forgotten entries and has none cannot be audited: `NoCheckpoint`.
    """
    for tries_left in reversed(range(AUDIT_TRIES)):
        begins_before = _begins(await ledger.spans())
        try:
            return await _audit(ledger, checkpoints, begins_before)
        except (Difference, BadCheckpoint) as fault:
            # What was replayed may have been forgotten meanwhile, behind a new checkpoint: then it is no proof of anything.
            if not tries_left or _begins(await ledger.spans()) == begins_before:
                raise fault if isinstance(fault, Difference) else NoCheckpoint(str(fault)) from fault
    raise AssertionError


async def _audit(ledger: Ledger, checkpoints: Checkpoints | None, begins: Mapping[int, int]) -> Sums:
    auditor = Audit()
    bases, halves = ({}, []) if checkpoints is None else await checkpoints.basis()
    auditor.rest_on(halves)
    for shard in await ledger.used_shards():
        replay = auditor.begin(shard, *await _basis(checkpoints, bases.get(shard), begins.get(shard, 0), shard))
        await _follow(ledger, auditor, replay, None)
        followed_to = 0
        async for position, page in ledger.held(replay):
            if position < replay.at:
                raise Difference(f"shard {shard}: the ledger has an entry {replay.at}, the books stand at position {position}")
            if position != followed_to:  # on a shard at rest it is the same for all pages
                await _follow(ledger, auditor, replay, position)
                followed_to = position
            for held in page:
                auditor.check(replay, held)
        auditor.end(replay)
    for each in auditor.half_way():  # on its way while its shards were looked at, or missing
        if each.half in AWAITED and await _is_pending(ledger, each.shard, AWAITED[each.half], each.tx):
            auditor.note_pending(each)
            continue
        at = auditor.read_to.get(each.other_shard, 0)
        while late := await ledger.read(each.other_shard, at, ENTRIES_READ_MAX):
            auditor.follow_late(each.other_shard, late)
            at = auditor.read_to[each.other_shard] = late[-1].position
        if not auditor.has_met(each):
            break  # one is enough to be named
    return auditor.finish()


async def _basis(
    checkpoints: Checkpoints | None, checkpoint: Checkpoint | None, begins: int, shard: int
) -> tuple[()] | tuple[ShardReplay, int]:
    """What a shard's replay begins with, and of when that is; empty: with its first entry."""
    if checkpoint is not None and checkpoints is not None and checkpoint.position >= begins:
        return replay_of(
            shard, checkpoint.position, [part async for part in checkpoints.checkpoint_parts(checkpoint)]
        ), checkpoint.at
    if not begins:
        return ()
    there = "none is at hand" if checkpoint is None else f"the one at hand goes up to {checkpoint.position}"
    raise NoCheckpoint(f"shard {shard} has forgotten its entries up to {begins}: a checkpoint has to stand for them, and {there}")


def _begins(spans: Sequence[Span]) -> dict[int, int]:
    return {span.shard: span.begins for span in spans if span.begins}


async def _follow(ledger: Ledger, auditor: Audit, replay: ShardReplay, upto: int | None) -> None:
    """Replay a shard's entries up to a position, or to its end."""
    while upto is None or replay.at < upto:
        try:
            page = understood(replay.shard, await ledger.read(replay.shard, replay.at, ENTRIES_READ_MAX))
        except UNREADABLE as fault:
            raise Difference(f"shard {replay.shard}: an entry behind {replay.at} cannot be read ({fault!r})") from fault
        auditor.follow(replay, page if upto is None else [entry for entry in page if entry.position <= upto])
        if not page or (upto is not None and page[-1].position >= upto):
            return


async def _is_pending(ledger: Ledger, shard: int, kind: PendingKind, tx: str) -> bool:
    waiting = await ledger.pending(shard, AMOUNT_MAX, PENDING_LOOKED_AT_MAX)
    return any((each.kind, each.gift.tx) == (kind, tx) for each in waiting)
