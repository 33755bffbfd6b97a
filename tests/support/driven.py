"""A room driven as its owner drives it, without a loop: time is an argument, commits always succeed.

After every flush it checks what must always hold: numbers without gaps, a view that says the same as the room, a tally
that adds up, likes that sum, answers that name what is on the screen.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec

from livecast.core.commands import COMMANDS, Ensure
from livecast.core.errors import Refusal
from livecast.core.events import (
    Answer,
    Ask,
    Command,
    Done,
    DropChanged,
    Event,
    GiftReversed,
    GiftShown,
    Liked,
    Notice,
    Origin,
    Person,
    Presence,
    Said,
)
from livecast.core.frames import Combo, Comment, Flush, Frame
from livecast.core.recovery import recover
from livecast.core.room import Room
from livecast.core.rules import RoomRules
from livecast.core.view import RoomView

SERVICE = Person("shop", "Shop", role="service")
HERE = Origin("node", 1)


def person(user: str, **more: Any) -> Person:
    """A viewer named after their id."""
    return Person(user, user.title(), **more)


def said(user: str | Person, text: str, cid: str | None = None, **more: Any) -> Said:
    """A comment; without a cid, one whose cid is the text."""
    return Said(HERE, user if isinstance(user, Person) else person(user), text if cid is None else cid, text, **more)


def liked(user: str | Person, n: int, cid: str | None = None) -> Liked:
    """Taps."""
    return Liked(HERE, user if isinstance(user, Person) else person(user), n, cid)


def told(name: str, /, by: Person = SERVICE, if_rev: int | None = None, **args: Any) -> Command:
    """A command of the control plane, by name."""
    return Command(HERE, by, name, msgspec.convert(args, COMMANDS[name]), cid=name, if_rev=if_rev)


def watching(node: str, connections: int, *joined: str, ttl_ms: int = 15_000) -> Presence:
    """A node's report, every connection another user."""
    return Presence(node, connections, connections, tuple(person(j) for j in joined), ttl_ms)


def gave(position: int, user: str | Person, gift: str = "rose", n: int = 1, value: int | None = None, **more: Any) -> GiftShown:
    """A gift from the ledger, worth a coin each, in the broadcast that `Driven` begins with."""
    who = user if isinstance(user, Person) else person(user)
    broadcast: str = more.pop("broadcast", "b1")
    return GiftShown(position, f"tx{position}", who, broadcast, gift, n, n if value is None else value, **more)


def taken_back(position: int, gift: GiftShown, total: int = 0) -> GiftReversed:
    """The reversal of a gift."""
    return GiftReversed(position, gift.tx, gift.person.id, gift.broadcast, gift.gift, gift.n, gift.value, gift.to, total)


def offered(position: int, drop: str, state: str = "open", left: int = 5, ended_at: int | None = None, **more: Any) -> DropChanged:
    """A drop from the ledger, as viewers shall see it."""
    view = {"id": drop, "title": drop, "kind": "coupon", "state": state, "stock": 5, "left": left, "per_user": 1, "eligibility": {}}
    return DropChanged(position, drop, view | more, ended_at)


