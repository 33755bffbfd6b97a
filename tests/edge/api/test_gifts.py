"""Gifts over HTTP: the catalogue, gifts of services booked once, gifts taken back, boards and earnings from the ledger."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from livecast.core.money.coins import SpendLimits
from livecast.edge.money.money import Money, MoneyRules
from livecast.edge.money.receipts import Receipts, new_key
from livecast.ledger import audit
from support.house import Answer, House, until
from support.shop import Shop
from support.viewer import Viewer

GIFTS = "/v1/rooms/r1/gifts"


async def live(shop: Shop, **about: Any) -> None:
    """A live room `r1` with a host."""
    await shop.live_room("r1", hosts=[{"id": "mei", "name": "Mei"}], **about)
    await until_status(shop, "r1", "live")


async def until_status(shop: Shop, room: str, status: str) -> None:
    """The node knows that the room has come so far."""
    hub = await shop.node.views.get(room)
    assert hub is not None
    await until(lambda: hub.view.state["status"] == status, status)


async def give(shop: Shop, user: str, cid: str, gift: str = "rose", n: int = 1, *, to: str | None = None) -> Answer:
    """A viewer's own gift."""
    message = {"t": "gift", "cid": cid, "gift": gift, "n": n, "to": to}
    return await shop.call("POST", "/v1/rooms/r1/messages", auth=shop.token(user), json=message)


async def rich(shop: Shop, user: str, coins: int) -> None:
    """Somebody with coins."""
    assert (await shop.call("POST", f"/v1/wallets/{user}/credits", json={"tx": "pay", "amount": coins})).status == 201


async def board(shop: Shop) -> list[tuple[int, str, int]]:
    """The leaderboard."""
    data = (await shop.call("GET", "/v1/rooms/r1/leaderboard")).json["data"]
    return [(line["place"], line["user"], line["value"]) for line in data]


async def test_everybody_reads_the_catalogue(shop: Shop) -> None:
    """Also without a token; an unchanged one is 304. A node without a ledger has none."""
    answer = await shop.call("GET", "/v1/gifts", auth=None)
    assert answer.status == 200
    assert {"id": "rocket", "name": "Rocket", "price": 1000, "tier": 3} in answer.json["data"]
    again = await shop.call("GET", "/v1/gifts", auth=None, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304
    shop.node.money = None
    gone = await shop.call("GET", "/v1/gifts", auth=None)
    assert (gone.status, gone.code) == (503, "unavailable")


async def test_a_gift_paid_elsewhere_is_booked_once(shop: Shop) -> None:
    """201 with its value by the catalogue; the same tx again: the same gift, another body: conflict, another key: another gift."""
    await live(shop)
    body = {"tx": "shop-1", "user": "ada", "gift": "heart", "n": 3, "to": "mei", "name": "Ada"}
    first = await shop.call("POST", GIFTS, json=body)
    assert first.status == 201, first
    assert first.json.items() >= {"tx": "shop-1", "user": "ada", "value": 30, "to": "mei", "paid": "elsewhere"}.items()
    assert (await shop.call("POST", GIFTS, json=body)).json == first.json
    assert (await shop.call("POST", GIFTS, json={**body, "n": 4})).code == "conflict"
    other = shop.made_key("other", "gifts:write")
    assert (await shop.call("POST", GIFTS, json=body, auth=other)).status == 201
    assert await board(shop) == [(1, "ada", 60)]
    assert (await shop.call("GET", "/v1/wallets/ada")).json["entries"] == 0
    assert shop.rung.count("r1") >= 2


async def test_a_tx_is_one_gift_in_one_room(shop: Shop) -> None:
    """In another room, whose shard knows nothing of it, the same tx is a conflict; also of two at the same moment one is."""
    await live(shop)
    others = [f"room{n}" for n in range(3)]
    for room in others:
        await shop.live_room(room)
        await until_status(shop, room, "live")
    body = {"tx": "t1", "user": "ada", "gift": "rose"}
    answers = await asyncio.gather(*(shop.call("POST", f"/v1/rooms/{room}/gifts", json=body) for room in ("r1", *others)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    won = next(room for room, answer in zip(("r1", *others), answers, strict=True) if answer.status == 201)
    assert (await shop.call("POST", f"/v1/rooms/{won}/gifts", json=body)).status == 201
    assert (await shop.call("POST", f"/v1/rooms/{won}/gifts", json={**body, "user": "bob"})).code == "conflict"


async def test_a_tx_without_a_gift_is_free(shop: Shop) -> None:
    """What was refused is not remembered; what was booked is answered again, also when the broadcast is over."""
    await live(shop)
    body = {"tx": "t1", "user": "ada", "gift": "castle"}
    assert (await shop.call("POST", GIFTS, json=body)).code == "unknown_gift"
    booked = await shop.call("POST", GIFTS, json={**body, "gift": "rose"})
    assert booked.status == 201
    await shop.call("POST", "/v1/rooms/r1/end")
    await until_status(shop, "r1", "ended")
    assert (await shop.call("POST", GIFTS, json={**body, "gift": "rose"})).json == booked.json
    assert (await shop.call("POST", GIFTS, json={**body, "tx": "t2", "gift": "rose"})).code == "room_not_live"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"gift": "castle"}, "unknown_gift"), ({"to": "nobody"}, "invalid"), ({"n": 0}, "invalid"), ({"n": 10_000}, "invalid"),
     ({"tx": "a/b"}, "invalid"), ({"user": "a b"}, "invalid"), ({"coins": 1}, "invalid")],
)  # fmt: skip
async def test_what_is_no_gift_is_refused(shop: Shop, change: dict[str, Any], code: str) -> None:
    """Nothing is booked."""
    await live(shop)
    refused = await shop.call("POST", GIFTS, json={"tx": "t", "user": "ada", "gift": "rose", **change})
    assert refused.code == code
    assert await board(shop) == []


