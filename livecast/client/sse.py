"""A room as server-sent events: for readers that have no WebSocket, and for benches that want to see that path.

    async with EventStream(url, room) as events:
        async for event in events: ...      # Welcome, Frame, Notice, Bye

It reads the stream as WHATWG's HTML standard, section 9.2, describes it, and resumes with `Last-Event-ID` by itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

import aiohttp

from livecast.client.asking import Asking
from livecast.client.errors import Refused
from livecast.client.messages import MESSAGE_BYTES_MAX, Bye, Event, Reader, Welcome
from livecast.client.reconnect import Again, Stop, after, after_handshake, pause_s
from livecast.core.frames import Frame

SILENCE_S: Final = 40.0  # the server writes a comment line every 15 s: two of them missing and some patience


class ServerEvent:
    """One event of a stream: its name, its data and the id to resume from."""

    __slots__ = ("data", "id", "name")

    def __init__(self) -> None:
        self.name, self.data, self.id = "message", b"", ""


class EventParser:
    """Bytes to events, without I/O. Holds at most one event; comments (`:`) are skipped."""

    def __init__(self) -> None:
        self._rest = b""
        self._event = ServerEvent()
        self._id = ""

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Take the next bytes; return the events they complete. Raises `ValueError` if one gets absurdly long."""
        *lines, self._rest = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n")
        if len(self._rest) + len(self._event.data) > MESSAGE_BYTES_MAX:
            raise ValueError("an event without an end")
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            done, self._event = self._event, ServerEvent()
            done.id = self._id
            return done if done.data else None
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._event.name = value.decode("utf-8", "replace")
        elif field == b"data":
            self._event.data += b"\n" + value if self._event.data else value
        elif field == b"id":
            self._id = value.decode("utf-8", "replace")
        return None


class EventStream(Asking):
    """Follow a room over SSE. Ends when the room is over (204) or the server says so; raises `Refused` if it will not have us."""

    def __init__(
        self,
        url: str,
        room: str,
        *,
        token: str | None = None,
        since: str | None = None,
        session: aiohttp.ClientSession | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.last_id = since or ""
        """Where the next connection resumes, `EPOCH:SEQ`."""
        self.connections = 0
        self._url = f"{url.rstrip('/')}/v1/rooms/{quote(room, safe='')}/events"
        self._headers = {"Accept": "text/event-stream"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._reader = Reader("json")
        self._rng = rng or random.Random()  # noqa: S311 - spreads reconnects, protects nothing
        super().__init__(session)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Every event, across reconnects."""
        attempt = 0
        while True:
            bye: Bye | None = None
            try:
                async for event in self._visit():
                    attempt = 0
                    bye = event if isinstance(event, Bye) else None
                    yield event
                step: Again | Stop = after(bye.code if bye else 1006, bye, attempt, self._rng, can_renew=False)
            except _Over:
                return
            except _Status as refused:
                step = after_handshake(refused.status, refused.retry_after, attempt, self._rng)
                if isinstance(step, Stop):
                    raise Refused(refused.status, "the server answered the event stream with HTTP") from None
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                step = Again(pause_s(attempt, self._rng))
            if isinstance(step, Stop):
                return
            attempt += 1
            await asyncio.sleep(step.delay_s)

    async def _visit(self) -> AsyncIterator[Event]:
        """One connection."""
        if self._session is None:
            raise RuntimeError("use `async with`")
        headers = self._headers | ({"Last-Event-ID": self.last_id} if self.last_id else {})
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_S)
        async with self._session.get(self._url, headers=headers, timeout=timeout) as response:
            if response.status == 204:
                raise _Over
            if response.status != 200:
                raise _Status(response.status, response.headers.get("Retry-After"))
            self.connections += 1
            parser = EventParser()
            async for chunk in response.content.iter_any():
                for event in parser.feed(chunk):
                    message = self._reader.read(event.data)
                    if event.id:
                        self.last_id = event.id
                    if isinstance(message, Welcome | Frame):
                        self.last_id = f"{message.epoch}:{message.seq}"
                    if message is not None:
                        yield message  # type: ignore[misc]  # the server sends no acks here


class _Over(Exception):  # noqa: N818 - a signal, not an error
    """204: the broadcast is over and the room closed."""


class _Status(Exception):  # noqa: N818 - a signal, not an error
    """Neither 200 nor 204."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(status)
        self.status, self.retry_after = status, retry_after
