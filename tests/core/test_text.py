"""Text: what is taken out of it, what is left in, and under which key equal texts meet."""

from __future__ import annotations

from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livecast.core.text import MARKS_MAX, NAME_CHARS_MAX, _clean_slowly, clean, clean_name, merge_key, read

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FLAG_OF_WALES = "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
BURNING_HEART = "\u2764\ufe0f\u200d\U0001f525"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("hello", "hello"),
        ("  主播好漂亮 \u3000", "主播好漂亮"),
        ("a\x00b\x07c\x1b[31m", "abc[31m"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("\u202ereversed\u202c \u2066isolated\u2069", "reversed isolated"),
        ("z\u200be\u200cr\u200do\u2060w\ufeffi\u00addth", "zerowidth"),
        ("\u200e\u200fmarks of direction\u061c", "marks of direction"),
        ("z" + "\u0301" * 12 + "a", "z" + "\u0301" * MARKS_MAX + "a"),
        ("e\u0301\u200b\u0301\u200b\u0301\u200b\u0301\u200b", "e\u0301\u0301\u0301"),
        (FAMILY, FAMILY),
        (BURNING_HEART + " 1\ufe0f\u20e3", BURNING_HEART + " 1\ufe0f\u20e3"),
        (FLAG_OF_WALES, FLAG_OF_WALES),
        ("a\ufe0fb\U000e0041\U000e0042", "ab"),
        ("\U0001f44d\u200d", "\U0001f44d"),
        ("ที่นี่ดี", "ที่นี่ดี"),
        ("नमस्ते", "नमस्ते"),
        ("\u3164\u115f\u2800", ""),
        (" \u200b\u200b ", ""),
        ("\ud800x", "x"),
    ],
)
def test_what_screens_should_not_be_made_to_do_is_taken_out(typed: str, shown: str) -> None:
    """Controls, bidi overrides, zero-width characters and piles of marks go; emoji and written languages stay whole."""
    assert clean(typed) == shown


@given(st.text("a \u0301\u200d\ufe0f\U0001f468\u2764", min_size=60, max_size=80))
def test_names_are_clean_and_short(typed: str) -> None:
    """However a name is cut, what is left of it is clean: no joiner without a second half, no blank end."""
    name = clean_name(typed)
    assert len(name) <= NAME_CHARS_MAX
    assert clean(name) == name == clean_name(name)
    assert clean(typed).startswith(name)


@given(
    st.text(st.characters(), max_size=30) | st.text("a\u0301\u200d\ufe0f\U0001f468\u2764\u3164 \u2800\u202e1\u20e3", max_size=12)
)
@example("\u200d\U0001f468\u200d\u200b\U0001f468")
@example("x\u3164\ufe0f")
def test_cleaning_twice_changes_nothing(typed: str) -> None:
    """What was cleaned is clean, has no control or override in it, no pile of marks, and no blank end."""
    once = clean(typed)
    assert clean(once) == once == once.strip()
    assert not any(category(c) in ("Cc", "Cs") or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b" for c in once)
    pile = 0
    for c in once:
        is_mark = category(c) in ("Mn", "Me") and not 0xFE00 <= ord(c) <= 0xFE0F and not 0xE0100 <= ord(c) <= 0xE01EF
        pile = pile + 1 if is_mark else pile if c == "\u200d" or category(c) == "Mn" else 0
        assert pile <= MARKS_MAX


@pytest.mark.parametrize(
    "texts",
    [
        ("好看", "好看！", " 好看 ", "好看!!", "好看。", "好看～", "好看…"),
        ("666", "666666", "６６６６", "6666!"),
        ("Hello", "HELLO", "hello!", "ｈｅｌｌｏ", "hello?!"),
        ("哈哈哈", "哈哈哈哈哈哈哈", "哈哈哈哈!"),
        ("café", "cafe\u0301", "CAFÉ"),
        ("\u2764", "\u2764\ufe0f", "\u2764\ufe0f!"),
        ("\U0001f44d\U0001f44d\U0001f44d", "\U0001f44d\U0001f3ff" * 9, "\U0001f44d" * 5),
        ("straße", "STRASSE"),
        ("???", "？？？？？"),
    ],
)
def test_equal_texts_meet_under_one_key(texts: tuple[str, ...]) -> None:
    """Width, case, accent form, repeats, skin and end punctuation do not make it another text."""
    assert len({read(t)[1] for t in texts}) == 1


@pytest.mark.parametrize(("a", "b"), [("66", "666"), ("好看", "好看吗"), ("no", "not"), ("ดี", "ดู"), ("???", "!!!"), ("c", "c++")])
def test_other_texts_have_other_keys(a: str, b: str) -> None:
    """Twice is not thrice, vowel signs are letters, and punctuation alone is a text of its own."""
    assert read(a)[1] != read(b)[1]


@given(st.text(min_size=1, max_size=50))
def test_a_text_that_is_left_has_a_key(typed: str) -> None:
    """No text falls under the empty key, the key of a text does not depend on whether it was remembered."""
    cleaned, key = read(typed)
    assert bool(cleaned) == bool(key)
    assert (cleaned, key) == (clean(typed), merge_key(clean(typed)))


@given(st.text("aB 6!主播好かキー한，！？。、…～：\u0301\u3164\U0001f44d", max_size=60))
@example("好" * 40 + "！！！！")
@example("ab" + "c" * 4 + "d" * 30)
@example("hahaha" * 5 + "aaaa")
def test_the_short_ways_lead_where_the_long_one_does(typed: str) -> None:
    """Text that looks plain at one glance becomes what looking at each character would make of it, key and all."""
    slowly = _clean_slowly(typed)
    assert read(typed) == (slowly, merge_key(slowly))
    assert not any(read(typed)[1].count(c * 4) for c in set(typed.lower()) if c.isalnum())


def test_four_in_a_row_are_found_wherever_they_stand() -> None:
    """In a text without any other repeat, four of a letter become three at every place."""
    for at in range(17):
        assert merge_key("abcdefghijklmnop"[:at] + "zzzz" + "abcdefghijklmnop"[at:]).count("z") == 3
