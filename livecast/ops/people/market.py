"""A simulated sale in a running room: does what `sale` plans with a key of the control plane, and what `shoppers` wish over the
sockets of a crowd.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from livecast.client import ClientError, GaveUp, LivecastClient
from livecast.ops.people.people import Person
from livecast.ops.people.sale import Deed, Sale
from livecast.ops.people.shoppers import Shoppers, Wish

ANSWER_S = 15.0


class Market:
    """The sale in one room. A context manager. Without an `api_key` nothing is sold; people vote, click and give all the same."""

    def __init__(self, url: str, room: str, *, api_key: str | None, gifts: float, buyers: int, seed: int) -> None:
        self.outcomes: Counter[str] = Counter()
        """How claims, votes and gifts ended: `won`, `sold_out`, `sent`…"""
        self.trouble = ""
        """What the node refused last."""
        self._base = f"{url.rstrip('/')}/v1/rooms/{quote(room, safe='')}"
        self._key = api_key
        self._sale = Sale(seed=seed, buyers=buyers)
        self._shoppers = Shoppers(gifts=gifts, seed=seed)
        self._deeds: asyncio.Queue[Deed] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self.say: Callable[[str], None] = lambda _: None
        """How the host is heard."""

    async def __aenter__(self) -> Self:
        if self._key:
            timeout = aiohttp.ClientTimeout(total=ANSWER_S)
            self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._key}"}, timeout=timeout)
            self._keep(asyncio.create_task(self._sell(self._session)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def step(self, present: Sequence[Person], state: dict[str, Any], client_of: Callable[[str], LivecastClient | None]) -> None:
        """Let everybody do what is due. `state`: the room's, as a viewer sees it."""
        if self._key:
            for deed in self._sale.step(time.time()):
                self._deeds.put_nowait(deed)
        for wish in self._shoppers.step(time.monotonic(), present, state):
            client = client_of(wish.person.id)
            if client is not None and client.connected:
                self._keep(asyncio.create_task(self._fulfil(client, wish)))

    # --- Private ------------------------------------------------------------------------------------------------------

    async def _sell(self, session: aiohttp.ClientSession) -> None:
        """One deed after the other, in the order in which the host thought of them."""
        while True:
            deed = await self._deeds.get()
            try:
                if deed.line:
                    self.say(deed.line)
                made = await self._call(session, deed.method, deed.path, deed.body)
                if deed.then and made is not None:
                    await self._call(session, "POST", f"{deed.path}/{made['id']}/{deed.then}", {})
            except (aiohttp.ClientError, TimeoutError) as fault:  # the node restarts: the evening goes on
                self.trouble = f"{deed.method} {deed.path}: {fault!r}"

    async def _call(self, session: aiohttp.ClientSession, method: str, path: str, body: dict[str, Any]) -> Any:
        async with session.request(method, self._base + path, json=body) as answer:
            said = await answer.json(content_type=None)
            if answer.status < 300:
                return said
            self.trouble = f"{method} {path}: HTTP {answer.status} {said.get('detail', '') if isinstance(said, dict) else ''}"
            return None

    async def _fulfil(self, client: LivecastClient, wish: Wish) -> None:
        try:
            match wish.kind:
                case "claim":
                    answer = await client.claim(wish.target, timeout_s=ANSWER_S)
                case "vote":
                    answer = await client.vote(wish.target, wish.choice, timeout_s=ANSWER_S)
                case "give":
                    answer = await client.gift(wish.target, wish.n, timeout_s=ANSWER_S)
                case "say":
                    answer = await client.comment(wish.target, timeout_s=ANSWER_S)
        except (GaveUp, ClientError):
            self.outcomes["unanswered"] += 1
        else:
            self.outcomes[answer.outcome] += 1

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
