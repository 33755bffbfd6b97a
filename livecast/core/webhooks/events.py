"""From facts to events: what an entry of a ledger, or the life of a room, is told as.

Whoever adds a type: give it a line in `webhooks.EventType`, and an `id` that follows from where the event came from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from livecast.core.books.bookkeeping import BookEntry, DropChanged, GiftCommitted, GiftReversed, Grant, UnitsChanged, UnitsGranted
from livecast.core.frames import Happened
from livecast.core.money.codes import code_of
from livecast.core.money.coins import Gift, service_of
from livecast.core.money.drops import view_of
from livecast.core.money.units import Drop, UnitState
from livecast.core.webhooks.deliveries import BATCH_MAX, Draft, WebhookEvent

_STEPS: Final = {
    "announce": "drop.announced",
    "open": "drop.opened",
    "close": "drop.closed",
    "settle": "drop.settled",
    "cancel": "drop.cancelled",
}
_BECAME: Final[dict[UnitState, str]] = {
    "confirmed": "claim.confirmed",
    "released": "claim.released",
    "expired": "claim.expired",
    "revoked": "claim.revoked",
}


TOLD: Final = frozenset({GiftCommitted, GiftReversed, DropChanged, UnitsGranted, UnitsChanged})
"""Entries of which anything may be told."""
EARLIER: Final = "?"
"""Some broadcast before the one that is on."""


class RoomAbout(Struct, frozen=True):
    """What an event says of its room."""

    merchant: str = ""
    broadcast: str = ""
    test: bool = False
    """It is a rehearsal."""
    started_at: int = 0
    """When its broadcast began."""


class DropAbout(Struct, frozen=True):
    """What an event says of a drop. `code_key`: what its generated codes are made with, empty if it has none."""

    test: bool
    title: str
    sku: str
    code_key: bytes = b""
    broadcast: str = ""
    """That of its first claim. What is bought or given up later, while a rehearsal is on, is no rehearsal."""


class Place(Struct, frozen=True):
    """Where an entry is told: its shard, and its room as it is now."""

    shard: int
    room: str
    about: RoomAbout


def asks_about(entry: BookEntry) -> str | None:
    """The drop that has to be known to tell of this entry; None: no drop."""
    fact = entry.fact
    return fact.drop if isinstance(fact, UnitsGranted | UnitsChanged) else None


def is_told(entry: BookEntry) -> bool:
    """Whether anything may be told of this entry."""
    return type(entry.fact) in TOLD


def portion_of(entries: Sequence[BookEntry], most: int) -> int:
    """How many entries from the first on are told in some `most` events; at least one."""
    events = 0
    for n, entry in enumerate(entries):
        fact = entry.fact
        claims = len(fact.grants) if isinstance(fact, UnitsGranted) else len(fact.units) if isinstance(fact, UnitsChanged) else 0
        events += 1 + claims // BATCH_MAX
        if events > most and n:
            return n
    return len(entries)


def drafts_of(place: Place, entries: Sequence[BookEntry], drop: DropAbout | None) -> list[Draft]:
    """What is told of entries that lie next to each other in one room: one entry, or grants of one drop."""
    first = entries[0]
    match first.fact:
        case GiftCommitted(gift=gift, total=total):
            return [Draft(_event(place, first, "gift.sent", {**_gift(gift), "at": first.at, "total": total}, gift=gift))]
        case GiftReversed(gift=gift, reason=reason, total=total):
            data = {**_gift(gift), "at": first.at, "reason": reason, "total": total}
            return [Draft(_event(place, first, "gift.reversed", data, gift=gift))]
        case DropChanged(step=step, drop=changed):
            return _of_drop(place, first, step, changed)
        case UnitsGranted():
            return _granted(place, entries, drop or DropAbout(test=False, title="", sku=""))
        case UnitsChanged():
            return _changed(place, first, first.fact, drop or DropAbout(test=False, title="", sku=""))
        case _:
            return []


def joins(a: BookEntry, b: BookEntry) -> bool:
    """Whether two entries of a room, the one behind the other, are told as one: grants of the same drop."""
    return (
        isinstance(a.fact, UnitsGranted)
        and isinstance(b.fact, UnitsGranted)
        and (a.fact.drop, a.fact.expires_at is None) == (b.fact.drop, b.fact.expires_at is None)
    )


# --- Drops ------------------------------------------------------------------------------------------------------------
def _of_drop(place: Place, entry: BookEntry, step: str, drop: Drop) -> list[Draft]:
    type_ = _STEPS.get(step)
    if type_ is None and drop.state == "settled":
        type_ = "drop.settled"  # a draw is settled by being drawn
    if type_ is None and drop.state == "sold_out" and drop.sold_out_times == 1:
        type_ = "drop.sold_out"  # its stock was taken down to what is granted
    if type_ is None:
        return []
    counts = {"granted": drop.granted, "returned": drop.returned, "reserved": drop.reserved, "entrants": drop.entrants}
    shown = {name: value for name, value in (view_of(drop) or {}).items() if name != "id"}
    data = {"drop": drop.id, **shown, **counts}
    # What opened before this broadcast is of an earlier one, whatever becomes of it now.
    earlier = drop.opened_at is not None and drop.opened_at < place.about.started_at
    return [_once(drop.id, _event(place, entry, type_, data, test=drop.terms.test, of=EARLIER if earlier else ""))]


def _once(drop: str, event: WebhookEvent) -> Draft:
    return Draft(event, once=f"{event.room}/{drop}/{event.type}")


# --- Claims -----------------------------------------------------------------------------------------------------------
def _granted(place: Place, entries: Sequence[BookEntry], drop: DropAbout) -> list[Draft]:
    lines: list[tuple[BookEntry, dict[str, Any]]] = []
    sold_out: list[Draft] = []
    for entry in entries:
        fact = entry.fact
        if not isinstance(fact, UnitsGranted):
            raise TypeError(f"{type(fact).__name__} among grants")
        state = "granted" if fact.expires_at is None else "reserved"
        more = {"state": state, "of": fact.of, "at": entry.at}
        if fact.expires_at is not None:
            more["expires_at"] = fact.expires_at
        lines += [(entry, _unit(grant, drop) | more) for grant in fact.grants]
        if fact.left == 0 and fact.state == "sold_out" and fact.sold_out_times == 1:
            data = {**_drop(fact.drop, drop), "stock": fact.of, "left": 0}
            event = _event(place, entry, "drop.sold_out", _present(data), test=drop.test, part="sold", of=drop.broadcast)
            sold_out.append(_once(fact.drop, event))
    drafts = []
    for at in range(0, len(lines), BATCH_MAX):
        batch = lines[at : at + BATCH_MAX]
        first, last = batch[0][0], batch[-1][0].fact
        if not isinstance(last, UnitsGranted):
            raise TypeError(f"{type(last).__name__} among grants")
        data = {**_drop(last.drop, drop), "claims": [line for _, line in batch], "left": last.left}
        part = str(at) if at else ""
        drafts.append(Draft(_event(place, first, "claim.granted", _present(data), test=drop.test, part=part, of=drop.broadcast)))
    return drafts + sold_out


def _changed(place: Place, entry: BookEntry, fact: UnitsChanged, drop: DropAbout) -> list[Draft]:
    type_ = _BECAME.get(fact.became)
    if type_ is None:
        return []
    drafts = []
    words = {name: getattr(fact, name) or None for name in ("order_id", "currency", "reason")}
    for at in range(0, len(fact.units), BATCH_MAX):
        claims = [{**_unit(unit, drop), "state": fact.became, "at": entry.at} for unit in fact.units[at : at + BATCH_MAX]]
        data = {**_drop(fact.drop, drop), "claims": claims, "left": fact.left, "returned": fact.returned}
        data |= {**words, "amount": fact.amount}
        part = str(at) if at else ""
        drafts.append(Draft(_event(place, entry, type_, _present(data), test=drop.test, part=part, of=drop.broadcast)))
    return drafts


def _drop(id_: str, drop: DropAbout) -> dict[str, Any]:
    return {"drop": id_, "title": drop.title, "sku": drop.sku or None}


def _unit(grant: Grant, drop: DropAbout) -> dict[str, Any]:
    code = grant.code or (code_of(drop.code_key, grant.serial) if drop.code_key else "")
    line: dict[str, Any] = {"serial": grant.serial, "user": grant.user, "cid": grant.cid}
    if code:
        line["code"] = code
    return line


# --- Gifts ------------------------------------------------------------------------------------------------------------
def _gift(gift: Gift) -> dict[str, Any]:
    key, tx = service_of(gift.tx)  # a service knows its own as it chose it
    said = {"tx": tx, "user": gift.user, "gift": gift.gift, "n": gift.n, "value": gift.value, "to": gift.to, "paid": gift.paid}
    return {**said, "key": key} if key else said


# --- Rooms ------------------------------------------------------------------------------------------------------------
def drafts_of_room(summary: dict[str, Any], before: dict[str, Any] | None, at: int) -> list[Draft]:
    """What is told of a room that now says `summary` of itself, and said `before` (None: not known).

    Each is told once, however often it is seen: a room that is looked at again, say after a restart, tells only what is missing.
    """
    broadcast, status = summary["broadcast"], summary["status"]
    drafts: list[Draft] = []
    if before and before["broadcast"] not in {"", broadcast} and before["status"] != "ended":
        drafts.append(_of_room(before, "room.ended", at))  # its end was not heard of: the next broadcast is on
    if broadcast and status in {"live", "paused", "ended"}:
        drafts.append(_of_room(summary, "room.started", summary.get("started_at", at)))
    if broadcast and status == "ended":
        drafts.append(_of_room(summary, "room.ended", at))
    return drafts


def _of_room(summary: dict[str, Any], type_: str, at: int) -> Draft:
    room, broadcast = summary["room"], summary["broadcast"]
    data = {"title": summary["title"], "started_at": summary.get("started_at")}
    if type_ == "room.ended":
        data["ended_at"] = at
    word = type_.partition(".")[2]
    id_, test = f"evt_{room}_{broadcast}_{word}", bool(summary.get("test"))
    event = WebhookEvent(id_, type_, at, room, broadcast, summary["merchant"], test, _present(data))
    return Draft(event, once=f"{room}/{broadcast}/{type_}")


def draft_of_happening(room: str, about: RoomAbout, happened: Happened) -> Draft:
    """What is told of a comment or a user of a room, once. Its id follows from where it came from, and names nobody."""
    id_ = f"evt_{room}_{hashlib.sha256(happened.id.encode()).hexdigest()[:20]}"
    event = WebhookEvent(id_, happened.type, happened.at, room, about.broadcast, about.merchant, about.test, happened.data)
    return Draft(event, once=f"{room}/{happened.type}/{happened.id}")


# --- All of them ------------------------------------------------------------------------------------------------------
def _event(
    place: Place,
    entry: BookEntry,
    type_: str,
    data: dict[str, Any],
    *,
    test: bool = False,
    part: str = "",
    of: str = "",
    gift: Gift | None = None,
) -> WebhookEvent:
    """`of`: the broadcast that it belongs to, where it may be told in a later one; empty: the one that is on."""
    id_ = f"evt_{place.shard}_{entry.position}" + (f"_{part}" if part else "")
    broadcast = gift.broadcast if gift is not None else place.about.broadcast
    rehearsed = place.about.test and (of or broadcast) == place.about.broadcast
    return WebhookEvent(id_, type_, entry.at, place.room, broadcast, place.about.merchant, test or rehearsed, data)


def _present(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}


def groups(entries: Iterable[BookEntry], room_of: Any) -> list[tuple[str, list[BookEntry]]]:
    """Entries by room, in the ledger's order for each room, those that are told as one together."""
    out: list[tuple[str, list[BookEntry]]] = []
    last: dict[str, list[BookEntry]] = {}
    for entry in entries:
        room = room_of(entry.fact)
        group = last.get(room)
        if group is not None and joins(group[-1], entry):
            group.append(entry)
        else:
            last[room] = group = [entry]
            out.append((room, group))
    return out
