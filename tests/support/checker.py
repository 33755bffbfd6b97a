"""The independent checker: holds what people were told against what the books say. It shares no code with the service.

What it is given are journals (`support.journal`: what was asked and answered, before, during and after a fault) and `Books`
(what a fresh client read over HTTP when all was over). What it gives back are violations, one sentence each, that begin with
the name of the promise that was broken. No violation means: nothing acknowledged is missing, nothing was given out twice or
beyond its bounds, and whoever repeated themselves heard the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.journal import Answer, Asked

OPEN = {"open", "sold_out"}
GONE = {"released", "expired"}
"""States of units that do not count against their user any more."""


@dataclass
class Wallet:
    """A balance and its statement, oldest first."""

    balance: int
    entries: list[dict[str, Any]]


@dataclass
class Books:
    """What is there in the end."""

    drop: dict[str, Any]
    claims: list[dict[str, Any]]
    wallets: dict[str, Wallet] = field(default_factory=dict)
    gifts: int = 0
    gift_value: int = 0
    delivered: list[dict[str, Any]] | None = None
    """Claims that a webhook's receiver was told as granted, each event once; None: nobody listened."""
    audit: str = ""
    """What the service's own auditor found; "": nothing."""


class Broken(AssertionError):  # noqa: N818 - says what happened; the message says what
    """Promises were broken; `violations` says which, where."""

    def __init__(self, violations: Sequence[str]) -> None:
        self.violations = list(violations)
        super().__init__("\n".join(self.violations[:20]) + f"\n({len(self.violations)} in all)")


def verify(asked: Sequence[Asked], books: Books) -> None:
    """Raise `Broken` if any promise was."""
    if violations := check(asked, books):
        raise Broken(violations)


def check(asked: Sequence[Asked], books: Books) -> list[str]:
    """Every violation, in no order that means anything."""
    if not any(each.fate == "ok" for each in asked if not each.settling):
        return ["nothing shown: not one operation was acknowledged, so the run proves nothing"]
    histories: dict[tuple[str, ...], list[Asked]] = defaultdict(list)
    for each in asked:
        histories[each.id].append(each)
    settled = {id_: _settled(history) for id_, history in histories.items()}
    return [
        *_answers_change(histories),
        *_stay_open(histories, settled, books),
        *_stock(settled, books),
        *_winners(settled, books),
        *_deliveries(books),
        *_wallets(settled, books, histories),
        *([f"audit: {books.audit}"] if books.audit else []),
    ]


def _settled(history: Iterable[Asked]) -> Answer | None:
    """What became of an id: its first final answer, else the last there was."""
    answers = [each for each in history if each.fate != "unknown"]
    final = [each.answer for each in answers if each.is_final]
    return final[0] if final else answers[-1].answer if answers else None


# --- Answers ----------------------------------------------------------------------------------------------------------
def _answers_change(histories: dict[tuple[str, ...], list[Asked]]) -> Iterator[str]:
    """A final answer is given again word for word, and nothing else is, ever after."""
    for id_, history in histories.items():
        finals = [each for each in history if each.is_final and each.told_at is not None]
        if not finals:
            continue
        first = min(finals, key=lambda each: each.told_at or 0)
        for each in history:
            if each.is_final and each.answer != first.answer:
                yield f"changed answer: {id_} was told {first.answer} and then {each.answer}"
            elif each.fate == "refused" and not each.is_final and each.at > (first.told_at or 0) and not _is_about_pace(each):
                yield f"forgotten answer: {id_} was told {first.answer} and later {each.answer}"


def _is_about_pace(each: Asked) -> bool:
    """`rate_limited` and `overloaded` say that nobody looked."""
    return each.answer is not None and each.answer.get("code") in {"rate_limited", "overloaded"}


def _stay_open(
    histories: dict[tuple[str, ...], list[Asked]], settled: dict[tuple[str, ...], Answer | None], books: Books
) -> Iterator[str]:
    """Every id is settled in the end; a refusal of the moment is not given when its reason is gone."""
    for id_, history in histories.items():
        answer = settled[id_]
        last = max(history, key=lambda each: each.at)
        if answer is None or (last.settling and last.fate == "unknown"):
            yield f"unsettled: nobody can say what became of {id_}"
        elif id_[0] == "claim" and answer.get("verdict") in {"not_open", "closed"} and books.drop["state"] in OPEN:
            yield f"stale refusal: {id_} is told {answer['verdict']}, but the drop is {books.drop['state']}"
        elif id_[0] == "gift" and answer.get("code") == "insufficient_funds":
            wallet, value = books.wallets[id_[1]], int(last.body["value"])
            if wallet.balance >= value:
                yield f"stale refusal: {id_} is told insufficient_funds for {value}, but there are {wallet.balance}"


