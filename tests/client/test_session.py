"""The conversation without sockets: every promise as a table of times, messages in and messages out."""

from __future__ import annotations

import json
import random
from typing import Any

import msgpack
import pytest

from livecast.client.errors import ClientError, Closed, GaveUp
from livecast.client.messages import Answer, Welcome
from livecast.client.session import (
    BEHIND_S,
    PENDING_MAX,
    REPEAT_AFTER_S,
    SILENCE_S,
    TAPS_EVERY_S,
    TAPS_KEPT,
    TAPS_PER_MESSAGE,
    Session,
)
from livecast.core.frames import Frame
from support.stage import POLICY, comment, frame, welcome


class Talk:
    """A session and its clock."""

    def __init__(self, **how: Any) -> None:
        self.codec = how.get("codec", "msgpack")
        self.session = Session(rng=random.Random(1), **how)
        self.now_s = 100.0
        self.settled: list[Answer | ClientError] = []

    def hears(self, *messages: dict[str, Any]) -> None:
        """The server says something."""
        for message in messages:
            data = msgpack.packb(message) if self.codec == "msgpack" else json.dumps(message).encode()
            self.session.receive(data, self.now_s)

    def says(self) -> list[dict[str, Any]]:
        """What goes out now."""
        self.session.tick(self.now_s)
        out = self.session.to_send(self.now_s)
        return [msgpack.unpackb(data) if isinstance(data, bytes) else json.loads(data) for data in out]

    def later(self, seconds: float) -> Talk:
        """Time passes."""
        self.now_s += seconds
        return self

    def asks(self, cid: str, text: str = "hi", within_s: float = 30.0) -> None:
        """A comment is asked for."""
        self.session.ask({"t": "comment", "cid": cid, "text": text}, self.settled.append, self.now_s + within_s)

    def joins(self, *messages: dict[str, Any], **more: Any) -> Talk:
        """A connection and its welcome."""
        self.session.connected(self.now_s)
        self.hears(welcome(**more), *messages)
        return self

    def drops(self) -> Talk:
        """The connection is lost."""
        self.session.disconnected()
        return self


@pytest.mark.parametrize("codec", ["msgpack", "json"])
def test_frames_build_the_view(codec: str) -> None:
    """A welcome and the frames after it make the room as it is now, in both codecs."""
    talk = Talk(codec=codec).joins(state={"status": "live", "likes": 5}, recent=[comment(1, "before")])
    talk.hears(frame(1, comments=[comment(2, "new")]), frame(2, likes={"delta": 3, "total": 8}, state={"title": "七夕"}))
    view = talk.session.view
    assert view is not None
    assert [one.text for one in view.recent] == ["before", "new"]
    assert view.state["likes"] == 8
    assert view.state["title"] == "七夕"
    assert talk.session.since == "epochAAA:2"
    assert [type(event) for event in talk.session.events()] == [Welcome, Frame, Frame]


def test_a_light_session_follows_numbers_alone() -> None:
    """No view and no frame events, but a hole is noticed all the same."""
    talk = Talk(light=True).joins()
    talk.hears(frame(1, comments=[comment(1)]), frame(2))
    assert talk.session.view is None
    assert [type(event) for event in talk.session.events()] == [Welcome]
    assert talk.session.since == "epochAAA:2"
    talk.hears(frame(4))
    assert "epochAAA:4 after epochAAA:2" in talk.session.broken


def test_a_comment_is_settled_once() -> None:
    """The first verdict counts; what comes for the same cid later is nobody's."""
    talk = Talk().joins()
    talk.asks("c1")
    assert talk.says() == [{"t": "comment", "cid": "c1", "text": "hi"}]
    assert talk.says() == []
    talk.hears({"t": "ack", "cid": "c1", "verdict": "shown", "id": "x-1", "seq": 3})
    talk.hears({"t": "ack", "cid": "c1", "verdict": "merged", "id": "x-1", "seq": 3})
    (answer,) = talk.settled
    assert isinstance(answer, Answer)
    assert (answer.ok, answer.outcome, answer.ack and answer.ack.id) == (True, "shown", "x-1")


def test_a_refusal_is_an_answer() -> None:
    """Too fast, muted and the like end the question; whether to try again is the caller's decision."""
    talk = Talk().joins()
    talk.asks("c1")
    talk.hears({"t": "error", "cid": "c1", "code": "slow_mode", "message": "Wait.", "retry_after_ms": 2000})
    (answer,) = talk.settled
    assert isinstance(answer, Answer)
    assert (answer.ok, answer.outcome) == (False, "slow_mode")
    assert answer.refused is not None
    assert answer.refused.retry_after_ms == 2000


@pytest.mark.parametrize("code", ["unavailable", "overloaded"])
def test_what_is_not_final_is_asked_again_under_the_same_cid(code: str) -> None:
    """Outcome unknown, or not done: the same message again, not before the time named, at most half as long after it."""
    talk = Talk().joins()
    talk.asks("c1")
    first = talk.says()
    talk.hears({"t": "error", "cid": "c1", "code": code, "message": "", "retry_after_ms": 1000})
    assert talk.settled == []
    assert talk.later(0.99).says() == []
    assert talk.session.next_timer_s() <= talk.now_s + 0.52
    assert talk.later(0.52).says() == first
    talk.hears({"t": "ack", "cid": "c1", "verdict": "shown", "id": "x-1", "seq": 1})
    assert len(talk.settled) == 1


