"""What was: broadcasts, figures, report, replay. Rooms, archivist and archive are real."""

from __future__ import annotations

import asyncio
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from livecast.adapters.archive.store import SqlArchive
from livecast.core.commands import COMMANDS
from livecast.core.rules import RoomRules
from livecast.edge.reports.phrases import said
from livecast.edge.rules import EdgeRules
from livecast.ops.danmaku_xml import Skipped, read_danmaku
from support.house import Answer
from support.house import until as poll
from support.past import ROOM, Records


@pytest.fixture
async def house(edge_rules: EdgeRules, room_rules: RoomRules, tmp_path: Path) -> AsyncIterator[Records]:
    """With an archive and a live room."""
    made = Records(edge_rules, room_rules, tmp_path)
    await made.open()
    await made.live_room("night", title="双十一 <b>")
    yield made
    await made.close()


# --- The report -------------------------------------------------------------------------------------------------------
async def test_an_evening_in_figures(house: Records) -> None:
    """Comments as the tally has them, gifts, claims and orders as the ledger has them, polls as viewers saw them."""
    for user in ("ann", "bob", "cat"):
        await house.say(user, f"口红好看 {user}")
    await house.say("ann", "second")
    await house.call("PUT", f"{ROOM}/products/lip", json={"title": "Lip", "price": {"amount": 100, "currency": "CNY"}, "sku": "s1"})
    await house.call("PUT", f"{ROOM}/on-air", json={"product": "lip"})
    poll = (await house.call("POST", f"{ROOM}/polls", json={"question": "Which?", "choices": ["a", "b"]})).json["id"]
    for n, user in enumerate(("ann", "bob", "cat")):
        await house.send(user, t="vote", cid="v", poll=poll, choice=n % 2)
        await house.send(user, t="tap", target="lip", n=2)
        await house.call("POST", f"/v1/wallets/{user}/credits", json={"tx": "c", "amount": 100})
    await house.send("ann", t="gift", cid="g", gift="heart", n=3)
    await house.send("bob", t="gift", cid="g", gift="rose", n=1)
    drop = (await house.call("POST", f"{ROOM}/drops", json={"title": "Half", "kind": "coupon", "stock": 2, "sku": "s1"})).json["id"]
    await house.call("POST", f"{ROOM}/drops/{drop}/open")
    verdicts = [(await house.send(user, t="claim", cid="c", drop=drop))["verdict"] for user in ("ann", "bob", "cat")]
    assert verdicts == ["won", "won", "sold_out"]
    order = {"sku": "s1", "amount": 4_950, "currency": "CNY"}
    await house.call(
        "POST", f"{ROOM}/orders", json={**order, "order_id": "o1", "user": "ann", "status": "paid", "drop": drop, "serial": 1}
    )
    await house.call("POST", f"{ROOM}/orders", json={**order, "order_id": "o2", "user": "cat", "status": "cancelled"})
    await house.call("POST", f"{ROOM}/mutes", json={"user": "cat", "for_s": 60, "reason": "spam"})
    told = await house.until(
        lambda r: r["moderation"]["acts"].get("mute") and r["sales"]["orders"] and r["polls"] and r["polls"][0]["votes"] == 3
    )
    assert (told["room"], told["title"], told["status"], told["ended_at"]) == ("night", "双十一 <b>", "live", None)
    assert {name: told["comments"][name] for name in ("in", "shown", "merged", "sampled", "held", "rejected")} == {
        "in": 4, "shown": 4, "merged": 0, "sampled": 0, "held": 0, "rejected": {},
    }  # fmt: skip
    assert {"word": "口红", "n": 3} in told["words"]
    assert told["gifts"] == {
        "gifts": 2, "value": 31,
        "givers": [{"user": "ann", "gifts": 1, "value": 30}, {"user": "bob", "gifts": 1, "value": 1}],
    }  # fmt: skip
    (seen,) = told["drops"]
    assert (seen["title"], seen["state"], seen["stock"], seen["granted"], seen["units"]) == (
        "Half",
        "sold_out",
        2,
        2,
        {"granted": 2},
    )
    assert seen["sold_out_in_ms"] >= 0
    assert (told["sales"]["orders"], told["sales"]["cancelled"], told["sales"]["value"]) == (1, 1, {"CNY": 4_950})
    (product,) = told["sales"]["products"]
    assert (product["product"], product["taps"], product["claims"], product["orders"]) == ("lip", 6, 2, 1)
    assert product["on_air_ms"] > 0
    assert [(choice["text"], choice["votes"]) for choice in told["polls"][0]["choices"]] == [("a", 2), ("b", 1)]
    assert told["moderation"]["acts"]["mute"] == 1
    assert sum(point["comments"] for point in told["series"]["data"]) == 4
    assert sum(point["claims"] for point in told["series"]["data"]) == 2


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize(
    ("query", "headers", "language", "word"),
    [
        ({}, {"Accept": "text/html,*/*;q=0.8", "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}, "zh-Hans", "在线人数曲线"),
        ({}, {"Accept": "text/html", "Accept-Language": "de;q=0.9, en;q=0.5, zh;q=0.1"}, "en", "Viewers over the broadcast"),
        ({"format": "html", "lang": "zh"}, {"Accept-Language": "en"}, "zh-Hans", "热词"),
        ({"format": "html"}, {}, "en", "Top words"),
    ],
)
async def test_the_page(house: Records, query: Any, headers: Any, language: str, word: str) -> None:
    """In both languages, with charts, and nothing in it that could run or be fetched; its policy lets its own style in, no more."""
    await house.say("ann", "<script>alert(1)</script> hello")
    await house.until(lambda r: r["comments"]["in"] == 1)
    answer = await house.call("GET", f"{ROOM}/report", params=query, headers=headers)
    assert (answer.status, answer.content_type, answer.headers["Content-Language"]) == (200, "text/html", language)
    page = Page(answer.body.decode())
    assert word in page.words
    assert "双十一 <b>" in page.words
    assert {"svg", "table", "style"} <= set(page.tags)
    assert not {"script", "img", "link", "iframe", "b"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name == "style" or name.startswith("on") or name in {"src", "href"}]
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script-src" not in policy
    assert "unsafe" not in policy


def test_no_word_of_the_protocol_is_left_on_the_page() -> None:
    """What staff can do, and why comments are refused, has a phrase in both languages."""
    unlogged = {"emit", "ensure", "note_act"}
    acts = {*COMMANDS, "filter", "filter_removed"} - unlogged
    codes = {
        "forbidden",
        "unauthorized",
        "muted",
        "slow_mode",
        "rate_limited",
        "repeated_text",
        "blocked",
        "room_not_live",
        "invalid",
    }
    for word in acts | codes | {"too_large", "conflict", "not_allowed", "overloaded", "unavailable"}:
        assert "_" not in said("en", word)
        assert any("\u4e00" <= c <= "\u9fff" for c in said("zh", word)), word


async def test_json_unless_a_page_is_wanted(house: Records) -> None:
    """A caller without wishes is a program."""
    await house.until(lambda _: True)
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}, {"Accept": "text/html, application/json"}):
        assert (await house.call("GET", f"{ROOM}/report", headers=headers)).content_type == "application/json"


