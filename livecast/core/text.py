"""Text as people typed it -> text that is safe on every screen, and the key under which equal texts meet.

Both run for every comment, so ordinary text (printable, no piles of marks) takes a short way, and short texts, which are
the ones that repeat, are remembered.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import eq
from typing import Final
from unicodedata import category, normalize

MARKS_MAX: Final = 3
"""Combining marks on one letter. Written languages stack two or three; text that climbs out of its line stacks dozens."""
NAME_CHARS_MAX: Final = 64
"""A longer name is cut: it stands beside every comment of its bearer."""
CACHED_CHARS_MAX: Final = 32
"""Longer texts are hardly ever repeated word for word, and would make the memory of them large."""
CACHED_TEXTS: Final = 4096
"""Times about 300 bytes: one megabyte per process."""

# What most comments are made of: ASCII, Chinese, Japanese and Korean letters, and the punctuation typed with them. Such text
# has nothing in it to take out, before or after NFKC, and one look tells.
_PLAIN: Final = re.compile(
    "[ -~\u3041-\u3096\u30a1-\u30fa\u30fc\u4e00-\u9fff\uac00-\ud7a3\u3001\u3002\u2026\uff01\uff0c\uff1a\uff1f\uff5e]*+"
)
# What NFKC makes of the compatibility forms among them.
_PLAIN_FORMS: Final = (("\uff0c", ","), ("\uff01", "!"), ("\uff1f", "?"), ("\uff1a", ":"), ("\uff5e", "~"), ("\u2026", "..."))
# What makes text take the long way although it is printable: four symbols in a row that are no letters (marks are among
# those, and so are emoji), selectors, and letters that cannot be seen.
_INVISIBLE_LETTERS: Final = "\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f"
_SUSPECT: Final = re.compile(rf"[^\w\s\x00-\x7f]{{4}}|[{_INVISIBLE_LETTERS}\u2800\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_BLANK: Final = (
    " \t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u2800"
)
_BREAKS: Final = frozenset("\t\n\x0b\x0c\r\x85\u2028\u2029")
_NEVER: Final = frozenset(_INVISIBLE_LETTERS + "\ufffe\uffff")
# Format characters that are seen: Arabic and Syriac signs in front of numbers, Kaithi number signs.
_SEEN_FORMATS: Final = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_EMOJI: Final = re.compile(
    r"[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_SELECTOR: Final = re.compile(r"[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_KEYCAP_BASES: Final = frozenset("0123456789#*")
_BLACK_FLAG: Final = "\U0001f3f4"
_TAGS: Final = re.compile(r"[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f")
_JOINER: Final = "\u200d"
_ATTACHED: Final = frozenset(_JOINER + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])))

# Collapsed to three: `666666` and `666` are the same cheer, `66` and `666` are not.
_REPEATS: Final = re.compile(r"(.)\1{3,}", re.DOTALL)
# Marks of no script of their own, selectors, skin tones and what joins emoji: they change how a text looks, not what it says. Vowel
# signs of scripts that have them are letters to those who read them, and stay.
_DRESS: Final = re.compile(
    r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u200d\ufe00-\ufe0f\ufe20-\ufe2f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\U000e0100-\U000e01ef]+"
)
_END: Final = (
    " \t\u3000!\"#%&'()*,-./:;?@[\\]_{}~^`\xa1\xa7\xab\xb6\xb7\xbb\xbf\u2010\u2011\u2012\u2013\u2014\u2015\u2018\u2019\u201c"
    "\u201d\u201e\u2020\u2021\u2022\u2026\u2030\u2039\u203a\u203c\u203d\u2047\u2048\u2049\u3001\u3002\u3003\u3008\u3009\u300a"
    "\u300b\u300c\u300d\u300e\u300f\u3010\u3011\u3014\u3015\u301c\u3030\u30fb\u2e3a\u2e3b\uff01\uff02\uff07\uff08\uff09\uff0c\uff0d\uff0e\uff0f\uff1a\uff1b\uff1f\uff3f\uff5e\uff61\uff64\u060c\u061b\u061f\u06d4\u0964\u0965"
)


def clean(text: str) -> str:
    """Take out what other people's screens should not be made to do; may be empty afterwards.

    Control, bidi and zero-width characters go (line breaks become spaces; a joiner stays within an emoji, a selector after
    what it selects for), combining marks are capped at `MARKS_MAX`, both ends are trimmed. Cleaning twice changes nothing.
    """
    if text.isprintable() and (text.isascii() or _SUSPECT.search(text) is None):
        return text.strip()
    return _clean_slowly(text)


def clean_name(text: str) -> str:
    """What somebody is called, on one line beside every comment of theirs: `clean`, and at most `NAME_CHARS_MAX` code points."""
    name = clean(text)
    return name if len(name) <= NAME_CHARS_MAX else clean(name[:NAME_CHARS_MAX])


def merge_key(text: str) -> str:
    """What clean `text` says, whatever it is dressed in: NFKC, case-folded, without marks, long repeats and end punctuation.

    Of punctuation alone nothing would be left, so that is its own key.
    """
    return _merge_key(text, plain=False)


def _merge_key(text: str, *, plain: bool) -> str:
    said = text.lower() if text.isascii() else _undressed(text, plain=plain)
    # Of four equal ones in a row two stand at 3n and 3n + 1: in a long text that is quicker to see. Substituting without
    # looking would compile its template each time.
    if (len(said) < 16 or any(map(eq, said[::3], said[1::3]))) and _REPEATS.search(said) is not None:
        said = _REPEATS.sub(r"\1\1\1", said)
    if said[-1:].isalnum():
        return said
    return said.rstrip(_END) or said or text


def _undressed(text: str, *, plain: bool) -> str:
    said = text.rstrip(_END) or text
    if plain:
        # There are only so many compatibility forms in it, and taking them one by one is ten times as fast.
        for form, stands_for in _PLAIN_FORMS:
            if form in said:
                said = said.replace(form, stands_for)
        return said.casefold().strip()
    return _DRESS.sub("", normalize("NFKC", said).casefold()).strip()


def read(text: str) -> tuple[str, str]:
    """(`clean`, its `merge_key`)."""
    return _read_remembered(text) if len(text) <= CACHED_CHARS_MAX else _read(text)


def _read(text: str) -> tuple[str, str]:
    plain = not text.isascii() and _PLAIN.fullmatch(text) is not None
    cleaned = text.strip(" ") if plain else clean(text)
    return cleaned, _merge_key(cleaned, plain=plain)


_read_remembered: Final = lru_cache(CACHED_TEXTS)(_read)


def _clean_slowly(text: str) -> str:
    out: list[str] = []
    marks = 0
    skip_to = 0
    for i, c in enumerate(text):
        if i < skip_to:
            continue
        kept = _keep(c, out, text[i + 1 : i + 2])
        if not kept:
            continue
        if _is_mark(c):
            marks += 1
            if marks > MARKS_MAX:
                continue
        elif kept not in _ATTACHED:
            marks = 0
        out.append(kept)
        if c == _BLACK_FLAG and (tags := _TAGS.match(text, i + 1)):  # the flags of England, Scotland and Wales
            out.append(tags[0])
            skip_to = tags.end()
    return "".join(out).strip(_BLANK)


def _keep(c: str, before: list[str], after: str) -> str:
    """What stands for `c` between what was kept before it and what comes next: itself, a space, or nothing."""
    if c in _BREAKS:
        return " "
    if c in _NEVER:
        return ""
    if c == _JOINER:
        return c if _joins(before, after) else ""
    if _SELECTOR.match(c):
        return c if before and _takes_selector(before[-1]) else ""
    kind = category(c)
    if kind in ("Cc", "Cs") or (kind == "Cf" and c not in _SEEN_FORMATS):
        return ""
    return c


def _is_mark(c: str) -> bool:
    """Whether `c` sits on the letter before it. Selectors do not count: they add nothing to see."""
    return category(c) in ("Mn", "Me") and _SELECTOR.match(c) is None


def _takes_selector(base: str) -> bool:
    """Whether a variation selector after `base` has something to select: an emoji, a keycap's digit, an ideograph."""
    if base in _KEYCAP_BASES:
        return True
    return not base.isascii() and base not in _BLANK and category(base[-1]) in ("So", "Sm", "Po", "Lo", "Pd", "Sk")


def _joins(before: list[str], after: str) -> bool:
    """Whether a zero-width joiner between the two holds an emoji together."""
    if not before or not _EMOJI.match(after):
        return False
    last = before[-1]
    return bool(_EMOJI.match(last)) or (last == "\ufe0f" and len(before) > 1 and bool(_EMOJI.match(before[-2])))