async def test_gifts_are_for_live_rooms(shop: Shop) -> None:
    """409 in a room without a broadcast, 404 in one that is not there."""
    body = {"tx": "t", "user": "ada", "gift": "rose"}
    assert (await shop.call("POST", GIFTS, json=body)).code == "unknown_room"
    await shop.call("PUT", "/v1/rooms/r1", json={})
    assert (await shop.call("POST", GIFTS, json=body)).code == "room_not_live"


async def test_a_viewers_gift_is_taken_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the `tx` that its ack told, and at once: coins return to the wallet, the board forgets it; again: the same answer."""
    monkeypatch.setattr("livecast.edge.money.money.BOOKED_S", 10)  # a busy machine may pause for longer than it waits otherwise
    await live(shop)
    await rich(shop, "ada", 50)
    sent = await give(shop, "ada", "c1", "heart", 2)
    assert (sent.status, sent.json["verdict"], sent.json["balance"]) == (200, "sent", 30)
    assert await board(shop) == [(1, "ada", 20)]
    assert (await shop.call("GET", "/v1/rooms/r1/earnings")).json["value"] == 20
    another = await give(shop, "ada", "c2")
    assert (await shop.call("POST", f"/v1/gifts/{another.json['tx']}/reverse", json={})).json["total"] == 20
    back = await shop.call("POST", f"/v1/gifts/{sent.json['tx']}/reverse", json={"reason": "charged back"})
    assert back.status == 200, back
    assert back.json.items() >= {"tx": sent.json["tx"], "reason": "charged back", "value": 20, "total": 0}.items()
    assert back.json["reversed_at"]
    encoded = sent.json["tx"].replace("/", "%2F")
    assert (await shop.call("POST", f"/v1/gifts/{encoded}/reverse", json={"reason": "twice"})).json == back.json
    assert await board(shop) == []
    assert (await shop.call("GET", "/v1/wallets/ada")).json["balance"] == 50


@pytest.mark.parametrize("cid", ["a/reverse", "..", "\n", "é ?#%2F\t\0"])
async def test_no_gift_is_beyond_taking_back(shop: Shop, cid: str) -> None:
    """A giver chooses the id; whatever it is, a charge-back can name it."""
    await live(shop)
    await rich(shop, "ada", 50)
    sent = await give(shop, "ada", cid)
    back = await shop.call("POST", f"/v1/gifts/{quote(sent.json['tx'], safe='')}/reverse", json={})
    assert (back.status, back.json["tx"]) == (200, f"ada/{cid}")


async def test_nobody_pays_for_words_that_are_not_shown(shop: Shop) -> None:
    """Where only staff may speak a gift with a text is refused before it is paid; without one it is taken."""
    await live(shop)
    await rich(shop, "ada", 50)
    await shop.call("PATCH", "/v1/rooms/r1/policy", json={"mode": "staff"})
    hub = await shop.node.views.get("r1")
    assert hub is not None
    await until(lambda: hub.view.policy["mode"] == "staff", "policy")
    message = {"t": "gift", "cid": "c1", "gift": "heart", "n": 1}
    said = await shop.call("POST", "/v1/rooms/r1/messages", auth=shop.token("ada"), json={**message, "text": "hear me"})
    assert (said.status, said.code, said.json["errors"][0]["pointer"]) == (403, "forbidden", "/text")
    assert (await shop.call("POST", "/v1/rooms/r1/messages", auth=shop.token("ada"), json=message)).json["balance"] == 40


async def test_who_asks_a_server_that_does_not_answer_delays_nobody_else(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a ledger on several servers: gifts that came in one moment are answered as soon as their own server has."""
    await live(shop)
    for user in ("ada", "bob"):
        await rich(shop, user, 50)
    debit, answers, asked = shop.ledger.debit_gifts, asyncio.Event(), list[str]()

    async def debit_gifts(debits: Any, *more: Any) -> Any:
        asked.extend(gift.user for gift, _ in debits)
        if any(gift.user == "ada" for gift, _ in debits):
            await answers.wait()
        return await debit(debits, *more)

    shop.ledger.debit_gifts = debit_gifts  # type: ignore[assignment,method-assign] # memory has but one server
    shop.ledger.server_of = lambda place: place  # type: ignore[assignment,method-assign]
    monkeypatch.setattr("livecast.edge.money.giving.GATHER_S", 0.3)  # what comes while another is under way leaves together
    async with Viewer(shop.port, "r1", shop.token("ada")) as ada, Viewer(shop.port, "r1", shop.token("bob")) as bob:
        await ada.send("gift", cid="a", gift="rose", n=1)
        await until(lambda: asked, "first question")
        await ada.send("gift", cid="b", gift="rose", n=2)
        assert (await bob.ask("gift", "a", gift="rose", n=1))["verdict"] == "sent"
        await until(lambda: asked.count("ada") == 2, "both asked")
        assert not ada.of("ack")
        answers.set()
        assert [(await ada.answer(cid))["balance"] for cid in ("a", "b")] == [49, 47]


