"""A fresh client, after the fault: asks again what was left open, then reads everything there is, over HTTP alone."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from support.checker import Books, Wallet
from support.journal import Answer, Asked, Journal, Kind, fate_of, read
from support.node import DEV_KEY, token

T = TypeVar("T")
SIDE_BY_SIDE = 32
SETTLED_WITHIN_S = 60.0
"""For one id, from its first repeat: a store that starts again on a busy machine takes a few seconds."""


class Bookkeeper:
    """A caller of the HTTP interface of one node, or of the next one where there are several and one does not answer.

    `journals`: the directory of all that was asked.
    """

    def __init__(self, bases: str | Sequence[str], room: str, journals: Path) -> None:
        self._bases = [bases] if isinstance(bases, str) else list(bases)
        self._room, self._journals = room, journals

    @property
    def _base(self) -> str:
        return self._bases[0]

    def _next_base(self) -> None:
        self._bases.append(self._bases.pop(0))

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=30)
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SIDE_BY_SIDE), timeout=timeout)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.close()

    async def call(self, method: str, path: str, json: Any = None) -> Any:
        """A call of the control plane that must succeed, if need be on another try: a busy machine's ledger may say 503."""
        end = time.monotonic() + SETTLED_WITHIN_S
        while True:
            try:
                async with self._http.request(method, self._base + path, json=json, headers=DEV_KEY) as response:
                    said = await response.json()
                    if response.status != 503 or time.monotonic() > end:
                        assert response.status < 300, (method, path, said)
                        return said
            except (aiohttp.ClientError, TimeoutError):
                if len(self._bases) == 1 or time.monotonic() > end:
                    raise
                self._next_base()
            await asyncio.sleep(0.3)

    async def make_drop(self, stock: int, **config: Any) -> str:
        """A live room and a drop in it, not yet open: the drop's id."""
        room = f"/v1/rooms/{self._room}"
        if (await self.call("PUT", room, {"title": "Sale"}))["status"] != "live":
            await self.call("POST", f"{room}/start")
        made = await self.call("POST", f"{room}/drops", {"title": "Cups", "kind": "coupon", "stock": stock, **config})
        return str(made["id"])

    async def open_drop(self, stock: int, **config: Any) -> str:
        """The same, open."""
        drop = await self.make_drop(stock, **config)
        await self.call("POST", f"/v1/rooms/{self._room}/drops/{drop}/open")
        return drop

    # --- Asking -------------------------------------------------------------------------------------------------------
    async def ask(self, kind: Kind, user: str, cid: str, body: dict[str, Any]) -> Answer | None:
        """One question, over a connection of nobody in particular; None: no answer."""
        if kind == "credit":
            url, said, headers = f"/v1/wallets/{user}/credits", {"tx": cid, "amount": body["value"]}, DEV_KEY
        else:
            url, headers = f"/v1/rooms/{self._room}/messages", {"Authorization": f"Bearer {token(user)}"}
            said = {"t": kind, "cid": cid, **{name: value for name, value in body.items() if name != "value"}}
        try:
            async with self._http.post(self._base + url, json=said, headers=headers) as response:
                answer: Answer = await response.json()
        except (aiohttp.ClientError, TimeoutError):
            self._next_base()
            return None
        return {"verdict": "credited", **answer} if kind == "credit" and "balance" in answer else answer

    async def settle(self, again_max: int = 1000) -> list[Asked]:
        """Repeat what was left open until it has an answer; the whole story, these repeats included.

        Open is every id without a final answer. Of the others, `again_max` are repeated too: they must hear the same. (Each was
        asked over two connections before; a repeat of all 10,000 would take a minute.)
        """
        histories: dict[tuple[str, ...], list[Asked]] = {}
        for each in read(self._journals.glob("*.journal")):
            histories.setdefault(each.id, []).append(each)
        left_open = [history[-1] for history in histories.values() if not any(each.is_final for each in history)]
        known = [history[-1] for history in histories.values() if any(each.is_final for each in history)]
        again = random.Random(0).sample(known, min(again_max, len(known)))
        with Journal(self._journals / f"settled-{time.monotonic_ns()}.journal", settling=True) as journal:
            await _in_parallel([*left_open, *again], lambda each: self._settle(journal, each))
        return read(self._journals.glob("*.journal"))

    async def _settle(self, journal: Journal, asked: Asked) -> None:
        end = time.monotonic() + SETTLED_WITHIN_S
        while True:
            n = journal.ask(asked.kind, asked.user, asked.cid, asked.body)
            answer = await self.ask(asked.kind, asked.user, asked.cid, asked.body)
            journal.told(n, answer)
            code = None if answer is None else answer.get("code")
            if (fate_of(answer) != "unknown" and code not in {"rate_limited", "overloaded"}) or time.monotonic() > end:
                return
            await asyncio.sleep(0.3)

    # --- Reading ------------------------------------------------------------------------------------------------------
    async def books(self, drop: str, asked: Sequence[Asked], audit: Callable[[], Awaitable[str]]) -> Books:
        """All of the drop, every wallet that anybody touched, and what the room earned once no gift is half done."""
        room = f"/v1/rooms/{self._room}"
        claims = await self._pages(f"{room}/drops/{drop}/claims")
        users = sorted({each.user for each in asked if each.kind != "claim"})
        wallets = dict(zip(users, await _in_parallel(users, self._wallet), strict=True))
        sent = {each.id for each in asked if each.kind == "gift" and each.fate == "ok"}
        end = time.monotonic() + 150  # usually seconds; a gift of which nobody knows that it is half done is found in two minutes
        while (earned := await self.call("GET", f"{room}/earnings"))["gifts"] < len(sent) and time.monotonic() < end:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.2)  # another process's state: there is nothing to await
        shown = await self.call("GET", f"{room}/drops/{drop}")
        return Books(shown, claims, wallets, earned["gifts"], earned["value"], audit=await audit())

    async def _wallet(self, user: str) -> Wallet:
        entries = await self._pages(f"/v1/wallets/{user}/entries")
        return Wallet((await self.call("GET", f"/v1/wallets/{user}"))["balance"], entries[::-1])

    async def _pages(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.call("GET", f"{path}?limit=200" + (f"&cursor={cursor}" if cursor else ""))
            found += page["data"]
            if (cursor := page["next_cursor"]) is None:
                return found


async def _in_parallel(work: Iterable[Any], do: Callable[[Any], Awaitable[T]]) -> list[T]:
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(each: Any) -> T:
        async with gate:
            return await do(each)

    return await asyncio.gather(*(one(each) for each in work))
