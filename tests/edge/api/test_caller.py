"""Callers are told who they are and what they may do."""

from __future__ import annotations

from livecast.edge.access.callers import SCOPES_OF_ROLE
from support.house import House


async def test_a_key_is_told_what_it_may_do(house: House) -> None:
    """Its scopes, rooms and seller; not its secret."""
    key = house.made_key("shop", "drops:read", "claims:settle", rooms=("shop-*",), merchant="acme")
    answer = await house.call("GET", "/v1/caller", auth=key)
    assert answer.json == {
        "kind": "key", "id": "shop", "scopes": ["claims:settle", "drops:read"], "rooms": ["shop-*"], "merchant": "acme",
    }  # fmt: skip


async def test_staff_are_told_what_their_role_allows(house: House) -> None:
    """A viewer is not staff: 403."""
    await house.live_room("r1")
    minted = await house.call("POST", "/v1/tokens", json={"sub": "mia", "name": "Mia", "role": "merchant", "rooms": ["r1"]})
    answer = await house.call("GET", "/v1/caller", auth=minted.json["token"])
    assert (answer.json["kind"], answer.json["role"], answer.json["name"]) == ("staff", "merchant", "Mia")
    assert answer.json["scopes"] == sorted(SCOPES_OF_ROLE["merchant"])
    viewer = await house.call("POST", "/v1/tokens", json={"sub": "ada"})
    assert (await house.call("GET", "/v1/caller", auth=viewer.json["token"])).status == 403
    assert (await house.call("GET", "/v1/caller", auth="lck_no_such")).status == 401
