"""`livecast moderate` against a running node: each act holds, reads well, and fails with the right code."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from click.testing import CliRunner

from livecast.ops.cli import main
from support.node import NodeProcess, token

ROOM = "/v1/rooms/desk"


def call(node: NodeProcess, method: str, path: str, body: Any = None, auth: str = "lck_dev_dev") -> Any:
    """One request."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {auth}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(node.base + path, data, headers, method=method), timeout=20) as answer:
        return json.loads(answer.read() or b"null")


def say(node: NodeProcess, user: str, text: str) -> Any:
    """What became of a comment."""
    message = {"t": "comment", "cid": f"{user}-{text}", "text": text}
    return call(node, "POST", f"{ROOM}/messages", message, token(user, name=user.title()))


@pytest.fixture(scope="module")
def node(node: NodeProcess) -> NodeProcess:
    """A node with a live room that holds comments with `maybe` in them."""
    call(node, "PUT", ROOM, {"title": "Desk"})
    call(node, "POST", f"{ROOM}/start", {})
    call(node, "PUT", "/v1/filters/room:desk", {"hold": ["maybe"]})
    return node


def moderate(node: NodeProcess, *arguments: str, code: int = 0, room: bool = True) -> str:
    """Run a command; what it printed, to wherever."""
    where = ["--room", "desk"] if room else []
    done = CliRunner().invoke(main, ["moderate", *arguments, *where, "--url", node.base])
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output


@pytest.mark.parametrize("kind", ["mute", "ban"])
def test_sentences(node: NodeProcess, kind: str) -> None:
    """Imposed, listed with all that is known, taken back once."""
    assert "taken back" in moderate(node, kind, "mallory", "--reason", "spam [sic]")
    listed = moderate(node, f"{kind}s")
    assert "mallory" in listed
    assert "spam [sic]" in listed
    assert [one["user"] for one in call(node, "GET", f"{ROOM}/{kind}s")["data"]] == ["mallory"]
    assert "mallory may" in moderate(node, f"un{kind}", "mallory")
    assert f"no {kind}s in force" in moderate(node, f"{kind}s")
    assert "HTTP 404" in moderate(node, f"un{kind}", "mallory", code=1)


def test_a_sentence_that_ends_and_reaches_further(node: NodeProcess) -> None:
    """`--for` and `--scope`."""
    assert "(platform), until 2" in moderate(node, "mute", "eve", "--for", "600", "--scope", "platform")
    assert "platform" in moderate(node, "unmute", "eve")


def test_a_kick(node: NodeProcess) -> None:
    """In every room that the key reaches; with an end if asked for."""
    assert "kim is put out of" in moderate(node, "kick", "kim", room=False)
    assert "until 2" in moderate(node, "kick", "kim", "--for", "60", room=False)
    assert "kim" in moderate(node, "bans")


def test_redaction(node: NodeProcess) -> None:
    """Of single comments and of users; naming nothing is a mistake."""
    said = say(node, "rude", "rubbish")
    assert said["verdict"] == "shown", said
    assert said["id"] in moderate(node, "redact", said["id"])
    kept = {one["id"]: one for one in call(node, "GET", f"{ROOM}/comments")["data"]}
    assert kept[said["id"]]["redacted"]
    assert "everything of rude" in moderate(node, "redact", "--user", "rude")
    assert "Name comments" in moderate(node, "redact", code=2)


def test_held_comments(node: NodeProcess) -> None:
    """Listed, approved, rejected; not twice."""
    one, other = (say(node, user, f"maybe {user}")["id"] for user in ("ann", "bob"))
    listed = moderate(node, "held")
    assert one in listed
    assert "maybe bob" in listed
    assert f"approve: {one} ann: maybe ann" in moderate(node, "approve", one)
    assert "reject" in moderate(node, "reject", other, "--reason", "no")
    assert "nothing is held" in moderate(node, "held")
    assert "HTTP 404" in moderate(node, "approve", other, code=1)
    assert one in {c["id"] for c in call(node, "GET", f"{ROOM}/comments")["data"]}


def test_reports(node: NodeProcess) -> None:
    """What viewers reported, until it is settled."""
    said = say(node, "loud", "look at me")
    report = {"t": "report", "cid": "r1", "comment": said["id"], "reason": "shouts"}
    call(node, "POST", f"{ROOM}/messages", report, token("quiet"))
    listed = moderate(node, "reports")
    assert "shouts" in listed
    assert "look at me" in listed
    moderate(node, "settle", call(node, "GET", f"{ROOM}/reports")["data"][0]["id"])
    assert "nothing is reported" in moderate(node, "reports")


def test_who_may_speak_and_how_often(node: NodeProcess) -> None:
    """Slow mode, mode, and the panic button."""
    assert "one comment in 30 s" in moderate(node, "slow", "30")
    assert "no slow mode" in moderate(node, "slow", "0")
    moderate(node, "slow", "121", code=2)
    assert "level 5 and up" in moderate(node, "mode", "level", "--level", "5")
    assert "--level belongs" in moderate(node, "mode", "level", code=2)
    assert "comments from staff" in moderate(node, "panic", "--reason", "raid")
    assert call(node, "GET", ROOM)["policy"]["mode"] == "staff"
    assert "comments from all" in moderate(node, "mode", "all")
    assert {"panic", "policy"} <= {act["action"] for act in call(node, "GET", f"{ROOM}/audit")["data"]}


def test_a_node_that_is_not_there() -> None:
    """One line, and 1."""
    done = CliRunner().invoke(main, ["moderate", "held", "--room", "x", "--url", "http://127.0.0.1:9"])
    assert done.exit_code == 1
    assert "does not answer" in done.output
