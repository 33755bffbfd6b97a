"""The port of what holds beyond one room: word lists, mutes and bans of a merchant or the whole platform.

A scope says where something holds: `platform`, `merchant:ID`, `room:ID`, or `rooms:GLOB` (what a key or token covers).
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from livecast.core.frames import StaffAct

Kind: TypeAlias = Literal["filter", "mute", "ban", "forgotten"]


class Rule(Struct, frozen=True):
    """One thing that holds: a filter (of a scope; `user` is empty), a mute or ban of a user there, or that somebody asked to be
    forgotten (then `user` is a keyed hash, so that nothing here says who).
    """

    kind: Kind
    scope: str
    user: str = ""


class HouseRules(Protocol):
    """Where rules are kept, seen by every process. Calls raise `StoreError`.

    Durable like rooms. `revision` grows with every change, so that whoever missed the news of one finds out.
    """

    async def put(self, rule: Rule, value: bytes | None, act: StaffAct) -> bool:
        """Let a rule hold from now on, or (None) no more, and note who did it, in one step. Whether it held before."""

    async def replace(self, filter_: Rule, was: bytes | None, value: bytes | None, act: StaffAct) -> bool:
        """The same of a filter, in the same step only if it is what it `was` (None: there was none). Whether it was."""

    async def note(self, act: StaffAct) -> None:
        """Somebody did something that leaves no rule."""

    async def get(self, rule: Rule) -> bytes | None:
        """One rule's content, if it holds."""

    async def sanctions(self) -> tuple[int, dict[Rule, bytes]]:
        """The revision, and all rules but filters."""

    async def revision(self) -> int:
        """How many changes there were."""

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Something that all processes keep to themselves, the same for good: `fresh` if there was none of this name."""

    async def acts(self, before: str, limit: int) -> list[tuple[str, StaffAct]]:
        """(position, what was done) of the last changes from before a position (`""`: the newest), latest first. The last
        10,000 or so are kept.
        """
