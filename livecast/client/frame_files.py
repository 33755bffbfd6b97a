"""A room as files: every frame is one immutable file that any cache may keep, which is how a CDN carries an audience.

    async with FrameFiles(url, room) as files:
        async for message in files: ...     # Welcome (a snapshot), then Frames

One request per frame: the server holds a request for the next frame until there is one. With `bundles` one request per ten
frames, which come later by as much.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final, Self
from urllib.parse import quote

import aiohttp
import msgspec

from livecast.client.errors import Refused, Unreachable
from livecast.client.messages import CodecName, Welcome
from livecast.client.reconnect import pause_s
from livecast.core.events import Frame

HELD_S: Final = 10.0  # so long the server holds a request for a frame that is not made yet
AGAIN_S: Final = 1.0  # "not yet" may come from a cache for so long: asking earlier would not tell more
BUNDLE: Final = 10  # frames in a bundle, which is named by its first one's number without the last digit
ATTEMPTS_MAX: Final = 6  # failures in a row, about a minute with their pauses, before giving up


class Head(msgspec.Struct, frozen=True):
    """The room's last frame."""

    epoch: str
    seq: int
    tick_ms: int = 200


class FrameFiles:
    """Follow a room by its files. `codec` chooses the form of the frames; snapshots are JSON."""

    def __init__(
        self,
        url: str,
        room: str,
        *,
        token: str | None = None,
        codec: CodecName = "json",
        bundles: bool = False,
        session: aiohttp.ClientSession | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.epoch, self.seq = "", 0
        self.snapshots = 0
        """How often it had to begin with a snapshot: once, and once more per new epoch or after falling too far behind."""
        self._base = f"{url.rstrip('/')}/v1/rooms/{quote(room, safe='')}"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._suffix = codec
        self._bundles = bundles
        kind = msgspec.msgpack if codec == "msgpack" else msgspec.json
        self._frame = kind.Decoder(Frame).decode
        self._bundle = kind.Decoder(list[Frame]).decode
        self._snapshot = msgspec.json.Decoder(Welcome).decode
        self._head = msgspec.json.Decoder(Head).decode
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, protects nothing
        self._given = session
        self._session: aiohttp.ClientSession | None = session

    async def __aenter__(self) -> Self:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None and self._given is None:
            await self._session.close()
            self._session = None

    async def __aiter__(self) -> AsyncIterator[Welcome | Frame]:
        """A snapshot, every frame after it, and a new snapshot wherever the frames do not go on."""
        while True:
            yield await self._begin()
            while True:
                status, body = await self._get(self._next())
                if status == 200:
                    for frame in self._bundle(body) if self._bundles else (self._frame(body),):
                        if frame.seq == self.seq + 1:
                            self.seq = frame.seq
                            yield frame
                elif not await self._goes_on(status):
                    break

    def _next(self) -> str:
        """Where the next frame is, or will be."""
        seq = self.seq + 1
        path = f"/bundles/{self.epoch}/{seq // BUNDLE}" if self._bundles else f"/frames/{self.epoch}/{seq}"
        return f"{path}.{self._suffix}"

    async def head(self) -> Head:
        """The room's last frame."""
        status, body = await self._get("/frames/head")
        if status != 200:
            raise Refused(status, "no head")
        return self._head(body)

    async def _begin(self) -> Welcome:
        status, body = await self._get("/snapshot")
        if status != 200:
            raise Refused(status, "no snapshot")
        welcome = self._snapshot(body)
        self.epoch, self.seq = welcome.epoch, welcome.seq
        self.snapshots += 1
        return welcome

    async def _goes_on(self, status: int) -> bool:
        """After a frame was not there: False if a new snapshot is needed."""
        if status == 410:
            return False
        if (await self.head()).epoch != self.epoch:
            return False
        await asyncio.sleep(AGAIN_S)
        return True

    async def _get(self, path: str) -> tuple[int, bytes]:
        """Status and body; tries again where that is worth it. Raises `Unreachable`, or `Refused` where it is not."""
        if self._session is None:
            raise RuntimeError("use `async with`")
        for attempt in range(ATTEMPTS_MAX):
            try:
                timeout = aiohttp.ClientTimeout(total=HELD_S + 10)
                async with self._session.get(self._base + path, headers=self._headers, timeout=timeout) as response:
                    if response.status in (200, 404, 410):
                        return response.status, await response.read()
                    if response.status < 500 and response.status != 429:
                        raise Refused(response.status, f"HTTP at {path}")
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(pause_s(attempt, self._rng))
        raise Unreachable(f"{self._base}{path} does not answer")
