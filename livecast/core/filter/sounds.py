"""Listed Chinese words of which some characters are written in Latin letters, as they sound: `wei信`, `色qing`, `cao你ma`.

A word that is half in pinyin is nobody's honest way to write it, so hardly anything is found with these that nobody meant: at
least one ideograph has to stand there as it is, and the syllables have to be words of their own (`Huawei信号` has no `wei`).
What is in pinyin altogether (`caonima`) is another matter, as two syllables often are an English word (`made`, `women`, `dating`):
see `spelled`.

Where an ideograph meets Latin letters, an index of the words' pairs of characters says which of them have that ideograph beside one
that sounds so; the rest of the word is compared outwards from there. Texts without such a seam, which most are, cost nothing.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from livecast.core.filter.pinyin import readings

WORD_CHARS_MAX: Final = 12
"""Longer entries are sentences, which nobody types half in pinyin. Bounds the index, and how deep a comparison goes."""
SPELLED_CHARS_MIN: Final = 3
SPELLED_LETTERS_MIN: Final = 6
FULL_CHARS_MIN: Final = 2
FULL_LETTERS_MIN: Final = 4
"""From where on a word is looked for that is in pinyin altogether: what is shorter is too often one of another language."""
_SYLLABLE_MIN: Final = 2
_SYLLABLE_MAX: Final = 6
_IDEOGRAPHS: Final = (0x4E00, 0x9FFF)
_IDEOGRAPH: Final = re.compile("[\u4e00-\u9fff]")
_LATIN_RUN: Final = re.compile(f"[a-z]{{{_SYLLABLE_MIN},}}")

# A pair in eight bytes: two characters, the number of the word (150,000 in three lists at most), the place in it.
_CHAR_BITS: Final = 21
_NUMBER_BITS: Final = 18
_PLACE_BITS: Final = 4
_REST_BITS: Final = _NUMBER_BITS + _PLACE_BITS

Beside = dict[str, list[tuple[int, int]]]
"""Syllable -> [(number of the word, place of the pair in it)]."""
Place = tuple[int, int, int]
"""(number of the word, its first letter, the letter behind its last), in letters as `words.fold` leaves them."""


class Sounds:
    """The index over some words, as `words.fold` leaves their letters."""

    __slots__ = ("_after", "_before", "_beside", "_words")

    def __init__(self, words: Sequence[tuple[int, str]]) -> None:
        """`words`: (number, letters), none with the same character twice in a row: of those `fold` leaves one."""
        self._words: dict[int, str] = dict(words)
        after: list[int] = []
        before: list[int] = []
        for number, letters in words:
            for at, (left, right) in enumerate(pairwise(map(ord, letters))):
                rest = number << _PLACE_BITS | at
                if _IDEOGRAPHS[0] <= left <= _IDEOGRAPHS[1]:
                    after.append((left << _CHAR_BITS | right) << _REST_BITS | rest)
                if _IDEOGRAPHS[0] <= right <= _IDEOGRAPHS[1]:
                    before.append((right << _CHAR_BITS | left) << _REST_BITS | rest)
        # Eight bytes a pair; as dictionaries by sound they would be ten times that, for seams that never come.
        self._after = array("Q", sorted(after))
        self._before = array("Q", sorted(before))
        self._beside: dict[tuple[str, bool], Beside] = {}

    def near(self, letters: str) -> bool:
        """Whether a listed word may be there, half in pinyin."""
        return any(True for _ in self._seams(letters))

    def find(self, letters: str) -> Iterator[Place]:
        """Where words are, some of their characters in pinyin. The same place may come more than once."""
        for start, end, among in self._seams(letters):
            for number, at in among:
                word = self._words[number]
                first = _backward(word, at - 1, letters, start)
                behind = _forward(word, at + 2, letters, end)
                if first is not None and behind is not None:
                    yield number, first, behind

    def _seams(self, letters: str) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
        """(start, end, words) of each pair that stands where an ideograph meets Latin letters."""
        for run in _LATIN_RUN.finditer(letters):
            start, end = run.span()
            if start and (beside := self._sounding(letters[start - 1], behind=True)):
                for behind in range(start + _SYLLABLE_MIN, min(start + _SYLLABLE_MAX, end) + 1):
                    if found := beside.get(letters[start:behind]):
                        yield start - 1, behind, found
            if end < len(letters) and (beside := self._sounding(letters[end], behind=False)):
                for first in range(end - _SYLLABLE_MIN, max(end - _SYLLABLE_MAX, start) - 1, -1):
                    if found := beside.get(letters[first:end]):
                        yield first, end + 1, found

    def _sounding(self, ideograph: str, *, behind: bool) -> Beside:
        """What stands beside an ideograph in listed words, by its sound. Made when it is first asked for: few are."""
        found = self._beside.get((ideograph, behind))
        if found is None:
            if _IDEOGRAPH.match(ideograph) is None:
                return {}
            found = self._beside[ideograph, behind] = {}
            pairs = self._after if behind else self._before
            code, shift = ord(ideograph), _CHAR_BITS + _REST_BITS
            for pair in pairs[bisect_left(pairs, code << shift) : bisect_left(pairs, (code + 1) << shift)]:
                rest = pair & (1 << _REST_BITS) - 1
                for syllable in syllables(chr(pair >> _REST_BITS & (1 << _CHAR_BITS) - 1)):
                    found.setdefault(syllable, []).append((rest >> _PLACE_BITS, rest & (1 << _PLACE_BITS) - 1))
        return found


def suits(letters: str) -> bool:
    """Whether a listed word, folded, may be written half in pinyin: of two characters at least, one of them an ideograph."""
    return 2 <= len(letters) <= WORD_CHARS_MAX and _IDEOGRAPH.search(letters) is not None


def syllables(character: str) -> list[str]:
    """How a character may be typed that is read so: `lv` also as `lu`, which is what is left of `lü`."""
    said = [syllable for syllable in readings().get(character, ()) if len(syllable) >= _SYLLABLE_MIN]
    return [*said, *(syllable.replace("v", "u") for syllable in said if "v" in syllable)]


def spelled(letters: str, *, full: bool = False) -> str | None:
    """A listed word in pinyin altogether, a blank between syllables; None if that is too short, or nothing."""
    chars_min, letters_min = (FULL_CHARS_MIN, FULL_LETTERS_MIN) if full else (SPELLED_CHARS_MIN, SPELLED_LETTERS_MIN)
    if not chars_min <= len(letters) <= WORD_CHARS_MAX:
        return None
    said = [readings().get(character, ("",))[0] for character in letters]
    return " ".join(said) if all(said) and sum(map(len, said)) >= letters_min else None


def _forward(word: str, at: int, letters: str, place: int) -> int | None:
    """Where the rest of the word from its character `at` on ends, if it stands at that place."""
    if at >= len(word):
        return place
    if letters.startswith(word[at], place) and (end := _forward(word, at + 1, letters, place + 1)) is not None:
        return end
    for syllable in syllables(word[at]):
        # Of `nan ning` the letters are `naning`: runs are one.
        shared = letters[place - 1] == syllable[0]
        if letters.startswith(rest := syllable[shared:], place):
            end = _forward(word, at + 1, letters, place + len(rest))
            if end is not None:
                return end
    return None


def _backward(word: str, at: int, letters: str, place: int) -> int | None:
    """Where the word up to its character `at` begins, if it ends before that place."""
    if at < 0:
        return place
    if letters.endswith(word[at], 0, place) and (start := _backward(word, at - 1, letters, place - 1)) is not None:
        return start
    for syllable in syllables(word[at]):
        rest = syllable[:-1] if letters[place] == syllable[-1] else syllable
        if letters.endswith(rest, 0, place):
            start = _backward(word, at - 1, letters, place - len(rest))
            if start is not None:
                return start
    return None
