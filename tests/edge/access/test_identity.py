"""Which rooms a glob means."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.tools.globs import glob_matches
from livecast.edge.access.identity import anonymous


@pytest.mark.parametrize(
    ("glob", "room", "matches"),
    [
        ("*", "r", True),
        ("r", "r", True),
        ("r", "R", False),
        ("show-*", "show-1", True),
        ("show-*", "show-", True),
        ("show-*", "show", False),
        ("?", "", False),
        ("??", "ab", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("[ab]", "a", False),
        ("", "r", False),
        ("**", "r", True),
    ],
)
def test_table(glob, room, matches):
    """`*` is any run, `?` any one character, nothing else is special, and case counts."""
    assert glob_matches(glob, room) is matches


@given(st.text("ab*?", max_size=12), st.text("ab", min_size=1, max_size=12))
def test_as_fnmatch(glob, room):
    """The same as the standard library's shell patterns, as far as both speak of `*` and `?` alone."""
    assert glob_matches(glob, room) is fnmatchcase(room, glob)


def test_no_pattern_is_slow():
    """The pattern that makes backtracking matchers take for ever takes microseconds."""
    began = time.process_time()
    assert not glob_matches("*a" * 31 + "b", "a" * 64)
    assert time.process_time() - began < 0.1


def test_anonymous():
    """Whoever has no token is named after the connection, can nothing, and never expires."""
    nobody = anonymous("n1-7")
    assert nobody.person.anonymous
    assert (nobody.person.id, nobody.can, nobody.expires_at_ms) == ("anon-n1-7", (), None)
    assert nobody.covers("any")
