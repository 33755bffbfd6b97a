"""Viewers without a socket: the same messages, the same answers."""

from __future__ import annotations

import pytest

from livecast.edge.rules import EdgeRules
from support.house import House

MESSAGES = "/v1/rooms/r1/messages"


async def test_a_viewer_comments_and_likes(house: House) -> None:
    """200 with the ack that a socket would get."""
    await house.live_room("r1")
    ada = house.token("ada")
    said = await house.call("POST", MESSAGES, auth=ada, json={"t": "comment", "cid": "c1", "text": "hello"})
    assert said.status == 200
    assert said.json.items() >= {"t": "ack", "cid": "c1", "verdict": "shown"}.items()
    liked = await house.call("POST", MESSAGES, auth=ada, json={"t": "like", "cid": "l1", "n": 3})
    assert liked.json.items() >= {"verdict": "counted", "counted": 3}.items()
    tapped = await house.call("POST", MESSAGES, auth=ada, json={"t": "like", "n": 3})
    assert (tapped.status, tapped.json["verdict"]) == (200, "ok")
    again = await house.call("POST", MESSAGES, auth=ada, json={"t": "comment", "cid": "c1", "text": "hello"})
    assert again.json == said.json


async def test_refusals_are_problems(house: House) -> None:
    """The `error` of a socket, under its HTTP status."""
    await house.live_room("r1")
    ada = house.token("ada")
    for message, status, code in [
        ({"t": "comment", "cid": "c1"}, 400, "bad_message"),
        ({"t": "dance"}, 400, "bad_message"),
        ({"cid": "c1"}, 400, "bad_message"),
        ({"t": "comment", "cid": "c1", "text": 5}, 400, "bad_message"),
        ({"t": "comment", "cid": "c2", "text": " "}, 422, "invalid"),
        ({"t": "comment", "cid": "c3", "text": "x" * 201}, 413, "too_large"),
        ({"t": "comment", "cid": "c4", "text": "x" * 5000}, 413, "too_large"),
        ({"t": "gift", "cid": "g1", "gift": "none", "n": 1}, 404, "unknown_gift"),
        ({"t": "claim", "cid": "d1", "drop": "none"}, 404, "unknown_drop"),
    ]:
        answer = await house.call("POST", MESSAGES, auth=ada, json=message)
        assert (answer.status, answer.code) == (status, code), (message, answer)
    mute = house.token("mu", can=["like"])
    denied = await house.call("POST", MESSAGES, auth=mute, json={"t": "comment", "cid": "c1", "text": "x"})
    assert (denied.status, denied.code) == (403, "not_allowed")
    await house.call("POST", "/v1/rooms/r1/mutes", json={"user": "ada", "for_s": 60})
    muted = await house.call("POST", MESSAGES, auth=ada, json={"t": "comment", "cid": "c9", "text": "x"})
    assert (muted.status, muted.code) == (403, "muted")
    assert 0 < muted.json["retry_after_ms"] <= 60_000


async def test_messages_are_for_people(house: House) -> None:
    """A key is nobody in a room, a token for another room is refused, and so is nobody at all."""
    await house.live_room("r1")
    like = {"t": "like", "n": 1}
    assert (await house.call("POST", MESSAGES, json=like)).status == 403
    assert (await house.call("POST", MESSAGES, json=like, auth=house.token("ada", rooms=["r2"]))).status == 403
    assert (await house.call("POST", MESSAGES, json=like, auth=None)).status == 401
    assert (await house.call("POST", "/v1/rooms/none/messages", json=like, auth=house.token("ada"))).status == 404


class TestRate:
    @pytest.fixture
    def edge_rules(self) -> EdgeRules:
        """A rate that a test reaches."""
        return EdgeRules(messages_per_s=1, messages_burst=3)

    async def test_too_many_messages_are_told_when_to_come_back(self, house: House) -> None:
        """429 with Retry-After, per user and not per connection."""
        await house.live_room("r1")
        statuses = [
            (await house.call("POST", MESSAGES, auth=house.token("ada"), json={"t": "like", "n": 1})).status for _ in range(5)
        ]
        assert statuses[:3] == [200] * 3
        assert 429 in statuses[3:]
        refused = await house.call("POST", MESSAGES, auth=house.token("ada"), json={"t": "like", "n": 1})
        assert (refused.code, refused.headers["Retry-After"]) == ("rate_limited", "1")
        assert (await house.call("POST", MESSAGES, auth=house.token("bob"), json={"t": "like", "n": 1})).status == 200


async def test_me_says_what_the_room_knows(house: House) -> None:
    """Muted, and until when."""
    await house.live_room("r1")
    ada = house.token("ada")
    assert (await house.call("GET", "/v1/rooms/r1/me", auth=ada)).json.items() >= {"muted": False, "muted_until": None}.items()
    mute = await house.call("POST", "/v1/rooms/r1/mutes", json={"user": "ada", "for_s": 60})
    assert (await house.call("GET", "/v1/rooms/r1/me", auth=ada)).json["muted_until"] == mute.json["until"]
    assert (await house.call("GET", "/v1/rooms/r1/me")).status == 403