async def test_who_is_forgotten_is_told_of_under_a_pseudonym(shop: Shop) -> None:
    """In the leaderboard, and in the logs of what staff did to them, the house's and the room's; figures stay."""
    await live(shop)
    for user in ("ada-lovelace", "bob"):
        await rich(shop, user, 50)
        assert (await give(shop, user, "c1", "heart", 2 if user == "bob" else 3)).status == 200
    await until(lambda: len(shop.ledger._gifts.items()) == 2, "bookings")
    mute = {"user": "ada-lovelace", "for_s": 60, "reason": "loud"}
    assert (await shop.call("POST", "/v1/rooms/r1/mutes", json=mute)).status == 201
    assert (await shop.call("POST", "/v1/rooms/r1/redactions", json={"users": ["ada-lovelace", "bob"]})).status == 201
    assert (await shop.call("POST", "/v1/users/ada-lovelace/disconnect", json={"for_s": 60})).status == 200
    assert await board(shop) == [(1, "ada-lovelace", 30), (2, "bob", 20)]
    assert (await shop.call("DELETE", "/v1/users/ada-lovelace")).status == 200
    [(_, pseudonym, value), second] = await board(shop)
    assert (pseudonym.startswith("erased:"), value, second) == (True, 30, (2, "bob", 20))
    for path in ("/v1/rooms/r1/audit", "/v1/audit"):
        log = await shop.call("GET", path)
        assert b"ada-lovelace" not in log.body
        assert pseudonym.encode() in log.body
    assert [a["args"] for a in (await shop.call("GET", "/v1/rooms/r1/audit")).json["data"] if a["action"] == "redact"] == [
        {"comments": [], "users": [pseudonym, "bob"]}
    ]