async def test_each_broadcast_has_its_own(house: Records) -> None:
    """Listed the latest first, in pages; the report is of the latest unless another is named."""
    await house.say("ann", "first night")
    await house.call("POST", f"{ROOM}/end")
    await house.call("POST", f"{ROOM}/start", json={"title": "two"})
    await house.say("ann", "second night")
    await house.say("bob", "second night as well")
    await house.until(lambda r: r["title"] == "two" and r["comments"]["in"] == 2)
    page = await house.call("GET", f"{ROOM}/broadcasts", params={"limit": 1})
    (latest,) = page.json["data"]
    assert (latest["title"], latest["status"]) == ("two", "live")
    rest = await house.call("GET", f"{ROOM}/broadcasts", params={"cursor": page.json["next_cursor"]})
    (first,) = rest.json["data"]
    assert (first["status"], rest.json["next_cursor"]) == ("ended", None)
    assert first["ended_at"] >= first["started_at"]
    assert (await house.report(broadcast=first["id"]))["comments"]["in"] == 1


async def test_stats(house: Records) -> None:
    """In the steps asked for, between the times asked for."""
    await house.say("ann", "hello")
    told = await house.until(lambda r: r["comments"]["in"] == 1)
    everything = (await house.call("GET", f"{ROOM}/stats")).json
    assert (everything["from"], everything["step"]) == (told["started_at"], 10_000)
    assert sum(point["comments"] for point in everything["data"]) == 1
    begin = told["started_at"] - 10 * 86_400_000
    day = (await house.call("GET", f"{ROOM}/stats", params={"from": str(begin), "step": "86400000"})).json
    assert [point["comments"] for point in day["data"]] == [1]
    before = (await house.call("GET", f"{ROOM}/stats", params={"from": str(begin), "to": str(begin + 5)})).json
    assert before == {"from": begin, "to": begin + 5, "step": 10_000, "data": []}
    for wrong in (
        {"step": "15000"},
        {"step": "5000"},
        {"from": "0", "step": "10000"},
        {"from": "x"},
        {"step": "10000", "from": "-1"},
    ):
        assert (await house.call("GET", f"{ROOM}/stats", params=wrong)).status == 422, wrong


