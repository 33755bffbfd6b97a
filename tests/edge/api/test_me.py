"""One's own over HTTP: what notices told, in a form that lasts."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt
import msgspec

from livecast.core.errors import Refusal
from livecast.core.money.units import Claim
from livecast.edge.api.messages import Me
from livecast.ports import Unavailable
from support.house import House, until
from support.shop import Shop
from support.viewer import Viewer

ME = "/v1/rooms/r1/me"
DROPS = "/v1/rooms/r1/drops"


async def opened(shop: Shop, **config: Any) -> str:
    """The id of an open drop in a live room `r1`."""
    if (await shop.call("GET", "/v1/rooms/r1")).status == 404:
        await shop.live_room("r1")
    drop = (await shop.call("POST", DROPS, json={"title": "x", "kind": "coupon", "stock": 3, **config})).json["id"]
    assert (await shop.call("POST", f"{DROPS}/{drop}/open")).status == 200
    return str(drop)


async def mine(shop: Shop, user: str) -> dict[str, Any]:
    """What somebody is told of themselves, which is of the described shape."""
    answer = await shop.call("GET", ME, auth=shop.token(user))
    assert answer.status == 200, answer
    msgspec.json.decode(answer.body, type=Me)
    me: dict[str, Any] = answer.json
    return me


async def test_a_newcomer_has_nothing(shop: Shop) -> None:
    """No coins, no claims, no entries, no mute."""
    await shop.live_room("r1")
    assert await mine(shop, "ada") == {
        "muted": False, "muted_until": None, "banned": False, "banned_until": None, "votes": [],
        "balance": 0, "claims": [], "entries": [], "eligibility": {},
    }  # fmt: skip


async def test_ones_coins_and_claims_are_there(shop: Shop) -> None:
    """The claim as the click's answer told it, and what became of it; nobody else's."""
    drop = await opened(shop, reserve_s=60)
    await shop.call("POST", "/v1/wallets/ada/credits", json={"tx": "t", "amount": 70})
    message = {"t": "claim", "cid": "c1", "drop": drop}
    click = (await shop.call("POST", "/v1/rooms/r1/messages", auth=shop.token("ada"), json=message)).json
    me = await mine(shop, "ada")
    assert me["balance"] == 70
    (claim,) = me["claims"]
    told = {name: click[name] for name in ("serial", "of", "code", "expires_at")}
    assert claim.items() >= {**told, "drop": drop, "title": "x", "kind": "coupon", "state": "reserved"}.items()
    await shop.call("POST", f"{DROPS}/{drop}/claims/1/confirm", json={"order_id": "o-1"})
    (claim,) = (await mine(shop, "ada"))["claims"]
    assert (claim["state"], claim["order_id"]) == ("confirmed", "o-1")


def read(shop: Shop, receipt: str) -> dict[str, Any]:
    """What a receipt says, by the published key."""
    key = jwt.PyJWKSet.from_dict(shop.node.money.jwks()).keys[0]  # type: ignore[union-attr] # a shop has a ledger
    said: dict[str, Any] = jwt.decode(receipt, key, ["EdDSA"], options={"verify_aud": False, "verify_exp": False})
    return said


async def test_ones_receipts_stay(shop: Shop) -> None:
    """The very one of the click, also in the next broadcast; without an end once the unit is bought; none for what is gone."""
    drop = await opened(shop, reserve_s=60, per_user=2, test=True)
    message = {"t": "claim", "cid": "c1", "drop": drop}
    click = (await shop.call("POST", "/v1/rooms/r1/messages", auth=shop.token("ada"), json=message)).json
    broadcast = read(shop, click["receipt"])["broadcast"]
    await shop.call("POST", "/v1/rooms/r1/end")
    await shop.call("POST", "/v1/rooms/r1/start")
    hub = await shop.node.views.get("r1")
    assert hub is not None
    await until(lambda: hub.view.state["broadcast"] != broadcast, "next broadcast")
    again = await shop.call("POST", "/v1/rooms/r1/messages", auth=shop.token("ada"), json=message)
    assert again.json["receipt"] == click["receipt"]
    (claim,) = (await mine(shop, "ada"))["claims"]
    assert (claim["receipt"], claim["test"]) == (click["receipt"], True)
    await shop.call("POST", f"{DROPS}/{drop}/claims/1/confirm", json={"order_id": "o-1"})
    (claim,) = (await mine(shop, "ada"))["claims"]
    said, before = read(shop, claim["receipt"]), read(shop, click["receipt"])
    assert "exp" in before
    assert said == {name: value for name, value in before.items() if name != "exp"}
    await shop.call("POST", f"{DROPS}/{drop}/claims/1/revoke")
    (claim,) = (await mine(shop, "ada"))["claims"]
    assert "receipt" not in claim
    assert (await mine(shop, "bob"))["claims"] == []


async def test_ones_place_in_a_draw_and_what_was_won(shop: Shop) -> None:
    """The nonce that one's leaf is made with; the serial once the pot is drawn."""
    drop = await opened(shop, kind="draw", stock=1)
    claims = [Claim(user, "c1", nonce=f"n-{user}") for user in ("ada", "bob")]
    await shop.ledger.claim("r1", drop, "b1", claims, shop.clock())
    (entry,) = (await mine(shop, "bob"))["entries"]
    assert entry.items() >= {"drop": drop, "number": 2, "nonce": "n-bob", "state": "open", "won": []}.items()
    await shop.call("POST", f"{DROPS}/{drop}/close")
    assert not isinstance(await shop.ledger.freeze_pot("r1", drop, shop.clock()), Refusal)
    assert await shop.ledger.award("r1", drop, 0, ["bob", "ada"], shop.clock()) == [1, 0]
    await shop.ledger.draw_pot("r1", drop, b"{}", shop.clock())
    assert [(entry["state"], entry["won"]) for entry in (await mine(shop, "bob"))["entries"]] == [("drawn", [1])]
    assert [entry["won"] for entry in (await mine(shop, "ada"))["entries"]] == [[]]


