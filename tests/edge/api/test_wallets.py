"""Wallets over HTTP: coins in and out once, balances that are the sum of their entries, and no answer without a ledger."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from support.house import House
from support.shop import Shop

ADA = "/v1/wallets/ada"


async def test_coins_go_in_and_out(shop: Shop) -> None:
    """201 with the balance behind the booking; a wallet nobody touched is empty, and everybody concerned is rung."""
    assert (await shop.call("GET", ADA)).json == {"user": "ada", "balance": 0, "entries": 0}
    credit = await shop.call("POST", f"{ADA}/credits", json={"tx": "pay-1", "amount": 500, "memo": "card"})
    assert credit.status == 201
    assert credit.json.items() >= {"tx": "pay-1", "user": "ada", "balance": 500, "number": 1}.items()
    debit = await shop.call("POST", f"{ADA}/debits", json={"tx": "out-1", "amount": 120})
    assert (debit.status, debit.json["balance"]) == (201, 380)
    assert (await shop.call("GET", ADA)).json == {"user": "ada", "balance": 380, "entries": 2}
    assert shop.rung == ["ada", "ada"]


async def test_coins_that_everybody_begins_with_are_in_the_statement(shop: Shop) -> None:
    """Also before the first movement books them: a balance is the sum of its entries, whoever asks and whenever."""
    shop.ledger._opening = 100
    for entries, moved in ((1, []), (2, [5])):
        wallet = (await shop.call("GET", ADA)).json
        lines = (await shop.call("GET", f"{ADA}/entries")).json["data"]
        assert wallet == {"user": "ada", "balance": sum(line["amount"] for line in lines), "entries": entries}
        assert [line["amount"] for line in lines] == [*moved, 100]
        assert (lines[-1]["number"], lines[-1]["tx"]) == (1, "opening")
        assert (await shop.call("POST", f"{ADA}/credits", json={"tx": "pay-1", "amount": 5})).status == 201


async def test_a_balance_is_never_below_zero(shop: Shop) -> None:
    """402, and nothing is booked; once there are coins, the same tx goes through."""
    broke = await shop.call("POST", f"{ADA}/debits", json={"tx": "out-1", "amount": 1})
    assert (broke.status, broke.code) == (402, "insufficient_funds")
    await shop.call("POST", f"{ADA}/credits", json={"tx": "pay-1", "amount": 1})
    assert (await shop.call("POST", f"{ADA}/debits", json={"tx": "out-1", "amount": 1})).status == 201


async def test_the_same_tx_moves_coins_once(shop: Shop) -> None:
    """Whoever repeats a tx gets the first answer; with another amount, or the other way, it is a conflict."""
    first = await shop.call("POST", f"{ADA}/credits", json={"tx": "pay-1", "amount": 500})
    again = await shop.call("POST", f"{ADA}/credits", json={"tx": "pay-1", "amount": 500})
    assert (again.status, again.json) == (201, first.json)
    for path, amount in ((f"{ADA}/credits", 501), (f"{ADA}/debits", 500)):
        other = await shop.call("POST", path, json={"tx": "pay-1", "amount": amount})
        assert (other.status, other.code) == (409, "conflict")
    assert (await shop.call("GET", ADA)).json["balance"] == 500
    assert (await shop.call("POST", "/v1/wallets/bob/credits", json={"tx": "pay-1", "amount": 5})).json["balance"] == 5


async def test_the_statement_adds_up_page_by_page(shop: Shop) -> None:
    """Newest first, each line once, and the sum of the amounts is the balance; the other side of each is named."""
    for k in range(5):
        await shop.call("POST", f"{ADA}/credits", json={"tx": f"pay-{k}", "amount": 10 + k})
    lines: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await shop.call("GET", f"{ADA}/entries?limit=2&cursor={cursor}")).json
        lines += page["data"]
        cursor = page["next_cursor"]
    assert [line["number"] for line in lines] == [5, 4, 3, 2, 1]
    assert sum(line["amount"] for line in lines) == lines[0]["balance"] == 60
    assert {line["counter"] for line in lines} == {"key:all"}
    assert (await shop.call("GET", f"{ADA}/entries?cursor=ff")).json == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    "body",
    [{}, {"tx": "a", "amount": 0}, {"tx": "a", "amount": -1}, {"tx": "a", "amount": 1.5}, {"tx": "a/b", "amount": 1},
     {"tx": "", "amount": 1}, {"tx": "a", "amount": 2**53}, {"tx": "a", "amount": 1, "coins": 1}],
)  # fmt: skip
async def test_what_is_no_movement_is_refused(shop: Shop, body: dict[str, object]) -> None:
    """422 with a place: amounts are whole and positive, ids have no slash (those that have one are the ledger's own)."""
    refused = await shop.call("POST", f"{ADA}/credits", json=body)
    assert (refused.status, refused.code) == (422, "invalid")
    assert refused.json["errors"]


async def test_a_balance_stays_within_53_bits(shop: Shop) -> None:
    """What a client could not count is refused, not booked."""
    await shop.call("POST", f"{ADA}/credits", json={"tx": "pay-1", "amount": 2**53 - 1})
    over = await shop.call("POST", f"{ADA}/credits", json={"tx": "pay-2", "amount": 1})
    assert (over.status, over.json["errors"][0]["pointer"]) == (422, "/amount")


async def test_a_tx_belongs_to_its_key(shop: Shop) -> None:
    """The same of another key is another movement; of the same key with another amount, way or memo a conflict."""
    body = {"tx": "t1", "amount": 50}
    assert (await shop.call("POST", f"{ADA}/credits", json=body)).json.items() >= {"tx": "t1", "balance": 50}.items()
    till = shop.made_key("till", "wallets:write")
    assert (await shop.call("POST", f"{ADA}/credits", json=body, auth=till)).json["balance"] == 100
    for path, other in (
        (f"{ADA}/credits", {**body, "amount": 51}),
        (f"{ADA}/debits", body),
        (f"{ADA}/credits", {**body, "memo": "bonus"}),
    ):
        assert (await shop.call("POST", path, json=other)).code == "conflict", path
    assert (await shop.call("POST", f"{ADA}/credits", json=body)).json["balance"] == 50
    told = (await shop.call("GET", f"{ADA}/entries")).json["data"]
    assert [(line["tx"], line["counter"]) for line in told] == [("t1", "key:till"), ("t1", "key:all")]


async def test_what_was_refused_is_not_remembered(shop: Shop) -> None:
    """A debit that the wallet did not cover may be tried again, also as another one."""
    assert (await shop.call("POST", f"{ADA}/debits", json={"tx": "t1", "amount": 50})).status == 402
    await shop.call("POST", f"{ADA}/credits", json={"tx": "t2", "amount": 20})
    assert (await shop.call("POST", f"{ADA}/debits", json={"tx": "t1", "amount": 15})).json["balance"] == 5


async def test_coins_are_for_keys_with_the_scope(shop: Shop) -> None:
    """401 without a key, 403 for tokens of whatever role and for keys that may only read; those read."""
    assert (await shop.call("GET", ADA, auth=None)).status == 401
    reader = shop.made_key("reader", "wallets:read")
    host = shop.token("mei", role="host", rooms=["*"])
    for auth in (reader, host, shop.token("ada")):
        assert (await shop.call("POST", f"{ADA}/credits", auth=auth, json={"tx": "a", "amount": 1})).status == 403
    assert (await shop.call("GET", ADA, auth=reader)).status == 200
    assert (await shop.call("GET", ADA, auth=host)).status == 403
    assert (await shop.call("GET", "/v1/wallets/a%20b")).status == 404


async def test_without_a_ledger_money_is_unavailable(house: House) -> None:
    """503 with the time to come back, on a node that has none."""
    for method, path, body in (("GET", ADA, None), ("POST", f"{ADA}/credits", {"tx": "a", "amount": 1})):
        answer = await house.call(method, path, json=body)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1


async def test_a_closed_ledger_moves_nothing(shop: Shop) -> None:
    """503 with the time to come back; an idempotency key is not used up by it."""
    await shop.close_money("ada")
    body, headers = {"tx": "a", "amount": 1}, {"Idempotency-Key": "k1"}
    closed = await shop.call("POST", f"{ADA}/credits", json=body, headers=headers)
    assert (closed.status, closed.code) == (503, "unavailable")
    assert int(closed.headers["Retry-After"]) >= 1
    await shop.open_money("ada")
    assert (await shop.call("POST", f"{ADA}/credits", json=body, headers=headers)).json["balance"] == 1


@pytest.mark.parametrize("user", ["}{s0}", "{ada}", "a%2Fb", "=1+1", "*"])
async def test_whoever_has_an_id_has_a_wallet(shop: Shop, user: str) -> None:
    """Any printable ASCII but `/`, also what routes, stores and URLs read in their own ways."""
    path = f"/v1/wallets/{quote(user, safe='')}"
    assert (await shop.call("POST", f"{path}/credits", json={"tx": "pay-1", "amount": 5})).json["user"] == user
    assert (await shop.call("GET", path)).json == {"user": user, "balance": 5, "entries": 1}
