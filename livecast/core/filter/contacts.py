"""Links and telephone numbers in a comment, also where they are written so that nobody should notice.

What is looked for leads people away from the room: web addresses (`t。me／x`, `taobao點com`), mobile and international numbers
(`一三八 0013 8000`). Prices, quantities, times and cheers are left alone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from unicodedata import is_normalized, normalize

# Letters, and the punctuation typed with them, that mean to the patterns here what their plain forms would.
_PLAIN: Final = re.compile(
    "[ -~\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3"
    "\u2014\u201c\u201d\u3000-\u3002\u3008-\u3011\uff01\uff0c\uff1a\uff1f\uff5e]*+"
)
Span = tuple[int, int]
"""[start, end) in the text."""

# Endings that names for such purposes have. A word and a dot alone are no link: people write `ok.thanks`.
_ENDINGS: Final = (
    "com|cn|net|org|top|xyz|vip|shop|store|club|site|online|live|link|info|biz|cc|tv|me|io|co|app|pro|fun|ltd|asia|wang|work|ink|"
    "icu|ru|uk|us|eu|de|fr|jp|kr|tw|hk|sg|in|id|vn|th|my|ph|br|to|gg|ly|gl|la|ws|su|pw|mobi|name|tech|space|website|dev|ai"
)
_SMALL_DOTS: Final = "。．｡•·‧⋅∙・ꞏ۔܁"
DOTS: Final = f".{_SMALL_DOTS}点點"
"""What may stand before the ending of an address."""
_DOT: Final = rf"\s?(?:[.{_SMALL_DOTS}点點]|\(dot\)|\[dot\]|\bdot\b)\s?"
_LINK: Final = re.compile(
    r"(?:https?|ftp)\s?[:：]\s?[/／]{2}[^\s]+"
    rf"|(?<![a-z0-9@])(?:www{_DOT})[a-z0-9-]+(?:{_DOT}[a-z0-9-]+)+(?:[/／][^\s]*)?"
    rf"|(?<![a-z0-9@])[a-z0-9-]{{2,63}}(?:\.[a-z0-9-]{{2,63}}){{0,3}}{_DOT}(?:{_ENDINGS})(?![a-z0-9])(?:[/／][^\s]*)?"
    rf"|(?<![a-z0-9])t{_DOT}me\s?[/／]\s?[a-z0-9_]+",
    re.IGNORECASE,
)
# What every link has, whatever else: an ending behind a dot or the word for it, two slashes, or three w.
# (Case is ignored only behind the dot: a pattern that begins with a plain set of characters is looked for many times as fast.)
_ENDED: Final = re.compile(rf"[{DOTS}]\s?(?![\u2e80-\uffff])(?i:{_ENDINGS})(?![a-z0-9])")
_SLASHES: Final = re.compile(r"[:：]\s?[/／]{2}")

# Digits, however written: what NFKC makes of them (full-width, circled, bold), Chinese numerals of all kinds, also in rings and
# brackets, and those with stops or on black, of which NFKC says too much or nothing.
NUMERALS: Final = {
    ord(char): digit
    for digit, chars in {
        "0": "〇零洞Oo⓿🄀",
        "1": "一壹幺㈠㊀⒈⑴❶➀➊⓵〡",
        "2": "二贰貳两兩㈡㊁⒉⑵❷➁➋⓶〢",
        "3": "三叁參㈢㊂⒊⑶❸➂➌⓷〣",
        "4": "四肆㈣㊃⒋⑷❹➃➍⓸〤",
        "5": "五伍㈤㊄⒌⑸❺➄➎⓹〥",
        "6": "六陆陸㈥㊅⒍⑹❻➅➏⓺〦",
        "7": "七柒拐㈦㊆⒎⑺❼➆➐⓻〧",
        "8": "八捌㈧㊇⒏⑻❽➇➑⓼〨",
        "9": "九玖勾㈨㊈⒐⑼❾➈➒⓽〩",
    }.items()
    for char in chars
}
_SMALL_SEP: Final = r"[\s.\-_·•,，、*/|—–()（）]{0,2}"
# Pictures and signs, and what makes a digit a key; none is one of `NUMERALS`, or looking would have too many ways to go.
_SIGNS: Final = "\u200b-\u200d\u20e3\u2190-\u23ff\u2500-\u2775\u2794-\u27bf\u2b00-\u2bff\ufe0e\ufe0f\U0001f1e6-\U0001faff"
_SEP: Final = rf"{_SMALL_SEP}(?:[{_SIGNS}]{{1,3}}{_SMALL_SEP})?"
# What every number has, whatever else: a digit that is no letter O, and eight of all kinds in a row, the shortest being `+` and so
# many. From the quickest look to the one that tells most.
DIGITS_MIN: Final = 8
_DIGIT: Final = re.compile(rf"[\d{''.join(map(chr, NUMERALS))}]")
_DIGITS: Final = re.compile(rf"{_DIGIT.pattern}(?:{_SEP}{_DIGIT.pattern}){{{DIGITS_MIN - 1}}}")
_SOME_DIGITS: Final = re.compile(_DIGIT.pattern.replace("O", "").replace("o", ""))
_SOME_ASCII_DIGITS: Final = re.compile("[0-9]")
_MOBILE: Final = re.compile(rf"(?<!\d)(?:\+?86{_SEP})?1{_SEP}[3-9](?:{_SEP}\d){{9}}(?!{_SEP}\d)")
_INTERNATIONAL: Final = re.compile(r"\+\s?[1-9](?:[\s.\-()]{0,2}\d){7,14}(?!\d)")


def plainly(text: str) -> str:
    """What `links` and `phones` read: compatibility forms made plain where one character becomes one, so that places stay."""
    if text.isascii() or _PLAIN.fullmatch(text) is not None or is_normalized("NFKC", text):
        return text
    return "".join(map(_plain, text))


def links(plain: str) -> list[Span]:
    """Where web addresses stand in a text as `plainly` leaves it."""
    if not _may_link(plain):
        return []
    return [found.span() for found in _LINK.finditer(plain)]


def _may_link(plain: str) -> bool:
    """Whether there is anything in it that every link has: what is told soonest first."""
    if ("/" in plain or "／" in plain) and _SLASHES.search(plain) is not None:
        return True
    if ("." in plain or not plain.isascii()) and _ENDED.search(plain) is not None:
        return True
    if "w" in plain or "d" in plain or "W" in plain or "D" in plain:
        lower = plain.lower()
        return "www" in lower or "dot" in lower
    return False


def phones(plain: str) -> list[Span]:
    """Where telephone numbers stand in a text as `plainly` leaves it."""
    if (_SOME_ASCII_DIGITS if plain.isascii() else _SOME_DIGITS).search(plain) is None:
        return []
    if len(_DIGIT.findall(plain)) < DIGITS_MIN or _DIGITS.search(plain) is None:
        return []
    read = plain.translate(NUMERALS)
    spans = [found.span() for pattern in (_MOBILE, _INTERNATIONAL) for found in pattern.finditer(read) if _is_number(found[0])]
    return sorted(spans)


def _is_number(found: str) -> bool:
    """Whether a run of digits may be somebody's number: cheers (`8888`) are of one or two digits only."""
    digits = [char for char in found if char.isdigit()]
    return len(set(digits[2:])) > 1 or len(set(digits)) > 2


@lru_cache(8192)
def _plain(char: str) -> str:
    """The plain form of a character if that is one character, too. Few characters make up most texts."""
    plain = normalize("NFKC", char)
    return plain if len(plain) == 1 else char
