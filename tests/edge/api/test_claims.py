"""Claims over HTTP: what was won is listed with the codes that winners were told, and settled once."""

from __future__ import annotations

import csv
import io
from typing import Any

import aiohttp
import pytest

from livecast.core.money.units import Claim, Won
from livecast.edge.api import claims
from livecast.ports import Unavailable
from support.shop import Shop

DROPS = "/v1/rooms/r1/drops"


async def opened(shop: Shop, stock: int = 3, **config: Any) -> str:
    """The id of a drop that is open."""
    if (await shop.call("GET", "/v1/rooms/r1")).status == 404:
        await shop.live_room("r1")
    body = {"title": "x", "kind": "coupon", "stock": stock, **config}
    drop: str = (await shop.call("POST", DROPS, json=body)).json["id"]
    assert (await shop.call("POST", f"{DROPS}/{drop}/open")).status == 200
    return drop


async def won(shop: Shop, drop: str, *users: str) -> None:
    """Each of these has won a unit."""
    answers = await shop.ledger.claim("r1", drop, "b1", [Claim(user, f"c-{user}") for user in users], shop.clock())
    assert all(isinstance(answer, Won) for answer in answers)


async def test_the_list_has_what_winners_were_told(shop: Shop) -> None:
    """Serial and code in a click's answer are those in the list."""
    drop = await opened(shop)
    ada = shop.token("ada")
    click = await shop.call("POST", "/v1/rooms/r1/messages", auth=ada, json={"t": "claim", "cid": "c1", "drop": drop})
    assert (click.status, click.json["verdict"]) == (200, "won")
    listed = (await shop.call("GET", f"{DROPS}/{drop}/claims")).json
    assert listed["next_cursor"] is None
    (line,) = listed["data"]
    assert line.items() >= {"serial": click.json["serial"], "code": click.json["code"], "user": "ada", "state": "granted"}.items()


async def test_who_was_forgotten_is_not_named(shop: Shop) -> None:
    """Neither in lists nor in files, nor in what is answered about a unit; codes and everybody else are as they were."""
    drop = await opened(shop)
    await won(shop, drop, "ada-lovelace", "bob")
    before = (await shop.call("GET", f"{DROPS}/{drop}/claims")).json["data"]
    assert (await shop.call("DELETE", "/v1/users/ada-lovelace")).status == 200
    told = (await shop.call("GET", f"{DROPS}/{drop}/claims")).json["data"]
    assert told[0].items() >= {**before[0], "user": told[0]["user"]}.items()
    assert (told[0]["user"][:7], told[1]) == ("erased:", before[1])
    assert (await shop.call("GET", f"{DROPS}/{drop}/claims?user=ada-lovelace")).json["data"] == told[:1]
    for path in ("claims", "winners", "claims.csv", "winners.csv"):
        answer = await shop.call("GET", f"{DROPS}/{drop}/{path}")
        assert b"lovelace" not in answer.body
        assert told[0]["user"].encode() in answer.body
    assert (await shop.call("POST", f"{DROPS}/{drop}/claims/1/revoke", json={})).json["user"] == told[0]["user"]


async def test_the_list_goes_page_by_page(shop: Shop) -> None:
    """In the order of serials, each once; a cursor from nowhere ends it."""
    drop = await opened(shop, stock=7)
    await won(shop, drop, *(f"u{k}" for k in range(7)))
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await shop.call("GET", f"{DROPS}/{drop}/claims?limit=3&cursor={cursor}")).json
        seen += [line["serial"] for line in page["data"]]
        cursor = page["next_cursor"]
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert (await shop.call("GET", f"{DROPS}/{drop}/claims?cursor=ff")).json == {"data": [], "next_cursor": None}


async def pages(shop: Shop, drop: str, query: str) -> list[list[int]]:
    """The serials of a list, page by page."""
    seen: list[list[int]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await shop.call("GET", f"{DROPS}/{drop}/claims?{query}&cursor={cursor}")).json
        seen.append([line["serial"] for line in page["data"]])
        cursor = page["next_cursor"]
    return seen


