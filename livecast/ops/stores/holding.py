"""The ledger's store kept shut until it is known in which format it is written.

A ledger may be away while a node starts, and the node serves rooms meanwhile. Nothing must reach that store before its mark was
read, so whoever asks it hears that money is closed, and why.
"""

from __future__ import annotations

import asyncio
from typing import Final

from livecast.adapters.redis.formats import RedisFormats
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.server import RedisServer
from livecast.core.nodes.formats import Knows, fits, too_new
from livecast.facts import Observer, Trouble
from livecast.ports import StoreError, WrongFormat
from livecast.shard.formats import settle

AGAIN_S: Final = 0.5
"""How often a store that does not answer is asked: money is to open within 5 s of its return."""
WHERE: Final = "the ledger"


class LedgerHolder:
    """Opens a ledger once this version may use it. It asks on a connection of its own, which the hold does not concern."""

    def __init__(self, server: LedgerServer, url: str, observer: Observer) -> None:
        self._server = server
        self._url = url
        self._observer = observer
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open it now if it answers, else as soon as it does. Raises `WrongFormat` if it is there and this version must not."""
        if not await self._opened():
            self._task = asyncio.get_running_loop().create_task(self._keep_asking(), name="ask the ledger for its format")

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep_asking(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_S)
            try:
                if await self._opened():
                    return
            except WrongFormat as fault:
                self._server.held = str(fault)
                self._observer.observe(Trouble("money is closed: the ledger is of another version", "ledger", str(fault), "error"))
                return

    async def _opened(self) -> bool:
        asked = RedisServer(self._url, connections_max=1, deadline_s=self._server.deadline_s)
        try:
            await settle(WHERE, RedisFormats(asked, "ledger"), Knows())
        except WrongFormat:
            raise
        except StoreError as fault:
            self._server.held = f"it is not known in which format it is written: {fault}"
            return False
        finally:
            await asked.close()
        self._server.held = ""
        return True


async def must_fit(server: RedisServer) -> None:
    """For tools: raises `WrongFormat` if a ledger is written in a format that this version cannot read."""
    mark = await RedisFormats(server, "ledger").mark()
    if mark is not None and not fits(mark, Knows()):
        raise WrongFormat(too_new(WHERE, mark, Knows()))
