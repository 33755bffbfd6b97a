"""The word filter: finds listed words in text however they are dressed up, and says what is to become of the comment.

Text and words are folded the same way: compatibility forms (full-width, circled …), accents and look-alikes become plain
letters, case goes, everything that is no letter or digit (spaces, zero-width, dots, stars) is skipped, and runs of a letter
count as "at least so many". One pass finds all words, however many there are (Aho and Corasick, CACM 1975).
Words in scripts that write spaces between words are found as whole words only, so that `Scunthorpe` and `was sent` pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import compress, count, pairwise
from operator import ge, ne, sub
from typing import Final, Literal, Protocol
from unicodedata import normalize

from ahocorasick_rs import AhoCorasick, BytesAhoCorasick, Implementation
from msgspec import Struct

from livecast.core.filter.reading import ASCII_FOLDED, ASCII_NO_LETTERS, Reading, letters_of, skeleton
from livecast.core.filter.sounds import Sounds, spelled, suits
from livecast.core.filter.wechat import WECHAT, WECHAT_LETTERS

BLOCK: Final = "block"
HOLD: Final = "hold"
MASK: Final = "mask"
SEVERITY: Final = (MASK, HOLD, BLOCK)
MASK_CHAR: Final = "*"
TATWEEL: Final = "\u0640"
Pinyin = Literal["off", "mixed", "full"]
"""What of Chinese words is looked for in pinyin: nothing, what is half in it and what is in it altogether from three syllables on,
or that from two on, at the price of some English words.
"""

# Scripts whose words have no spaces between them: there a match may stand anywhere.
_UNSPACED: Final = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\ua960-\ua97f"
    r"\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_ASCII_IS_LETTER: Final = bytes(c not in ASCII_NO_LETTERS for c in range(256))
_NO_LETTERS: Final = re.compile(r"[\W_]+")


_LATIN: Final = re.compile("[a-z]")
_SPACE: Final = re.compile(r"\s")


class Words(Protocol):
    """What a room asks of a word filter."""

    def judge(self, text: str) -> tuple[str | None, str]:
        """(`block`, `hold`, `mask` or None, the text to show: the same object unless something is masked)."""


class Folded(Struct, frozen=True):
    """Text as the filter sees it: `letters` with runs made one, and where in the text every one of them came from."""

    letters: str
    at: list[int]
    """Where in the text each letter stands, before runs were made one. Non-decreasing."""
    starts: list[int]
    """For each run, which of those letters is its first; in the end, how many letters there are."""

    def run(self, index: int) -> list[int]:
        """Where in the text the letters of a run stand."""
        return self.at[self.starts[index] : self.starts[index + 1]]

    def ends_whole(self, index: int) -> bool:
        """Whether the run ends where a character of the text ends (Hangul syllables fold to several letters, which are not taken
        apart).
        """
        behind = self.starts[index + 1]
        return behind == len(self.at) or self.at[behind] != self.at[behind - 1]

    def counts(self) -> bytes:
        """How many letters each run has, or 255. (A listed word has 100 characters at most; some are several letters.)"""
        return bytes(min(b - a, 255) for a, b in pairwise(self.starts))


class Word(Struct, frozen=True):
    """A listed word, folded."""

    letters: str
    counts: bytes
    """How often each letter is repeated, at least."""
    action: str
    spaced: bool
    """Of a script with spaces between words."""
    pieces: tuple[str, ...]
    """What stands between the blanks of a listed phrase of a script with spaces; nothing of a single word."""


class WordFilter:
    """Words to block, to mask with stars, and to hold for a moderator. Immutable: a changed list is a new filter.

    Words that hold no letter or digit (emoji, signs) are searched for as they stand.
    """

    __slots__ = ("_automaton", "_first_look", "_signs", "_sounds", "_words")

    def __init__(
        self, *, block: Iterable[str] = (), mask: Iterable[str] = (), hold: Iterable[str] = (), pinyin: Pinyin = "mixed"
    ) -> None:
        self._words: list[Word] = []
        self._signs: list[tuple[str, str]] = []
        for action, listed in ((BLOCK, block), (MASK, mask), (HOLD, hold)):
            for word in listed:
                folded = fold(word)
                if folded.letters and not _NO_LETTERS.fullmatch(normalize("NFKD", word)):
                    spaced = _UNSPACED.search(word) is None
                    pieces = _pieces(word) if spaced and len(word.split()) > 1 else ()
                    self._words.append(Word(folded.letters, folded.counts(), action, spaced, pieces))
                elif sign := word.strip():
                    self._signs.append((sign, action))
        self._sounds = None if pinyin == "off" else self._listen(full=pinyin == "full")
        # Measured with 20,000: this kind is the quickest but for a table of five times the memory.
        kind, looks = Implementation.ContiguousNFA, sorted({skeleton(w.letters) or w.letters.encode() for w in self._words})
        self._automaton = AhoCorasick([w.letters for w in self._words], implementation=kind) if looks else None
        self._first_look = BytesAhoCorasick(looks, implementation=kind) if looks else None

    def check(self, text: str) -> str | None:
        """What the severest match asks for: `block`, `hold`, `mask`, or None."""
        return max((action for action, _, _ in self._matches(Reading(text))), key=SEVERITY.index, default=None)

    def judge(self, text: str) -> tuple[str | None, str]:
        """(What the severest match asks for, the text with what is to be masked replaced by stars)."""
        return self.read(Reading(text))

    def read(self, reading: Reading) -> tuple[str | None, str]:
        """The same of a text that others look at, too."""
        matches = self._matches(reading)
        text = reading.text
        if not matches:
            return None, text
        shown = list(text)
        for action, start, end in matches:
            if action == MASK:
                shown[start:end] = MASK_CHAR * (end - start)
        masked = "".join(shown)
        return max((m[0] for m in matches), key=SEVERITY.index), text if masked == text else masked

    def may_find(self, look: bytes, *, mixed: bool = False) -> bool:
        """A first look at a text without a second reading: whether the longer way is to be gone."""
        return (
            bool(self._signs)
            or (self._first_look is not None and bool(self._first_look.find_matches_as_indexes(look)))
            or (mixed and self._sounds is not None and self._sounds.near(look.decode("utf-8", "surrogatepass")))
        )

    def _listen(self, *, full: bool) -> Sounds | None:
        """The index of words by their sound. Those that are looked for in pinyin altogether become words of the list."""
        heard = [(number, word.letters) for number, word in enumerate(self._words) if suits(word.letters) and max(word.counts) == 1]
        for number, letters in heard:
            if (said := spelled(letters, full=full)) is not None:
                folded = fold(said)
                self._words.append(Word(folded.letters, folded.counts(), self._words[number].action, True, tuple(said.split())))
        return Sounds(heard) if heard else None

    def _matches(self, reading: Reading) -> list[tuple[str, int, int]]:
        """(action, start, end) of every match in the text and in its second reading, positions in `text`."""
        found = self._found(reading)
        return found if reading.again is None else found + self._found(reading.again)

    def _found(self, reading: Reading) -> list[tuple[str, int, int]]:
        text = reading.text
        found = [(action, at, at + len(sign)) for sign, action in self._signs for at in _places(text, sign)] if self._signs else []
        listed = self._first_look is not None and bool(self._first_look.find_matches_as_indexes(reading.look))
        heard = reading.mixed and self._sounds is not None and self._sounds.near(reading.look.decode("utf-8", "surrogatepass"))
        if self._automaton is None or not (listed or heard):
            return found
        folded = fold(text)
        for index, first, behind in self._automaton.find_matches_as_indexes(folded.letters, overlapping=True) if listed else ():
            word = self._words[index]
            if (place := _place(word, text, folded, first, behind - 1)) is not None:
                found.append((word.action, *place))
        if heard and self._sounds is not None:
            for number, first, behind in self._sounds.find(folded.letters):
                if (place := _heard(text, folded, first, behind - 1)) is not None:
                    found.append((self._words[number].action, *place))
        return found


def fold(text: str) -> Folded:
    """Fold `text`, keeping track of where in it every letter stands.

    Only texts in which the first look saw something come here, but of English ones those are many (the `ass` of `class`): so no
    step of it goes letter by letter in Python.
    """
    if text.isascii():
        typed = text.encode()
        letters = typed.translate(ASCII_FOLDED, ASCII_NO_LETTERS).decode()
        at = list(compress(count(), typed.translate(_ASCII_IS_LETTER)))
    else:
        folds = list(map(letters_of, text))
        letters = "".join(folds)
        at = list(compress(count(), folds))
        if len(at) != len(letters):  # a character that is several letters
            at = [where for where, fold_of in enumerate(folds) for _ in fold_of]
    differ = [True, *map(ne, letters, letters[1:])][: len(letters)]
    return Folded("".join(compress(letters, differ)), at, [*compress(count(), differ), len(letters)])


def _place(word: Word, text: str, folded: Folded, first: int, last: int) -> tuple[int, int] | None:
    """Where in `text` the letters found from run `first` to run `last` are this word; None if they are parts of others."""
    head, tail = folded.run(first), folded.run(last)
    if word.spaced:
        # A run may go on beyond the word (the k of `fuck kids`): the word is the shortest stretch between ends of words.
        starts = [at for at in head[: len(head) - word.counts[0] + 1] if not _is_letter(_before(text, at))]
        ends = [at + 1 for at in tail[word.counts[-1] - 1 :] if not _is_letter(_behind(text, at + 1))]
        if not starts or not ends:
            return None
    counts = map(sub, folded.starts[first + 1 : last + 2], folded.starts[first : last + 1])
    if not all(map(ge, counts, word.counts)):
        return None
    # What stands for WeChat may begin nothing but it, and end with its first character (`加微`).
    if not folded.ends_whole(last) and text[tail[-1]] != WECHAT:
        return None
    if text[head[0]] == WECHAT and folded.letters[first] != WECHAT_LETTERS[0]:
        return None
    if not word.spaced:
        return head[0], tail[-1] + 1
    start, end = (starts[0] if first == last else starts[-1]), ends[0]
    found = text[start:end]
    pieces = _pieces(found)
    spelled_out = all(len(fold(piece).letters) <= 1 for piece in _NO_LETTERS.split(found))
    return (start, end) if len(pieces) == 1 or spelled_out or pieces == word.pieces else None


def _heard(text: str, folded: Folded, first: int, last: int) -> tuple[int, int] | None:
    """Where in `text` a word half in pinyin stands; None if its syllables are parts of others."""
    start, end = folded.run(first)[0], folded.run(last)[-1] + 1
    latin = [at for at in range(first, last + 1) if _LATIN.match(folded.letters[at])]
    if not folded.ends_whole(last) or len(latin) > last - first:
        return None
    if latin[0] == first:
        seam = next(at for at in range(first, last) if at + 1 not in latin)
        if _goes_on(text[:start][-1:]) or (_goes_on(folded.letters[:first][-1:]) and _apart(text, folded, seam)):
            return None
    if latin[-1] == last:
        seam = next(at for at in range(last - 1, first - 1, -1) if at not in latin)
        if _goes_on(text[end : end + 1]) or (_goes_on(folded.letters[last + 1 : last + 2]) and _apart(text, folded, seam)):
            return None
    return start, end


def _goes_on(char: str) -> bool:
    """Whether a syllable beside it is part of a Latin word: `Huawei信号`."""
    return bool(char) and _LATIN.search(letters_of(char)) is not None


def _apart(text: str, folded: Folded, seam: int) -> bool:
    """Whether there is a blank behind that run: then the syllable belongs to the words on its other side (`Li Wei 信我`)."""
    return _SPACE.search(text[folded.run(seam)[-1] : folded.run(seam + 1)[0]]) is not None


def _pieces(text: str) -> tuple[str, ...]:
    return tuple(letters for piece in text.split() if (letters := fold(piece).letters))


def _before(text: str, at: int) -> str:
    """What stands before that place, or nothing. (What draws an Arabic word out is no part of it.)"""
    while at and text[at - 1] == TATWEEL:
        at -= 1
    return text[at - 1] if at else ""


def _behind(text: str, at: int) -> str:
    """What stands from that place on, likewise."""
    while at < len(text) and text[at] == TATWEEL:
        at += 1
    return text[at : at + 1]


def _is_letter(char: str) -> bool:
    """Whether `char` would go on a word of a script with spaces between words."""
    return char.isalnum() and _UNSPACED.match(char) is None


def _places(text: str, sign: str) -> list[int]:
    return [m.start() for m in re.finditer(re.escape(sign), text)]
