"""Staff among those who watch: who they are, moderators of this room's own making included, and what only they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from livecast.core.events import Json, Person
from livecast.edge.access.identity import Identity
from livecast.edge.viewers.websocket import ViewerSocket
from livecast.wire.codec import Codec
from livecast.wire.websocket import frame

if TYPE_CHECKING:
    from livecast.edge.rooms.hub import Member


class Backstage:
    """The staff of one room on one node. `appointed` are the users whom the room made moderators."""

    __slots__ = ("_as_token", "_staff", "appointed")

    def __init__(self) -> None:
        self.appointed: frozenset[str] = frozenset()
        self._staff: dict[Member, None] = {}
        self._as_token: dict[str, Identity] = {}  # of appointed moderators who are here: what their token says of them

    def __len__(self) -> int:
        return len(self._staff)

    def came(self, member: Member) -> None:
        """Somebody watches from now on."""
        if member.identity.person.staff:
            self._staff[member] = None

    def went(self, member: Member) -> None:
        """Somebody watches no longer."""
        self._staff.pop(member, None)

    def seen_as(self, identity: Identity) -> Identity:
        """A caller as this room sees them: a viewer it appointed is a moderator here."""
        person = identity.person
        if person.id not in self.appointed or person.role != "viewer" or person.anonymous:
            return identity
        self._as_token[person.id] = identity
        return msgspec.structs.replace(identity, person=msgspec.structs.replace(person, role="moderator"))

    def note(self, state: dict[str, Any]) -> list[str]:
        """The room's state changed: whose rights are others now."""
        listed = state.get("moderators") or []
        now = frozenset(m["id"] for m in listed if isinstance(m, dict) and isinstance(m.get("id"), str))
        if now == self.appointed:
            return []
        changed, self.appointed = sorted(now ^ self.appointed), now
        return changed

    def renew(self, member: Member) -> bool:
        """Give an open socket the rights it has now; whether that changed anything."""
        if not isinstance(member, ViewerSocket):
            return False  # event streams send nothing, and are told nothing that viewers are not
        person = member.identity.person
        before = member.identity
        if person.id in self.appointed:
            member.identity = self.seen_as(before)
        elif (as_token := self._as_token.pop(person.id, None)) is not None:
            member.identity = msgspec.structs.replace(before, person=as_token.person)
        self.went(member)
        self.came(member)
        return member.identity is not before

    def tell(self, told: dict[str, Json]) -> None:
        """A `desk` message, encoded once per codec."""
        forms: dict[Codec, bytes] = {}
        for member in tuple(self._staff):
            if isinstance(member, ViewerSocket) and not member.closing:
                codec = member.codec
                if codec not in forms:
                    forms[codec] = frame(codec.encode(told), codec.opcode)
                member.queue(forms[codec])


def is_moderator(moderators: object, person: Person) -> bool:
    """Whether a room's list of moderators names this person."""
    return isinstance(moderators, list) and any(isinstance(m, dict) and m.get("id") == person.id for m in moderators)
