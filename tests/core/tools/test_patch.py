"""Merge patches: what is applied and what is found fit together, and nothing is changed in place."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.errors import InvalidChange
from livecast.core.tools.patch import check_plain, diff, merge, same

leaves = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, "", "a"])
patches = st.recursive(
    leaves, lambda v: st.lists(v, max_size=2) | st.dictionaries(st.sampled_from("abcd"), v, max_size=3), max_leaves=8
)
members = st.dictionaries(st.sampled_from("abcd"), patches, max_size=4)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    """RFC 7396, appendix A."""
    assert merge(target, patch) == result


@given(members, members)
def test_a_difference_leads_from_one_value_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    """`merge(old, diff(old, new))` is `new`, to the type of every number, and what is the same makes no difference."""
    old, new = merge({}, old), merge({}, new)
    before = deepcopy(old)
    assert same(merge(old, diff(old, new)), new)
    assert old == before
    assert diff(old, old) == diff(old, deepcopy(old)) == {}


@given(members, members)
def test_a_merge_leaves_no_null_and_changes_nothing_in_place(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """Values may be shared between states, because nobody writes into them."""
    kept = deepcopy((target, patch))
    merged = merge(merge({}, target), patch)
    assert (target, patch) == kept
    assert None not in merged.values()


@pytest.mark.parametrize(
    "value",
    [
        {"a": 2**53},
        [-(2**53)],
        {"a": b"x"},
        {"a": {1, 2}},
        {1: "a"},
        [float("nan")],
        float("inf"),
        [[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]],
    ],
)
def test_values_that_not_every_client_reads_are_refused(value: Any) -> None:
    """Big integers, numbers that are none, bytes, names that are no text and bottomless nesting say which field was at fault."""
    with pytest.raises(InvalidChange) as refused:
        check_plain(value, "data")
    assert refused.value.refusal.code == "invalid"
    assert refused.value.refusal.field == "data"


@given(patches)
def test_plain_values_pass(value: Any) -> None:
    """Whatever JSON can say within its bounds is passed on."""
    check_plain(value, "data")
