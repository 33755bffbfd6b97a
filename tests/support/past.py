"""A node with a ledger in memory and a real archive in a file, for what is told of the past."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from livecast.adapters.archive.store import SqlArchive, sqlite_url
from livecast.adapters.memory.records import MemoryRoomRecords
from livecast.core.rules import RoomRules
from livecast.edge.rules import EdgeRules
from livecast.shard.archivist import Archivist
from livecast.shard.treasury import Treasury
from support.shop import Shop

ROOM = "/v1/rooms/night"


class Records(Shop):
    """A shop whose past is archived."""

    def __init__(self, rules: EdgeRules, room_rules: RoomRules, directory: Path) -> None:
        super().__init__(rules, room_rules)
        self.records = MemoryRoomRecords()
        self.log._records = self.records
        self.archive = SqlArchive(sqlite_url(directory))
        self.treasury = Treasury(ledger=self.ledger, shards=self.shards, bus=self.bus, clock=self.clock, observer=self.notes)
        self.archivist = Archivist(
            archive=self.archive, records=self.records, ledger=self.ledger, clock=self.clock, observer=self.notes, gather_s=0.01,
            read=self.treasury.read,
        )  # fmt: skip
        self.treasury.listen(self.archivist.hear)
        assert self.node.money is not None
        self.node.money.ring = self.treasury.ring
        self.node.archive = self.archive

    async def open(self) -> None:
        assert await self.archivist.start(within_s=10)
        await self.treasury.start()
        await super().open()

    async def close(self) -> None:
        await super().close()
        self.treasury.stop()
        await self.archivist.stop()
        await self.archive.close()

    async def say(self, user: str, text: str, **more: Any) -> dict[str, Any]:
        """A comment; what became of it."""
        message = {"t": "comment", "cid": f"{user}-{text}", "text": text, **more}
        answer = await self.call("POST", f"{ROOM}/messages", auth=self.token(user, name=user.title()), json=message)
        assert answer.status == 200, answer
        told: dict[str, Any] = answer.json
        return told

    async def send(self, user: str, **message: Any) -> dict[str, Any]:
        """Any other message of a viewer."""
        answer = await self.call("POST", f"{ROOM}/messages", auth=self.token(user), json=message)
        assert answer.status == 200, answer
        told: dict[str, Any] = answer.json
        return told

    async def report(self, **query: str) -> dict[str, Any]:
        """The report as JSON."""
        answer = await self.call("GET", f"{ROOM}/report", params=query)
        assert answer.status == 200, answer
        told: dict[str, Any] = answer.json
        return told

    async def until(self, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The report, once it says so."""
        async with asyncio.timeout(20):
            while True:
                self.archivist._due_all()
                self.archivist._ring.set()
                answer = await self.call("GET", f"{ROOM}/report")
                if answer.status == 200 and condition(answer.json):
                    told: dict[str, Any] = answer.json
                    return told
                await asyncio.sleep(0.02)
