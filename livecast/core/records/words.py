"""Which words a comment consists of, for counting what a broadcast was about.

Chinese has no spaces: its words are found with a dictionary (jieba's, by way of its implementation in Rust, which takes some
microseconds for a comment). What stands in most sentences and says nothing is left out.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import rjieba

WORD_CHARS_MAX: Final = 16
"""A longer run of letters is an address or a cat on the keyboard."""
WORDS_MAX: Final = 40
"""Words counted of one comment: no honest one has more that differ."""
#: Function words of both languages. Single Chinese characters are left out anyway.
_STOP: Final = (
    "the a an and or of to in on at is are was be it its this that i you he she we they me my your so for with do does "
    "not no yes but if as by from have has had just can will what how im dont "
    "一个 一下 一些 什么 怎么 这个 那个 这样 那样 这么 那么 我们 你们 他们 自己 没有 不是 就是 还是 但是 因为 所以 如果 可以 "
    "可能 已经 现在 时候 知道 觉得 真的 可是 或者 然后 这里 那里 有点 不会 不能 不要"
)
STOP: Final = frozenset(_STOP.split(" "))


# Words of scripts with spaces between them: a run of their letters, marks included. Of the others the dictionary knows.
_SPACED: Final = re.compile(
    r"(?:(?![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[^\W_]"
    r"|[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0980-\u0983\u09bc-\u09cd])+"
)


def words_of(text: str) -> set[str]:
    """The words of a comment that say something, each once, in lower case; widths and forms of letters made alike."""
    found: set[str] = set()
    plain = unicodedata.normalize("NFKC", text).lower()
    foreign: list[str] = []
    if not plain.isascii():

        def put_by(match: re.Match[str]) -> str:
            if match[0].isascii():
                return match[0]
            foreign.append(match[0])
            return " "

        plain = _SPACED.sub(put_by, plain)
    for word in (*rjieba.cut(plain), *foreign):
        if not 1 < len(word) <= WORD_CHARS_MAX or word in STOP or not any(map(str.isalnum, word)):
            continue
        found.add(word)
        if len(found) == WORDS_MAX:
            break
    return found
