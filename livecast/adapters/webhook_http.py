"""The way out for webhooks: one POST, to public addresses only, bounded in time and bytes, on aiohttp's client.

The address is checked where the socket is made, so what was checked is what is connected to: a name that resolves to something
else a moment later (DNS rebinding) meets the same check again. Names are looked up in threads of our own: a name server that
hangs holds up those alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from livecast.core.webhooks.deliveries import Answer

ANSWER_BYTES_MAX: Final = 16_384
"""So much of an answer's body is read, so that the connection can be used again; what has more is hung up on."""
HEAD_BYTES_MAX: Final = 16_384
"""Of an answer's status line and of each header."""
BODY_S: Final = 1.0
"""... and so long, as nobody needs it."""
CONNECTIONS_MAX: Final = 1_024
"""More than may be under way at the same time: this is only the last bound."""
LOOK_UPS_MAX: Final = 64
"""Names looked up at the same time. A name server that says nothing holds a thread for some ten seconds, and a failing endpoint
asks for one name at a time: so many of them may hang before others wait."""
NAMES_KEPT_S: Final = 10
"""How long an address is used without asking again."""

_NAT64: Final = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))
_6TO4: Final = ipaddress.IPv6Network("2002::/16")
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_NOT_OUT: Final = tuple(
    map(ipaddress.ip_network, ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "fec0::/10", "::/96"))
)
"""What is not for the public internet beyond what `ipaddress` says of itself: carriers' NAT (with one cloud's metadata), IETF
assignments, relays, benchmarks, site-local, IPv4-compatible."""


class _Forbidden(OSError):  # noqa: N818 - says what the address is
    """The address is none that we may connect to."""


def is_public(address: str) -> bool:
    """Whether an IP address (with or without a zone) is one out there: not private, loopback, link-local (cloud metadata),
    multicast, unspecified or reserved; nor IPv6 that leads to such an IPv4 address or through a translator.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if ip.version == 6 and (ip.ipv4_mapped is not None or any(ip in network for network in (*_NAT64, _6TO4, _TEREDO))):
        return False  # nobody's receiver is reached so, and everybody's inside may be
    if any(ip.version == network.version and ip in network for network in _NOT_OUT):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_link_local or ip.is_private)


class _Resolver(AbstractResolver):
    """Names by the system's resolver, in threads of our own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UPS_MAX, thread_name_prefix="webhook-names")

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """The addresses of a name."""

        def look_up() -> list[Any]:
            return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)

        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(hostname=host, host=str(at[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST)
            for kind, _, proto, _, at in found
        ]

    async def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class HttpSender:
    """`webhooks.Sender` over HTTP. `inside`: any address and plain http too, for development."""

    def __init__(self, *, timeout_s: float, inside: bool = False, trust: ssl.SSLContext | None = None) -> None:
        self._inside = inside
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._trust = trust
        """Whom to trust instead of the system's authorities."""
        self._session: aiohttp.ClientSession | None = None

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST it once."""
        began = time.monotonic()
        status, reason, retry_after_s = 0, "", None
        try:
            if not (self._inside or url.startswith("https://")):
                raise _Forbidden("only https is delivered to")
            async with self._open().post(
                url, data=body, headers=dict(headers), allow_redirects=False, timeout=self._timeout
            ) as response:
                status = response.status
                reason = f"HTTP {status}" if not 300 <= status < 400 else f"HTTP {status}: redirects are not followed"
                retry_after_s = _seconds(response.headers.get("Retry-After", ""))
                await _finish(response)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as fault:
            if not status:
                reason = _why(fault)
        return Answer(status, round(1000 * (time.monotonic() - began)), reason, retry_after_s)

    async def close(self) -> None:
        """Let connections go."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX,
                resolver=_Resolver(),
                ttl_dns_cache=NAMES_KEPT_S,
                socket_factory=self._socket,
                ssl=self._trust or True,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # nobody reads it: a body that inflates to a gigabyte stays what it is
                trust_env=False,
                max_line_size=HEAD_BYTES_MAX,
                max_field_size=HEAD_BYTES_MAX,
            )
        return self._session

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The socket for an address, if it is one to connect to."""
        family, kind, proto, _, at = info
        if not (self._inside or is_public(str(at[0]))):
            raise _Forbidden(f"{at[0]} is not a public address")
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        return made


async def _finish(response: aiohttp.ClientResponse) -> None:
    """Read the rest of an answer if it is short, so that its connection can be used again; else hang up."""
    try:
        async with asyncio.timeout(BODY_S):
            while response.content.total_bytes <= ANSWER_BYTES_MAX and not response.content.at_eof():
                await response.content.readany()
    except (TimeoutError, aiohttp.ClientError, OSError):
        response.close()
        return
    if not response.content.at_eof():
        response.close()


def _seconds(retry_after: str) -> int | None:
    """`Retry-After` in seconds; a date is taken for nothing said."""
    return int(retry_after) if re.fullmatch(r"\d{1,6}", retry_after) else None


def _why(fault: Exception) -> str:  # noqa: PLR0911 - one line for each kind of fault
    """What went wrong, in a few words that are not the receiver's."""
    for cause in _causes(fault):
        if isinstance(cause, _Forbidden):
            return str(cause)
        # aiohttp's own faults call themselves SSLError too, and have nothing to say.
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, aiohttp.ClientError):
            return f"TLS: {getattr(cause, 'verify_message', '') or cause.reason}"
    if isinstance(fault, TimeoutError):
        return "no answer in time"
    if isinstance(fault, aiohttp.ClientConnectorDNSError):
        return "the name does not resolve"
    if isinstance(fault, aiohttp.ClientConnectorError):
        return f"no connection: {os.strerror(fault.os_error.errno) if fault.os_error.errno else type(fault.os_error).__name__}"
    if isinstance(fault, ValueError):
        return "that is no URL"
    return f"no answer: {type(fault).__name__}"


def _causes(fault: BaseException | None) -> list[BaseException]:
    """The fault and everything it came from; of several attempts side by side all."""
    found: list[BaseException] = []
    waiting = [fault]
    while waiting:
        each = waiting.pop()
        if each is None or each in found:
            continue
        found.append(each)
        waiting += (each.__cause__, each.__context__, getattr(each, "os_error", None), getattr(each, "certificate_error", None))
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
    return found
