"""A text as the word filters look at it first: the letters that are left of it once everything is undressed, nothing else.

Most comments have no listed word in them, so this is where a filter's time goes. What several filters need of a text is made
once, and ordinary text (ASCII, Chinese, kana, the punctuation typed with them) is told by one look and takes a short way.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from unicodedata import category, is_normalized, normalize

from livecast.core.filter.contacts import DOTS, NUMERALS
from livecast.core.filter.lookalikes import REREAD, SAME, reread
from livecast.core.filter.wechat import SOUNDS

# Marks without which a text is read the same: accents, what piles up on letters to hide them, the vowels of Hebrew and Arabic.
ACCENTS: Final = re.compile(
    r"[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    r"\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff\u180b-\u180d\u1ab0-\u1aff\u1dc0-\u1dff"
    r"\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\U000e0100-\U000e01ef]"
)
# Several patterns: a set of characters is a table to the expression engine only where none is beyond the basic plane.
# (The first half of it is in the second, but takes half the time, and most letters are of it.)
_LETTERS: Final = re.compile(r"[0-9a-z\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]+|[^\W_]+")
_SAME_KEYS: Final = re.compile(f"[{''.join(chr(c) for c in SAME if c < 0x10000)}]")
_BEYOND_KEYS: Final = re.compile(f"[{''.join(chr(c) for c in SAME if c >= 0x10000)}]")
_TWICE: Final = re.compile(r"(.)\1", re.DOTALL)
_AGAIN: Final = re.compile(r"(.)(?=\1)", re.DOTALL)
_TWICE_ASCII: Final = re.compile(rb"(.)\1", re.DOTALL)
_AGAIN_ASCII: Final = re.compile(rb"(.)(?=\1)", re.DOTALL)
LONG_CHARS: Final = 64
"""Letters of a text from where on some stand twice in a row nearly always."""
ASCII_FOLDED: Final = bytes(range(256)).lower()
ASCII_NO_LETTERS: Final = bytes(c for c in range(128) if not chr(c).isalnum())

_PUNCTUATION: Final = "，。！？、：；…～·—“”‘’（）《》【】「」￥　"
_CALM_SIGNS: Final = ",?'\"()~-;^*_=&%#<>[]{}"
_KANA: Final = [*range(0x3041, 0x3097), *range(0x30A1, 0x30FB)]


@lru_cache(8192)
def letters_of(char: str) -> str:
    """What one character folds to; few characters make up most texts."""
    folded = normalize("NFKD", normalize("NFKD", char).casefold()).translate(SAME)
    return "".join(c for c in folded if c.isalnum() or (category(c)[0] == "M" and not ACCENTS.match(c)))


def _set(characters: set[int]) -> str:
    """Characters as a set of an expression."""
    ranges: list[list[int]] = []
    for c in sorted(characters):
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in ranges)


# Beyond ASCII the characters that fold to themselves, or to nothing, and stand for no other. (No unified ideograph decomposes; of
# kana those with a voicing mark do.)
_IDEOGRAPHS_AND_KANA: Final = {*range(0x4E00, 0xA000), *(c for c in _KANA if letters_of(chr(c)) == chr(c))}
_READY_BEYOND: Final = (_IDEOGRAPHS_AND_KANA - SAME.keys() - set(map(ord, REREAD))) | {
    ord(c) for c in _PUNCTUATION if not letters_of(c)
}
_READY: Final = re.compile(f"[ -~{_set(_READY_BEYOND)}]*+")
_READY_LETTERS: Final = re.compile(r"[0-9A-Za-z\u3041-\u9fff]+")
# Of those the ones that no address, no number and no second reading is made of, but for some words.
_CALM_BEYOND: Final = _READY_BEYOND - set(map(ord, DOTS)) - NUMERALS.keys() - set(map(ord, SOUNDS))
_CALM: Final = re.compile(f"[A-Za-z {re.escape(_CALM_SIGNS)}{_set(_CALM_BEYOND)}]*+")
_SOUNDING: Final = re.compile(f"[{SOUNDS}]")

_NOT_CALM: Final = tuple(word.encode() for word in ("www", "dot", "vx", "wx", "v信", "w信", "加", "weixin", "wechat"))


def _undressed(text: str) -> str:
    """The letters of any text."""
    # Most text is as it should be already, and looking is several times as fast as making it so.
    plain = text.casefold() if is_normalized("NFKD", text) else normalize("NFKD", normalize("NFKD", text).casefold())
    if _SAME_KEYS.search(plain) is not None or _BEYOND_KEYS.search(plain) is not None:
        plain = plain.translate(SAME)
    return "".join(_LETTERS.findall(plain))


class Reading:
    """One text. `look`: the letters of `words.fold(text)` in UTF-8, runs made one, without keeping track of where they stood.

    `mixed`: it has letters of one byte and of more, so perhaps a word half in pinyin.
    `calm`: there is no address and no number in it, and no second reading. `again`: that reading (see `lookalikes.reread`).
    """

    __slots__ = ("again", "calm", "look", "mixed", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        calm = _CALM.fullmatch(text) is not None
        once = calm
        self.mixed = False
        if text.isascii():
            typed = text.encode().translate(ASCII_FOLDED, ASCII_NO_LETTERS)
            self.calm = once = calm and not (
                b"www" in typed or b"dot" in typed or (b"we" in typed and (b"weixin" in typed or b"wechat" in typed))
            )
            self.look = typed if _TWICE_ASCII.search(typed) is None else _AGAIN_ASCII.sub(b"", typed)
        else:
            if calm or _READY.fullmatch(text) is not None:
                letters = "".join(_READY_LETTERS.findall(text))
                # Text that is not all ASCII takes ten times as long to make small as its bytes do.
                typed = letters.encode()
                if typed != typed.lower():
                    letters = letters.lower()
                    typed = letters.encode()
                # Ideographs and kana alone, none of which stands for another.
                once = len(typed) == 3 * len(letters) and (calm or _SOUNDING.search(letters) is None)
            else:
                letters = _undressed(text)
                typed = letters.encode("utf-8", "surrogatepass")
            self.mixed = len(typed) != 3 * len(letters)
            self.calm = calm and not ((b"v" in typed or b"w" in typed or b"d" in typed) and any(map(typed.__contains__, _NOT_CALM)))
            once = once or self.calm
            if len(letters) > LONG_CHARS or _TWICE.search(letters) is not None:
                typed = _AGAIN.sub("", letters).encode("utf-8", "surrogatepass")
            self.look = typed
        other = text if once else reread(text)
        self.again: Reading | None = None if other is text else Reading(other)


def calm_look(text: str) -> bytes | None:
    """`Reading(text).look` of a calm text of ideographs and kana alone, which most Chinese comments are, without making a reading.

    None: of any other text.
    """
    if _CALM.fullmatch(text) is None:
        return None
    letters = "".join(_READY_LETTERS.findall(text))
    look = letters.encode()
    if len(look) != 3 * len(letters):
        return None
    return look if _TWICE.search(letters) is None else _AGAIN.sub("", letters).encode()


def skeleton(text: str) -> bytes:
    """What is searched for listed words at first."""
    return Reading(text).look
