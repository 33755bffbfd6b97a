"""A room as files: every frame is one immutable file that any cache may keep, which is how a CDN carries an audience.

    async with FrameFiles(url, room) as files:
        async for message in files: ...     # Welcome (a snapshot), then Frames

One request per frame: the server holds a request for the next frame until there is one. With `bundles` about one request a second,
whatever happens, and frames come up to two seconds later: ten at a time where the room is busy, one by one where it is not.

Whoever reads a room reads the same files, so behind a cache (nginx, a CDN) a room costs its node a few requests a second,
however many read.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec

from livecast.client.asking import Asking
from livecast.client.errors import Refused, Unreachable
from livecast.client.messages import CodecName, Welcome
from livecast.client.reconnect import pause_s
from livecast.core.frames import Frame

HELD_S: Final = 10.0  # so long the server holds a request for a frame that is not made yet
AGAIN_S: Final = 1.0  # "not yet" may come from a cache for so long: asking earlier would not tell more
BUNDLE: Final = 10  # frames in a bundle, which is named by its first one's number without the last digit
LOOK_MAX_S: Final = 2.0  # with bundles: the longest pause between two looks at where the room stands
ATTEMPTS_MAX: Final = 6  # failures in a row, about a minute with their pauses, before giving up


class Head(msgspec.Struct, frozen=True):
    """The room's last frame."""

    epoch: str
    seq: int
    tick_ms: int = 200


class FrameFiles(Asking):
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
        self._one = kind.Decoder(Frame).decode
        self._many = kind.Decoder(list[Frame]).decode
        self._snapshot = msgspec.json.Decoder(Welcome).decode
        self._head = msgspec.json.Decoder(Head).decode
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, protects nothing
        super().__init__(session)

    async def __aiter__(self) -> AsyncIterator[Welcome | Frame]:
        """A snapshot, every frame after it, and a new snapshot wherever the frames do not go on."""
        follow = self._by_bundles if self._bundles else self._by_frames
        while True:
            yield await self._begin()
            async for frame in follow():
                yield frame

    async def _by_frames(self) -> AsyncIterator[Frame]:
        """Each by itself, as soon as it is there; ends where a new snapshot is needed."""
        while True:
            status, frames = await self._file(f"/frames/{self.epoch}/{self.seq + 1}")
            if status == 410 or (status == 404 and (await self.head()).epoch != self.epoch):
                return
            for frame in self._next_of(frames):
                yield frame
            if status == 404:
                await asyncio.sleep(AGAIN_S)

    async def _by_bundles(self) -> AsyncIterator[Frame]:
        """Whole bundles where the room fills them in time, single frames where it does not; ends as above."""
        before, looked_at = self.seq, time.monotonic()
        while True:
            head = await self.head()
            if head.epoch != self.epoch:
                return
            # Half of what a room of this tick can say: if it goes on so, the bundle will soon be there.
            now, tick_s = time.monotonic(), head.tick_ms / 1000
            is_busy = (head.seq - before) * tick_s >= (now - looked_at) / 2
            before, looked_at = head.seq, now
            while (last := self._end_of_bundle()) <= head.seq or (self.seq < head.seq and not is_busy):
                whole = last <= head.seq
                path = f"/bundles/{self.epoch}/{last // BUNDLE}" if whole else f"/frames/{self.epoch}/{self.seq + 1}"
                status, frames = await self._file(path)
                if status == 410:
                    return
                if status == 404:
                    break  # a cache may say so for a second more
                for frame in self._next_of(frames):
                    yield frame
            await asyncio.sleep(min(LOOK_MAX_S, max(AGAIN_S, (self._end_of_bundle() - head.seq) * tick_s)))

    def _end_of_bundle(self) -> int:
        """The last frame of the bundle that the next one is in."""
        return (self.seq + 1) // BUNDLE * BUNDLE + BUNDLE - 1

    async def _file(self, path: str) -> tuple[int, list[Frame]]:
        """A file's status (200, 404 or 410) and its frames."""
        status, body = await self._get(f"{path}.{self._suffix}")
        if status != 200:
            return status, []
        return status, self._many(body) if path.startswith("/bundles") else [self._one(body)]

    def _next_of(self, frames: list[Frame]) -> Iterator[Frame]:
        """Of these the ones that go on where the last one was."""
        for frame in frames:
            if frame.seq == self.seq + 1:
                self.seq = frame.seq
                yield frame

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
