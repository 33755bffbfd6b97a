"""The client: `async with LivecastClient(url, room, token=…) as c: answer = await c.comment("hello")`.

It connects, resumes by itself where it left off, keeps `c.view` up to date and reconnects until told otherwise. How that is
done stands in `livecast.client.session` (what is said), `reconnect` (when to come back) and `link` (how bytes move).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Literal, Self

from livecast.client.errors import ClientError, Refused, Unreachable
from livecast.client.link import CLOSE_TIMEOUT_S, OPEN_TIMEOUT_S, Link, TokenSource, new_cid, socket_url
from livecast.client.messages import Answer, CodecName, Connection, Event, Welcome, You
from livecast.client.reconnect import Stop
from livecast.client.session import VIEW_RULES, Session
from livecast.core.rules import RoomRules
from livecast.core.view import RoomView

EVENTS_MAX: Final = 1000  # kept for a reader that lags; then the oldest go (`events_dropped`)


class LivecastClient:
    """One viewer in one room.

    `url` is the node (`http://host:port`, `https://…`). `token` is a JWT; `get_token` gives fresh ones, and then the token
    is renewed on the live socket before it expires. Neither: anonymous. `light` follows only the numbers of frames, for
    simulated crowds: no view, no `Frame` events. `listen` is called with every event as it happens, before iteration.
    `rng` draws the pauses before reconnects.
    """

    def __init__(
        self,
        url: str,
        room: str,
        *,
        token: str | None = None,
        get_token: TokenSource | None = None,
        codec: CodecName = "msgpack",
        transport: Literal["ws"] = "ws",
        deflate: bool = False,
        light: bool = False,
        since: str | None = None,
        rules: RoomRules = VIEW_RULES,
        listen: Callable[[Event], None] | None = None,
        connect_timeout_s: float = OPEN_TIMEOUT_S,
        rng: random.Random | None = None,
    ) -> None:
        if transport != "ws":
            raise ValueError(f"unknown transport {transport!r}")
        self.room = room
        self.events_dropped = 0
        """Events that fell out of the queue because nobody read them. The view has them all the same."""
        chance = rng or random.Random()  # noqa: S311 - spreads reconnects, protects nothing
        self._session = Session(codec, light=light, rules=rules, rng=chance)
        self._link = Link(
            self._session,
            socket_url(url, room),
            self._take,
            codec=codec,
            deflate=deflate,
            token=token,
            get_token=get_token,
            since=since,
            rng=chance,
        )
        self._listen = listen
        self._connect_timeout_s = connect_timeout_s
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._ready: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    # --- Life ---------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect and wait for the first welcome.

        Raises `Refused` if the server will not have us, `Unreachable` if there is none within the time to connect.
        """
        self._ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._link.run(), name=f"livecast client {self.room}")
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await asyncio.shield(self._ready)
        except TimeoutError as error:
            await self.close()
            raise Unreachable(f"no welcome from {self._link.url}: {self._link.why or 'no answer'}") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Send collected taps, say goodbye, stop. What is still asked ends with `Closed`."""
        if self._closing:
            return
        self._closing = True
        self._session.flush_taps()
        self._link.close()
        if self._task is not None:
            if self._session.open:  # let the writer send what is left and close properly
                await asyncio.wait({self._task}, timeout=CLOSE_TIMEOUT_S)
            self._task.cancel()
            await asyncio.wait({self._task})
        self._session.close()
        self._news.set()

    # --- Look ---------------------------------------------------------------------------------------------------------

    @property
    def view(self) -> RoomView:
        """The room as it is now: `state`, `policy`, `recent`, `epoch`, `seq`."""
        if self._session.view is None:
            raise ClientError("a light client keeps no view")
        return self._session.view

    @property
    def you(self) -> You | None:
        """How the server sees this client."""
        return self._session.you

    @property
    def policy(self) -> dict[str, Any]:
        """What the room lets its viewers do now."""
        return self._session.policy

    @property
    def since(self) -> str | None:
        """The last frame seen, as `EPOCH:SEQ`."""
        return self._session.since

    @property
    def connected(self) -> bool:
        """Welcomed, and the connection is up."""
        return self._session.open

    @property
    def connections(self) -> int:
        """How often a connection was opened."""
        return self._link.connections

    @property
    def waiting(self) -> int:
        """Requests without a final answer yet."""
        return self._session.waiting

    @property
    def ended(self) -> Stop | None:
        """Why the client stopped for good, if it did."""
        return self._link.ended

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Every event, until the client ends. One reader at a time."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self._link.ended is not None:
                return
            self._news.clear()
            await self._news.wait()

    # --- Say ----------------------------------------------------------------------------------------------------------

    async def comment(
        self,
        text: str,
        *,
        reply_to: str | None = None,
        mentions: list[str] | None = None,
        style: dict[str, Any] | None = None,
        meta: dict[str, Any] | None = None,
        cid: str | None = None,
        timeout_s: float = 30.0,
    ) -> Answer:
        """Say something; the answer is final: `shown`, `merged`, `sampled`, `held`, or why not. Raises `GaveUp`, `Closed`."""
        rest = {"reply_to": reply_to, "mentions": mentions, "style": style, "meta": meta}
        return await self.ask({"t": "comment", "text": text, **_given(rest)}, cid=cid, timeout_s=timeout_s)

    def like(self, n: int = 1) -> None:
        """Tap `n` times. Taps are collected, sent a few times a second and not answered."""
        self._session.tap(n, time.monotonic())
        self._link.wake()

    async def like_counted(self, n: int = 1, *, cid: str | None = None, timeout_s: float = 30.0) -> Answer:
        """Tap `n` (1 to 100) times and learn how many counted (`answer.ack.counted`)."""
        return await self.ask({"t": "like", "n": n}, cid=cid, timeout_s=timeout_s)

    async def gift(
        self,
        gift: str,
        n: int = 1,
        *,
        to: str | None = None,
        unit_price: int | None = None,
        text: str | None = None,
        cid: str | None = None,
        timeout_s: float = 30.0,
    ) -> Answer:
        """Send a gift. `cid` is the transaction: keep it, and ask again with it after `GaveUp`."""
        rest = {"to": to, "unit_price": unit_price, "text": text}
        return await self.ask({"t": "gift", "gift": gift, "n": n, **_given(rest)}, cid=cid, timeout_s=timeout_s)

    async def claim(self, drop: str, *, cid: str | None = None, timeout_s: float = 30.0) -> Answer:
        """Claim one unit of a drop: `won`, `entered`, `sold_out`, `limit`…"""
        return await self.ask({"t": "claim", "drop": drop}, cid=cid, timeout_s=timeout_s)

    async def vote(self, poll: str, choice: int, *, cid: str | None = None, timeout_s: float = 30.0) -> Answer:
        """Vote for the choice with this index."""
        return await self.ask({"t": "vote", "poll": poll, "choice": choice}, cid=cid, timeout_s=timeout_s)

    async def report(self, reason: str, *, comment: str | None = None, user: str | None = None, timeout_s: float = 30.0) -> Answer:
        """Tell the moderators about a comment or a user."""
        rest = {"comment": comment, "user": user}
        return await self.ask({"t": "report", "reason": reason, **_given(rest)}, timeout_s=timeout_s)

    async def sign_in(self, token: str, *, timeout_s: float = 30.0) -> Answer:
        """Sign an anonymous viewer in, or renew, on the live socket. The token is also used for reconnecting from now on."""
        return await self._link.sign_in(token, timeout_s)

    def tap(self, target: str, n: int = 1) -> None:
        """Tap on a product; never answered."""
        self._session.tell({"t": "tap", "target": target, "n": n})
        self._link.wake()

    def ping(self) -> None:
        """Ask for the room's last frame number; if frames were lost, the client resumes."""
        self._session.tell({"t": "ping"})
        self._link.wake()

    async def ask(self, message: dict[str, Any], *, cid: str | None = None, timeout_s: float = 30.0) -> Answer:
        """Send any message that has an answer, and repeat it under the same cid until the answer is a final one.

        Raises `GaveUp` after `timeout_s` (the outcome is unknown), `Closed` if the client ends meanwhile.
        """
        return await self._link.ask({"t": message["t"], "cid": cid or new_cid(), **message}, timeout_s)

    # --- Private ------------------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        """An event from the link: to the listener at once, and to whoever iterates."""
        ready = self._ready
        if ready is not None and not ready.done():
            if isinstance(event, Welcome):
                ready.set_result(None)
            elif isinstance(event, Connection) and event.state == "closed":
                ready.set_exception(Refused(event.code, event.reason))
                ready.exception()  # marked as seen: whoever started may be gone
        if self._listen is not None:
            self._listen(event)
        if len(self._events) >= EVENTS_MAX:
            self._events.popleft()
            self.events_dropped += 1
        self._events.append(event)
        self._news.set()


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
