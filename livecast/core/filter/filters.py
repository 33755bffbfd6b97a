"""Filters by scope: word lists, and what is to become of links and telephone numbers; several of them laid over each other.

A room's comments pass the platform's filter, its merchant's and its own. The severest of all decides, and each masks what it
masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from livecast.core.filter.contacts import Span, links, phones, plainly
from livecast.core.filter.reading import Reading, calm_look
from livecast.core.filter.words import MASK_CHAR, SEVERITY, Pinyin, WordFilter, Words

WORDS_MAX: Final = 50_000
"""Words of one list: two and a half times what large platforms keep; compiled they take some 10 MB."""

CACHED_CHARS_MAX: Final = 12
"""What a crowd says all at once is short; for longer texts remembering costs as much as it saves."""
CACHED_TEXTS: Final = 4096
"""Verdicts remembered per filter: about a megabyte. In two recorded broadcasts one comment in fourteen had been said before; where
a crowd is asked to type the same, nearly all have."""

Entry = Annotated[str, Meta(min_length=1, max_length=100)]
Listed = Annotated[tuple[Entry, ...], Meta(max_length=WORDS_MAX)]
Rule = Literal["allow", "mask", "hold", "block"]


class FilterLists(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A filter as it is written: words to block, to mask with stars, to hold for a moderator; the same of links and phones; which
    of the Chinese words are looked for in pinyin, too.
    """

    block: Listed = ()
    mask: Listed = ()
    hold: Listed = ()
    links: Rule = "allow"
    phones: Rule = "allow"
    pinyin: Pinyin = "mixed"


class Filter:
    """`FilterLists`, ready to judge. Immutable, so that of short texts, which are the ones that repeat, verdicts are remembered."""

    __slots__ = ("_remembered", "_rules", "_words")

    def __init__(self, lists: FilterLists) -> None:
        self._words = WordFilter(block=lists.block, mask=lists.mask, hold=lists.hold, pinyin=lists.pinyin)
        looks: tuple[tuple[Rule, Callable[[str], list[Span]]], ...] = ((lists.links, links), (lists.phones, phones))
        self._rules = [(rule, find) for rule, find in looks if rule != "allow"]
        self._remembered = lru_cache(CACHED_TEXTS)(self._judge)

    def judge(self, text: str) -> tuple[str | None, str]:
        """As `words.Words`."""
        if len(text) > CACHED_CHARS_MAX:
            look = calm_look(text)
            if look is not None and not self._words.may_find(look):
                return None, text
            return self.read(Reading(text))
        found, shown = self._remembered(text)
        return found, text if shown is None else shown

    def read(self, reading: Reading) -> tuple[str | None, str]:
        """The same of a text that other filters look at, too."""
        if reading.calm and not self._words.may_find(reading.look, mixed=reading.mixed):
            return None, reading.text
        found, shown = self._words.read(reading)
        if reading.calm or not self._rules:
            return found, shown
        plain = plainly(reading.text)
        for rule, find in self._rules:
            spans = find(plain)
            if spans:
                found = severer(found, rule)
                if rule == "mask":
                    shown = _masked(shown, spans)
        return found, shown

    def _judge(self, text: str) -> tuple[str | None, str | None]:
        """What is shown is None where that is the text itself."""
        found, shown = self.read(Reading(text))
        return found, None if shown is text else shown


class Layers:
    """Several filters, each of which sees the text as it was said."""

    __slots__ = ("_layers",)

    def __init__(self, layers: Sequence[Filter]) -> None:
        self._layers = layers

    def judge(self, text: str) -> tuple[str | None, str]:
        """The severest verdict, and what all of them leave to be shown."""
        found: str | None = None
        shown = text
        reading = Reading(text) if len(text) > CACHED_CHARS_MAX else None
        for layer in self._layers:
            verdict, read = layer.judge(text) if reading is None else layer.read(reading)
            found = severer(found, verdict)
            if read is not text:
                shown = read if shown is text else _both(shown, read)
        return found, shown


def layered(filters: Sequence[Filter]) -> Words | None:
    """One filter of several; None of none."""
    if len(filters) < 2:
        return filters[0] if filters else None
    return Layers(filters)


def severer(a: str | None, b: str | None) -> str | None:
    """The more severe of two verdicts."""
    if a is None or b is None:
        return a or b
    return max(a, b, key=SEVERITY.index)


def _masked(text: str, spans: Sequence[Span]) -> str:
    shown = list(text)
    for start, end in spans:
        shown[start:end] = MASK_CHAR * (end - start)
    return "".join(shown)


def _both(a: str, b: str) -> str:
    """What two masks of the same text leave."""
    return "".join(x if x == y else MASK_CHAR for x, y in zip(a, b, strict=True))
