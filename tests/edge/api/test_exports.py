"""What is archived of a person: given out, and taken out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livecast.core.rules import RoomRules
from livecast.edge.rules import EdgeRules
from support.past import ROOM, Records


@pytest.fixture
async def house(edge_rules: EdgeRules, room_rules: RoomRules, tmp_path: Path) -> AsyncIterator[Records]:
    """With an archive, a live room, and two people who said and paid something."""
    made = Records(edge_rules, room_rules, tmp_path)
    await made.open()
    await made.live_room("night")
    for user in ("ann", "bob"):
        await made.say(user, f"hello from {user}", style={"color": 1})
        await made.call("POST", f"/v1/wallets/{user}/credits", json={"tx": "c", "amount": 100})
        await made.send(user, t="gift", cid="g", gift="heart", n=1)
    await made.until(lambda r: r["comments"]["in"] == 2 and r["gifts"]["gifts"] == 2)
    for user in ("ann", "bob"):  # what is of their own shards comes when these have their turn
        while len(await exported(made, user)) < 4:
            await made.until(lambda _: True)
            await asyncio.sleep(0.02)
    yield made
    await made.close()


async def exported(house: Records, user: str) -> list[dict[str, Any]]:
    """The lines."""
    answer = await house.call("GET", f"/v1/users/{user}/export")
    assert (answer.status, answer.content_type) == (200, "application/x-ndjson")
    return [msgspec.json.decode(line) for line in answer.body.splitlines()]


async def test_everything_of_a_person(house: Records) -> None:
    """What they said and what they paid, JSON as JSON; nothing of anybody else; of a stranger nothing."""
    lines = await exported(house, "ann")
    assert [(line["record"], line.get("kind")) for line in lines] == [
        ("comments", None), ("money", "credit"), ("money", "gift_debit"), ("money", "gift"),
    ]  # fmt: skip
    assert (lines[0]["text"], lines[0]["more"]) == ("hello from ann", {"style": {"color": 1}})
    assert lines[3]["data"] == {"gift": "heart", "n": 1, "paid": "wallet"}
    assert "bob" not in str(lines)
    assert await exported(house, "stranger") == []


async def test_a_person_is_forgotten(house: Records) -> None:
    """Rooms and archive: comments are gone, also from the replay; the books still add up, under a pseudonym."""
    done = (await house.call("DELETE", "/v1/users/ann")).json
    assert (done["rooms"], done["failed"]) == (["night"], [])
    assert {name: done["archived"][name] for name in ("comments", "money")} == {"comments": 1, "money": 3}
    assert await exported(house, "ann") == []
    replay = (await house.call("GET", f"{ROOM}/replay.json")).json
    assert [comment["u"]["id"] for comment in replay["comments"]] == ["bob"]
    report = await house.report()
    assert (report["gifts"]["gifts"], report["gifts"]["value"], report["comments"]["in"]) == (2, 20, 2)
    assert {giver["user"] for giver in report["gifts"]["givers"]} == {"bob", done["archived"]["pseudonym"]}
    await house.archive.erase_again(2**60)
    assert await exported(house, "ann") == []


async def test_who_may(house: Records) -> None:
    """Only who speaks for the platform: a person's rows are of all rooms."""
    where = "/v1/users/ann/export"
    assert (await house.call("GET", where, auth=house.made_key("a", "chat:moderate"))).status == 200
    refused = [
        await house.call("GET", where, auth=house.made_key("b", "reports:read")),
        await house.call("GET", where, auth=house.made_key("c", "chat:moderate", rooms=("night",))),
        await house.call("GET", where, auth=house.made_key("d", "chat:moderate", merchant="m")),
        await house.call("GET", where, auth=house.token("mei", role="host", rooms=["*"])),
        await house.call("GET", where, auth=house.token("ann")),
    ]
    assert [answer.status for answer in refused] == [403] * 5
    house.node.archive = None
    assert (await house.call("GET", where)).code == "unavailable"