def test_without_a_time_named_the_pauses_grow() -> None:
    """`unavailable` again and again: half a second, one, two, four, at most five, each give or take a half."""
    talk = Talk().joins()
    talk.asks("c1", within_s=1000)
    pauses = []
    assert len(talk.says()) == 1
    for _ in range(8):
        refused_s = talk.now_s
        talk.hears({"t": "error", "cid": "c1", "code": "unavailable", "message": ""})
        while not talk.says():
            talk.now_s = talk.session.next_timer_s()
        pauses.append(talk.now_s - refused_s)
    for pause, bound in zip(pauses, (0.5, 1, 2, 4, 5, 5, 5, 5), strict=True):
        assert bound * 0.5 <= pause <= bound * 1.5


def test_a_lost_answer_is_asked_for_again() -> None:
    """No answer at all: the same cid again after five seconds, while the connection lives."""
    talk = Talk().joins()
    talk.asks("c1")
    first = talk.says()
    assert talk.later(REPEAT_AFTER_S - 0.1).says() == []
    assert talk.later(0.1).says() == first


def test_what_was_asked_survives_the_connection() -> None:
    """On the next connection everything unanswered is asked again, in order, after the welcome and not before."""
    talk = Talk().joins()
    talk.asks("c1")
    talk.asks("c2")
    sent = talk.says()
    talk.hears({"t": "ack", "cid": "c1", "verdict": "shown", "id": "x-1", "seq": 1})
    talk.drops()
    talk.asks("c3")
    assert talk.says() == []
    talk.session.connected(talk.now_s)
    assert talk.says() == []
    talk.hears(welcome(recovered=True))
    assert [message["cid"] for message in talk.says()] == ["c2", "c3"]
    assert sent[1] == {"t": "comment", "cid": "c2", "text": "hi"}


def test_giving_up_has_its_time_also_without_a_connection() -> None:
    """After the deadline the outcome is called unknown, and the cid is free to be asked about again."""
    talk = Talk().joins().drops()
    talk.asks("c1", within_s=3)
    assert talk.session.next_timer_s() == talk.now_s + 3
    talk.later(3).says()
    (gave_up,) = talk.settled
    assert isinstance(gave_up, GaveUp)
    assert gave_up.cid == "c1"
    assert talk.session.waiting == 0


def test_questions_are_bounded() -> None:
    """A caller that never waits is told so rather than kept in memory."""
    talk = Talk().joins()
    for number in range(PENDING_MAX + 1):
        talk.asks(f"c{number}")
    assert [type(result) for result in talk.settled] == [GaveUp]


def test_closing_answers_everybody() -> None:
    """Nobody waits for ever."""
    talk = Talk().joins()
    talk.asks("c1")
    talk.session.close()
    assert isinstance(talk.settled[0], Closed)


def test_taps_are_collected() -> None:
    """Many taps, few messages; none above what one message takes."""
    talk = Talk().joins()
    for _ in range(130):
        talk.session.tap(1, talk.now_s)
    assert talk.says() == []
    sent = talk.later(TAPS_EVERY_S).says()
    assert sent == [{"t": "like", "n": TAPS_PER_MESSAGE}, {"t": "like", "n": 30}]
    assert talk.later(1).says() == []


def test_taps_wait_for_a_connection_up_to_a_bound() -> None:
    """Without a connection some hundred taps are kept, the rest is counted as dropped."""
    talk = Talk()
    talk.session.tap(TAPS_KEPT + 50, talk.now_s)
    assert talk.session.taps_dropped == 50
    talk.later(60).joins()
    assert sum(message["n"] for message in talk.says()) == TAPS_KEPT


def test_silence_is_broken_by_a_ping_and_then_believed() -> None:
    """After the policy's keep-alive time a ping, ten seconds later the connection is called dead."""
    talk = Talk().joins(policy={**POLICY, "keepalive_ms": 20_000})
    assert talk.session.next_timer_s() == talk.now_s + 20
    assert talk.later(20).says() == [{"t": "ping"}]
    talk.hears({"t": "pong", "now": 1, "epoch": "epochAAA", "seq": 0})
    assert talk.later(20).says() == [{"t": "ping"}]
    assert talk.later(SILENCE_S - 0.1).says() == []
    assert talk.session.broken == ""
    talk.later(0.1).says()
    assert talk.session.broken == "the server is silent"


def test_a_changed_policy_changes_the_keep_alive() -> None:
    """`state.policy` in a frame counts from then on."""
    talk = Talk().joins()
    talk.hears(frame(1, state={"policy": {"keepalive_ms": 10_000}}))
    assert talk.later(10).says() == [{"t": "ping"}]
    assert talk.session.policy["keepalive_ms"] == 10_000
    assert talk.session.policy["tick_ms"] == 200


