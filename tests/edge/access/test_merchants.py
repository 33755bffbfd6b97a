"""A seller's key and what it mints reach the seller's own rooms alone, by every door."""

from __future__ import annotations

import asyncio

import pytest

from livecast.core.errors import Refusal
from livecast.edge.access.keys import SCOPES
from support.house import House, until
from support.viewer import Viewer

ROLES = ("viewer", "host", "moderator", "merchant")


async def minted(house: House, role: str, room: str = "theirs") -> str:
    """A token that the key of merchant `m1` mints, whatever rooms it names."""
    key = house.made_key("m1", *SCOPES, merchant="m1")
    answer = await house.call("POST", "/v1/tokens", auth=key, json={"sub": "mei", "role": role, "rooms": [room]})
    assert answer.status == 201, answer
    return str(answer.json["token"])


@pytest.mark.parametrize("role", ROLES)
async def test_a_minted_token_opens_no_door_of_another_merchant(house: House, role: str) -> None:
    """The socket, event streams, files, messages and the control plane: nobody is taken for another's viewer or staff."""
    await house.live_room("theirs", merchant="m2")
    token = await minted(house, role)
    async with Viewer(house.port, "theirs", token) as viewer:
        closed, bye = await viewer.bye()
    assert (closed, bye["reconnect"]) == (4403, False)
    comment = {"t": "comment", "cid": "c1", "text": "hi"}
    for method, path, body in [
        ("GET", "/events", None),
        ("GET", "/snapshot", None),
        ("GET", "/me", None),
        ("POST", "/messages", comment),
        ("GET", "", None),
    ]:
        answer = await house.call(method, f"/v1/rooms/theirs{path}", auth=token, json=body)
        assert (answer.status, answer.code) == (403, "forbidden"), path


@pytest.mark.parametrize("role", ROLES)
async def test_it_does_not_sign_in_on_a_live_socket(house: House, role: str) -> None:
    """An anonymous viewer stays one."""
    await house.live_room("theirs", merchant="m2")
    async with Viewer(house.port, "theirs") as viewer:
        await viewer.welcome()
        assert (await viewer.ask("auth", "a", token=await minted(house, role)))["code"] == "forbidden"
        assert (await viewer.ask("comment", "c", text="hi"))["code"] == "unauthorized"


@pytest.mark.parametrize("role", ROLES)
async def test_it_opens_those_of_its_own(house: House, role: str) -> None:
    """With the role that it has."""
    await house.live_room("ours", merchant="m1")
    token = await minted(house, role, "ours")
    async with Viewer(house.port, "ours", token) as viewer:
        assert (await viewer.welcome())["you"]["role"] == role
        assert (await viewer.ask("comment", "c", text="hi"))["verdict"] == "shown"
    assert (await house.call("GET", "/v1/rooms/ours/snapshot", auth=token)).status == 200


async def test_a_room_that_changes_hands_is_the_new_merchants_at_once(house: House) -> None:
    """Those of the former one are told and closed, on sockets and event streams; everybody else stays."""
    await house.live_room("ours", merchant="m1")
    token = await minted(house, "host", "ours")
    async with Viewer(house.port, "ours", token) as former, Viewer(house.port, "ours", house.token("ada")) as other:
        await former.welcome()
        await other.welcome()
        assert (await house.call("PATCH", "/v1/rooms/ours", json={"merchant": "m2"})).status == 200
        async with asyncio.timeout(2):
            closed, bye = await former.bye()
        assert (closed, bye["reconnect"]) == (4403, False)
        assert (await other.ask("comment", "c", text="hi"))["verdict"] == "shown"
        async with Viewer(house.port, "ours", token) as again:
            assert (await again.bye())[0] == 4403


async def test_whose_room_it_is_may_be_unknown_for_a_while(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the owner does not answer, a seller's people are told to come back, and others come in; then they do, too."""
    await house.live_room("ours", merchant="m1")
    token = await minted(house, "viewer", "ours")

    async def nobody_there(_room: str) -> Refusal:
        return Refusal("unavailable")

    monkeypatch.setattr(house.node.views, "_wake", nobody_there)
    async with Viewer(house.port, "ours", house.token("ada")) as viewer:
        await viewer.welcome()
        async with Viewer(house.port, "ours", token) as early:
            closed, bye = await early.bye()
        assert (closed, bye["reconnect"]) == (4503, True)
        hub = house.node.views.peek("ours")
        assert hub is not None
        await until(lambda: hub.merchant == "m1", "the owner said whose room it is")
        async with Viewer(house.port, "ours", token) as later:
            assert (await later.welcome())["you"]["id"] == "mei"