@pytest.mark.parametrize(("bound", "first", "second"), [("per_gift", 5, 6), ("per_day", 5, 4), ("per_month", 5, 4)])
async def test_who_spends_too_much_is_told_when_to_come_back(shop: Shop, bound: str, first: int, second: int) -> None:
    """429 with the limit's name; nothing was taken. Gifts paid elsewhere are not the limit's business."""
    limits = SpendLimits(**{bound: 5 if bound == "per_gift" else 8})
    shop.node.money = Money(shop.node, shop.ledger, Receipts(new_key()), shop.rung.append, MoneyRules(limits=limits))
    await live(shop)
    await rich(shop, "ada", 50)
    assert (await give(shop, "ada", "c1", n=first)).status == 200
    refused = await give(shop, "ada", "c2", n=second)
    assert (refused.status, refused.code, refused.json["errors"][0]["pointer"]) == (429, "spend_limit", f"/{bound}")
    assert int(refused.headers["Retry-After"]) > 1
    assert (await shop.call("GET", "/v1/wallets/ada")).json["balance"] == 50 - first
    assert (await shop.call("POST", GIFTS, json={"tx": "t", "user": "ada", "gift": "rose", "n": 9})).status == 201


async def test_a_service_takes_its_gift_back(shop: Shop) -> None:
    """By its own tx; nobody's wallet changes. Another key's tx of the same name is another gift's."""
    await live(shop)
    await shop.call("POST", GIFTS, json={"tx": "shop-1", "user": "ada", "gift": "rose"})
    other = shop.made_key("other", "gifts:write")
    assert (await shop.call("POST", "/v1/gifts/shop-1/reverse", auth=other)).code == "not_found"
    assert (await shop.call("POST", "/v1/gifts/shop-1/reverse")).json["tx"] == "shop-1"
    assert await board(shop) == []
    assert (await shop.call("GET", "/v1/wallets/ada")).json["balance"] == 0


async def test_a_gift_is_taken_back_by_who_reaches_its_room(shop: Shop) -> None:
    """403 for a key of other rooms and for another seller's."""
    await live(shop, merchant="m1")
    await rich(shop, "ada", 50)
    tx = (await give(shop, "ada", "c1")).json["tx"]
    await until(shop.ledger._gifts.items, "booking")
    for key in (shop.made_key("k2", "gifts:write", rooms=("s*",)), shop.made_key("k3", "gifts:write", merchant="m2")):
        assert (await shop.call("POST", f"/v1/gifts/{tx}/reverse", auth=key)).status == 403
    assert (await shop.call("POST", "/v1/gifts/nobody/nothing/reverse")).code == "not_found"


def expected(**counts: tuple[int, int, int, int]) -> dict[str, Any]:
    """Earnings of hosts (`room`: of the room itself) with so many gifts and coins, and so many taken back."""
    names = ("gifts", "value", "reversed", "reversed_value")
    by_host = {"" if host == "room" else host: dict(zip(names, each, strict=True)) for host, each in counts.items()}
    sums = {name: sum(each[name] for each in by_host.values()) for name in names}
    hosts = {host: each["value"] for host, each in by_host.items() if each["value"]}
    return {"broadcast": None, **sums, "hosts": hosts, "by_host": by_host}


async def test_boards_and_earnings_follow_the_ledger(shop: Shop) -> None:
    """Who gave most stands first, of equals who got there first; hosts earn what was given to them."""
    await live(shop)
    for tx, user, n, to in (("1", "bob", 2, "mei"), ("2", "ada", 1, ""), ("3", "ada", 1, ""), ("4", "cyd", 5, "mei")):
        await shop.call("POST", GIFTS, json={"tx": tx, "user": user, "gift": "rose", "n": n, **({"to": to} if to else {})})
    assert await board(shop) == [(1, "cyd", 5), (2, "bob", 2), (3, "ada", 2)]
    assert len((await shop.call("GET", "/v1/rooms/r1/leaderboard?limit=1")).json["data"]) == 1
    assert (await shop.call("GET", "/v1/rooms/r1/leaderboard?broadcast=none")).json["data"] == []
    earned = (await shop.call("GET", "/v1/rooms/r1/earnings")).json
    assert earned == expected(mei=(2, 7, 0, 0), room=(2, 2, 0, 0))
    for tx in ("2", "3", "4"):
        assert (await shop.call("POST", f"/v1/gifts/{tx}/reverse")).status == 200
    for host, counts in (("mei", (1, 2, 1, 5)), ("", (0, 0, 2, 2)), ("nobody", (0, 0, 0, 0))):
        of_one = (await shop.call("GET", f"/v1/rooms/r1/earnings?host={host}")).json
        assert of_one == {**expected(**{host or "room": counts}), "hosts": {host: counts[1]}}
    assert (await shop.call("GET", "/v1/rooms/r1/earnings")).json == expected(mei=(1, 2, 1, 5), room=(0, 0, 2, 2))
    assert (await shop.call("GET", "/v1/rooms/r1/earnings?broadcast=none")).json == {**expected(), "broadcast": "none"}
    assert (await shop.call("GET", "/v1/rooms/none/earnings")).code == "unknown_room"
    assert (await shop.call("GET", "/v1/rooms/none/leaderboard")).code == "unknown_room"


