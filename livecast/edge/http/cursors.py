"""Cursors of lists: where the next page begins, in hexadecimal so that nobody is tempted to build one by hand."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

Cursor: TypeAlias = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{2})*\Z", max_length=256)]
"""As a parameter of a query. Every one of this form is a position, whether or not anything stands there."""


NOWHERE: Final = 2**53 - 1
"""A position behind which nothing stands."""


def make(position: str) -> str:
    """The cursor of what follows on `position`: an id, so ASCII."""
    return position.encode("latin-1").hex()


def read(cursor: Cursor) -> str:
    """The position that a cursor stands for; empty for the start."""
    return bytes.fromhex(cursor).decode("latin-1")


def read_number(cursor: Cursor, start: int) -> int:
    """The number that a cursor stands for; `start` without one, `NOWHERE` if it stands for none."""
    said = read(cursor)
    if not said:
        return start
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 15 else NOWHERE