async def test_without_a_ledger_the_room_still_answers(house: House) -> None:
    """What is about money is absent, not zero."""
    await house.live_room("r1")
    me = await house.call("GET", ME, auth=house.token("ada"))
    assert me.json.keys() == {"muted", "muted_until", "banned", "banned_until", "votes"}


async def test_a_ledger_that_is_silent_is_not_taken_for_empty(shop: Shop) -> None:
    """503: a list of claims that lacks some would be believed."""
    await shop.live_room("r1")

    async def silent(*_: object) -> Any:
        raise Unavailable("no answer")

    shop.ledger.holdings = silent  # type: ignore[assignment,method-assign] # memory is never silent
    answer = await shop.call("GET", ME, auth=shop.token("ada"))
    assert (answer.status, answer.code) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


# --- In the welcome -----------------------------------------------------------------------------------------------------
async def test_the_first_welcome_has_the_balance(shop: Shop) -> None:
    """Also of somebody whom this node has never seen; nobody is told whose token gives nothing."""
    await shop.live_room("r1")
    await shop.call("POST", "/v1/wallets/ada/credits", json={"tx": "t1", "amount": 70})
    async with (
        Viewer(shop.port, "r1", shop.token("ada")) as ada,
        Viewer(shop.port, "r1", shop.token("bob", can=["comment"])) as bob,
    ):
        assert (await ada.welcome())["you"]["balance"] == 70
        assert "balance" not in (await bob.welcome())["you"]


async def test_nobody_waits_for_a_ledger_that_is_silent(shop: Shop) -> None:
    """The welcome comes without the balance, which is told as soon as it is known."""
    await shop.live_room("r1")

    async def silent(*_: object) -> Any:
        await asyncio.Event().wait()

    shop.ledger.wallet = silent  # type: ignore[assignment,method-assign] # memory is never silent
    async with Viewer(shop.port, "r1", shop.token("ada")) as ada:
        assert "balance" not in (await ada.welcome())["you"]


async def test_who_signs_in_on_a_socket_is_told_the_same(shop: Shop) -> None:
    """`you` of the answer is that of a welcome; renewed, it is told again; what is sent right behind it counts as theirs."""
    await shop.live_room("r1")
    await shop.call("POST", "/v1/wallets/ada/credits", json={"tx": "t1", "amount": 70})
    token = shop.token("ada")
    async with Viewer(shop.port, "r1") as ada:
        await ada.welcome()
        await ada.send("auth", cid="a", token=token)
        assert (await ada.ask("comment", "c", text="right behind it"))["verdict"] == "shown"
        you = (await ada.answer("a"))["you"]
        assert you["balance"] == 70
        assert (await ada.ask("auth", "b", token=token))["you"] == you
        async with Viewer(shop.port, "r1", token) as again:
            assert (await again.welcome())["you"] == you


async def test_who_signs_in_to_enter_is_told_the_same(shop: Shop) -> None:
    """Where a room asks for a token: answer and welcome have the balance, and what was sent behind it waits for both."""
    await shop.live_room("r1")
    assert (await shop.call("PATCH", "/v1/rooms/r1/policy", json={"anonymous": "off"})).status == 200
    await shop.call("POST", "/v1/wallets/ada/credits", json={"tx": "t1", "amount": 70})
    async with Viewer(shop.port, "r1") as ada:
        await ada.send("auth", cid="a", token=shop.token("ada"))
        await ada.send("auth", cid="b", token=shop.token("ada"))
        assert (await ada.ask("comment", "c", text="right behind it"))["verdict"] == "shown"
        assert (await ada.answer("a"))["you"] == (await ada.welcome())["you"] == (await ada.answer("b"))["you"]
        assert (await ada.welcome())["you"]["balance"] == 70
        kinds = [said["t"] if said["t"] != "ack" else said["cid"] for said in ada.told if said["t"] != "frame"]
        assert kinds == ["a", "welcome", "b", "c"]


async def test_nobody_who_signs_in_waits_for_a_ledger_that_is_silent(shop: Shop) -> None:
    """They are in, and may leave while the question is under way."""
    await shop.live_room("r1")
    asked = asyncio.Event()

    async def silent(*_: object) -> Any:
        asked.set()
        await asyncio.Event().wait()

    shop.ledger.wallet = silent  # type: ignore[assignment,method-assign] # memory is never silent
    async with Viewer(shop.port, "r1") as ada, Viewer(shop.port, "r1") as bob:
        await ada.welcome()
        assert "balance" not in (await ada.ask("auth", "a", token=shop.token("ada")))["you"]
        await bob.welcome()
        await bob.send("auth", cid="b", token=shop.token("bob"))
        await asyncio.wait_for(asked.wait(), 5)
    async with Viewer(shop.port, "r1") as cyd:
        await cyd.welcome()
