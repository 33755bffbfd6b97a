"""The word filter: finds words however they are dressed up, and leaves alone what only looks like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.moderation import WordFilter, fold, skeleton

FILTER = WordFilter(
    block=["fuck", "傻逼", "ass", "🖕", "kill yourself", "сука"],
    mask=["加微信", "shit"],
    hold=["혐오", "どろぼう"],
)


@pytest.mark.parametrize(
    "text",
    [
        "fuck",
        "FUCK you",
        "ｆｕｃｋ",
        "ⓕⓤⓒⓚ",
        "f u c k",
        "F.u-c K!",
        "f*u*c*k",
        "fuuuuuck",
        "fffuuuccckkk",
        "fu\u0301c\u0323k",
        "ƒuck fuck",
        "fu.ck",
        "so fuck\nthat",
        "你是傻逼",
        "傻 逼",
        "傻*逼*",
        "傻傻逼逼",
        "傻。。逼",
        "an ass!",
        "asssss",
        "🖕🖕",
        "kill yourself",
        "KILL   YOURSELF",
        "k i l l y o u r s e l f",
        "cука сука",
        "fuck kids",
        "off fuck",
        "pass asses ass",
    ],
)
def test_a_listed_word_is_found_in_disguise(text: str) -> None:
    """Full-width, accented, spaced, dotted, repeated: blocked all the same."""
    assert FILTER.check(text) == "block"
    assert FILTER.judge(text)[0] == "block"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "class",
        "was sent",
        "as",
        "as soon as",
        "grass assembles",
        "the pen is here",
        "skill yourselves",
        "kill yo urself",
        "fu ck",
        "傻子",
        "혐",
        "666",
    ],
)
def test_what_only_contains_its_letters_passes(text: str) -> None:
    """Words of scripts with spaces are found as whole words only, and repeats do not make short words of long ones."""
    assert FILTER.judge(text) == (None, text)


def test_a_repeated_letter_is_found_only_as_often_as_listed() -> None:
    """More is a disguise, less is another word, in scripts without spaces too."""
    words = WordFilter(block=["傻傻", "boob"])
    assert [words.check(t) for t in ("傻傻", "傻傻傻", "傻", "boob", "booooob", "bob")] == [
        "block",
        "block",
        None,
        "block",
        "block",
        None,
    ]


def test_syllables_are_not_taken_apart() -> None:
    """Hangul folds to its letters, but a syllable is not found inside another one."""
    words = WordFilter(block=["가"])
    assert words.check("가다") == "block"
    assert words.check("각다") is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("加微信123", "***123"),
        ("oh shit, 加 微 信!", "oh ****, *****!"),
        ("SHIIIIT", "*******"),
        ("no shitake", "no shitake"),
    ],
)
def test_masking_covers_the_word_and_nothing_else(text: str, shown: str) -> None:
    """Stars stand exactly where the word stood, whatever it was dressed in."""
    assert FILTER.judge(text) == (None if shown == text else "mask", shown)


def test_the_severest_word_decides() -> None:
    """Block before hold before mask; what is held is masked too."""
    assert FILTER.judge("shit 혐오") == ("hold", "**** 혐오")
    assert FILTER.check("shit 혐오 fuck") == "block"
    assert FILTER.check("どろぼう") == "hold"
    assert FILTER.check("とろほう") is None


def test_an_empty_filter_lets_everything_pass() -> None:
    """No words, and words of nothing, find nothing."""
    assert WordFilter(block=["", "  "]).judge("anything") == (None, "anything")


@given(st.text(max_size=30))
def test_the_quick_look_misses_nothing(text: str) -> None:
    """Both ways of folding agree on the letters, so that what the quick look passes over the slow one would too."""
    assert skeleton(fold(text).letters) == skeleton(text)


@given(st.text(max_size=10), st.sampled_from(["傻逼", "сука", "fuck"]), st.text(max_size=10), st.data())
def test_noise_between_the_letters_does_not_help(before: str, word: str, after: str, data: st.DataObject) -> None:
    """A listed word with anything invisible or repeated put into it, standing apart, is always found."""
    noise = st.sampled_from(["", "\u200b", ".", "*", "·", "\u0301", "\u00ad"])
    dressed = "".join(letter * data.draw(st.integers(1, 3)) + data.draw(noise) for letter in word)
    assert FILTER.check(f"{before} {dressed} {after}") == "block"