async def test_the_list_can_be_of_one_state(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of serials, each once. Where few fit, a page is short and its cursor goes on, so that no call looks at all."""
    monkeypatch.setattr(claims, "UNITS_AT_ONCE", 2)
    monkeypatch.setattr(claims, "SCANNED_MAX", 4)
    drop = await opened(shop, stock=12)
    await won(shop, drop, *(f"u{k}" for k in range(12)))
    for serial in (2, 3, 11):
        assert (await shop.call("POST", f"{DROPS}/{drop}/claims/{serial}/revoke")).status == 200
    assert await pages(shop, drop, "state=revoked&limit=5") == [[2, 3], [], [11]]
    assert await pages(shop, drop, "state=revoked&limit=1") == [[2], [3], [], [11], []]
    granted = await pages(shop, drop, "state=granted&limit=3")
    assert [serial for page in granted for serial in page] == [1, 4, 5, 6, 7, 8, 9, 10, 12]
    assert all(len(page) <= 3 for page in granted)
    assert (await shop.call("GET", f"{DROPS}/{drop}/claims?state=lost")).json["errors"][0]["pointer"] == "?state"


async def test_the_list_can_be_of_one_user(shop: Shop) -> None:
    """All that somebody ever had of the drop, whatever became of it."""
    drop = await opened(shop, stock=5, per_user=3, reserve_s=60)
    await won(shop, drop, "ann", "bob")
    await shop.call("POST", f"{DROPS}/{drop}/claims/1/release")
    for cid in ("c2", "c3", "c4"):
        await shop.ledger.claim("r1", drop, "b1", [Claim("ann", cid)], shop.clock())
    assert await pages(shop, drop, "user=ann&limit=3") == [[1, 3, 4], [5]]
    assert await pages(shop, drop, "user=ann&state=released") == [[1]]
    assert await pages(shop, drop, "user=nobody") == [[]]
    rows = list(csv.DictReader(io.StringIO((await shop.call("GET", f"{DROPS}/{drop}/claims.csv?user=ann")).body.decode())))
    assert [row["serial"] for row in rows] == ["1", "3", "4", "5"]


async def test_the_csv_has_every_claim(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each beside the columns' names, read in several pieces, with the codes of the list; quoted where needed."""
    monkeypatch.setattr(claims, "UNITS_AT_ONCE", 3)
    drop = await opened(shop, stock=8)
    await won(shop, drop, 'a"b,c', *(f"u{k}" for k in range(7)))
    answer = await shop.call("GET", f"{DROPS}/{drop}/claims.csv")
    assert (answer.status, answer.content_type) == (200, "text/csv")
    assert drop in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    listed = (await shop.call("GET", f"{DROPS}/{drop}/claims")).json["data"]
    assert [(row["serial"], row["user"], row["code"]) for row in rows] == [
        (str(line["serial"]), line["user"], line["code"]) for line in listed
    ]
    assert rows[0]["user"] == 'a"b,c'
    assert (await shop.call("HEAD", f"{DROPS}/{drop}/claims.csv")).body == b""


@pytest.mark.parametrize("user", ["=cmd|calc", "+1", "-1", "@sum"])
async def test_no_cell_of_a_csv_is_a_formula(shop: Shop, user: str) -> None:
    """A spreadsheet must not carry out what somebody chose as their id; numbers stay numbers."""
    drop = await opened(shop)
    await won(shop, drop, user)
    [row] = csv.DictReader(io.StringIO((await shop.call("GET", f"{DROPS}/{drop}/claims.csv")).body.decode()))
    assert (row["user"], row["serial"]) == (f"'{user}", "1")


async def test_a_csv_that_breaks_off_is_not_taken_for_whole(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the ledger goes away half way, the connection does too: the client sees an error, not a shorter list."""
    drop = await opened(shop)
    await won(shop, drop, "u1")

    async def broken(*_: Any) -> Any:
        yield b"serial,user\r\n"
        raise Unavailable("the ledger is gone")

    monkeypatch.setattr(claims, "_csv", broken)
    with pytest.raises(aiohttp.ClientError):
        await shop.call("GET", f"{DROPS}/{drop}/claims.csv")


async def test_a_reservation_is_confirmed_once(shop: Shop) -> None:
    """With its order; again: no change; with another order: conflict; and it cannot be released any more."""
    drop = await opened(shop, reserve_s=60)
    await won(shop, drop, "u1")
    path = f"{DROPS}/{drop}/claims/1"
    order = {"order_id": "o-1", "amount": 1990, "currency": "EUR"}
    first = await shop.call("POST", f"{path}/confirm", json=order)
    assert first.status == 200
    assert first.json.items() >= {**order, "state": "confirmed", "serial": 1, "user": "u1"}.items()
    assert (await shop.call("POST", f"{path}/confirm", json=order)).json == first.json
    assert (await shop.call("POST", f"{path}/confirm", json={"order_id": "o-2"})).code == "conflict"
    assert (await shop.call("POST", f"{path}/release")).code == "conflict"


async def test_what_is_released_or_revoked_comes_back(shop: Shop) -> None:
    """A released unit to stock; a revoked one only if that was said, with the reason in the list."""
    drop = await opened(shop, stock=3, reserve_s=60)
    await won(shop, drop, "u1", "u2", "u3")
    path = f"{DROPS}/{drop}"

    async def left() -> tuple[str, int]:
        now = (await shop.call("GET", path)).json
        return now["state"], now["left"]

    assert await left() == ("sold_out", 0)
    assert (await shop.call("POST", f"{path}/claims/1/release")).json["state"] == "released"
    assert await left() == ("open", 1)
    kept = await shop.call("POST", f"{path}/claims/2/revoke", json={"reason": "a bot"})
    assert (kept.json["state"], kept.json["reason"]) == ("revoked", "a bot")
    assert await left() == ("open", 1)
    await shop.call("POST", f"{path}/claims/3/revoke", json={"return_stock": True})
    assert await left() == ("open", 2)
    assert [line["state"] for line in (await shop.call("GET", f"{path}/claims")).json["data"]] == ["released", "revoked", "revoked"]


async def test_what_is_not_there_is_told(shop: Shop) -> None:
    """404 for serials nobody has and drops that are not; 422 for a wrong order."""
    drop = await opened(shop)
    await won(shop, drop, "u1")
    for serial in ("2", "0", "x", "9" * 20):
        assert (await shop.call("POST", f"{DROPS}/{drop}/claims/{serial}/release")).code == "not_found"
    for path in (f"{DROPS}/none/claims", f"{DROPS}/none/claims.csv"):
        assert (await shop.call("GET", path)).code == "unknown_drop"
    for body in ({}, {"order_id": ""}, {"order_id": "o", "amount": -1}, {"order_id": "o", "currency": "euro"}):
        assert (await shop.call("POST", f"{DROPS}/{drop}/claims/1/confirm", json=body)).status == 422


async def test_codes_are_for_those_who_settle(shop: Shop) -> None:
    """A key or a merchant's token with `claims:settle`; not the host, not the viewer."""
    drop = await opened(shop)
    merchant = shop.token("m", role="merchant", rooms=["r1"])
    for path in (f"{DROPS}/{drop}/claims", f"{DROPS}/{drop}/claims.csv"):
        assert (await shop.call("GET", path, auth=merchant)).status == 200
        for auth in (shop.token("mei", role="host", rooms=["r1"]), shop.token("ada"), shop.made_key("d", "drops:read")):
            assert (await shop.call("GET", path, auth=auth)).status == 403


async def test_hosts_see_who_won_and_no_codes(shop: Shop) -> None:
    """In the same order and pages, as CSV too; viewers see nothing of it."""
    drop = await opened(shop)
    await won(shop, drop, "ada", "bob")
    host = shop.token("mei", role="host", rooms=["r1"])
    first = (await shop.call("GET", f"{DROPS}/{drop}/winners?limit=1", auth=host)).json
    assert [(line["serial"], line["user"], line["state"]) for line in first["data"]] == [(1, "ada", "granted")]
    rest = (await shop.call("GET", f"{DROPS}/{drop}/winners?cursor={first['next_cursor']}", auth=host)).json
    assert [line["user"] for line in rest["data"]] == ["bob"]
    assert set(rest["data"][0]) == {"serial", "user", "state", "at"}
    file = await shop.call("GET", f"{DROPS}/{drop}/winners.csv", auth=host)
    rows = list(csv.DictReader(io.StringIO(file.body.decode())))
    assert [(row["serial"], row["user"]) for row in rows] == [("1", "ada"), ("2", "bob")]
    assert list(rows[0]) == ["serial", "user", "state", "at"]
    assert (await shop.call("GET", f"{DROPS}/{drop}/winners", auth=shop.token("ada"))).status == 403


async def test_a_ledger_that_is_closed_settles_nothing(shop: Shop) -> None:
    """503; opened again, the unit is as it was."""
    drop = await opened(shop, reserve_s=60)
    await won(shop, drop, "u1")
    await shop.close_money("r1")
    closed = await shop.call("POST", f"{DROPS}/{drop}/claims/1/confirm", json={"order_id": "o-1"})
    assert (closed.status, closed.code) == (503, "unavailable")
    assert int(closed.headers["Retry-After"]) >= 1
    await shop.open_money("r1")
    assert (await shop.call("GET", f"{DROPS}/{drop}/claims")).json["data"][0]["state"] == "reserved"