# --- Drops ------------------------------------------------------------------------------------------------------------
def _stock(settled: dict[tuple[str, ...], Answer | None], books: Books) -> Iterator[str]:
    """Granted − returned ≤ stock, `per_user` each, serials 1…n, codes distinct; `sold_out` was said for a reason."""
    drop, claims = books.drop, books.claims
    held = [claim for claim in claims if claim["state"] not in GONE]
    if len(held) > drop["stock"]:
        yield f"oversold: {len(held)} units of a stock of {drop['stock']}"
    serials = [claim["serial"] for claim in claims]
    if serials != list(range(1, len(claims) + 1)):
        doubled = [serial for serial, n in Counter(serials).items() if n > 1][:5]
        yield f"serials: not 1 to {len(claims)} in order (more than once: {doubled})"
    if drop["codes"] != "none":
        codes = Counter(claim.get("code") for claim in claims)
        for code, n in codes.items():
            if n > 1 or not code:
                yield f"codes: {n} units have the code {code!r}"
    for user, n in Counter(claim["user"] for claim in held).items():
        if n > drop["per_user"]:
            yield f"per_user: {user} has {n} units, {drop['per_user']} are allowed"
    turned_away = any(answer is not None and answer.get("verdict") == "sold_out" for answer in settled.values())
    if turned_away and len(held) == len(claims) < drop["stock"]:
        yield f"undersold: people were told sold_out, but only {len(claims)} of {drop['stock']} are granted"


def _winners(settled: dict[tuple[str, ...], Answer | None], books: Books) -> Iterator[str]:
    """The list of claims and those who were told `won` are the same people, with the same serials and codes."""
    listed = {claim["serial"]: claim for claim in books.claims}
    told: set[int] = set()
    for (kind, user, drop, cid), answer in settled.items():
        if kind != "claim" or answer is None or answer.get("verdict") != "won":
            continue
        claim = listed.get(answer["serial"])
        if claim is None:
            yield f"lost: {user} won serial {answer['serial']} of {drop} with {cid}, and it is not in the list of claims"
        elif (claim["user"], claim.get("code")) != (user, answer.get("code")):
            had = (claim["user"], claim.get("code"))
            yield f"lost: {user} won serial {answer['serial']} with {answer.get('code')}, but the list says {had}"
        elif answer["serial"] in told:
            yield f"serials: {answer['serial']} was told to two clicks, one of them {user} with {cid}"
        told.add(answer["serial"])
    for serial, claim in listed.items():
        if serial not in told:
            yield f"unclaimed: serial {serial} went to {claim['user']}, who was never told so"


def _deliveries(books: Books) -> Iterator[str]:
    """Webhooks say the same as the list, each unit once."""
    if books.delivered is None:
        return
    listed = {(claim["serial"], claim["user"], claim.get("code")) for claim in books.claims}
    heard = Counter((claim["serial"], claim["user"], claim.get("code")) for claim in books.delivered)
    for claim in listed - heard.keys():
        yield f"webhooks: nobody was told that {claim} is granted"
    for claim, n in heard.items():
        if claim not in listed or n > 1:
            yield f"webhooks: {claim} was told {n} times, and is {'' if claim in listed else 'not '}in the list"


# --- Wallets and gifts ------------------------------------------------------------------------------------------------
def _wallets(
    settled: dict[tuple[str, ...], Answer | None], books: Books, histories: dict[tuple[str, ...], list[Asked]]
) -> Iterator[str]:
    """Balances are sums, never below zero; each acknowledged booking is there once, and no other."""
    wanted: defaultdict[str, dict[str, int]] = defaultdict(dict)
    gifts = gift_value = 0
    for id_, answer in settled.items():
        kind, user, _, cid = id_
        if kind == "claim" or answer is None or answer.get("verdict") not in {"sent", "credited"}:
            continue
        value = int(histories[id_][0].body["value"])
        if kind == "gift":
            gifts, gift_value = gifts + 1, gift_value + value
            wanted[user][f"{user}/{cid}"] = -value
        else:
            wanted[user][cid] = value
    for user, wallet in books.wallets.items():
        balance = 0
        for entry in wallet.entries:
            balance += entry["amount"]
            if balance != entry["balance"] or balance < 0:
                yield f"balance: {user}'s statement says {entry['balance']} at {entry['tx']}, the sum is {balance}"
        if balance != wallet.balance:
            yield f"balance: {user} has {wallet.balance}, the sum of the statement is {balance}"
        booked = Counter((entry["tx"], entry["amount"]) for entry in wallet.entries if entry["tx"] != "opening")
        expected = Counter(wanted[user].items())
        for tx, amount in expected - booked:
            yield f"lost: {user} was told that {tx} is booked ({amount}), and it is not in the statement"
        for tx, amount in booked - expected:
            yield f"booked twice or for nobody: {tx} ({amount}) of {user}"
    for user in wanted.keys() - books.wallets.keys():
        yield f"balance: nobody read {user}'s wallet"
    if (books.gifts, books.gift_value) != (gifts, gift_value):
        yield f"gifts: {gifts} worth {gift_value} were paid, the room earned {books.gifts} worth {books.gift_value}"
