"""Keeps a node's keys in step with those that were revoked (`livecast key revoke`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from livecast.adapters.redis.revoked import RedisRevokedKeys
from livecast.edge.access.keys import ApiKey, KeyRing
from livecast.facts import Observer, Trouble
from livecast.ports import StoreError

#: A revoked key opens nothing after ten seconds at most: this, and two seconds for an answer of the store.
REFRESH_S: Final = 5.0


class Revoking:
    """Reads the revoked ids now and then. While the store does not answer, what was revoked stays so and nothing else is."""

    def __init__(self, keys: KeyRing, configured: Sequence[ApiKey], revoked: RedisRevokedKeys, observer: Observer) -> None:
        self._keys = keys
        self._configured = tuple(configured)
        self._revoked = revoked
        self._gone: frozenset[str] = frozenset()
        self._observer = observer
        self._task: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Read them once. Raises `StoreError`."""
        self._gone = frozenset(await self._revoked.ids())
        self.configure(self._configured)

    def configure(self, keys: Sequence[ApiKey]) -> None:
        """These are the keys from now on, less those that were revoked."""
        self._configured = tuple(keys)
        self._keys.replace(key for key in self._configured if key.id not in self._gone)

    def start(self) -> None:
        """Go on reading them."""
        self._task = asyncio.get_running_loop().create_task(self._go_on(), name="refresh revoked keys")

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.refresh()
            except StoreError as error:
                self._observer.observe(
                    Trouble("revoked keys not read", "keys", f"those known so far stay revoked; asking again ({error})")
                )

    def stop(self) -> None:
        """No more."""
        if self._task is not None:
            self._task.cancel()
