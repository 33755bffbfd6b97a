"""Aliases: what a room's viewers see instead of user ids where its policy says so (`policy.users: "aliases"`).

Rules for whoever edits this file:
- An alias is a function of the deployment's key, the room and the user alone: every node says the same, also after a restart, and
  two rooms cannot be laid over each other.
- Rooms, ledgers, archives and staff know real ids only. A node puts aliases into what the room says before anybody there sees
  it, once for all viewers; whatever names a user in a frame or a state is named in `frame` and `state` below.
- The room's `hosts` and `moderators` keep their ids: everybody is told who they are, and gifts go to them by id.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET

from livecast.core.events import Json, Person
from livecast.core.frames import Comment, Frame, Quote, Redact, Snapshot

PREFIX: Final = "a_"
_FORM: Final = re.compile(r"a_[a-z2-7]{26}")
DIGEST_BYTES: Final = 16
"""128 bits: nobody finds two users with one alias, and nobody finds a user by trying."""
LISTS: Final = ("hosts", "moderators")
NAME_CHARS: Final = 10
"""So much of the alias is the name of somebody whose token gives none (otherwise it would be the id)."""
KNOWN_MAX: Final = 50_000
"""Users of a room whose alias a node knows the way back from, the last ones seen: some 15 MB. Others are found in the archive."""


def is_alias(said: str) -> bool:
    """Whether this has the form of an alias."""
    return _FORM.fullmatch(said) is not None


class Aliases:
    """The aliases of one room on one node, and the way back from those that were shown lately."""

    __slots__ = ("_aliases", "_ever_named", "_key", "_lists", "_named", "_users")

    def __init__(self, key: bytes, room: str) -> None:
        self._key = hmac.digest(key, b"alias\0" + room.encode(), "sha256")
        self._aliases: dict[str, str] = {}
        self._users: dict[str, str] = {}
        self._lists: dict[str, set[str]] = {}
        """Who are the `hosts` and `moderators`."""
        self._named: set[str] = set()
        """All of them: the same on every node that is at the same frame."""
        self._ever_named: set[str] = set()
        """Everybody who was among them since we look: on the screens they may stand under either name."""

    # --- One by one ---------------------------------------------------------------------------------------------------
    def of(self, user: str) -> str:
        """What viewers see of this user id."""
        return user if user in self._named else self.hidden(user)

    def hidden(self, user: str) -> str:
        """The alias of a user, host or not."""
        alias = self._aliases.get(user)
        if alias is None:
            alias = self._made(user)
            if len(self._aliases) >= KNOWN_MAX:
                first = next(iter(self._aliases))
                del self._users[self._aliases.pop(first)]
            self._aliases[user], self._users[alias] = alias, user
        return alias

    def user(self, said: str) -> str | None:
        """Who goes by this alias, if they were seen lately. What is no alias is a user id already."""
        return self._users.get(said) if is_alias(said) else said

    def search(self, users: Iterable[str], wanted: Collection[str]) -> dict[str, str]:
        """Alias -> user of those among these who go by one that is wanted. Nothing is remembered of it."""
        return {alias: user for user in users if (alias := self._made(user)) in wanted}

    def mentioned(self, said: Iterable[str], *, by_staff: bool) -> tuple[str, ...]:
        """The ids that somebody's mentions mean. Viewers name people by what they see of them: who could name real ids would be
        told their aliases.
        """
        meant = []
        for one in said:
            if is_alias(one):
                meant.append(self._users.get(one, one))
            elif by_staff or one in self._named:
                meant.append(one)
        return tuple(meant)

    # --- What a room says ---------------------------------------------------------------------------------------------
    def frame(self, frame: Frame) -> Frame:
        """The frame as viewers get it."""
        state = frame.state
        if state is not UNSET and state:
            state = self.state(state)
        return msgspec.structs.replace(
            frame,
            comments=tuple(map(self.comment, frame.comments)),
            gifts=tuple(self._replaced(gift, u=self.person(gift.u), to=gift.to and self.of(gift.to)) for gift in frame.gifts),
            events=tuple(event if event.u is None else self._replaced(event, u=self.person(event.u)) for event in frame.events),
            state=state,
            redact=None if frame.redact is None else self.redact(frame.redact),
        )

    def snapshot(self, snapshot: Snapshot) -> Snapshot:
        """What viewers are told of a room from its snapshot."""
        self._lists = {}
        self._note_named({name: snapshot.state.get(name) for name in LISTS})
        state = self.state(snapshot.state)
        return msgspec.structs.replace(snapshot, state=state, recent=tuple(map(self.comment, snapshot.recent)))

    def state(self, state: dict[str, Json]) -> dict[str, Json]:
        """The state, or a patch of it."""
        self._note_named({name: state[name] for name in LISTS if name in state})
        if state.get("board"):
            state = {**state, "board": [self._line(line) for line in state["board"]]}
        if drops := state.get("drops"):
            state = {**state, "drops": {id_: self._drop(drop) for id_, drop in drops.items()}}
        return state

    def comment(self, comment: Comment) -> Comment:
        """A comment, with whom it answers and whom it mentions."""
        if comment.redacted:
            return comment
        quote = comment.reply_to
        return msgspec.structs.replace(
            comment,
            u=self.person(comment.u),
            reply_to=None if quote is None else Quote(quote.id, self._plain(quote.u), quote.text),
            mentions=tuple(one if is_alias(one) else self.of(one) for one in comment.mentions),
        )

    def redact(self, redact: Redact) -> Redact:
        """Who became host or moderator meanwhile, or is it no more, stands under both names on the screens."""
        hidden = (self.hidden(user) for user in redact.users)
        named = (user for user in redact.users if user in self._ever_named)
        return Redact(redact.comments, (*hidden, *named))

    def person(self, person: Person) -> Person:
        """Somebody under an alias. Name and picture are what the token says others shall see, but never the id."""
        alias = self.of(person.id)
        if alias == person.id or not person.id:
            return person
        name = alias[:NAME_CHARS] if person.name == person.id else person.name
        return msgspec.structs.replace(person, id=alias, name=name, avatar="" if person.id in person.avatar else person.avatar)

    # --- Private ------------------------------------------------------------------------------------------------------
    def _made(self, user: str) -> str:
        digest = hmac.digest(self._key, user.encode(), "sha256")[:DIGEST_BYTES]
        return PREFIX + b32encode(digest).decode().lower().rstrip("=")

    def _note_named(self, lists: dict[str, Json]) -> None:
        if lists:
            self._lists |= {name: {one["id"] for one in people or ()} for name, people in lists.items()}
            self._named = set().union(*self._lists.values())
            self._ever_named |= self._named

    @staticmethod
    def _replaced(struct: Any, **members: Any) -> Any:
        return msgspec.structs.replace(struct, **members)

    def _plain(self, person: Json) -> Json:
        """A person in a part that is plain JSON (or a struct still, where the room is in this process)."""
        if isinstance(person, Person):
            return self.person(person)
        return msgspec.to_builtins(self.person(msgspec.convert(person, Person)))

    def _line(self, line: Json) -> Json:
        return {**line, "u": self._plain(line["u"])} if "id" in line["u"] else line

    def _drop(self, drop: Json) -> Json:
        if not isinstance(drop, dict) or not drop.get("winners"):
            return drop
        return {**drop, "winners": [self._line(line) for line in drop["winners"]]}
