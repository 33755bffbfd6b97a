"""Comments judged by an answerer on a real socket: every answer, and every way in which there is none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from livecast.adapters.review_http import HttpJudge
from livecast.core.rules import RoomRules
from livecast.edge.rules import EdgeRules
from livecast.facts import CommentJudged
from livecast.shard.reviewer import JudgeFailed, Reviewer, ReviewRules
from support.house import House, Notes, until

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


class Hook:
    """An answerer that does what the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Any = {"action": "allow"}
        self.status = 200
        self.delay_s = 0.0
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self.raw: list[tuple[dict[str, str], bytes]] = []

    async def judge(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.raw.append((dict(request.headers), body))
        self.asked.append(json.loads(body))
        await asyncio.sleep(self.delay_s)
        answer = self.answer(self.asked[-1]) if callable(self.answer) else self.answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return web.Response(status=self.status, text=text, headers=self.headers)

    async def open(self) -> None:
        app = web.Application()
        app.router.add_post("/judge", self.judge)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/judge"

    async def close(self) -> None:
        await self._runner.cleanup()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """A running answerer."""
    made = Hook()
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def judged(hook: Hook, edge_rules: EdgeRules, room_rules: RoomRules) -> AsyncIterator[House]:
    """A node whose comments it judges."""
    house = House(edge_rules, room_rules)
    rules = ReviewRules(url=hook.url, secret=SECRET, rooms=("r*",), deadline_ms=1_000)
    judge = HttpJudge(hook.url, JudgeFailed, connections_max=8)
    reviewer = Reviewer(rules=rules, judge=judge, clock=house.clock, observer=house.notes)
    house.shards.have_reviewed(reviewer)
    await house.open()
    yield house
    await house.close()
    reviewer.stop()
    await judge.close()


async def say(house: House, user: str, text: str, room: str = "r1") -> Any:
    """A comment over HTTP: the ack, or the problem."""
    message = {"t": "comment", "cid": f"{user}-{text}", "text": text}
    return (await house.call("POST", f"/v1/rooms/{room}/messages", auth=house.token(user), json=message)).json


def outcomes(notes: Notes) -> list[str]:
    """What became of each question."""
    return [fact.outcome for fact in notes.of(CommentJudged)]


async def test_every_answer(judged: House, hook: Hook) -> None:
    """What is asked is signed, and says who says what where; what is answered holds."""
    await judged.live_room("r1", merchant="m1")
    hook.answer = lambda said: {"action": said["comment"]["text"], "text": "as edited"}
    answers = [await say(judged, f"u{n}", text) for n, text in enumerate(("allow", "deny", "hold", "edit"))]
    assert [a.get("verdict") or a["code"] for a in answers] == ["shown", "blocked", "held", "shown"]
    comments = (await judged.call("GET", "/v1/rooms/r1/comments")).json["data"]
    assert [c["text"] for c in comments] == ["as edited", "allow"]
    asked = hook.asked[0]
    assert (asked["type"], asked["room"], asked["merchant"], asked["comment"]["u"]["id"]) == ("comment.review", "r1", "m1", "u0")
    for headers, body in hook.raw:
        Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()})
    assert len({headers["webhook-id"] for headers, _ in hook.raw}) == 4
    assert outcomes(judged.notes) == ["allow", "deny", "hold", "edit"]


async def test_rooms_that_are_not_covered(judged: House, hook: Hook) -> None:
    """Nobody is asked about them, nor about staff."""
    await judged.live_room("quiet")
    await judged.live_room("r1")
    assert (await say(judged, "ann", "hi", "quiet"))["verdict"] == "shown"
    assert (await judged.call("POST", "/v1/rooms/r1/comments", json={"text": "hi"})).json["verdict"] == "shown"
    assert hook.asked == []


@pytest.mark.parametrize(("policy", "fate"), [("allow", "shown"), ("deny", "blocked"), ("hold", "held")])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}},
        {"answer": "no json"},
        {"answer": {"action": "maybe"}},
        {"answer": {"action": "edit", "text": 5}},
        {"answer": {"action": "edit"}},
        {"answer": "x" * 20_000},
        {"delay_s": 30.0},
    ],
    ids=lambda fault: "-".join(map(str, fault.items()))[:30],
)
async def test_no_answer_that_is_one(judged: House, hook: Hook, fault: dict[str, Any], policy: str, fate: str) -> None:
    """Down, slow, wrong, too long or redirecting: the room's policy decides, and it is counted."""
    await judged.live_room("r1", policy={"review": policy})
    for name, value in fault.items():
        setattr(hook, name, value)
    began = time.monotonic()
    answer = await say(judged, "ann", "hi")
    assert (answer.get("verdict") or answer["code"]) == fate
    assert time.monotonic() - began < 2.0
    await until(lambda: outcomes(judged.notes) == ["failed"], "the count")


async def test_others_do_not_wait(judged: House, hook: Hook) -> None:
    """Staff's comments are shown while a viewer's is being judged."""
    await judged.live_room("r1")
    hook.delay_s = 0.9
    slow = asyncio.create_task(say(judged, "ann", "hi"))
    await until(lambda: hook.asked, "the question")
    staff = await judged.call("POST", "/v1/rooms/r1/comments", json={"text": "staff"})
    assert staff.json["verdict"] == "shown"
    assert not slow.done()
    assert (await slow)["verdict"] == "shown"