def test_a_connection_without_a_welcome_is_not_waited_for() -> None:
    """Ten seconds, then it is dropped."""
    talk = Talk()
    talk.session.connected(talk.now_s)
    assert talk.session.next_timer_s() == talk.now_s + SILENCE_S
    talk.later(SILENCE_S).says()
    assert talk.session.broken


def test_a_hole_in_the_numbers_breaks_the_connection() -> None:
    """A frame is missing: the connection is dropped so that the next one resumes before the hole."""
    talk = Talk().joins()
    talk.hears(frame(1), frame(3))
    assert talk.session.broken
    assert talk.session.since == "epochAAA:1"


def test_old_frames_are_ignored() -> None:
    """What was seen already changes nothing."""
    talk = Talk().joins(seq=5)
    talk.hears(frame(4, comments=[comment(1)]), frame(5), frame(6))
    assert talk.session.broken == ""
    assert talk.session.since == "epochAAA:6"
    assert talk.session.view is not None
    assert list(talk.session.view.recent) == []


def test_a_pong_ahead_heals_by_resuming() -> None:
    """Frames that the pong knows of and that do not come within two seconds are lost."""
    talk = Talk().joins()
    talk.hears({"t": "pong", "now": 1, "epoch": "epochAAA", "seq": 2})
    assert talk.session.next_timer_s() == talk.now_s + BEHIND_S
    talk.later(1).hears(frame(1))
    talk.later(1).says()
    assert talk.session.broken


def test_a_pong_ahead_of_frames_under_way_breaks_nothing() -> None:
    """The frames came: all is well. A pong behind us is an old one."""
    talk = Talk().joins()
    talk.hears({"t": "pong", "now": 1, "epoch": "epochAAA", "seq": 2}, frame(1), frame(2))
    talk.hears({"t": "pong", "now": 1, "epoch": "epochAAA", "seq": 1})
    talk.later(BEHIND_S + 1).says()
    assert talk.session.broken == ""


def test_a_welcome_may_come_at_any_time() -> None:
    """It replaces everything; what is asked is not asked again because of it."""
    talk = Talk().joins(recent=[comment(1, "old")])
    talk.asks("c1")
    talk.says()
    talk.hears(frame(1), welcome(epoch="epochBBB", seq=7, reason="epoch", recent=[comment(9, "anew")], state={"likes": 1}))
    talk.hears(frame(8, epoch="epochBBB"))
    assert talk.session.broken == ""
    assert talk.session.since == "epochBBB:8"
    assert talk.session.view is not None
    assert [one.text for one in talk.session.view.recent] == ["anew"]
    assert talk.says() == []


def test_a_recovered_welcome_keeps_what_is_on_the_screen() -> None:
    """Its `recent` is empty because the missed frames follow: what was known stays."""
    talk = Talk().joins(frame(1, comments=[comment(1, "first")])).drops()
    talk.joins(seq=1, recovered=True, state={"status": "live", "likes": 9})
    talk.hears(frame(2, comments=[comment(2, "second")]))
    assert talk.session.view is not None
    assert [one.text for one in talk.session.view.recent] == ["first", "second"]


def test_a_token_is_renewed_before_it_ends() -> None:
    """With a quarter of its life left, or a minute, by the server's clock; an `auth` answer starts the next period."""
    you = {"id": "ada", "name": "Ada", "role": "viewer", "anonymous": False, "can": []}
    talk = Talk().joins(now=1_000_000, you={**you, "expires_at": 1_000_000 + 3_600_000})
    assert talk.session.renew_at_s == pytest.approx(talk.now_s + 3540)
    talk.later(10).hears({"t": "ack", "cid": "a", "verdict": "ok", "you": {**you, "expires_at": 1_010_000 + 8_000}})
    assert talk.session.renew_at_s == pytest.approx(talk.now_s + 6)
    talk.hears({"t": "ack", "cid": "b", "verdict": "ok", "you": you})
    assert talk.session.renew_at_s is None


def test_what_is_new_in_the_protocol_is_ignored() -> None:
    """Unknown messages, keys, verdicts and codes are no fault."""
    talk = Talk().joins(novelty=1, reason="surprise")
    talk.hears({"t": "hologram", "x": 1}, frame(1, fireworks=[1], comments=[{**comment(1), "aura": "blue"}]))
    talk.asks("c1")
    talk.hears({"t": "ack", "cid": "c1", "verdict": "glorified", "halo": True})
    assert talk.session.broken == ""
    assert talk.session.since == "epochAAA:1"
    assert isinstance(talk.settled[0], Answer)
    assert talk.settled[0].outcome == "glorified"


@pytest.mark.parametrize("junk", [b"", b"\xc1", b"\x80", msgpack.packb({"t": "frame", "seq": "x"}), b"{}"])
def test_unreadable_messages_break_the_connection(junk: bytes) -> None:
    """A server that talks nonsense is left, not crashed over."""
    talk = Talk().joins()
    talk.session.receive(junk, talk.now_s)
    assert "unreadable" in talk.session.broken


def test_a_session_with_nothing_to_do_sets_no_timer() -> None:
    """Before its first connection it sleeps."""
    assert Talk().session.next_timer_s() == float("inf")
