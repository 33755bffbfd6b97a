"""What clients over plain HTTP have in common: the session that they ask with."""

from __future__ import annotations

from typing import Self

import aiohttp


class Asking:
    """Asks with the session that was given, which stays open, or with one of its own from `async with` to its end."""

    def __init__(self, session: aiohttp.ClientSession | None) -> None:
        self._given = session
        self._session = session

    async def __aenter__(self) -> Self:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None and self._given is None:
            await self._session.close()
            self._session = None
