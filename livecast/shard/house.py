"""What holds beyond one room, as one process knows it: word filters, and mutes and bans of merchants and of the platform.

Rules for whoever edits this file:
- A change is stored, applied here, and rung on the bus, so that every process knows it within a round trip. Whoever missed the
  ring finds out by the revision, within `POLL_S`.
- The books are changed in place: rooms and sockets that look at them see what holds now.
- Word lists are fetched when a room that they concern wakes, and compiled once per process.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from livecast.core.events import Notice, Person
from livecast.core.filter.filters import Filter, FilterLists, layered
from livecast.core.filter.words import Words
from livecast.core.frames import StaffAct
from livecast.core.staff.sanctions import SANCTIONS_MAX, Book, Sanction, Wide
from livecast.core.tools.globs import glob_matches
from livecast.core.tools.tolerance import Reader
from livecast.facts import Observer, Trouble
from livecast.house import HouseRules, Kind, Rule
from livecast.ports import Bus, Clock, StoreError
from livecast.shard.background import Background

POLL_S: Final = 5.0
"""How often the revision is looked at: what a lost ring costs at most."""
ALIAS_KEY_BYTES: Final = 32
KNOWN_MAX: Final = 50_000
"""Scopes of which it is remembered that they have no filter: rooms come and go. Some 10 MB."""
REVISION_CHARS: Final = 16
"""64 bits, to tell states of one filter from each other."""
RING: Final = "house"
PUT_OUT: Final = "put_out"
"""Kinds of notices between houses; they go to no user."""

_lists = Reader(FilterLists)
_sanction = msgspec.msgpack.Decoder(Sanction)
_encode = msgspec.msgpack.Encoder().encode

FORGOTTEN: Final[tuple[Kind, str]] = ("forgotten", "platform")
SENTENCES: Final[tuple[Kind, ...]] = ("mute", "ban")

Listener = Callable[[Rule], None]


class FilterSeen(Struct, frozen=True):
    """A filter as somebody read it: as it is stored and as it was written, None where there is none."""

    stored: bytes | None
    lists: FilterLists | None

    @property
    def revision(self) -> str:
        """What tells it from any other: made of all that it says."""
        return hashlib.sha256(_encode(self.lists or FilterLists())).hexdigest()[:REVISION_CHARS]


class House:
    """The rules of the house. `listeners` hear of every change, after it holds here."""

    def __init__(self, *, id: str, rules: HouseRules, bus: Bus, clock: Clock, observer: Observer) -> None:  # noqa: A002 - its id
        self._id = f"house-{id}"
        self._rules = rules
        self._bus = bus
        self._clock = clock
        self._observer = observer
        self._revision = -1
        self._heard = 0  # changes since the revision that were made or heard of here
        self._books: dict[tuple[Kind, str], Book] = {}
        self._wides: dict[str, Wide] = {}
        self._filters: dict[str, Filter | None] = {}
        self._missing: set[str] = set()
        self.listeners: list[Listener] = []
        self.on_put_out: list[Callable[[str, Sequence[str], str, int | None], None]] = []
        """Told of users who are to leave the rooms of some scopes at once: who, where, why, until when they need not come back."""
        self.alias_key = secrets.token_bytes(ALIAS_KEY_BYTES)
        """What users' aliases are made with: from the start on the same in all processes."""
        self._background = Background(observer, "keeping to the house's rules failed", "house")

    async def start(self) -> None:
        """Know what holds, and hear of changes. Raises `StoreError`."""
        await self._bus.attach(self._id, _no_replies, self._on_notice)
        self.alias_key = await self._rules.secret("aliases", self.alias_key)
        await self._read()
        self._background.keep_up(self._poll)

    def stop(self) -> None:
        """Hear no more."""
        self._background.stop()

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def standing(self, kind: Kind, user: str, *scopes: str) -> tuple[str, Sanction] | None:
        """The longest sanction in force against `user` in any of these scopes, and its scope."""
        now = self._clock()
        found = [(scope, s) for scope in scopes if (s := self._books.get((kind, scope), {}).get(user)) and not s.over(now)]
        return max(found, key=lambda one: one[1].until or 2**62, default=None)

    def sentences(self, kind: Kind, *scopes: str) -> list[tuple[str, str, Sanction]]:
        """(scope, user, sanction) of everything in force in these scopes."""
        now = self._clock()
        return [
            (scope, user, sanction)
            for scope in scopes
            for user, sanction in self._books.get((kind, scope), {}).items()
            if not sanction.over(now)
        ]

    def keeps_out(self, user: str, room: str, merchant: str) -> bool:
        """Whether a ban from beyond the room keeps this user out of it."""
        return self.against("ban", user, room, merchant) is not None

    def against(self, kind: Kind, user: str, room: str, merchant: str) -> Sanction | None:
        """The longest sanction from beyond the room that is in force against this user in it."""
        scopes = [s for (of, s), book in self._books.items() if of == kind and user in book and covers(s, room, merchant)]
        if not scopes:
            return None  # which is so for nearly everybody who comes in
        found = self.standing(kind, user, *scopes)
        return None if found is None else found[1]

    def names(self, user: str) -> bool:
        """Whether there may be anything against this user at all."""
        return any(user in book for book in self._books.values())

    async def rules_for(self, room: str, merchant: str) -> tuple[Words | None, Wide]:
        """What holds in a room: its word filter, and the sanctions from beyond it. A list that cannot be read is tried again."""
        await asyncio.gather(*(self._fetch(scope) for scope in scopes_of(room, merchant) if scope not in self._filters))
        return self.rules_known(room, merchant)

    def knows_filters(self, room: str, merchant: str) -> bool:
        """Whether the room's filters were all read."""
        return all(scope in self._filters for scope in scopes_of(room, merchant))

    def rules_known(self, room: str, merchant: str) -> tuple[Words | None, Wide]:
        """The same of what was read, without waiting."""
        scopes = scopes_of(room, merchant)
        filters = [found for scope in scopes if (found := self._filters.get(scope)) is not None]
        return layered(filters), self._wide(merchant, scopes[:-1])

    async def lists(self, scope: str) -> FilterLists | None:
        """A filter as it was written. Raises `StoreError`."""
        return (await self.filter_seen(scope)).lists

    async def filter_seen(self, scope: str) -> FilterSeen:
        """The same, to be changed only if it is still that. Raises `StoreError`."""
        stored = await self._rules.get(Rule("filter", scope))
        return FilterSeen(stored, None if stored is None else _lists.decode(stored))

    async def acts(self, before: str, limit: int) -> list[tuple[str, StaffAct]]:
        """What staff did beyond single rooms. Raises `StoreError`."""
        return await self._rules.acts(before, limit)

    def forgot(self, user: str) -> bool:
        """Whether this user asked to be forgotten."""
        return bool(self.pseudonym(user))

    def pseudonym(self, user: str) -> str:
        """Under which name somebody who asked to be forgotten is told of; "" of all others."""
        book = self._books.get(FORGOTTEN)
        found = book.get(self._digest(user)) if book else None
        return "" if found is None else found.reason

    def pseudonym_then(self, user: str, at: int) -> str:
        """The same for what happened at that time (Unix ms): what they did after they asked is told of under their name."""
        book = self._books.get(FORGOTTEN)
        found = book.get(self._digest(user)) if book else None
        return "" if found is None or found.at < at else found.reason

    def without_forgotten(self, act: StaffAct) -> StaffAct:
        """A line of a log as it is told: it does not name those who asked to be forgotten."""
        if not self._books.get(FORGOTTEN):
            return act
        args = {name: self._forgetful(value) for name, value in act.args.items()}
        gone = self.pseudonym(act.by)
        return msgspec.structs.replace(act, by=gone or act.by, name="" if gone else act.name, args=args)

    # --- Change -------------------------------------------------------------------------------------------------------
    async def put_lists(
        self, scope: str, lists: FilterLists | None, by: Person, *, seen: FilterSeen | None = None
    ) -> StaffAct | None:
        """A filter from now on (None: none), in every process; how that is logged. With `seen` only if it is still what was seen,
        else None. Raises `StoreError`.
        """
        size = {} if lists is None else {"block": len(lists.block), "mask": len(lists.mask), "hold": len(lists.hold)}
        rules = {} if lists is None else {"links": lists.links, "phones": lists.phones, "pinyin": lists.pinyin}
        act = self._act(by, "filter" if lists is not None else "filter_removed", {"scope": scope, **size, **rules}, "")
        rule = Rule("filter", scope)
        value = None if lists is None or lists == FilterLists() else _encode(lists)
        if seen is None:
            await self._rules.put(rule, value, act)
        elif not await self._rules.replace(rule, seen.stored, value, act):
            return None
        self._heard += 1
        await self._fetch(scope)
        self._told(rule)
        self._ring(rule, None)
        return act

    async def impose(self, kind: Kind, scope: str, user: str, until: int, reason: str, by: Person) -> Sanction:  # noqa: PLR0917 - all that a sentence is
        """Mute or ban a user there until then (Unix ms; 0: until taken back). Raises `StoreError`; `OverflowError` when full."""
        book = self._book(kind, scope)
        if user not in book and len(book) >= SANCTIONS_MAX:
            self._prune(book)
            if len(book) >= SANCTIONS_MAX:
                raise OverflowError(scope)
        sanction = Sanction(self._clock(), until, by.id, reason)
        args = {"scope": scope, "user": user, "until": until or None}
        rule = Rule(kind, scope, user)
        await self._rules.put(rule, _encode(sanction), self._act(by, kind, args, reason))
        book[user] = sanction
        self._heard += 1
        self._told(rule)
        self._ring(rule, sanction)
        return sanction

    async def lift(self, kind: Kind, scope: str, user: str, by: Person) -> Sanction | None:
        """Take it back; None if there was nothing to take back. Raises `StoreError`."""
        found = self.standing(kind, user, scope)
        if found is None:
            return None
        rule = Rule(kind, scope, user)
        await self._rules.put(rule, None, self._act(by, f"un{kind}", {"scope": scope, "user": user}, ""))
        self._book(kind, scope).pop(user, None)
        self._heard += 1
        self._told(rule)
        self._ring(rule, None)
        return found[1]

    async def note(self, action: str, args: Mapping[str, object], reason: str, by: Person) -> None:
        """Log what staff did that leaves no rule. Raises `StoreError`."""
        await self._rules.note(self._act(by, action, args, reason))

    async def forget(self, user: str, pseudonym: str, rooms: int, by: Person) -> str:
        """From now on tell of this user under a pseudonym (`""`: one is made). It. Raises `StoreError`."""
        digest = self._digest(user)
        named = pseudonym or self.pseudonym(user) or f"erased:{digest[:16]}"
        sanction = Sanction(self._clock(), 0, by.id, named)
        rule = Rule("forgotten", "platform", digest)
        await self._rules.put(rule, _encode(sanction), self._act(by, "forget_user", {"user": named, "rooms": rooms}, ""))
        self._book("forgotten", "platform")[digest] = sanction
        self._heard += 1
        self._ring(rule, sanction)
        return named

    async def put_out(self, user: str, scopes: Sequence[str], reason: str, until: int, by: Person) -> None:
        """Close every connection of a user in these scopes, on every node, and until then (0: not at all) keep them out.

        Raises `StoreError` and `OverflowError` as `impose` does.
        """
        now = self._clock()
        self._put_out(user, scopes, reason, until or None)
        data = {"from": self._id, "user": user, "scopes": list(scopes), "reason": reason, "until": until or None}
        self._bus.notify("", "", Notice("", PUT_OUT, now, data))
        if until:
            for scope in scopes:
                await self.impose("ban", scope, user, until, reason, by)
        await self.note("disconnect", {"user": user, "scopes": list(scopes), "until": until or None}, reason, by)

    # --- Private ------------------------------------------------------------------------------------------------------
    def _digest(self, user: str) -> str:
        return hmac.digest(self.alias_key, b"forgotten\0" + user.encode(), "sha256")[:16].hex()

    def _forgetful(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.pseudonym(value) or value
        return [self._forgetful(one) for one in value] if isinstance(value, list | tuple) else value

    def _put_out(self, user: str, scopes: Sequence[str], reason: str, until: int | None) -> None:
        for listener in self.on_put_out:
            listener(user, scopes, reason, until)

    def _act(self, by: Person, action: str, args: Mapping[str, object], reason: str) -> StaffAct:
        return StaffAct(self._clock(), by.id, by.name, by.role, action, dict(args), reason)

    def _book(self, kind: Kind, scope: str) -> Book:
        return self._books.setdefault((kind, scope), {})

    def _wide(self, merchant: str, scopes: Sequence[str]) -> Wide:
        """One for all rooms of a merchant: what is in it is changed in place."""
        if (known := self._wides.get(merchant)) is None:
            books = [self._book(kind, scope) for kind in SENTENCES for scope in scopes]
            known = self._wides[merchant] = Wide(books, self.forgot)
        return known

    def _prune(self, book: Book) -> None:
        now = self._clock()
        for user in [user for user, sanction in book.items() if sanction.over(now)]:
            del book[user]

    def _told(self, rule: Rule) -> None:
        for listener in self.listeners:
            listener(rule)

    def _ring(self, rule: Rule, sanction: Sanction | None) -> None:
        told = None if sanction is None else msgspec.to_builtins(sanction)
        data = {"from": self._id, "kind": rule.kind, "scope": rule.scope, "user": rule.user, "sanction": told}
        self._bus.notify("", "", Notice("", RING, self._clock(), data))

    def _on_notice(self, _room: str, _user: str, notice: Notice) -> None:
        """Another process changed something."""
        if notice.kind not in {RING, PUT_OUT} or notice.data.get("from") == self._id:
            return
        if notice.kind == PUT_OUT:
            self._put_out(notice.data["user"], notice.data["scopes"], notice.data["reason"], notice.data["until"])
            return
        rule = Rule(notice.data["kind"], notice.data["scope"], notice.data["user"])
        self._heard += 1
        if rule.kind == "filter":
            if rule.scope in self._filters:
                self._background.spawn(self._fetch_again(rule))
            else:
                self._told(rule)  # whoever is concerned asks for it
            return
        if notice.data["sanction"] is None:
            self._book(rule.kind, rule.scope).pop(rule.user, None)
        else:
            self._book(rule.kind, rule.scope)[rule.user] = msgspec.convert(notice.data["sanction"], Sanction)
        self._told(rule)

    async def _fetch_again(self, rule: Rule) -> None:
        await self._fetch(rule.scope)
        self._told(rule)

    async def _fetch(self, scope: str) -> None:
        try:
            lists = await self.lists(scope)
        except (StoreError, msgspec.DecodeError) as fault:
            self._missing.add(scope)
            advice = f"its rooms go without it until it is read ({fault})"
            self._observer.observe(Trouble("a word filter could not be read", scope, advice, "error"))
            return
        self._missing.discard(scope)
        if len(self._filters) >= KNOWN_MAX:  # most scopes have none: that is asked for again when it matters
            self._filters = {known: found for known, found in self._filters.items() if found is not None}
        # Some thousand words take a few ms to compile; the loop is not to stand still for fifty thousand.
        self._filters[scope] = None if lists is None else await asyncio.get_running_loop().run_in_executor(None, Filter, lists)

    async def _read(self) -> None:
        """All sanctions anew, in the books that there are."""
        revision, stored = await self._rules.sanctions()
        now = self._clock()
        fresh: dict[tuple[Kind, str], Book] = {}
        for rule, value in stored.items():
            sanction = _sanction.decode(value)
            if not sanction.over(now):
                fresh.setdefault((rule.kind, rule.scope), {})[rule.user] = sanction
        for place in {*self._books, *fresh}:
            book, known = self._book(*place), fresh.get(place, {})
            changed = [user for user in {*book, *known} if book.get(user) != known.get(user)]
            book.clear()
            book.update(known)
            for user in changed:
                self._told(Rule(place[0], place[1], user))
        self._revision, self._heard = revision, 0

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                # A store that lost everything is told again what those who still know it go by.
                self.alias_key = await self._rules.secret("aliases", self.alias_key)
                if await self._rules.revision() != self._revision + self._heard:
                    await self._read()
                    await self._read_filters()
                for scope in tuple(self._missing):
                    await self._fetch_again(Rule("filter", scope))
            except StoreError as fault:
                advice = f"what was known holds; asking again ({fault})"
                self._observer.observe(Trouble("the house's rules were not read", "house", advice))

    async def _read_filters(self) -> None:
        """Lists may have changed unheard."""
        for scope in tuple(self._filters):
            await self._fetch_again(Rule("filter", scope))


def scopes_of(room: str, merchant: str) -> list[str]:
    """The scopes that a room is in, the widest first."""
    return ["platform", *([f"merchant:{merchant}"] if merchant else []), f"room:{room}"]


def covers(scope: str, room: str, merchant: str) -> bool:
    """Whether a scope includes a room. `rooms:GLOB` is what a key or token reaches."""
    kind, _, name = scope.partition(":")
    return (
        scope == "platform"
        or (kind == "merchant" and bool(name) and name == merchant)
        or (kind == "room" and name == room)
        or (kind == "rooms" and glob_matches(name, room))
    )


def _no_replies(_replies: object) -> None:
    """Nobody is asked anything from here."""
