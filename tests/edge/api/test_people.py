"""What staff may know of a user, and what users ask, over HTTP."""

from __future__ import annotations

from support.house import House
from support.viewer import Viewer

R1 = "/v1/rooms/r1"


async def test_what_is_known_of_a_user(house: House) -> None:
    """Who was never seen is new; what stands against somebody, from beyond the room too, is said with its end."""
    await house.live_room("r1")
    host = house.token("lin", role="host", rooms=["r1"])
    unknown = await house.call("GET", f"{R1}/users/nobody", auth=host)
    assert unknown.status == 200
    assert unknown.json == {
        "user": "nobody", "new": True, "watched_s": 0, "violations": 0, "gifted": False,
        "muted": False, "muted_until": None, "banned": False, "banned_until": None,
    }  # fmt: skip
    await house.call("POST", f"{R1}/mutes", auth=host, json={"user": "ann", "for_s": 60})
    muted = (await house.call("GET", f"{R1}/users/ann", auth=host)).json
    assert (muted["muted"], muted["violations"], muted["banned"]) == (True, 1, False)
    await house.call("POST", f"{R1}/bans", json={"user": "ann", "scope": "platform"})
    banned = (await house.call("GET", f"{R1}/users/ann", auth=host)).json
    assert (banned["banned"], banned["banned_until"]) == (True, None)
    assert (await house.call("GET", f"{R1}/users/ann", auth=house.token("eve"))).status == 403


async def test_a_question_is_answered_to_those_who_asked(house: House) -> None:
    """The asker hears it as a notice, the list is empty afterwards, and the log says who answered."""
    await house.live_room("r1")
    host = house.token("lin", role="host", rooms=["r1"])
    async with Viewer(house.port, "r1", host) as lin, Viewer(house.port, "r1", house.token("ann")) as ann:
        await lin.until(lambda: lin.of("desk"), "how things stand")
        assert (await ann.ask("comment", "c", text="how big is it?"))["verdict"] == "shown"
        [line] = (await house.call("GET", f"{R1}/questions", auth=host)).json["data"]
        assert (line["text"], line["n"]) == ("how big is it?", 1)
        answer = await house.call("POST", f"{R1}/questions/{line['id']}/answer", auth=host, json={"text": "20 cm"})
        assert (answer.status, answer.json["told"], answer.json["answer"]) == (200, 1, "20 cm")
        [notice] = await ann.until(lambda: [n for n in ann.of("notice") if n["kind"] == "question.answered"], "the answer")
        assert notice["data"] == {"id": line["id"], "room": "r1", "question": "how big is it?", "text": "20 cm"}
    assert (await house.call("GET", f"{R1}/questions", auth=host)).json["data"] == []
    again = await house.call("POST", f"{R1}/questions/{line['id']}/answer", auth=host, json={})
    assert (again.status, again.code) == (404, "not_found")
    assert (await house.call("GET", f"{R1}/audit", auth=host)).json["data"][0]["action"] == "answer_question"
