"""Rules beyond rooms, in this process's memory. It keeps every promise of `livecast.house` but durability."""

from __future__ import annotations

from livecast.adapters.bounds import HOUSE_ACTS_MAX
from livecast.core.frames import StaffAct
from livecast.house import Rule


class MemoryHouseRules:
    """`house.HouseRules` in memory. Several houses in one process may share it."""

    def __init__(self) -> None:
        self._rules: dict[Rule, bytes] = {}
        self._acts: dict[int, StaffAct] = {}
        self._secrets: dict[str, bytes] = {}
        self._revision = self._noted = 0

    async def put(self, rule: Rule, value: bytes | None, act: StaffAct) -> bool:
        """Change it and note who did."""
        before = self._rules.pop(rule, None)
        if value is not None:
            self._rules[rule] = value
        self._revision += 1
        await self.note(act)
        return before is not None

    async def replace(self, filter_: Rule, was: bytes | None, value: bytes | None, act: StaffAct) -> bool:
        """Change it, if it is what somebody saw."""
        if self._rules.get(filter_) != was:
            return False
        await self.put(filter_, value, act)
        return True

    async def note(self, act: StaffAct) -> None:
        """Note who did something."""
        self._noted += 1
        self._acts[self._noted] = act
        if len(self._acts) > HOUSE_ACTS_MAX:
            del self._acts[next(iter(self._acts))]

    async def get(self, rule: Rule) -> bytes | None:
        """One rule."""
        return self._rules.get(rule)

    async def sanctions(self) -> tuple[int, dict[Rule, bytes]]:
        """All mutes and bans."""
        return self._revision, {rule: value for rule, value in self._rules.items() if rule.kind != "filter"}

    async def revision(self) -> int:
        """How many changes there were."""
        return self._revision

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """The first that was given."""
        return self._secrets.setdefault(name, fresh)

    async def acts(self, before: str, limit: int) -> list[tuple[str, StaffAct]]:
        """The last changes."""
        end = int(before) if before.isdecimal() else self._noted + 1
        return [(str(n), act) for n, act in reversed(self._acts.items()) if n < end][:limit]
