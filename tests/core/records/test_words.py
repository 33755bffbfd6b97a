"""Words of comments."""

from __future__ import annotations

import pytest

from livecast.core.records.words import WORD_CHARS_MAX, WORDS_MAX, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("主播好漂亮啊，这个口红多少钱？", {"主播", "漂亮", "口红", "多少"}),
        ("666666", {"666666"}),
        ("The lipstick is LOVELY, I want it!", {"lipstick", "lovely", "want"}),
        ("ＬＩＰＳＴＩＣＫ", {"lipstick"}),
        ("La Família, très beau! 口红iphone16", {"la", "família", "très", "beau", "口红", "iphone16"}),
        ("Привет всем", {"привет", "всем"}),
        ("שלום עולם", {"שלום", "עולם"}),
        ("안녕하세요 नमस्ते", {"안녕하세요", "नमस्ते"}),
        ("！！！", set()),
        ("👏👏👏", set()),
        ("啊", set()),
        ("", set()),
        ("x" * (WORD_CHARS_MAX + 1), set()),
    ],
)
def test_words(text: str, words: set[str]) -> None:
    """Those that say something, in either language, in one form each."""
    assert words_of(text) == words


def test_a_word_counts_once_in_a_comment() -> None:
    """However often it is repeated."""
    assert words_of("好看好看好看 口红 口红") == {"好看", "口红"}


def test_words_of_one_comment_are_bounded() -> None:
    """Nobody fills the table with one line."""
    assert len(words_of(" ".join(f"word{n}" for n in range(1_000)))) == WORDS_MAX
