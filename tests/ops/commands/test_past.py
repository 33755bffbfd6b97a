"""`livecast report`, `export` and `user` against a running node, and `replay` of what was exported."""

from __future__ import annotations

import csv
import io
import json
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from livecast.ops.cli import main
from livecast.ops.danmaku_xml import read_danmaku
from support.node import NodeProcess, token

TEXTS = ["你好 👋", "<b>&amp;", "=1+1", "666", "second", "口红好看"]


def livecast(node: NodeProcess, *arguments: str, fails: bool = False, answer: str = "") -> str:
    """Run a command against the node; what it printed."""
    done = CliRunner().invoke(main, [*arguments, "--url", node.base], input=answer)
    assert (done.exit_code != 0) is fails, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stderr if fails else done.stdout.removeprefix("\ufeff")


def call(node: NodeProcess, method: str, path: str, body: Any = None, auth: str = "lck_dev_dev") -> Any:
    """One request."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {auth}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(node.base + path, data, headers, method=method), timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def comments_in(path: Path) -> Counter[tuple[str, str, int]]:
    """(text, mode, colour) of a file."""
    return Counter((comment.text, comment.mode, comment.color) for comment in read_danmaku(path))


def until_archived(node: NodeProcess, room: str, n: int) -> dict[str, Any]:
    """The report once it has so many comments."""
    deadline = time.monotonic() + 20
    while True:
        done = CliRunner().invoke(main, ["export", "--room", room, "--format", "json", "--url", node.base])
        report: dict[str, Any] = json.loads(done.stdout) if done.exit_code == 0 else {}
        if len(report.get("comments", ())) == n:
            return report
        assert time.monotonic() < deadline, done.output
        time.sleep(0.2)


@pytest.fixture(scope="module")
def node(node: NodeProcess) -> NodeProcess:
    """A node with a room in which several people said something."""
    call(node, "PUT", "/v1/rooms/show", {"title": "A show"})
    call(node, "POST", "/v1/rooms/show/start", {})
    for n, text in enumerate(TEXTS):
        message = {"t": "comment", "cid": "c", "text": text, **({"style": {"color": 255, "mode": "top"}} if n == 1 else {})}
        call(node, "POST", "/v1/rooms/show/messages", message, token(f"u{n}", name=f"User {n}"))
    until_archived(node, "show", len(TEXTS))
    return node


def test_the_report(node: NodeProcess, tmp_path: Path) -> None:
    """In the terminal, as a list, as JSON and as a page; a room that is not there is said so."""
    said = livecast(node, "report", "--room", "show")
    assert "A show" in said
    assert f"{len(TEXTS)}: shown {len(TEXTS)}" in said
    assert "A show" in livecast(node, "report", "--room", "show", "--list")
    page, figures = tmp_path / "r.html", tmp_path / "r.json"
    livecast(node, "report", "--room", "show", "--html", str(page), "--json", str(figures), "--lang", "zh")
    assert "直播报告" in page.read_text(encoding="utf-8")
    assert json.loads(figures.read_text())["comments"]["in"] == len(TEXTS)
    assert "no such room" in livecast(node, "report", "--room", "nowhere", fails=True)


def test_an_exported_show_is_played_again(node: NodeProcess, tmp_path: Path) -> None:
    """Into another room: the same comments by as many people, and its export equals the first."""
    first, second = tmp_path / "first.xml", tmp_path / "second.xml"
    livecast(node, "export", "--room", "show", "-o", str(first))
    livecast(node, "replay", str(first), "--room", "again")
    until_archived(node, "again", len(TEXTS))
    livecast(node, "export", "--room", "again", "-o", str(second))
    assert comments_in(first) == comments_in(second)
    assert sorted(text for text, _, _ in comments_in(first)) == sorted(TEXTS)
    assert len({comment.user for comment in read_danmaku(second)}) == len(TEXTS)


def test_as_a_table(node: NodeProcess, tmp_path: Path) -> None:
    """A line each; what a spreadsheet would take for a formula is not one any more."""
    rows = list(csv.DictReader(io.StringIO(livecast(node, "export", "--room", "show", "--format", "csv"))))
    assert sorted(row["text"] for row in rows) == sorted("'=1+1" if text == "=1+1" else text for text in TEXTS)
    assert {row["user"] for row in rows} == {f"u{n}" for n in range(len(TEXTS))}
    file = tmp_path / "kept"
    file.write_text("what was there")
    livecast(node, "export", "--room", "nowhere", "-o", str(file), fails=True)
    assert file.read_text() == "what was there"
    nowhere = str(tmp_path / "missing" / "kept.csv")
    said = livecast(node, "export", "--room", "show", "--format", "csv", "-o", nowhere, fails=True)
    assert said == f"Error: {nowhere} cannot be written: No such file or directory\n"


def test_a_user_asks(node: NodeProcess) -> None:
    """Given out line by line; forgotten after a question, or with --yes."""
    call(node, "POST", "/v1/wallets/leaver/credits", {"tx": "t", "amount": 5})
    deadline = time.monotonic() + 20
    while not (lines := livecast(node, "user", "export", "leaver").splitlines()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert {json.loads(line)["record"] for line in lines} == {"money"}
    assert "Aborted" in livecast(node, "user", "erase", "leaver", fails=True, answer="n\n")
    assert "now name erased:" in livecast(node, "user", "erase", "leaver", "--yes")
    assert livecast(node, "user", "export", "leaver") == ""
