"""What stands between what a room says and what this node's viewers see of it: aliases for user ids, where the policy says so.

Everything that viewers get is made from a view, and a view from what passed here: frames, snapshots, files, event streams and
resumes alike. Rooms whose policy hides nobody pass as they are, bytes and all.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from livecast.core.audience.aliases import Aliases
from livecast.core.frames import Frame, Snapshot
from livecast.wire.sealing import Sealed

if TYPE_CHECKING:
    from livecast.edge.node import Node

OWN_KEY: Final = secrets.token_bytes(32)
"""For a node that has no house (and so no key shared with others): its aliases are its own and end with it."""


class Veil:
    """One room's. `aliases` is None while it hides nobody."""

    __slots__ = ("_node", "_room", "aliases")

    def __init__(self, node: Node, room: str) -> None:
        self._node = node
        self._room = room
        self.aliases: Aliases | None = None

    def lower(self, policies: Iterable[Any]) -> None:
        """Begin anew with a room that has these policies, one after the other: one that hides its users is enough."""
        if not any(policy.get("users") == "aliases" for policy in policies):
            self.aliases = None
        elif self.aliases is None:
            house = self._node.house
            self.aliases = Aliases(OWN_KEY if house is None else house.alias_key, self._room)

    def snapshot(self, snapshot: Snapshot) -> Snapshot:
        """The room as viewers may know it, from an epoch's first moment on."""
        self.lower([snapshot.policy])
        return self.over(snapshot)

    def over(self, snapshot: Snapshot) -> Snapshot:
        """The same with the veil as it hangs."""
        return snapshot if self.aliases is None else self.aliases.snapshot(snapshot)

    def frame(self, frame: Frame, data: bytes) -> tuple[Frame, Sealed]:
        """The next frame as viewers get it. One that says that users are hidden from now on hides them already; the next epoch,
        which comes at once, does the rest.
        """
        if (policy := policy_in(frame)) and policy.get("users") == "aliases":
            self.lower([policy])
        if self.aliases is None:
            return frame, Sealed(data, frame)
        veiled = self.aliases.frame(frame)
        return veiled, Sealed.of(veiled)


def policy_in(frame: Frame) -> dict[str, Any]:
    """What a frame says of the policy."""
    policy: dict[str, Any] = {} if frame.state is UNSET or not frame.state else frame.state.get("policy") or {}
    return policy