# --- Replays ----------------------------------------------------------------------------------------------------------
async def test_the_replay_as_xml(house: Records) -> None:
    """Well-formed XML with what players read; redacted comments are not in it; nobody can be recognised, the same is the same."""
    await house.say("ann", "<&> \"quoted\" 'x' ]]>", style={"color": 255, "mode": "top"})
    await house.say("bob", "你好 👋")
    gone = await house.say("eve", "spam")
    await house.say("ann", "again")
    await house.call("POST", f"{ROOM}/redactions", json={"comments": [gone["id"]]})
    await house.until(lambda r: r["comments"]["redacted"] == 1 and r["comments"]["in"] == 4)
    answer = await house.call("GET", f"{ROOM}/replay.xml")
    assert (answer.status, answer.content_type) == (200, "application/xml")
    lines = ET.fromstring(answer.body.decode()).findall("d")
    assert [line.text for line in lines] == ["<&> \"quoted\" 'x' ]]>", "你好 👋", "again"]
    assert re.fullmatch(r"\d+\.\d{3},5,25,255,\d{10},0,[0-9a-f]{16},1", lines[0].attrib["p"])
    users = [line.attrib["p"].split(",")[6] for line in lines]
    assert users[0] == users[2] != users[1]
    skipped = Skipped()
    read = list(read_danmaku(io.BytesIO(answer.body), skipped))
    assert [(comment.text, comment.mode, comment.color) for comment in read] == [
        ("<&> \"quoted\" 'x' ]]>", "top", 255), ("你好 👋", "scroll", 0xFFFFFF), ("again", "scroll", 0xFFFFFF),
    ]  # fmt: skip
    assert skipped.bytes == 0
    assert (await house.call("GET", f"{ROOM}/replay.xml")).body == answer.body


async def test_those_who_said_the_same(house: Records) -> None:
    """One line, with how many they were."""
    await asyncio.gather(*(house.say(f"u{n}", "666") for n in range(5)))
    told = await house.until(lambda r: r["comments"]["in"] == 5)
    lines = ET.fromstring((await house.call("GET", f"{ROOM}/replay.xml")).body.decode()).findall("d")
    assert len(lines) == told["comments"]["shown"]
    assert sum(int(line.attrib.get("n", "1")) for line in lines) >= 5
    assert told["words"][0]["word"] == "666"


async def test_the_replay_as_json(house: Records) -> None:
    """The same comments with who said them; of a redacted one only that it was there."""
    first = await house.say("ann", "hello", reply_to=None)
    gone = await house.say("eve", "spam")
    await house.call("POST", f"{ROOM}/redactions", json={"users": ["eve"]})
    await house.until(lambda r: r["comments"]["redacted"] == 1)
    told = (await house.call("GET", f"{ROOM}/replay.json")).json
    said, tombstone = told["comments"]
    assert (said["id"], said["u"], said["text"], said["n"]) == (
        first["id"],
        {"id": "ann", "name": "Ann", "role": "viewer"},
        "hello",
        1,
    )
    assert said["offset_ms"] == said["at"] - told["started_at"]
    assert tombstone == {"id": gone["id"], "redacted": True}
    empty = await house.call("GET", f"{ROOM}/replay.json", params={"broadcast": "nothing"})
    assert (empty.status, empty.code) == (404, "not_found")


async def test_replays_of_a_room_that_hides_its_users(house: Records) -> None:
    """Files may go to viewers: they have who viewers saw, and staff find the people of old comments by it."""
    assert (await house.call("PATCH", f"{ROOM}/policy", json={"users": "aliases"})).status == 200
    await house.say("user-ann-17", "hello")
    await house.until(lambda r: r["comments"]["in"] == 1)
    answer = await house.call("GET", f"{ROOM}/replay.json")
    [said] = answer.json["comments"]
    assert b"user-ann-17" not in answer.body
    seen = (await house.call("GET", f"{ROOM}/snapshot")).json["recent"][0]["u"]["id"]
    assert said["u"]["id"] == seen
    xml = await house.call("GET", f"{ROOM}/replay.xml")
    assert (await house.call("PATCH", f"{ROOM}/policy", json={"users": "ids"})).status == 200
    other = await house.call("GET", f"{ROOM}/replay.xml")
    assert xml.body != other.body, "one who is known from another room's file is not known in this"
    assert (await house.call("PATCH", f"{ROOM}/policy", json={"users": "aliases"})).status == 200
    hub = await house.node.views.get("night")
    assert hub is not None
    await poll(lambda: hub.aliases is not None, "aliases")
    assert hub.aliases is not None
    hub.aliases._users.clear()
    muted = await house.call("POST", f"{ROOM}/mutes", json={"user": seen})
    assert (muted.status, muted.json["user"]) == (201, "user-ann-17"), "from the archive"


