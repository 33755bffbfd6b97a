"""Who takes part in a simulated sale, and when."""

from __future__ import annotations

from collections import Counter
from typing import Any

from livecast.ops.people.people import Person
from livecast.ops.people.shoppers import REACTION_S, Shoppers, Wish

PEOPLE = [Person(f"p{n}", f"P{n}", 0) for n in range(200)]


def watch(
    shoppers: Shoppers, until_s: float, states: dict[float, dict[str, Any]], people: list[Person] = PEOPLE
) -> list[tuple[float, Wish]]:
    """All wishes up to `until_s`, while the room's state becomes each of `states` at its time."""
    done: list[tuple[float, Wish]] = []
    state: dict[str, Any] = {}
    for tenth in range(int(until_s * 10)):
        now_s = tenth / 10
        state = states.get(now_s, state)
        done += [(now_s, wish) for wish in shoppers.step(now_s, people, state)]
    return done


def drop(state: str, **more: Any) -> dict[str, Any]:
    """A room with one drop."""
    return {"drops": {"d": {"state": state, "kind": "coupon", **more}}}


def test_clicks_come_when_the_drop_opens_and_not_before() -> None:
    """Half of them within about a second; nobody clicks twice, or again when it is paused for a moment by selling out."""
    states = {1.0: drop("announced"), 5.0: drop("open"), 8.0: drop("sold_out"), 9.0: drop("open")}
    wishes = watch(Shoppers(gifts=0), 30, states)
    times = [at for at, wish in wishes if wish.kind == "claim"]
    assert len(times) == len({wish.person.id for _, wish in wishes}) == len(wishes)
    assert 80 < len(times) < 160
    assert min(times) >= 5 + REACTION_S
    assert sorted(times)[len(times) // 2] < 7


def test_what_is_asked_for_is_said_first() -> None:
    """By those who want it."""
    states = {1.0: drop("announced", eligibility={"commented": "mine"}), 12.0: drop("open", eligibility={"commented": "mine"})}
    said = [(at, wish.target) for at, wish in watch(Shoppers(gifts=0), 12, states) if wish.kind == "say"]
    assert len(said) > 80
    assert {target for _, target in said} == {"mine"}


def test_votes_are_cast_once_each_for_choices_there_are() -> None:
    """Over the first quarter of a minute."""
    poll = {"polls": {"q": {"state": "open", "choices": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}}}
    votes = [wish for _, wish in watch(Shoppers(gifts=0), 30, {1.0: poll}) if wish.kind == "vote"]
    assert len({vote.person.id for vote in votes}) == len(votes) > 80
    assert set(Counter(vote.choice for vote in votes)) == {0, 1, 2}


def test_gifts_come_in_combos_at_the_rate_asked_for() -> None:
    """Several of the same by one person, close together."""
    gifts = [(at, wish) for at, wish in watch(Shoppers(gifts=2.0), 300, {0.0: {"status": "live"}}) if wish.kind == "give"]
    assert 300 < len(gifts) < 900
    each = Counter((wish.person.id, wish.target) for _, wish in gifts)
    assert sum(n for n in each.values() if n >= 3) > len(gifts) / 2


def test_who_has_left_wishes_for_nothing() -> None:
    """Plans of people who are gone are dropped."""
    shoppers = Shoppers(gifts=0)
    assert shoppers.step(0.0, PEOPLE, drop("open")) == []
    assert shoppers.step(60.0, PEOPLE[:1], drop("open")) in ([], [Wish("claim", PEOPLE[0], "d")])