class Driven:
    """A live room (or with `live=False` one that was never heard of) and all it has said."""

    def __init__(self, *, at: int = 0, live: bool = True, room: Room | None = None, **rules: Any) -> None:
        self.rules = msgspec.convert(rules, RoomRules)
        self.now = at
        self._epochs = (f"epoch{n:03}" for n in count(2))
        self.restored = room is not None
        self.room = room or Room.create("room", "epoch001", self.rules, at)
        self.flushes: list[Flush] = []
        self.answers: list[tuple[str | None, Answer]] = []
        self.notices: list[tuple[str, Notice]] = []
        self.view = RoomView(self.rules)
        self.log: list[Flush] = []
        """Flushes since `stored` was taken."""
        self.stored = self.room.snapshot()
        self.view.reset(self.stored)
        self.likes = self.view.state["likes"]
        if live and room is None:
            self.feed(at, Command(HERE, SERVICE, "ensure", Ensure()))

    # --- Drive --------------------------------------------------------------------------------------------------------
    def feed(self, at: int, *events: Event) -> list[Answer | None]:
        """Let time pass until `at`, hand in the events, and flush if that is due at once; what was answered at once."""
        self.run(at)
        self.now = at
        answers = [self.room.receive(event, at) for event in events]
        for event, answer in zip(events, answers, strict=True):
            if answer is not None:
                self.answers.append((getattr(event, "cid", None), answer))
        self.run(at)
        return answers

    def run(self, until: int) -> None:
        """Let time pass: flush whenever the room wants to."""
        for _ in range(100_000):
            due = self.room.next_flush_at()
            if due is None or due > until:
                self.now = max(self.now, until)
                return
            self.now = max(due, self.now)
            self._flush()
        raise AssertionError("the room wants to flush for ever")

    def _flush(self) -> None:
        flush = self.room.flush(self.now)
        if flush is None:
            return
        first = not self.flushes and not self.restored
        self.flushes.append(flush)
        self.log.append(flush)
        self.answers += [(cid, answer) for _, cid, answer in flush.replies]
        self.notices += flush.notices
        if first:  # a room's first commit carries its snapshot, and nobody followed before
            self.stored = self.room.snapshot()
            self.view.reset(self.stored)
            self.log.clear()
            self.likes = self.view.state["likes"]
        elif flush.frame is not None:
            self._follow(flush.frame)
        if flush.renew:
            self.stored = self.room.begin_epoch(next(self._epochs), self.now)
            self.view.reset(self.stored)
            self.log.clear()
            self.likes = self.view.state["likes"]

    def _follow(self, frame: Frame) -> None:
        assert self.view.apply(frame, frame, len(msgspec.msgpack.encode(frame))), f"{frame} does not follow on {self.view.seq}"
        assert self.view.state == self.room.state
        assert self.view.recent == self.room.recent
        assert self.view.policy == self.room.snapshot().policy
        assert self.view.seq == self.room.seq
        if frame.likes is not None:
            self.likes += frame.likes.delta
            assert frame.likes.total == self.likes == self.room.state["likes"]

    def restart(self, at: int) -> Driven:
        """What a new owner makes of what was stored: the last snapshot and every commit after it, as bytes."""
        encode = msgspec.msgpack.encode
        snapshot = msgspec.msgpack.decode(encode(self.stored), type=type(self.stored))
        entries = [
            (
                None if f.frame is None else msgspec.msgpack.decode(encode(f.frame), type=Frame),
                msgspec.msgpack.decode(encode(f.private)) if f.private else None,
            )
            for f in self.log
        ]
        remembered = [r for f in self.flushes for r in f.remembered]
        again = recover(snapshot, entries, self.rules)
        room = Room.restore("room", "restarted", self.rules, again, remembered, at)
        room.begin_epoch("restarted", at)
        return Driven(at=at, room=room, **msgspec.to_builtins(self.rules))

    # --- Read ---------------------------------------------------------------------------------------------------------
    @property
    def frames(self) -> list[Frame]:
        """Every frame so far."""
        return [f.frame for f in self.flushes if f.frame is not None]

    @property
    def comments(self) -> list[Comment]:
        """Every comment shown so far, in order."""
        return [c for f in self.frames for c in f.comments]

    @property
    def combos(self) -> list[Combo]:
        """Every line about gifts so far, in order."""
        return [c for f in self.frames for c in f.gifts]

    def facts(self, user: str, at: int) -> dict[str, Any]:
        """What the room knows of a user at this time."""
        answer = self.room.receive(Ask(HERE, SERVICE, "facts", {"users": [user]}), at)
        assert isinstance(answer, Done)
        assert answer.value["at"] == at
        facts: dict[str, Any] = answer.value["users"][user]
        return facts

    @property
    def numbers(self) -> dict[str, int]:
        """What the screens say how many people said each comment."""
        out = {c.id: c.n for c in self.comments}
        for frame in self.frames:
            out.update({m.id: m.n for m in frame.merges})
        return out

    def fate(self, cid: str) -> str:
        """The last answer to a cid: its verdict or its code."""
        answer = [a for c, a in self.answers if c == cid][-1]
        if isinstance(answer, Refusal):
            return answer.code
        return "done" if isinstance(answer, Done) else answer.verdict

    def answer(self, cid: str) -> Any:
        """The last answer to a cid, whole."""
        return [a for c, a in self.answers if c == cid][-1]

    def tally(self) -> dict[str, int]:
        """All tallies so far in one, refusals by code among the rest."""
        out: dict[str, int] = {"in": 0}
        for frame in self.frames:
            if frame.tally is not None:
                t = frame.tally
                for name, n in {"in": t.in_, "shown": t.shown, "merged": t.merged, "sampled": t.sampled, "held": t.held}.items():
                    out[name] = out.get(name, 0) + n
                for code, n in t.rejected.items():
                    out[code] = out.get(code, 0) + n
        return {name: n for name, n in out.items() if n}
