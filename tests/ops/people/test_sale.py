"""The plan of a simulated sale."""

from __future__ import annotations

from collections import Counter

from livecast.ops.people.sale import COUNTDOWN_S, DRAW_AT, DROP_AT, KEYWORD, POLL_AT, SHELF, Deed, Sale

NOW = 1_700_000_000.0


def evening(seconds: int, seed: int = 1) -> list[tuple[float, Deed]]:
    """Everything that is done within so many seconds."""
    sale = Sale(seed=seed, buyers=100)
    return [(tenth / 10, deed) for tenth in range(seconds * 10) for deed in sale.step(NOW + tenth / 10)]


def test_an_evening() -> None:
    """The shelf first; then something happens every few seconds, each kind in its own time."""
    done = evening(590)  # the next of each kind is some seconds away
    assert [deed.path for at, deed in done if at == 0] == ["", *(f"/products/{id_}" for id_, *_ in SHELF)]
    kinds = Counter("draw" if deed.body.get("kind") == "draw" else deed.path for _, deed in done)
    assert kinds["/drops"] == 1 + int((590 - DROP_AT[0]) / DROP_AT[1])
    assert kinds["/polls"] == 1 + int((590 - POLL_AT[0]) / POLL_AT[1])
    assert kinds["draw"] == 1 + int((590 - DRAW_AT[0]) / DRAW_AT[1])


def test_a_drop_opens_after_a_countdown_and_closes_before_the_next() -> None:
    """With stock for some of those who are there; every third asks for a word, and says which."""
    drops = [(at, deed) for at, deed in evening(1000) if deed.path == "/drops" and deed.body["kind"] == "coupon"]
    for at, deed in drops:
        assert deed.then == "announce"
        assert deed.body["opens_at"] == round((NOW + at + COUNTDOWN_S) * 1000)
        assert deed.body["closes_at"] < (NOW + at + DROP_AT[1]) * 1000
        assert 15 <= deed.body["stock"] <= 40
    asking = [deed for _, deed in drops if "eligibility" in deed.body]
    assert len(asking) == len(drops) // 3
    assert all(KEYWORD in deed.line for deed in asking)


def test_the_same_seed_is_the_same_evening() -> None:
    """And another one is another."""
    assert evening(300, seed=3) == evening(300, seed=3) != evening(300, seed=4)