async def test_older_comments_are_looked_up_in_the_archive(house: Records) -> None:
    """What the room's owner has in memory, then what is archived, page by page and none twice; and the archive alone if need be."""
    acks = [await house.say(f"u{n}", f"line {n}") for n in range(7)]
    await house.call("POST", f"{ROOM}/redactions", json={"comments": [acks[1]["id"]]})
    await house.until(lambda r: r["comments"]["in"] == 7 and r["comments"]["redacted"] == 1)
    room = house.shards._rooms["night"]._room
    assert room is not None
    backstage = room._parts.the_backstage()
    for ack in acks[:4]:  # as after a change of owner: only the last ones are in memory
        backstage.transcript._drop(ack["id"])

    async def pages(**query: str) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            page = (await house.call("GET", f"{ROOM}/comments", params={**query, "cursor": cursor})).json
            assert len(page["data"]) <= int(query.get("limit", "50"))
            found += [c.get("text", "redacted") for c in page["data"]]
            if page["next_cursor"] is None:
                return found
            cursor = page["next_cursor"]

    everything = ["line 6", "line 5", "line 4", "line 3", "line 2", "redacted", "line 0"]
    for limit in ("1", "2", "3", "50"):
        assert await pages(limit=limit) == everything
    assert await pages(user="u2") == ["line 2"]
    assert await pages(q="LINE 3", limit="1") == ["line 3"]
    assert await pages(before=acks[2]["id"]) == ["redacted", "line 0"]
    assert await pages(before="nobody-knows") == []
    told = (await house.call("GET", f"{ROOM}/comments?user=u0")).json["data"]
    assert told[0]["u"] == {"id": "u0", "name": "U0", "role": "viewer"}
    assert await pages(before=str(told[0]["at"])) == []
    backstage.transcript.redact({acks[5]["id"]}, set())  # as in the second before the archive knows of it
    assert await pages(user="u5") == await pages(q="line 5") == await pages(q="line 5", limit="1") == []
    assert await pages(q="line", limit="1") == [line for line in everything if line not in {"line 5", "redacted"}]


# --- Who may, and what is not there -----------------------------------------------------------------------------------
PATHS = ("broadcasts", "stats", "report", "replay.xml", "replay.json")


@pytest.mark.parametrize("path", PATHS)
async def test_who_may(house: Records, path: str) -> None:
    """Keys with the scope, hosts and merchants of the room; nobody else."""
    await house.until(lambda _: True)
    where = f"{ROOM}/{path}"
    assert (await house.call("GET", where, auth=house.made_key("r", "reports:read"))).status == 200
    assert (await house.call("GET", where, auth=house.token("mei", role="host", rooms=["night"]))).status == 200
    refused: list[Answer] = [
        await house.call("GET", where, auth=house.made_key("x", "rooms:read")),
        await house.call("GET", where, auth=house.made_key("y", "reports:read", rooms=("other",))),
        await house.call("GET", where, auth=house.token("mod", role="moderator", rooms=["night"])),
        await house.call("GET", where, auth=house.token("ann")),
        await house.call("GET", where, auth=house.made_key("z", "reports:read", merchant="other")),
    ]
    assert [answer.status for answer in refused] == [403] * 5
    assert (await house.call("GET", where, auth=None)).status == 401


@pytest.mark.parametrize("path", PATHS)
async def test_what_is_not_there(house: Records, path: str) -> None:
    """No such room, or no archive."""
    assert (await house.call("GET", f"/v1/rooms/nowhere/{path}")).code == "unknown_room"
    house.node.archive = None
    assert (await house.call("GET", f"{ROOM}/{path}")).code == "unavailable"


async def test_a_room_that_never_went_on_air(house: Records) -> None:
    """Has an empty list of broadcasts, and no report."""
    assert (await house.call("PUT", "/v1/rooms/quiet", json={})).status == 201
    assert (await house.call("GET", "/v1/rooms/quiet/broadcasts")).json == {"data": [], "next_cursor": None}
    assert (await house.call("GET", "/v1/rooms/quiet/report")).code == "not_found"


async def test_an_archive_that_is_away_is_told(house: Records) -> None:
    """Everything else works, so callers are still sent here: 200, and what does not work."""
    assert (await house.call("GET", "/readyz", auth=None)).json == {"status": "ok"}
    house.clock.ahead_ms += 2_000
    away = SqlArchive("postgresql://nobody@127.0.0.1:1/none")
    house.node.archive = away
    answer = await house.call("GET", "/readyz", auth=None)
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert "archive" in answer.json["degraded"][0]
    assert (await house.call("GET", f"{ROOM}/report")).code == "unavailable"
    await away.close()
