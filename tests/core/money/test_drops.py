"""Drops as they are set up and seen: every bound, what disagrees, what may be changed when, who may claim."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.errors import InvalidChange, Refusal
from livecast.core.money import drops
from livecast.core.money.drops import AtLeast, DropConfig, DropPatch, Eligibility, Facts, Missing, missing
from livecast.core.money.units import OPEN_END, STEPS, Drop, DropChange, State

NOW = 1_000_000
LEAST: dict[str, Any] = {"title": "T", "kind": "coupon", "stock": 5}


def config(**members: Any) -> DropConfig:
    """A configuration as it comes in the body of a call."""
    return msgspec.json.decode(msgspec.json.encode({**LEAST, **members}), type=DropConfig)


def kept(state: State = "draft", left: int = 5, result: bytes = b"", **members: Any) -> Drop:
    """A drop made of this configuration, as the ledger hands it out."""
    wanted = drops.checked(config(**members), NOW)
    commitment = "c0" if drops.needs_seed(drops.terms_of(wanted)) else ""
    about = drops.about_of(wanted, commitment)
    return Drop("r", "d", drops.terms_of(wanted), about, state, left, 0, 0, 0, NOW, 7, result=result)


@pytest.mark.parametrize(
    ("member", "good", "bad"),
    [
        ("title", ["x", "x" * 200], ["", "x" * 201, 5]),
        ("kind", ["coupon", "draw"], ["raffle", None]),
        ("stock", [1, 1_000_000], [0, 1_000_001, 1.5, None]),
        ("per_user", [1, 10], [0, 11]),
        ("opens_at", [0, None], [-1, 2**53]),
        ("codes", ["generated", "list", "none"], ["secret"]),
        ("reserve_s", [1, 86_400, None], [0, 86_401]),
        ("order", ["first", "fair"], ["last"]),
        ("fair_window_ms", [100, 60_000], [99, 60_001]),
        ("limit_group", ["a.b-c_D", None], ["", "a b", "x" * 65]),
        ("sku", ["s1"], ["", "/"]),
        ("test", [True], [1]),
        ("colour", [], ["red"]),
        (
            "eligibility",
            [{}, {"min_watch_s": 1}, {"min_watch_s": 0, "min_level": 0, "liked": 0}, {"facts": {"vip": {"gte": 2}}}],
            [{"min_age": 3}, {"min_watch_s": -1}, []],
        ),
        (
            "eligibility",
            [{"facts": {"city": ["a", "b"], "n": 1, "ok": True, "x": 0.5}}],
            [
                {"facts": {"a": {"lte": 1}}},
                {"facts": {"a": []}},
                {"facts": {"a": [1] * 21}},
                {"facts": {"": 1}},
                {"facts": {"a": None}},
                {"facts": {"a": 2**53}},
                {"facts": {"a": "x" * 65}},
                {"facts": {f"a{n}": 1 for n in range(11)}},
                {"liked": 100_001},
                {"commented": ""},
                {"min_level": -1},
            ],
        ),
    ],
)
def test_every_member_has_its_bounds(member: str, good: list[Any], bad: list[Any]) -> None:
    """Read straight from the body: what is out of bounds or unknown is refused before anything looks at it."""
    for value in good:
        assert config(**{member: value})
    for value in bad:
        with pytest.raises(msgspec.ValidationError):
            config(**{member: value})


@pytest.mark.parametrize("without", ["title", "kind", "stock"])
def test_title_kind_and_stock_must_be_said(without: str) -> None:
    """There is no sensible guess for these."""
    with pytest.raises(msgspec.ValidationError, match=without):
        msgspec.convert({k: v for k, v in LEAST.items() if k != without}, DropConfig)


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"title": "\u200b"}, "title"),
        ({"announce_at": 5, "opens_at": 4}, "announce_at"),
        ({"closes_at": NOW}, "closes_at"),
        ({"opens_at": NOW + 5, "closes_at": NOW + 5}, "closes_at"),
        ({"announce_at": NOW + 6, "closes_at": NOW + 5}, "closes_at"),
        ({"kind": "draw", "order": "fair"}, "order"),
        ({"fair_window_ms": 500}, "fair_window_ms"),
        ({"eligibility": {"commented": "\u200b"}}, "eligibility.commented"),
        ({"meta": {"x": "y" * 1100}}, "meta"),
        ({"meta": {"x": 2**60}}, "meta"),
    ],
)
def test_members_that_disagree_are_refused_by_name(members: dict[str, Any], field: str) -> None:
    """Each by the member that is at fault."""
    with pytest.raises(InvalidChange) as wrong:
        drops.checked(config(**members), NOW)
    assert wrong.value.refusal.field == field


def test_what_is_kept_is_tidied() -> None:
    """Cleaned title, no nulls in meta, a usual window for a fair order, no eligibility that asks for nothing."""
    tidy = drops.checked(config(title=" A\u202eB ", meta={"a": None, "b": {"c": None}}, order="fair", eligibility={}), NOW)
    assert (tidy.title, tidy.meta, tidy.fair_window_ms, tidy.eligibility) == ("AB", {"b": {}}, 2000, None)


CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["coupon", "draw"]),
        "per_user": st.integers(1, 10),
        "announce_at": st.integers(0, NOW),
        "opens_at": st.integers(NOW, NOW + 10),
        "closes_at": st.integers(NOW + 20, NOW + 30),
        "eligibility": st.sampled_from([{}, {"min_watch_s": 5, "gifted": True}, {"facts": {"a": {"gte": 1}, "b": ["x", 1]}}]),
        "codes": st.sampled_from(["generated", "list", "none"]),
        "reserve_s": st.integers(10, 100),
        "limit_group": st.just("g"),
        "sku": st.just("s"),
        "meta": st.just({"a": [1, {"b": 2}]}),
        "test": st.booleans(),
    },
)


@given(CONFIGS)
def test_the_two_halves_make_the_configuration_again(members: dict[str, Any]) -> None:
    """What the ledger keeps of a drop is all that was said of it."""
    drop = kept(**members)
    assert drops.config_of(drop) == drops.checked(config(**members), NOW)
    assert drop.terms.gifted == bool(members.get("eligibility", {}).get("gifted"))


# --- Changes ----------------------------------------------------------------------------------------------------------
def changed(drop: Drop, **patch: Any) -> DropChange | Refusal:
    """What a patch asks the ledger for."""
    try:
        return drops.change_of(drop, msgspec.json.decode(msgspec.json.encode(patch), type=DropPatch), "tx", NOW)
    except InvalidChange as wrong:
        return wrong.refusal


def after(drop: Drop, change: DropChange | Refusal) -> DropConfig:
    """The configuration behind a change."""
    assert isinstance(change, DropChange)
    assert change.terms is not None
    assert change.about is not None
    return drops.config_of(msgspec.structs.replace(drop, terms=change.terms, about=change.about))


@pytest.mark.parametrize("state", ["draft", "announced"])
def test_before_it_opens_everything_may_change(state: State) -> None:
    """Merged as RFC 7396 says; null takes a member back; the commitment to a seed stays."""
    drop = kept(state, order="fair", eligibility={"min_watch_s": 60, "facts": {"a": 1}}, meta={"x": 1, "y": 2}, sku="s")
    new = changed(drop, title="New", stock=9, eligibility={"min_watch_s": None, "liked": 3}, meta={"x": None}, sku=None)
    assert after(drop, new) == drops.checked(
        config(title="New", stock=9, order="fair", eligibility={"liked": 3, "facts": {"a": 1}}, meta={"y": 2}), NOW
    )
    assert isinstance(new, DropChange)
    assert drops.read_about(msgspec.structs.replace(drop, about=new.about)).commitment == "c0"
    assert after(drop, changed(drop, stock_delta=-2)).stock == 3
    assert after(drop, changed(drop, order="first")).fair_window_ms is None
    assert after(drop, changed(drop, fair_window_ms=700)).fair_window_ms == 700
    assert changed(drop, stock_delta=-5) == Refusal("invalid", "Expected int >= 1", field="stock")
    wrong = changed(drop, eligibility={"facts": {"a": {"gte": "x"}}})
    assert wrong == Refusal("invalid", "Expected int | float, got str", field="eligibility.facts")
    assert changed(drop, eligibility={"age": 3}) == Refusal("invalid", "Object contains unknown field age", field="eligibility")
    assert changed(drop, closes_at=5) == Refusal("invalid", "That is over already.", field="closes_at")


@pytest.mark.parametrize("state", ["open", "paused", "sold_out"])
def test_once_open_only_stock_and_the_end_may_change(state: State) -> None:
    """Anything else is a conflict that names it."""
    drop = kept(state)
    assert changed(drop, stock_delta=3) == DropChange("tx", stock_delta=3)
    assert changed(drop, closes_at=NOW + 1) == DropChange("tx", closes_at=NOW + 1)
    assert changed(drop, closes_at=None) == DropChange("tx", closes_at=OPEN_END)
    assert changed(drop, closes_at=NOW) == Refusal("invalid", "It closes at some time to come.", field="closes_at")
    assert changed(drop, title="x", per_user=2) == Refusal("conflict", f"The drop is {state}.", field="per_user")


@pytest.mark.parametrize("state", ["closed", "settled", "cancelled"])
def test_what_is_over_does_not_change(state: State) -> None:
    """Not even its stock."""
    assert changed(kept(state), stock_delta=3) == Refusal("conflict", f"The drop is {state}.")


def test_the_states_are_those_of_the_table() -> None:
    """Every state is either before, asking or ended; what has ended leads nowhere that asks again."""
    states = {s for froms, to in STEPS.values() for s in (*froms, to)} | {"sold_out"}
    assert states == {"draft"} | drops.ASKING | drops.ENDED
    assert not {to for froms, to in STEPS.values() if froms & drops.ENDED} - drops.ENDED


# --- The view ---------------------------------------------------------------------------------------------------------
def test_viewers_see_what_they_need() -> None:
    """The shape in `state.drops`; what was not said is absent, and nothing is null."""
    assert drops.view_of(kept("announced")) == {
        "id": "d",
        "title": "T",
        "kind": "coupon",
        "state": "announced",
        "stock": 5,
        "left": 5,
        "per_user": 1,
        "eligibility": {},
    }
    full = drops.view_of(
        kept("settled", 0, b'{"root":"aa"}', kind="draw", opens_at=NOW, sku="s", meta={"m": 1}, test=True, eligibility={"liked": 3})
    )
    assert full is not None
    assert full["eligibility"] == {"liked": 3}
    assert (full["commitment"], full["result"], full["test"], full["sku"], full["meta"]) == (
        "c0",
        {"root": "aa"},
        True,
        "s",
        {"m": 1},
    )


def test_a_draft_is_seen_by_nobody() -> None:
    """Until it is announced."""
    assert drops.view_of(kept("draft")) is None


# --- Who may ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rule", "enough", "lacking"),
    [
        ({"min_watch_s": 60}, {"watch_s": 60}, [({"watch_s": 59}, 59), ({}, None)]),
        ({"min_level": 3}, {"level": 3}, [({"level": 2}, 2), ({}, None)]),
        ({"liked": 10}, {"liked": 10}, [({"liked": 9}, 9), ({}, None)]),
        ({"commented": "666"}, {"commented": ("hi", "666")}, [({"commented": ("hi",)}, False), ({}, False)]),
        ({"gifted": True}, {"gifted": True}, [({"gifted": False}, False), ({}, False)]),
    ],
)
def test_each_rule_asks_for_its_fact(
    rule: dict[str, Any], enough: dict[str, Any], lacking: list[tuple[dict[str, Any], Any]]
) -> None:
    """Exactly enough is enough; one less is told with what is there; not known is not done."""
    eligibility = msgspec.convert(rule, Eligibility)
    [(name, need)] = rule.items()
    assert missing(eligibility, Facts(**enough)) == []
    for facts, have in lacking:
        assert missing(eligibility, Facts(**facts)) == [Missing(name, have, need)]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("gold", ["gold"], ["Gold", None, ["gold"], 1, True]),
        (1, [1, 1.0], ["1", True, 2, None]),
        (True, [True], [1, "true", False, None]),
        (["a", 2], ["a", 2, 2.0], ["b", None, ["a"]]),
        ({"gte": 1}, [1, 1.5], [True, 0]),
        ({"gte": 3}, [3, 3.5, 10], [2, "5", True, None, float("nan"), [9]]),
    ],
)
def test_facts_are_compared_as_json(rule: Any, good: list[Any], bad: list[Any]) -> None:
    """Equal, one of, not below: what is of another kind is in doubt, and doubt is against the claimant."""
    eligibility = msgspec.convert({"facts": {"k": rule}}, Eligibility)
    for value in good:
        assert missing(eligibility, Facts(facts={"k": value})) == []
    for value in bad:
        [found] = missing(eligibility, Facts(facts={"k": value}))
        assert found.rule == "facts.k"
        assert msgspec.json.encode(found.need) == msgspec.json.encode(rule)
    assert missing(eligibility, Facts()) == [Missing("facts.k", None, msgspec.to_builtins(eligibility.facts["k"]))]


def test_what_everybody_has_is_not_asked_for() -> None:
    """Zero taps, level zero: as if nothing had been said."""
    of = drops.DropConfig("x", "coupon", 1, eligibility=drops.Eligibility(min_watch_s=0, min_level=0, liked=0))
    assert drops.checked(of, NOW).eligibility is None
    kept = drops.checked(msgspec.structs.replace(of, eligibility=drops.Eligibility(min_level=0, liked=3)), NOW).eligibility
    assert kept == drops.Eligibility(liked=3)


def test_all_that_is_missing_is_told_at_once() -> None:
    """In the order of the rules; asking for nothing lets everybody in."""
    eligibility = Eligibility(60, 3, "hi", gifted=True, liked=5, facts={"a": AtLeast(1), "b": "x"})
    rules = [m.rule for m in missing(eligibility, Facts())]
    assert rules == ["min_watch_s", "min_level", "liked", "commented", "gifted", "facts.a", "facts.b"]
    assert missing(drops.ANYBODY, Facts()) == []
