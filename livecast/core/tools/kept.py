"""One map of a room's private part, stored change by change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from livecast.core.events import Json

_GONE: Final = object()


class Kept:
    """What is put or dropped here goes into the next commit; `told` is the map as of the last one.

    Values are arrays, numbers or text, never maps: a later value replaces an earlier one. Keys are few or bounded by whoever
    puts them in.
    """

    __slots__ = ("_changes", "told")

    def __init__(self, told: Mapping[str, Json] | None = None) -> None:
        self.told: dict[str, Json] = dict(told or {})
        self._changes: dict[str, Json] = {}

    def put(self, key: str, value: Json) -> None:
        """From the next commit on `key` is `value`."""
        self._changes[key] = value

    def drop(self, key: str) -> None:
        """From the next commit on there is no `key`."""
        if key in self.told or key in self._changes:
            self._changes[key] = _GONE

    def clear(self) -> None:
        """From the next commit on there is nothing; what is put after this is there."""
        self._changes = dict.fromkeys(self.told, _GONE)

    @property
    def changed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._changes)

    def drain(self) -> dict[str, Json]:
        """The patch for the next commit (RFC 7396), `{}` if nothing changed."""
        if not self._changes:
            return {}
        changes, self._changes = self._changes, {}
        patch: dict[str, Json] = {}
        for key, value in changes.items():
            if value is not _GONE:
                self.told[key] = patch[key] = value
            elif self.told.pop(key, _GONE) is not _GONE:
                patch[key] = None
        return patch
