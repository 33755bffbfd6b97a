"""The way to whoever judges comments: one POST to the configured address, bounded in time and bytes.

The address is the operator's own, usually inside; it is not looked at as a merchant's webhook is. Redirects are not followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aiohttp

ANSWER_BYTES_MAX: Final = 16_384
"""An answer is a word, or an edited comment."""


class HttpJudge:
    """`shard.reviewer.Judge` over HTTP, on a pool of connections. What it raises is `failed`, made of the reason."""

    def __init__(self, url: str, failed: type[Exception], *, connections_max: int) -> None:
        self._url = url
        self._failed = failed
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, headers: Mapping[str, str], body: bytes, timeout_s: float) -> bytes:
        """POST it once; the answer's body."""
        if timeout_s <= 0:
            raise self._failed("no time was left to ask")
        try:
            async with self._open().post(
                self._url,
                data=body,
                headers=dict(headers),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                if response.status != 200:
                    raise self._failed(f"HTTP {response.status}")
                answer = b""
                async for piece in response.content.iter_any():
                    answer += piece
                    if len(answer) > ANSWER_BYTES_MAX:
                        response.close()
                        raise self._failed("the answer is too long")
                return answer
        except TimeoutError:
            raise self._failed("no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            raise self._failed(f"no answer: {type(fault).__name__}") from None

    async def close(self) -> None:
        """Let connections go."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections_max),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session
