"""Drops in memory: how they are kept and how they change. This part of `ledger.Ledger`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import msgspec

from livecast.adapters.bounds import CODES_PER_CALL_MAX, UPLOAD_KEEP_MS, UPLOAD_REPEATED_SHOWN_MAX
from livecast.adapters.memory.books import Books, ForATime, ShardBooks
from livecast.core.books.bookkeeping import DropChanged
from livecast.core.errors import Refusal
from livecast.core.money.coins import TX_KEEP_MS
from livecast.core.money.units import (
    BEFORE_OPENING,
    SELLING,
    STEPS,
    STOCK_MAX,
    Drop,
    DropChange,
    Due,
    Entered,
    Entrant,
    NewDrop,
    NotWonVerdict,
    Step,
    Terms,
    Unit,
    Won,
    due_of,
    left_of,
)
from livecast.core.nodes.placement import shard_of
from livecast.ledger import DropAnswer, UploadedCodes


class KeptDrop:
    """One drop with its units and its pot."""

    def __init__(self, new: NewDrop, now: int, taken: dict[str, int]) -> None:
        self.made = new
        self.secret = new.secret
        self.picture = Drop(new.room, new.id, new.terms, new.about, "draft", new.terms.stock, 0, 0, 0, now, 0)
        self.units: list[Unit] = []
        self.came_back: set[int] = set()
        """Serials of units that are back in stock."""
        self.answers: dict[tuple[str, str], Won | Entered] = {}
        self.taken = taken
        """Units that count against `per_user`, by user; shared by the drops of a limit group."""
        self.refused: dict[str, list[tuple[str, NotWonVerdict, int]]] = {}
        """Per user the last refusals: (cid, verdict, remembered until)."""
        self.entrants: list[Entrant] = []
        self.entry_of: dict[str, Entrant] = {}
        self.occasion = ""
        """The broadcast of the first claim that was taken."""
        self.awards: list[int] = []
        self.untold_since: int | None = None
        """Its winners are to be told."""
        self.codes: Sequence[str] = ()
        self.upload = ""

    def change(self, **fields: object) -> None:
        """Replace fields of the picture; what is left, and whether it is sold out, follow from them."""
        drop = msgspec.structs.replace(self.picture, **fields)
        left = left_of(drop.terms, drop.granted, drop.returned, drop.codes_held)
        state, times = drop.state, drop.sold_out_times
        if state in SELLING:
            state = "open" if left else "sold_out"
            times += state == "sold_out" and drop.state == "open"
        self.picture = msgspec.structs.replace(drop, left=left, state=state, sold_out_times=times)

    def enter(self, shard: ShardBooks, step: str, now: int) -> Drop:
        """Tell the ledger what the drop is now."""
        self.picture = msgspec.structs.replace(self.picture, changed=shard.next_position())
        shard.append(now, DropChanged(step, self.picture))
        return self.picture

    def note(self, shard: ShardBooks) -> None:
        """The drop changed with the last entry."""
        self.picture = msgspec.structs.replace(self.picture, changed=shard.position)


class _Upload:
    __slots__ = ("lines", "repeated")

    def __init__(self) -> None:
        self.lines: dict[str, None] = {}
        self.repeated: list[int] = []

    @property
    def count(self) -> int:
        return len(self.lines) + len(self.repeated)


class MemoryDrops:
    """Making and changing drops. Nothing here awaits, so each call is atomic on the event loop."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._drops: dict[str, dict[str, KeptDrop]] = defaultdict(dict)
        self._groups: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        self._changes: ForATime[DropChange] = ForATime(books.clock, TX_KEEP_MS)
        self._uploads: ForATime[_Upload] = ForATime(books.clock, UPLOAD_KEEP_MS)

    async def put_drop(self, drop: NewDrop, now: int) -> DropAnswer:
        """Make a drop."""
        shard = self._books.call(drop.room)
        if (kept := self._drops[drop.room].get(drop.id)) is not None:
            same = (kept.made.terms, kept.made.about) == (drop.terms, drop.about)
            return kept.picture if same else Refusal("conflict")
        kept = self._drops[drop.room][drop.id] = KeptDrop(drop, now, self._counted(drop.room, drop.terms))
        kept.change()
        return kept.enter(shard, "create", now)

    async def change_drop(self, room: str, drop: str, change: DropChange, now: int) -> DropAnswer:
        """Change what may be changed in its state."""
        shard = self._books.call(room)
        if (kept := self._drops[room].get(drop)) is None:
            return Refusal("unknown_drop")
        if (first := self._changes.get(room, drop, change.tx)) is not None:
            return kept.picture if first == change else Refusal("conflict")
        was = kept.picture
        early, whole = was.state in BEFORE_OPENING, change.terms is not None or change.about is not None
        if change.if_changed not in {None, was.changed}:
            return Refusal("precondition_failed")
        if (whole and not early) or (not early and was.state not in {"open", "sold_out", "paused"}):
            return Refusal("conflict")
        return self._changed(shard, kept, change, now, early=early)

    def _changed(self, shard: ShardBooks, kept: KeptDrop, change: DropChange, now: int, *, early: bool) -> DropAnswer:
        was, room = kept.picture, kept.picture.room
        terms = was.terms if change.terms is None else change.terms
        closes_at = terms.closes_at if change.closes_at is None else change.closes_at or None
        terms = msgspec.structs.replace(terms, stock=terms.stock + change.stock_delta, closes_at=closes_at)
        if not max(1, was.granted - was.returned) <= terms.stock <= STOCK_MAX:
            return Refusal("invalid", field="stock_delta")
        if not early and _short_of_codes(terms, was.codes_held):
            return Refusal("conflict", "There are fewer codes than that.")
        kept.change(terms=terms, about=was.about if change.about is None else change.about)
        kept.taken = self._counted(room, terms) if early else kept.taken
        self._changes.put(change, room, was.id, change.tx)
        return kept.enter(shard, "change", now)

    async def put_codes(self, room: str, drop: str, upload: str, offset: int, codes: Sequence[str]) -> UploadedCodes | Refusal:
        """Lines of an upload."""
        self._books.call(room)
        if (kept := self._drops[room].get(drop)) is None:
            return Refusal("unknown_drop")
        lines = self._uploads.get(room, drop, upload) or _Upload()
        fits = kept.picture.terms.codes == "list" and kept.picture.state in BEFORE_OPENING and len(codes) <= CODES_PER_CALL_MAX
        if not fits or offset != lines.count:
            return Refusal("conflict")
        self._uploads.put(lines, room, drop, upload)
        for number, code in enumerate(codes, offset + 1):
            if code in lines.lines:
                lines.repeated.append(number)
            else:
                lines.lines[code] = None
        return UploadedCodes(lines.count, tuple(lines.repeated[:UPLOAD_REPEATED_SHOWN_MAX]))

    async def finish_codes(self, room: str, drop: str, upload: str, now: int, *, if_changed: int | None = None) -> DropAnswer:
        """Make an upload the drop's list."""
        shard = self._books.call(room)
        if (kept := self._drops[room].get(drop)) is None:
            return Refusal("unknown_drop")
        if kept.upload == upload:
            return kept.picture
        if if_changed not in {None, kept.picture.changed}:
            return Refusal("precondition_failed")
        lines = self._uploads.get(room, drop, upload)
        if lines is None or lines.repeated or kept.picture.state not in BEFORE_OPENING or kept.picture.terms.codes != "list":
            return Refusal("conflict")
        kept.codes, kept.upload = list(lines.lines), upload
        self._uploads.forget(room, drop, upload)
        kept.change(codes_held=len(kept.codes))
        return kept.enter(shard, "codes", now)

    async def step_drop(self, room: str, drop: str, step: Step, now: int, *, timed: bool = False) -> DropAnswer:
        """Take a drop to another state."""
        shard = self._books.call(room)
        if (kept := self._drops[room].get(drop)) is None:
            return Refusal("unknown_drop")
        was = kept.picture
        sources, target = STEPS[step]
        if was.state == target or (target == "open" and was.state == "sold_out"):
            return was
        if was.state not in sources:
            return Refusal("conflict", f"A drop that is {was.state} cannot {step}.")
        if timed and (too_early := self._wait(was.terms, step, now)) is not None:
            return too_early
        if (reason := _hindrance(was, step)) is not None:
            return Refusal("conflict", reason)
        kept.change(state=target, **_effects(was, step, now))
        return kept.enter(shard, step, now)

    async def secret(self, room: str, drop: str) -> bytes | None:
        """What was given to be kept secret."""
        kept = self._drops[room].get(drop)
        return None if kept is None else kept.secret

    async def drop(self, room: str, drop: str) -> Drop | None:
        """A drop as it is."""
        kept = self._drops[room].get(drop)
        return None if kept is None else kept.picture

    async def drops(self, room: str, before: str | None, limit: int) -> list[Drop]:
        """A room's drops, newest first."""
        ids = list(self._drops[room])
        end = len(ids) if before is None else ids.index(before) if before in ids else 0
        return [self._drops[room][each].picture for each in ids[max(0, end - limit) : end][::-1]]

    async def due(self, shard: int, until: int, limit: int) -> list[Due]:
        """Steps of drops whose time has come."""
        rooms = [drops for room, drops in self._drops.items() if shard_of(room) == shard]
        found = [due for drops in rooms for kept in drops.values() for due in _due_of(kept) if due.at <= until]
        return sorted(found, key=lambda due: (due.at, due.what, f"{due.room}/{due.drop}"))[:limit]

    def _counted(self, room: str, terms: Terms) -> dict[str, int]:
        return self._groups[room, terms.limit_group] if terms.limit_group else {}

    def _wait(self, terms: Terms, step: Step, now: int) -> Refusal | None:
        """Why a step is not due yet, if it is not."""
        at = {"announce": terms.announce_at, "open": terms.opens_at, "close": terms.closes_at}.get(step)
        if at is None:
            return Refusal("conflict", "No time is set for that.")
        wait_ms = at - self._books.agreed(now)
        return Refusal("conflict", "Its time has not come.", retry_after_ms=wait_ms) if wait_ms > 0 else None


def _due_of(kept: KeptDrop) -> list[Due]:
    drop = kept.picture
    untold = [] if kept.untold_since is None else [Due("tell", drop.room, drop.id, kept.untold_since)]
    return [*due_of(drop), *untold]


def _hindrance(drop: Drop, step: Step) -> str | None:
    if step == "open" and _short_of_codes(drop.terms, drop.codes_held):
        return "There are fewer codes than stock."
    if step == "settle" and drop.reserved:
        return "Units are still reserved."
    if step == "settle" and drop.pot in {"open", "frozen"}:
        return "Its pot is not drawn."
    return None


def _short_of_codes(terms: Terms, codes_held: int) -> bool:
    return terms.codes == "list" and not terms.test and codes_held < terms.stock


def _effects(drop: Drop, step: Step, now: int) -> dict[str, object]:
    if step == "open":
        pot: Literal["", "open"] = "open" if drop.terms.kind == "draw" or drop.terms.fair_window_ms else ""
        return {"opened_at": now, "pot": pot}
    if step in {"close", "cancel"}:
        return {"closed_at": drop.closed_at if drop.closed_at is not None else now}
    return {}
