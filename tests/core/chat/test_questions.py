"""What viewers ask: found among what they say, merged, put in order, and answered to all who asked."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.chat.questions import ASKERS_MAX, KEPT_MS, OPEN_MAX, Questions, asks, question_key
from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done, Person, Presence
from support.driven import HERE, SERVICE, Driven, person, said, told


def desked(**rules: Any) -> Driven:
    """A room with staff at the desk."""
    room = Driven(**rules)
    room.feed(0, Presence("node", 5, 5, (person("ann"),), 10_000_000, staff=1))
    return room


def questions(room: Driven) -> list[dict[str, Any]]:
    """As staff read them."""
    done = room.room.receive(Ask(HERE, SERVICE, "questions", {}), room.now)
    assert isinstance(done, Done), done
    listed: list[dict[str, Any]] = done.value["data"]
    return listed


@pytest.mark.parametrize(
    "text",
    [
        "这个多少钱", "有没有黑色", "能便宜点吗", "什么时候发货", "身高160穿什么码", "要不要冷藏", "几号发货",
        "how much is it", "Is it waterproof",
        "shipping to Japan?", "sold out already ？！",
    ],
)  # fmt: skip
def test_what_looks_like_a_question(text: str) -> None:
    """In either language, with and without the mark."""
    assert asks(text)


@pytest.mark.parametrize("text", ["好看", "666", "?", "已拍", "how", "love it!", "我要三件", "whatever"])
def test_what_does_not(text: str) -> None:
    """Most of what is said."""
    assert not asks(text)


@pytest.mark.parametrize(
    "same",
    [
        ["这个多少钱", "多少钱？", "主播，这个多少钱啊", "请问多少钱呢？？", "多少钱"],
        ["Is it waterproof", "is it waterproof???", "IS IT WATERPROOF?"],
        ["有没有黑色", "有没有黑色的", "老板 有没有黑色？"],
    ],
)
def test_the_same_question_in_other_clothes(same: list[str]) -> None:
    """Whom it is said to, and how it ends, makes no other question of it."""
    assert len({question_key(text) for text in same}) == 1


def test_other_questions_stay_apart() -> None:
    """Nothing that tells them apart is cut off."""
    texts = ["多少钱", "多少克", "有没有黑色", "有没有白色", "is it new?", "is it old?", "吗吗吗", "这个呢"]
    assert len({question_key(text) for text in texts}) == len(texts)


def test_what_many_ask_comes_first_and_all_of_them_are_told() -> None:
    """Shown, merged and left out for want of room alike; each asker once; staff's own and held comments are none."""
    room = desked()
    room.feed(1000, said("ann", "how big is it?"), said(Person("mod", "Mod", role="moderator"), "who is new?"))
    for n, user in enumerate(["bob", "cid", "dan", "eve"]):
        room.feed(2000 + 300 * n, said(user, "多少钱？"))
    room.feed(4000, said("bob", "请问多少钱", "again"))
    most, other = questions(room)
    assert (most["text"], most["n"], other["text"], other["n"]) == ("多少钱？", 4, "how big is it?", 1)
    assert most["comment"] in {comment.id for comment in room.comments}
    [done] = room.feed(5000, told("answer_question", id=most["id"], text="19.90"))
    assert done is None
    answered = [(user, n.data["question"], n.data["text"]) for user, n in room.notices if n.kind == "question.answered"]
    assert answered == [(user, "多少钱？", "19.90") for user in ("bob", "cid", "dan", "eve")]
    assert [line["id"] for line in questions(room)] == [other["id"]]
    [refused] = room.feed(6000, told("answer_question", id=most["id"]))
    assert isinstance(refused, Refusal)
    assert refused.code == "not_found"


def test_a_question_taken_off_quietly_tells_nobody() -> None:
    """It is gone all the same."""
    room = desked()
    room.feed(1000, said("ann", "how big is it?"))
    room.feed(2000, told("answer_question", id=questions(room)[0]["id"], quiet=True))
    assert questions(room) == []
    assert [n for _, n in room.notices if n.kind == "question.answered"] == []


def test_nobody_listens_while_no_staff_watch() -> None:
    """Then nothing is gathered."""
    room = Driven()
    room.feed(1000, said("ann", "how big is it?"))
    assert questions(room) == []


def test_those_left_out_ask_too() -> None:
    """Over the room's budget of nothing, everybody is sampled and still asks."""
    room = desked(policy={"chat_budget_per_s": 0})
    room.feed(1000, said("ann", "how big is it?"), said("bob", "how big is it?"))
    assert room.comments == []
    [line] = questions(room)
    assert line["n"] == 2
    assert "comment" not in line


def test_what_is_redacted_asks_nothing() -> None:
    """Neither the comment nor the user; what others asked as well stays."""
    room = desked()
    room.feed(1000, said("ann", "how rude are you?"), said("bob", "how big is it?"), said("cid", "how big is it?"))
    rude = next(c.id for c in room.comments if "rude" in c.text)
    room.feed(2000, told("redact", comments=[rude]), told("redact", users=["bob"]))
    [line] = questions(room)
    assert (line["text"], line["n"]) == ("how big is it?", 1)


def test_questions_are_bounded() -> None:
    """In number, askers and time."""
    book = Questions()
    for n in range(OPEN_MAX + 5):
        book.hear(f"how big is {n}?", f"u{n}", "", n)
    assert len(book.listed()) == OPEN_MAX
    assert all("is 4?" not in line["text"] for line in book.listed())
    for n in range(ASKERS_MAX + 5):
        book.hear("how much?", f"u{n}", "", 1000)
    for n in range(OPEN_MAX):
        book.hear(f"how big is flood {n}?", "eve", "", 900)
    assert book.listed()[0]["n"] == ASKERS_MAX
    assert not book.fade(KEPT_MS + 999)
    assert len(book.listed()) == 1
    assert book.fade(KEPT_MS + 1000)
