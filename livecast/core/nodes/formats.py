"""Formats: which versions of livecast may work on the same stores, side by side or one after the other.

One number stands for everything that is in the two stores of rooms and ledger, or goes between nodes through them: keys and their
types, records, messages, signs of life. Each store has a mark that says what was written to it, and who can read that.

Rules for whoever changes anything of it:
- A change that the version before reads rightly by itself is free: a new field of a map or struct that has a default, a new element
  at the end of a struct's array, a new key, a new kind of event, answer or act. Unknown fields are ignored, unknown kinds skipped.
- A tuple never grows, no field changes its type or what it means, no key its name: what means something else has another name.
- A new kind of ledger entry is read by one version and written by the next at the earliest: skipping one would be a loss.
- Whatever else there is raises `FORMAT`. The version that learns to read it leaves `READER` as it is and writes as before; the
  next one writes it, and raises `READER`: so going back by one version never needs a change of data.
- What was ever written is read for good: rooms and ledgers rest for years. `tests/wire/recorded` has some of each format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from livecast import __version__
from livecast.core.nodes.membership import Beat

FORMAT: Final = 1
"""The newest format that this version reads. All versions so far know but one."""
READER: Final = 1
"""The format that one has to know to read what this version writes. Never above the `FORMAT` of the version before."""


class Knows(Struct, frozen=True):
    """What a version knows (`format`), and what others must know beside it (`reader`)."""

    format: int = FORMAT
    reader: int = READER
    version: str = __version__


class Mark(Struct, frozen=True):
    """What a store says of what is in it: it was written by versions that know `format`; to read it one must know `reader`.

    `since`: the version that first said so, for people.
    """

    format: int
    reader: int
    since: str = ""


def fits(mark: Mark | None, mine: Knows) -> bool:
    """Whether this version can read what is in a store. One without a mark is empty, or older than marks are: format 1."""
    return mark is None or mark.reader <= mine.format


def raised(mark: Mark | None, mine: Knows) -> Mark:
    """The mark once this version writes, too. What others wrote stays there, so it never falls."""
    if mark is None:
        return Mark(mine.format, mine.reader, mine.version)
    format_, reader = max(mark.format, mine.format), max(mark.reader, mine.reader)
    return mark if (format_, reader) == (mark.format, mark.reader) else Mark(format_, reader, mine.version)


def cannot_read(beats: Mapping[str, Beat], mine: Knows) -> dict[str, Beat]:
    """Nodes that could not read what this version writes."""
    return {name: beat for name, beat in beats.items() if beat.format < mine.reader}


def versions(beats: Iterable[Beat]) -> dict[str, int]:
    """How many nodes there are of each version."""
    found: dict[str, int] = {}
    for beat in beats:
        found[beat.version or "unknown"] = found.get(beat.version or "unknown", 0) + 1
    return dict(sorted(found.items()))


def too_new(where: str, mark: Mark, mine: Knows) -> str:
    """For an operator: a store that this version cannot read, and what to do."""
    return (
        f"{where} is written in format {mark.reader} by livecast {mark.since or 'of a later version'}, and this is livecast "
        f"{mine.version}, which reads formats up to {mine.format}. Nothing was touched. Run livecast "
        f"{mark.since or 'of that version'} or a later one; or, to go back, restore a backup that was made before it"
    )


def too_old(old: Mapping[str, Beat], mine: Knows) -> str:
    """For an operator: nodes that could not read what this version would write, and what to do."""
    named = ", ".join(f"{name} (livecast {beat.version or 'of an older version'})" for name, beat in sorted(old.items())[:5])
    more = f" and {len(old) - 5} more" if len(old) > 5 else ""
    return (
        f"livecast {mine.version} writes format {mine.reader}, which nodes on the same stores cannot read: {named}{more}. "
        "Upgrade all of them to the version before this one first, or stop them"
    )
