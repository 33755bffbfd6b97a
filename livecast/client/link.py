"""A session kept connected: connection after connection, bytes in and out, and fresh tokens in time.

What is said and when to come back is decided elsewhere (`livecast.client.session`, `livecast.client.reconnect`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from livecast.client.errors import ClientError, Closed
from livecast.client.messages import MESSAGE_BYTES_MAX, Answer, CodecName, Connection, Event, Welcome
from livecast.client.reconnect import WORDS, Again, Stop, after, after_handshake, pause_s
from livecast.client.session import Session

OPEN_TIMEOUT_S: Final = 10.0  # for the handshake
GOOD_AFTER_S: Final = 10.0  # a connection that held so long was a good one: the next pause is a first one again
CLOSE_TIMEOUT_S: Final = 2.0
RENEW_RETRY_S: Final = 5.0  # after a fresh token could not be had, or was refused
RENEW_LEAST_S: Final = 1.0  # between renewals, however short-lived the tokens are

TokenSource = Callable[[], Awaitable[str]]


def new_cid() -> str:
    """An id for one request: 120 random bits in 20 characters."""
    return secrets.token_urlsafe(15)


class Link:
    """Keeps `session` connected to the socket at `url` while `run` runs. `emit` is called with every event, in order."""

    def __init__(
        self,
        session: Session,
        url: str,
        emit: Callable[[Event], None],
        *,
        codec: CodecName,
        deflate: bool,
        token: str | None,
        get_token: TokenSource | None,
        since: str | None,
        rng: random.Random,
    ) -> None:
        self.url = url
        self.token = token
        """What the next handshake carries."""
        self.connections = 0
        self.ended: Stop | None = None
        """Why there will be no more connections."""
        self.why = ""
        """Why the last connection, or the last try to make one, ended."""
        self._session, self._emit = session, emit
        self._codec, self._deflate, self._get_token, self._since, self._rng = codec, deflate, get_token, since, rng
        self._kick = asyncio.Event()
        self._closing = False
        self._announced = False
        self._code = 0
        self._opened_s: float | None = None
        self._wakes_at_s = 0.0
        """When the writer looks again by itself."""

    # --- Use ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connection after connection, until closed or told to stay away."""
        attempt, fresh = 0, self.token is None
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
                self._emit(Connection("waiting", self.why, self._code, attempt, next_step.delay_s))
                await self._pause(next_step.delay_s)
        except Exception as error:
            end = Stop(1011, f"the client failed: {error!r}")
            raise
        finally:
            self._end(end)

    def wake(self) -> None:
        """The session has something to send, or another time to be woken at."""
        self._kick.set()

    def close(self) -> None:
        """Make `run` end in good order: what is left to send is sent, then the connection is closed."""
        self._closing = True
        self._kick.set()

    async def ask(self, message: dict[str, Any], timeout_s: float) -> Answer:
        """Ask until there is a final answer. Raises `GaveUp` after `timeout_s`, `Closed` if the link ends meanwhile."""
        if self._closing or self.ended is not None:
            raise Closed("the client is closed")
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

    async def sign_in(self, token: str, timeout_s: float) -> Answer:
        """Send `token` over the live socket; if it is taken, later handshakes carry it too."""
        answer = await self.ask({"t": "auth", "cid": new_cid(), "token": token}, timeout_s)
        if answer.ok:
            self.token = token
        return answer

    # --- Private ------------------------------------------------------------------------------------------------------

    async def _visit(self, attempt: int, *, fresh: bool) -> Again | Stop:
        """One connection from its handshake to its end; says what to do next."""
        self.why, self._code, self._opened_s = "", 0, None
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
            self.why = broken
            return Again(0.0 if attempt == 0 else pause_s(attempt, self._rng))
        verdict = after(self._code, bye, attempt, self._rng, can_renew=self._get_token is not None)
        self.why = (bye.reason if bye else socket.close_reason) or WORDS.get(self._code, "")
        return verdict

    async def _open(self, attempt: int, *, fresh: bool) -> ClientConnection | Again | Stop:
        """A token if one is due, then the handshake."""
        if self._get_token is not None and (fresh or self.token is None):
            try:
                self.token = await self._get_token()
            except Exception as error:  # noqa: BLE001 - whatever the caller's function raises: there is no token now
                self.why = f"no token: {error}"
                return Again(pause_s(attempt, self._rng), fresh=True)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                return await self._connect()
        except InvalidStatus as refusal:
            self._code, self.why = refusal.response.status_code, "the handshake was answered with HTTP"
            return after_handshake(self._code, refusal.response.headers.get("Retry-After"), attempt, self._rng)
        except (InvalidURI, ValueError) as error:
            return Stop(4400, f"not an address: {error}")
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, EOFError) as error:
            self.why = str(error) or type(error).__name__
            return Again(pause_s(attempt, self._rng))

    async def _connect(self) -> ClientConnection:
        since = self._session.since or self._since
        return await connect(
            self.url + (f"?since={quote(since, safe='')}" if since else ""),
            subprotocols=[Subprotocol(f"livecast.v1.{self._codec}")],
            additional_headers={"Authorization": f"Bearer {self.token}"} if self.token else None,
            compression="deflate" if self._deflate else None,
            max_size=MESSAGE_BYTES_MAX,
            ping_interval=None,  # the session pings by the room's own policy
            close_timeout=CLOSE_TIMEOUT_S,
            proxy=None if _is_loopback(self.url) else True,
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
                self._wakes_at_s = session.next_timer_s()
                await self._woken(self._wakes_at_s - time.monotonic())
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
                answer = await self.sign_in(await self._get_token(), 10.0)
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

    def _drain(self) -> None:
        """Hand on what the session noticed, and let the writer see what there is to send."""
        for event in self._session.events():
            if isinstance(event, Welcome):
                if not self._announced:
                    self._announced = True
                    self._emit(Connection("open"))
                self._kick.set()
            self._emit(event)
        if self._session.broken or self._session.next_timer_s() < self._wakes_at_s:  # a shorter `keepalive_ms`, a pause named
            self._kick.set()

    def _end(self, end: Stop) -> None:
        """No more connections: nobody waits for anything any longer."""
        self.ended = end
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
