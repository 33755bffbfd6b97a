"""Minted tokens work, and never beyond what the key that asked for them may do itself."""

from __future__ import annotations

import pytest

from livecast.edge.access.callers import SCOPES_OF_ROLE
from livecast.edge.api.tokens import TTL_MAX_S, glob_within
from support.house import House


async def test_a_viewer_token_works(house: House) -> None:
    """201 with the token and when it ends; it opens what it says."""
    await house.live_room("r1")
    wanted = {"sub": "ada", "name": "Ada", "level": 3, "badges": ["fan"], "ttl_s": 60, "facts": {"member": True}}
    minted = await house.call("POST", "/v1/tokens", json=wanted)
    assert minted.status == 201
    assert 0 < minted.json["expires_at"] - house.clock() <= 60_000
    identity = await house.node.authenticator.authenticate(minted.json["token"], "r1", house.clock())
    person = identity.person
    assert (person.id, person.name, person.role, person.level, person.badges) == ("ada", "Ada", "viewer", 3, ("fan",))
    assert identity.facts == {"member": True}
    message = {"t": "comment", "cid": "c1", "text": "hi"}
    assert (await house.call("POST", "/v1/rooms/r1/messages", auth=minted.json["token"], json=message)).status == 200
    house.clock.ahead_ms += 61_000
    assert (await house.call("POST", "/v1/rooms/r1/messages", auth=minted.json["token"], json=message)).status == 401


async def test_a_key_gives_no_more_than_it_has(house: House) -> None:
    """Rooms and scopes of the token lie within the key's; without `rooms` it gets the key's own."""
    viewers = house.made_key("viewers", "tokens:viewer", rooms=("shop-*",))
    minted = await house.call("POST", "/v1/tokens", auth=viewers, json={"sub": "ada"})
    identity = await house.node.authenticator.authenticate(minted.json["token"], None, house.clock())
    assert identity.rooms == ("shop-*",)
    for body, status in [
        ({"sub": "ada", "rooms": ["shop-1", "shop-a*"]}, 201),
        ({"sub": "ada", "rooms": ["*"]}, 403),
        ({"sub": "ada", "rooms": ["shop-1", "other"]}, 403),
        ({"sub": "ada", "role": "host", "rooms": ["shop-1"]}, 403),
        ({"sub": "ada", "rooms": []}, 422),
    ]:
        assert (await house.call("POST", "/v1/tokens", auth=viewers, json=body)).status == status, body


@pytest.mark.parametrize("role", ["host", "moderator", "merchant"])
async def test_staff_tokens_need_every_scope_of_the_role(house: House, role: str) -> None:
    """A key that lacks one of what the role may do cannot hand it out by minting."""
    scopes = sorted(SCOPES_OF_ROLE[role])
    whole = house.made_key("whole", "tokens:staff", *scopes, rooms=("r*",), merchant="m1")
    lacking = house.made_key("lacking", "tokens:staff", *scopes[1:])
    viewers = house.made_key("viewers", "tokens:viewer", *scopes)
    wanted = {"sub": "mei", "role": role, "rooms": ["r1"]}
    minted = await house.call("POST", "/v1/tokens", auth=whole, json=wanted)
    assert minted.status == 201
    identity = await house.node.authenticator.authenticate(minted.json["token"], "r1", house.clock())
    assert (identity.person.role, identity.merchant) == (role, "m1")
    for key in (lacking, viewers):
        assert (await house.call("POST", "/v1/tokens", auth=key, json=wanted)).status == 403


async def test_a_wrong_wish_is_told(house: House) -> None:
    """Bounds of what a token may say."""
    for body in [
        {},
        {"sub": "a b"},
        {"sub": "a/b"},
        {"sub": "ada", "ttl_s": 0},
        {"sub": "ada", "ttl_s": TTL_MAX_S + 1},
        {"sub": "ada", "role": "emperor"},
        {"sub": "ada", "can": ["fly"]},
        {"sub": "ada", "facts": {"x": "y" * 2000}},
        {"sub": "ada", "expires": 5},
    ]:
        assert (await house.call("POST", "/v1/tokens", json=body)).status == 422, body
    host = house.token("mei", role="host", rooms=["*"])
    assert (await house.call("POST", "/v1/tokens", auth=host, json={"sub": "ada"})).status == 403


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        ("r1", "*", True), ("*", "*", True), ("a*", "*", True), ("*", "a*", False), ("shop-1", "shop-*", True),
        ("shop-*", "shop-*", True), ("shop-a*", "shop-*", True), ("shop-*", "shop-a*", False), ("shop", "shop-*", False),
        ("a*", "a?*", False), ("a?", "a?", True), ("a*", "a?", False), ("a?", "a*", True), ("ab", "a?", True), ("a", "a?", False),
        ("*a", "*", True), ("x*y*z", "x*z", True), ("x*z", "x*y*z", False), ("", "*", True), ("a", "", False),
    ],
)  # fmt: skip
def test_globs_within_globs(inner: str, outer: str, within: bool) -> None:
    """Every room of the inner one is one of the outer one's."""
    assert glob_within(inner, outer) is within
