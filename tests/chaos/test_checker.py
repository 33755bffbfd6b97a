"""The checker finds nothing in books that are right, and says what is wrong with each that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.checker import Books, Wallet, check
from support.journal import Answer, Asked, Journal, Kind, read


def asked(user: str, cid: str, answer: Answer | None, *, at: float, kind: Kind = "claim", **body: Any) -> Asked:
    """A question with its answer, half a second later."""
    return Asked(kind, user, cid, body or {"drop": "d"}, at, at > 100, at + 0.5, answer)


def won(serial: int) -> Answer:
    """What a winner is told."""
    return {"verdict": "won", "serial": serial, "code": f"C{serial}"}


def story() -> tuple[list[Asked], Books]:
    """Two units for three people, one of whom was left in doubt; a gift and a credit."""
    questions = [
        asked("ann", "a", won(1), at=1),
        asked("ann", "b", {"verdict": "limit"}, at=2),
        asked("bob", "a", {"code": "unavailable"}, at=3),
        asked("cat", "a", None, at=4),
        asked("ann", "g", {"verdict": "sent", "tx": "ann/g"}, at=5, kind="gift", value=3),
        asked("ann", "t", {"verdict": "credited"}, at=6, kind="credit", value=5),
        asked("ann", "a", won(1), at=101),
        asked("bob", "a", won(2), at=102),
        asked("cat", "a", {"verdict": "sold_out"}, at=103),
    ]
    drop = {"state": "sold_out", "stock": 2, "per_user": 1, "codes": "generated"}
    claims = [
        {"serial": 1, "user": "ann", "code": "C1", "state": "granted"},
        {"serial": 2, "user": "bob", "code": "C2", "state": "granted"},
    ]
    entries = [
        {"tx": "opening", "amount": 10, "balance": 10},
        {"tx": "ann/g", "amount": -3, "balance": 7},
        {"tx": "t", "amount": 5, "balance": 12},
    ]
    heard = [{name: claim[name] for name in ("serial", "user", "code")} for claim in claims]
    return questions, Books(drop, claims, {"ann": Wallet(12, entries)}, 1, 3, delivered=heard)


def test_nothing_is_wrong_with_what_is_right() -> None:
    """Time-outs that turned out either way included."""
    assert check(*story()) == []


Tamper = Callable[[list[Asked], Books], object]
WRONG: dict[str, tuple[str, Tamper]] = {
    "nobody was acknowledged before the fault": ("nothing shown", lambda q, _: q.__delitem__(slice(0, 6))),
    "a winner is missing": ("lost", lambda _, b: b.claims.pop()),
    "another code is listed": ("lost", lambda _, b: b.claims[0].update(code="X")),
    "one unit too many": ("oversold", lambda _, b: b.claims.append({"serial": 3, "user": "dan", "code": "C3", "state": "granted"})),
    "a unit that nobody was told of": ("unclaimed", lambda q, _: q.pop(7)),
    "more than one's share": ("per_user", lambda _, b: b.claims[1].update(user="ann")),
    "a serial twice": ("serials", lambda _, b: b.claims[1].update(serial=1)),
    "a code twice": ("codes", lambda _, b: b.claims[1].update(code="C1")),
    "sold out too early": ("undersold", lambda _, b: b.drop.update(stock=3)),
    "another serial the second time": ("changed answer", lambda q, _: q.append(asked("ann", "a", won(2), at=104))),
    "not known any more": ("forgotten answer", lambda q, _: q.append(asked("ann", "a", {"verdict": "not_open"}, at=104))),
    "in doubt for ever": ("unsettled", lambda q, _: q.append(asked("dan", "a", {"code": "unavailable"}, at=104))),
    "closed, they say": ("stale refusal", lambda q, _: q.append(asked("dan", "a", {"verdict": "not_open"}, at=104))),
    "a booking is missing": ("lost", lambda _, b: b.wallets["ann"].entries.pop()),
    "a balance that is no sum": ("balance", lambda _, b: b.wallets.update(ann=Wallet(13, b.wallets["ann"].entries))),
    "a gift that never arrived": ("gifts", lambda _, b: setattr(b, "gifts", 0)),
    "a unit that no webhook told of": ("webhooks", lambda _, b: (b.delivered or []).pop()),
    "the auditor disagrees": ("audit", lambda _, b: setattr(b, "audit", "exit 1")),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str) -> None:
    """By the promise that it breaks."""
    promise, tamper = WRONG[name]
    questions, books = story()
    tamper(questions, books)
    assert promise in {each.partition(":")[0] for each in check(questions, books)}


def test_a_journal_survives_its_writer(tmp_path: Path) -> None:
    """What was asked without an answer is in doubt, and half a line counts for nothing."""
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.told(journal.ask("claim", "ann", "a", {"drop": "d"}), won(1))
        journal.ask("claim", "ann", "b", {"drop": "d"})
    with path.open("ab") as file:
        file.write(b'{"n": 2, "at": 3, "told": {"verd')
    first, second = read([path])
    assert (first.fate, first.is_final, second.fate, second.answer) == ("ok", True, "unknown", None)
