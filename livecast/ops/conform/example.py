"""A client under test: `livecast.client`, and the few lines that let the script ask it to do things.

Any client needs the same: do what events of type `x.conform` say, and post what it shows when it is asked to.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import aiohttp

from livecast.client import LivecastClient
from livecast.client.errors import ClientError
from livecast.core.frames import Frame
from livecast.ops.conform.stage import ROOM


class Example:
    """Our client in the scripted room. Cancel `run` to end it."""

    def __init__(self, url: str, token: str, *, codec: Any = "msgpack", rng: random.Random | None = None) -> None:
        self._combos: dict[str, dict[str, Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

        async def fresh() -> str:
            return token

        self.client = LivecastClient(url, ROOM, get_token=fresh, codec=codec, listen=self.take, rng=rng)

    async def run(self) -> None:
        """Follow the room until it is over for this client."""
        async with aiohttp.ClientSession() as self._http, self.client:
            async for _ in self.client:
                pass

    def take(self, event: Any) -> None:
        """An event of the client, as it happens."""
        if isinstance(event, Frame):
            for combo in event.gifts:
                if not self._combos.get(combo.combo, {}).get("done"):
                    self._combos[combo.combo] = {"combo": combo.combo, "n": combo.n, "done": combo.done}
            for custom in event.events:
                if custom.type == "x.conform":
                    task = asyncio.get_running_loop().create_task(self._do(custom.data))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        elif type(event).__name__ == "Welcome" and not event.recovered:
            self._combos = {}

    async def _do(self, data: dict[str, Any]) -> None:
        if data["do"] == "show":
            await (await self._http.post(data["url"], json=self.shows(data["step"]))).release()
            return
        with contextlib.suppress(ClientError):  # the walk ended before an answer came
            await (self.client.comment(data["text"]) if data["do"] == "comment" else self.client.gift(data["gift"], data["n"]))

    def shows(self, step: str) -> dict[str, Any]:
        """What is on the screen, as the script asks for it."""
        view = self.client.view
        state: dict[str, Any] = view.state
        return {
            "step": step, "epoch": view.epoch, "seq": view.seq, "likes": state["likes"], "title": state["title"],
            "notice": (state.get("notice") or {}).get("text", ""), "custom": state["custom"],
            "comments": [{"id": said.id, "text": said.text, "n": said.n} for said in view.recent],
            "gifts": list(self._combos.values()),
        }  # fmt: skip
