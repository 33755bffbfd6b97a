"""A POST sent again with its Idempotency-Key gets its first answer again and does nothing twice."""

from __future__ import annotations

import asyncio

import pytest

from livecast.edge.http.idempotency import LEASE_MS
from livecast.facts import Trouble
from livecast.ports import Unavailable
from support.house import House

KEY = {"Idempotency-Key": "k1"}
COMMENT = "/v1/rooms/r1/comments"


async def test_a_repeat_gets_the_first_answer(house: House) -> None:
    """Status and body are those of the first time, a header says so, and the room heard of it once."""
    await house.live_room("r1")
    first = await house.call("POST", COMMENT, json={"text": "once"}, headers=KEY)
    again = await house.call("POST", COMMENT, json={"text": "once"}, headers=KEY)
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    other = await house.call("POST", COMMENT, json={"text": "once more"}, headers={"Idempotency-Key": "k2"})
    assert other.json["id"] != first.json["id"]


async def test_another_body_is_refused(house: House) -> None:
    """The same key cannot mean two things."""
    await house.live_room("r1")
    await house.call("POST", COMMENT, json={"text": "one"}, headers=KEY)
    other = await house.call("POST", COMMENT, json={"text": "two"}, headers=KEY)
    assert (other.status, other.code) == (422, "invalid")


async def test_refusals_are_replayed_too(house: House) -> None:
    """A 4xx that will not change is an answer like any other, its revision header included."""
    await house.live_room("r1")
    first = await house.call("POST", "/v1/rooms/r1/resume", headers=KEY)
    await house.call("POST", "/v1/rooms/r1/pause")
    again = await house.call("POST", "/v1/rooms/r1/resume", headers=KEY)
    assert (first.status, again.status, again.body) == (409, 409, first.body)
    assert (await house.call("POST", "/v1/rooms/r1/resume")).status == 200


async def test_the_same_said_otherwise_is_the_same(house: House) -> None:
    """Another order of members and other spaces are no other body; another value is."""
    await house.live_room("r1")
    headers = {**KEY, "Content-Type": "application/json"}
    first = await house.call("POST", COMMENT, data=b'{"text": "hi", "style": {"color": 1, "mode": "top"}}', headers=headers)
    again = await house.call("POST", COMMENT, data=b'{"style":{"mode":"top","color":1},"text":"hi"}', headers=headers)
    assert (first.status, again.body) == (201, first.body)
    other = await house.call("POST", COMMENT, data=b'{"text": "hi", "style": {"color": 2, "mode": "top"}}', headers=headers)
    assert (other.status, other.code) == (422, "invalid")


async def test_a_key_counts_per_caller_and_path(house: House) -> None:
    """Two callers, or two calls, may use the same key."""
    for room in ("r1", "r2"):
        await house.live_room(room)
    other = house.made_key("other", "chat:write")
    answers = [
        await house.call("POST", COMMENT, json={"text": "a"}, headers=KEY),
        await house.call("POST", COMMENT, json={"text": "b"}, headers=KEY, auth=other),
        await house.call("POST", "/v1/rooms/r2/comments", json={"text": "c"}, headers=KEY),
    ]
    assert [answer.status for answer in answers] == [201] * 3
    assert not any("Idempotency-Replayed" in answer.headers for answer in answers)


async def test_while_the_first_is_under_way_the_second_waits_outside(house: House) -> None:
    """409, to be tried again; afterwards the repeat gets the answer."""
    await house.live_room("r1", policy={"tick_ms": 1000})
    await house.call("POST", COMMENT, json={"text": "begin the tick"})
    first = asyncio.create_task(house.call("POST", COMMENT, json={"text": "slow"}, headers=KEY))
    await asyncio.sleep(0.05)  # the first is on its way to a tick that is a second off
    second = await house.call("POST", COMMENT, json={"text": "slow"}, headers=KEY)
    assert (second.status, second.code) == (409, "conflict")
    assert (await first).status == 201
    assert (await house.call("POST", COMMENT, json={"text": "slow"}, headers=KEY)).body == (await first).body


async def test_what_asks_to_be_tried_again_is_not_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 now, the true answer later under the same key."""
    await house.live_room("r1")
    monkeypatch.setattr(house.bus, "post", lambda *_: False)
    assert (await house.call("POST", COMMENT, json={"text": "x"}, headers=KEY)).status == 503
    monkeypatch.undo()
    assert (await house.call("POST", COMMENT, json={"text": "x"}, headers=KEY)).status == 201


async def test_a_fault_lets_the_key_go(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 is not an answer to keep, and the key is free at once, not after the lease."""
    await house.live_room("r1")

    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(house.node, "ask", broken)
    assert (await house.call("POST", COMMENT, json={"text": "x"}, headers=KEY)).status == 500
    monkeypatch.undo()
    assert (await house.call("POST", COMMENT, json={"text": "x"}, headers=KEY)).status == 201


async def test_answers_are_kept_for_a_day(house: House) -> None:
    """After 24 hours the key is new."""
    await house.live_room("r1")
    first = await house.call("POST", COMMENT, json={"text": "day"}, headers=KEY)
    house.clock.ahead_ms += 24 * 3600_000 - LEASE_MS
    assert (await house.call("POST", COMMENT, json={"text": "day"}, headers=KEY)).body == first.body
    house.clock.ahead_ms += 2 * LEASE_MS
    assert "Idempotency-Replayed" not in (await house.call("POST", COMMENT, json={"text": "day"}, headers=KEY)).headers


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ключ"])
async def test_a_malformed_key_is_told(house: House, key: str) -> None:
    """1 to 255 visible ASCII characters."""
    answer = await house.call("POST", "/v1/tokens", json={"sub": "ada"}, headers={"Idempotency-Key": key})
    assert (answer.status, answer.code) == (422, "invalid")


async def test_without_the_store_nothing_is_done(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 before the change; once it is made, a store that fails does not take the answer back but is reported."""
    await house.live_room("r1")

    async def down(*_: object) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(house.idempotency, "begin", down)
    assert (await house.call("POST", "/v1/rooms/r1/pause", headers=KEY)).status == 503
    assert (await house.call("GET", "/v1/rooms/r1")).json["status"] == "live"
    monkeypatch.undo()
    monkeypatch.setattr(house.idempotency, "finish", down)
    assert (await house.call("POST", "/v1/rooms/r1/pause", headers=KEY)).status == 200
    assert house.notes.of(Trouble)
