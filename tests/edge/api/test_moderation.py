"""Mutes, bans and redactions over HTTP."""

from __future__ import annotations

import pytest

from support.house import House


@pytest.mark.parametrize("kind", ["mutes", "bans"])
async def test_sentences_are_passed_listed_and_taken_back(house: House, kind: str) -> None:
    """201 with the sentence; listed in pages; 200 with what was taken back, 404 the second time."""
    await house.live_room("r1")
    moderator = house.token("mo", role="moderator", rooms=["r1"])
    path = f"/v1/rooms/r1/{kind}"
    for user in ("eve", "mallory", "trudy"):
        made = await house.call("POST", path, auth=moderator, json={"user": user, "for_s": 60, "reason": "spam"})
        assert made.status == 201
        assert made.json.items() >= {"user": user, "by": "mo", "reason": "spam"}.items()
    first = await house.call("GET", f"{path}?limit=2", auth=moderator)
    assert [one["user"] for one in first.json["data"]] == ["eve", "mallory"]
    rest = await house.call("GET", f"{path}?limit=2&cursor={first.json['next_cursor']}", auth=moderator)
    assert ([one["user"] for one in rest.json["data"]], rest.json["next_cursor"]) == (["trudy"], None)
    assert (await house.call("DELETE", f"{path}/eve", auth=moderator)).status == 200
    assert (await house.call("DELETE", f"{path}/eve", auth=moderator)).code == "not_found"
    assert (await house.call("DELETE", f"{path}/a%20b", auth=moderator)).status == 404
    house.clock.ahead_ms += 61_000
    assert (await house.call("GET", path, auth=moderator)).json["data"] == []


async def test_user_ids_may_be_odd(house: House) -> None:
    """Whatever an id may contain survives the path, percent-encoded."""
    await house.live_room("r1")
    for user, encoded in [("a@b.c", "a%40b.c"), ("x?y#z", "x%3Fy%23z"), ("100%", "100%25"), ("a+b", "a%2Bb"), ("~!*()", "~!*()")]:
        assert (await house.call("POST", "/v1/rooms/r1/mutes", json={"user": user})).status == 201
        taken = await house.call("DELETE", f"/v1/rooms/r1/mutes/{encoded}")
        assert (taken.status, taken.json.get("user")) == (200, user)


async def test_a_redaction_takes_comments_out_of_files_too(house: House) -> None:
    """201, the cache key to purge, and the stored frame without the text."""
    await house.live_room("r1")
    said = await house.call("POST", "/v1/rooms/r1/comments", json={"text": "my secret"})
    head = (await house.call("GET", "/v1/rooms/r1/frames/head", auth=None)).json
    path = f"/v1/rooms/r1/frames/{head['epoch']}/{said.json['seq']}"
    before = await house.call("GET", path, auth=None)
    assert b"my secret" in before.body
    redacted = await house.call("POST", "/v1/rooms/r1/redactions", json={"comments": [said.json["id"]]})
    assert redacted.status == 201
    assert redacted.headers["Surrogate-Key"] == before.headers["Surrogate-Key"]
    after = await house.call("GET", path, auth=None)
    assert b"my secret" not in after.body
    assert after.json["comments"] == [{"id": said.json["id"], "redacted": True}]
    assert after.headers["ETag"] != before.headers["ETag"]
    assert (await house.call("POST", "/v1/rooms/r1/redactions", json={})).status == 422
