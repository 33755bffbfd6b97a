"""Polls over HTTP, and votes on sockets."""

from __future__ import annotations

from support.house import House
from support.viewer import Viewer

POLLS = "/v1/rooms/r1/polls"


async def test_a_poll_from_question_to_result(house: House) -> None:
    """Opened, voted on live by sockets and over HTTP, closed; late joiners find it in the state; one's vote is in `me`."""
    await house.live_room("r1")
    made = await house.call("POST", POLLS, json={"question": "Which?", "choices": ["red", {"text": "blue"}]})
    assert made.status == 201
    poll = made.json["id"]
    async with Viewer(house.port, "r1", house.token("ann")) as ann:
        assert (await ann.ask("vote", "v1", poll=poll, choice=1))["verdict"] == "counted"
        assert (await ann.ask("vote", "v1", poll=poll, choice=1))["verdict"] == "counted"
        assert (await ann.ask("vote", "v2", poll=poll, choice=0))["code"] == "already_voted"
        message = {"t": "vote", "cid": "v", "poll": poll, "choice": 1}
        voted = await house.call("POST", "/v1/rooms/r1/messages", auth=house.token("bob"), json=message)
        assert (voted.status, voted.json) == (200, {"t": "ack", "cid": "v", "verdict": "counted"})
        assert (
            await house.call("POST", "/v1/rooms/r1/messages", auth=house.token("bob"), json=message | {"poll": "nope", "cid": "w"})
        ).code == "unknown_poll"
    async with Viewer(house.port, "r1") as late:
        state = (await late.welcome())["state"]
        assert [choice["votes"] for choice in state["polls"][poll]["choices"]] == [0, 2]
    me = (await house.call("GET", "/v1/rooms/r1/me", auth=house.token("bob"))).json
    assert me["votes"] == [{"poll": poll, "choice": 1}]
    closed = await house.call("POST", f"{POLLS}/{poll}/close")
    assert (closed.status, closed.json["state"], closed.json["voters"]) == (200, "closed", 2)
    assert [one["id"] for one in (await house.call("GET", POLLS)).json["data"]] == [poll]
    assert (await house.call("GET", f"{POLLS}/{poll}")).json == closed.json
    assert (await house.call("GET", f"{POLLS}/nope")).code == "unknown_poll"
    assert (await house.call("POST", f"{POLLS}/nope/close")).code == "unknown_poll"


async def test_polls_that_make_no_sense(house: House) -> None:
    """One choice, none, two of the same: 422; where nothing is on: 409."""
    await house.live_room("r1")
    for choices in ([], ["a"], ["a", "a"], ["a", 1], [str(n) for n in range(11)]):
        assert (await house.call("POST", POLLS, json={"question": "?", "choices": choices})).status == 422
    await house.call("POST", "/v1/rooms/r1/end")
    assert (await house.call("POST", POLLS, json={"question": "?", "choices": ["a", "b"]})).code == "room_not_live"
    assert (await house.call("POST", POLLS, auth=house.token("ann"), json={})).status == 403
