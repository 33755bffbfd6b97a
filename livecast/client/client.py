"""The client: `async with LivecastClient(url, room, token=…) as c: answer = await c.comment("hello")`.

It connects, resumes by itself where it left off, keeps `c.view` up to date and reconnects until told otherwise. What it
decides stands in `livecast.client.session` and `livecast.client.reconnect`; here bytes are moved and time is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from livecast.client.errors import ClientError, Closed, Refused, Unreachable
from livecast.client.messages import MESSAGE_BYTES_MAX, Answer, CodecName, Connection, Event, Welcome, You
from livecast.client.reconnect import Again, Stop, after, after_handshake, pause_s
from livecast.client.session import VIEW_RULES, Session
from livecast.core.rules import RoomRules
from livecast.core.view import RoomView

OPEN_TIMEOUT_S: Final = 10.0  # handshake and welcome together
GOOD_AFTER_S: Final = 10.0  # a connection that held so long was a good one: the next pause is a first one again
CLOSE_TIMEOUT_S: Final = 2.0
EVENTS_MAX: Final = 1000  # kept for a reader that lags; then the oldest go (`events_dropped`)
RENEW_RETRY_S: Final = 5.0  # after a fresh token could not be had, or was refused
RENEW_LEAST_S: Final = 1.0  # between renewals, however short-lived the tokens are

TokenSource = Callable[[], Awaitable[str]]


def new_cid() -> str:
    """An id for one request: 120 random bits in 20 characters."""
    return secrets.token_urlsafe(15)


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
        self.connections = 0
        """How often a connection was opened."""
        self._rng = rng or random.Random()  # noqa: S311 - spreads reconnects, protects nothing
        self._session = Session(codec, light=light, rules=rules, rng=self._rng)
        self._url = socket_url(url, room)
        self._codec, self._deflate = codec, deflate
        self._token, self._get_token = token, get_token
        self._since = since
        self._listen = listen
        self._connect_timeout_s = connect_timeout_s
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._kick = asyncio.Event()
        self._ready: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._announced = False
        self._why, self._code = "", 0
        self._opened_s: float | None = None
        self._ended: Stop | None = None

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
        self._task = asyncio.create_task(self._run(), name=f"livecast client {self.room}")
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await asyncio.shield(self._ready)
        except TimeoutError as error:
            await self.close()
            raise Unreachable(f"no welcome from {self._url}: {self._why or 'no answer'}") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Send collected taps, say goodbye, stop. What is still asked ends with `Closed`."""
        if self._closing:
            return
        self._closing = True
        self._session.flush_taps()
        self._kick.set()
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
    def waiting(self) -> int:
        """Requests without a final answer yet."""
        return self._session.waiting

    @property
    def ended(self) -> Stop | None:
        """Why the client stopped for good, if it did."""
        return self._ended

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Every event, until the client ends. One reader at a time."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self._ended is not None:
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
        self._kick.set()

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
        answer = await self.ask({"t": "auth", "token": token}, timeout_s=timeout_s)
        if answer.ok:
            self._token = token
        return answer

    def tap(self, target: str, n: int = 1) -> None:
        """Tap on a product; never answered."""
        self._session.tell({"t": "tap", "target": target, "n": n})
        self._kick.set()

    def ping(self) -> None:
        """Ask for the room's last frame number; if frames were lost, the client resumes."""
        self._session.tell({"t": "ping"})
        self._kick.set()

    async def ask(self, message: dict[str, Any], *, cid: str | None = None, timeout_s: float = 30.0) -> Answer:
        """Send any message that has an answer, and repeat it under the same cid until the answer is a final one.

        Raises `GaveUp` after `timeout_s` (the outcome is unknown), `Closed` if the client ends meanwhile.
        """
        if self._closing or self._ended is not None:
            raise Closed("the client is closed")
        message = {"t": message["t"], "cid": cid or new_cid(), **message}
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def settle(result: Answer | ClientError) -> None:
            if future.done():
                return
            if isinstance(result, ClientError):
                future.set_exception(result)
            else:
                future.set_result(result)

        self._session.ask(message, settle, time.monotonic() + timeout_s)
        self._kick.set()
        try:
            return await future
        except asyncio.CancelledError:
            self._session.forget(message["cid"])
            raise

    # --- Private: connections -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Connection after connection, until closed or told to stay away."""
        attempt, fresh = 0, self._token is None
        end = Stop(1000, "closed by us")
        try:
            while not self._closing:
                self._emit(Connection("connecting", attempt=attempt))
                next_step = await self._visit(attempt, fresh=fresh)
                if isinstance(next_step, Stop):
                    end = next_step
                    break
                good = self._opened_s is not None and time.monotonic() - self._opened_s > GOOD_AFTER_S
                attempt, fresh = (0 if good else attempt + 1), next_step.fresh
                self._emit(Connection("waiting", self._why, self._code, attempt, next_step.delay_s))
                await self._pause(next_step.delay_s)
        except Exception as error:
            end = Stop(1011, f"the client failed: {error!r}")
            raise
        finally:
            self._end(end)

    async def _visit(self, attempt: int, *, fresh: bool) -> Again | Stop:
        """One connection from its handshake to its end; says what to do next."""
        self._why, self._code, self._opened_s = "", 0, None
        socket = await self._open(attempt, fresh=fresh)
        if isinstance(socket, Again | Stop):
            return socket
        self.connections += 1
        self._opened_s = time.monotonic()
        await self._talk(socket)
        if self._closing:
            return Stop(1000, "closed by us")
        bye, broken = self._session.bye, self._session.broken
        self._code = (bye.code if bye else None) or socket.close_code or 1006
        if broken and bye is None:
            self._why = broken
            return Again(0.0 if attempt == 0 else pause_s(attempt, self._rng))
        verdict = after(self._code, bye, attempt, self._rng, can_renew=self._get_token is not None)
        self._why = verdict.reason if isinstance(verdict, Stop) else (bye.reason if bye else socket.close_reason or "")
        return verdict

    async def _open(self, attempt: int, *, fresh: bool) -> ClientConnection | Again | Stop:
        """A token if one is due, then the handshake."""
        if self._get_token is not None and (fresh or self._token is None):
            try:
                self._token = await self._get_token()
            except Exception as error:  # noqa: BLE001 - whatever the caller's function raises: there is no token now
                self._why = f"no token: {error}"
                return Again(pause_s(attempt, self._rng), fresh=True)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                return await self._connect()
        except InvalidStatus as refusal:
            self._code, self._why = refusal.response.status_code, "the handshake was answered with HTTP"
            return after_handshake(self._code, refusal.response.headers.get("Retry-After"), attempt, self._rng)
        except (InvalidURI, ValueError) as error:
            return Stop(4400, f"not an address: {error}")
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, EOFError) as error:
            self._why = str(error) or type(error).__name__
            return Again(pause_s(attempt, self._rng))

    async def _connect(self) -> ClientConnection:
        since = self._session.since or self._since
        return await connect(
            self._url + (f"?since={quote(since, safe='')}" if since else ""),
            subprotocols=[Subprotocol(f"livecast.v1.{self._codec}")],
            additional_headers={"Authorization": f"Bearer {self._token}"} if self._token else None,
            compression="deflate" if self._deflate else None,
            max_size=MESSAGE_BYTES_MAX,
            ping_interval=None,  # the session pings by the room's own policy
            close_timeout=CLOSE_TIMEOUT_S,
            proxy=None if _is_loopback(self._url) else True,
        )

    async def _talk(self, socket: ClientConnection) -> None:
        """Read until the connection ends, while another task writes and watches the time."""
        session = self._session
        session.connected(time.monotonic())
        self._announced = False
        writer = asyncio.create_task(self._write(socket))
        renewer = asyncio.create_task(self._renew()) if self._get_token is not None else None
        try:
            while not session.broken:
                session.receive(await socket.recv(decode=False), time.monotonic())
                self._drain()
        except ConnectionClosed:
            pass
        finally:
            session.disconnected()
            for task in filter(None, (writer, renewer)):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            with contextlib.suppress(OSError, ConnectionClosed):
                await socket.close()
            self._drain()

    async def _write(self, socket: ClientConnection) -> None:
        """Send what the session has to say, and wake it when it asked to be woken."""
        session = self._session
        try:
            while True:
                self._kick.clear()
                now_s = time.monotonic()
                session.tick(now_s)
                for data in session.to_send(now_s):
                    await socket.send(data)
                if session.broken or self._closing:
                    break
                await self._woken(session.next_timer_s() - time.monotonic())
            await socket.close()
        except ConnectionClosed:
            return

    async def _renew(self) -> None:
        """Keep the live socket signed in: a fresh token before the present one expires."""
        if self._get_token is None:
            return
        while True:
            due_s = self._session.renew_at_s
            wait_s = 1.0 if due_s is None else due_s - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, 60.0))
                continue
            try:
                answer = await self.sign_in(await self._get_token(), timeout_s=10.0)
            except Exception:  # noqa: BLE001 - whatever the caller's function raises: there is no token now
                answer = None
            await asyncio.sleep(RENEW_RETRY_S if answer is None or not answer.ok else RENEW_LEAST_S)

    async def _pause(self, delay_s: float) -> None:
        """Wait between connections; questions still run out meanwhile."""
        until_s = time.monotonic() + delay_s
        while not self._closing and (now_s := time.monotonic()) < until_s:
            self._kick.clear()
            self._session.tick(now_s)
            await self._woken(min(until_s, self._session.next_timer_s()) - now_s)

    async def _woken(self, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, timeout_s) if timeout_s != float("inf") else None):
                await self._kick.wait()

    # --- Private: events ----------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Hand on what the session noticed, and let the writer see what there is to send."""
        events = self._session.events()
        for event in events:
            if isinstance(event, Welcome):
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(None)
                if not self._announced:
                    self._announced = True
                    self._emit(Connection("open"))
                self._kick.set()
            self._emit(event)
        if self._session.broken:
            self._kick.set()

    def _emit(self, event: Event) -> None:
        if self._listen is not None:
            self._listen(event)
        if len(self._events) >= EVENTS_MAX:
            self._events.popleft()
            self.events_dropped += 1
        self._events.append(event)
        self._news.set()

    def _end(self, end: Stop) -> None:
        """No more connections: nobody waits for anything any longer."""
        self._ended = end
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(Refused(end.code, end.reason))
            self._ready.exception()  # marked as seen: whoever started may be gone
        self._session.close()
        self._emit(Connection("closed", end.reason, end.code))


def socket_url(url: str, room: str) -> str:
    """The WebSocket address of `room` on the node at `url`."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/v1/rooms/{quote(room, safe='')}/ws", "", ""))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