async def test_earnings_do_not_name_a_host_who_asked_to_be_forgotten(shop: Shop) -> None:
    """What they earned stays, under a pseudonym; under their own id nobody is found any more."""
    await live(shop)
    for tx, to in (("1", "mei"), ("2", "")):
        await shop.call("POST", GIFTS, json={"tx": tx, "user": "bob", "gift": "rose", "n": 3, **({"to": to} if to else {})})
    assert (await shop.call("DELETE", "/v1/users/mei")).status == 200

    async def earned(query: str = "") -> Any:
        return (await shop.call("GET", f"/v1/rooms/r1/earnings{query}")).json

    told = await earned()
    [pseudonym] = set(told["hosts"]) - {""}
    assert (told["value"], told["hosts"]) == (6, {pseudonym: 3, "": 3})
    assert pseudonym.startswith("erased:")
    assert (await earned(f"?host={pseudonym}"))["hosts"] == {pseudonym: 3}
    assert set(told["by_host"]) == {pseudonym, ""}
    assert [(await earned(f"?host={host}"))["gifts"] for host in (pseudonym, "mei")] == [1, 0]
    assert (await earned("?host=mei"))["hosts"] == {"mei": 0}


async def test_without_a_ledger_gifts_are_unavailable(house: House) -> None:
    """503 with the time to come back."""
    await house.live_room("r1")
    for method, path, body in [
        ("POST", GIFTS, {"tx": "t", "user": "ada", "gift": "rose"}),
        ("POST", "/v1/gifts/t/reverse", {}),
        ("GET", "/v1/rooms/r1/leaderboard", None),
        ("GET", "/v1/rooms/r1/earnings", None),
    ]:
        answer = await house.call(method, path, json=body)
        assert (answer.status, answer.code) == (503, "unavailable"), (method, path)
        assert int(answer.headers["Retry-After"]) >= 1


async def test_a_closed_ledger_books_no_gift(shop: Shop) -> None:
    """503; the same tx later books it once."""
    await live(shop)
    await shop.close_money("r1")
    body = {"tx": "t", "user": "ada", "gift": "rose"}
    assert (await shop.call("POST", GIFTS, json=body)).code == "unavailable"
    await shop.open_money("r1")
    assert (await shop.call("POST", GIFTS, json=body)).status == 201
    assert await board(shop) == [(1, "ada", 1)]


async def test_statements_do_not_name_a_host_who_asked_to_be_forgotten(shop: Shop) -> None:
    """The account on the other side is the one that earnings tell, in all lines of it; amounts and the books stay as they are."""
    await live(shop)
    await rich(shop, "ada", 50)
    for cid, to in (("c1", "mei"), ("c2", "mei"), ("c3", None)):
        assert (await give(shop, "ada", cid, n=3, to=to)).status == 200
    await until(lambda: len(shop.ledger._gifts.items()) == 3, "bookings")

    async def statement() -> list[tuple[str, int]]:
        lines = (await shop.call("GET", "/v1/wallets/ada/entries")).json["data"]
        return [(line["counter"], line["amount"]) for line in lines]

    assert await statement() == [("host:r1/", -3), ("host:r1/mei", -3), ("host:r1/mei", -3), ("key:all", 50)]
    assert (await shop.call("DELETE", "/v1/users/mei")).status == 200
    [pseudonym] = set((await shop.call("GET", "/v1/rooms/r1/earnings")).json["hosts"]) - {""}
    reversal = (await shop.call("POST", "/v1/gifts/ada/c1/reverse")).json
    assert (reversal["user"], reversal["to"]) == ("ada", pseudonym)
    mei = f"host:r1/{pseudonym}"
    assert await statement() == [(mei, 3), ("host:r1/", -3), (mei, -3), (mei, -3), ("key:all", 50)]
    assert (await shop.call("GET", "/v1/wallets/ada")).json["balance"] == sum(n for _, n in await statement()) == 44
    assert (await audit(shop.ledger)).reversed == 1
