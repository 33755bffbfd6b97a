"""`livecast replay` against a running node: everybody speaks for themselves, every comment is answered, and it is told."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from livecast.client import LivecastClient
from livecast.ops.commands.replay import replay
from livecast.ops.screen.screen import RoomScreen
from support.node import NodeProcess, token


def recording(tmp_path: Path, people: int, comments: int, every_s: float = 0.1) -> Path:
    """A file of `comments` by `people`, one of them with a control character, in no order, cut off at the end."""
    rows = [f'<d p="{k * every_s:.3f},1,25,16777215,0,0,user{k % people},{k}">word {k} 号</d>' for k in range(comments)]
    rows[0] = rows[0].replace("word", "wo\x08rd")
    file = tmp_path / "show.xml"
    file.write_text(f'<?xml version="1.0" encoding="UTF-8"?><i>{"".join(reversed(rows))}<d p="9,1,', encoding="utf-8")
    return file


class Told:
    """A console that remembers."""

    def __init__(self) -> None:
        self._out = io.StringIO()
        self.console = Console(file=self._out, width=120)

    @property
    def text(self) -> str:
        """Everything said so far."""
        return self._out.getvalue()


@pytest.mark.parametrize("seats_max", [190, 3])
async def test_every_comment_is_said_by_its_user_and_answered(node: NodeProcess, tmp_path: Path, seats_max: int) -> None:
    """Also when many more people speak than there may be sockets; the tally of a viewer accounts for all."""
    room, told = f"replay-{seats_max}", Told()
    screen = RoomScreen(room)
    async with LivecastClient(node.base, room, listen=lambda event: screen.take(event, 0.0)):
        status = await replay(
            recording(tmp_path, 20, 40), node.base, room, speed=8, seats_max=seats_max, likes=2, console=told.console
        )
    assert status == 0, told.text
    assert screen.tally.counts["in"] == 40
    assert {line.comment.u.id for line in screen.lines} <= {f"user{k}" for k in range(20)}
    assert "word 0 号" in {line.comment.text for line in screen.lines}
    assert screen.likes == 80
    assert "40 comments" in told.text
    assert "7 bytes skipped" not in told.text
    assert "control character 0x08 (1 byte)" in told.text
    assert "cut off at the end" in told.text
    assert "40 of 40, 0 unanswered" in told.text
    assert "80 sent, 80 counted; seen 80" in told.text
    opened = int(told.text.split(" sockets opened")[0].split()[-1].replace(",", ""))
    assert opened == 20 if seats_max == 190 else opened >= 20


async def test_the_order_is_that_of_the_recording(node: NodeProcess, tmp_path: Path) -> None:
    """The file is in no order; the room hears it in time."""
    screen = RoomScreen("replay-order")
    async with LivecastClient(node.base, "replay-order", listen=lambda event: screen.take(event, 0.0)):
        assert await replay(recording(tmp_path, 12, 12), node.base, "replay-order", speed=2, console=Told().console) == 0
    assert [line.comment.text for line in screen.lines] == [f"word {k} 号" for k in range(12)]


async def test_what_is_not_answered_fails_it(node: NodeProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A secret that the node does not know, a node that is not there, a file that is not there: status 1 and a sentence."""
    file = recording(tmp_path, 2, 2)
    console = Told().console
    assert await replay(file, node.base, "replay-no", token_secret="another secret, long enough to sign with", console=console) == 1
    assert "4401" in capsys.readouterr().err
    assert await replay(tmp_path / "none.xml", node.base, "replay-no", console=console) == 1
    assert "cannot read" in capsys.readouterr().err


async def test_muted_people_are_answered_too(node: NodeProcess, tmp_path: Path) -> None:
    """A refusal is an answer: it is counted by its code, and the replay has succeeded."""
    told = Told()
    async with LivecastClient(node.base, "replay-fast", token=token("ada")):
        status = await replay(recording(tmp_path, 1, 12, 0.01), node.base, "replay-fast", speed=1, console=told.console)
    assert status == 0
    assert "rate_limited" in told.text
    assert "12 of 12, 0 unanswered" in told.text


async def test_an_empty_recording_is_soon_over(node: NodeProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to say is no failure; but it may be that it is no recording."""
    file = tmp_path / "empty.xml"
    file.write_text("<i></i>")
    told = Told()
    assert await replay(file, node.base, "replay-empty", console=told.console) == 0
    assert "0 of 0" in told.text
    assert "is it danmaku XML" in capsys.readouterr().err


async def test_tokens_can_come_from_the_node(node: NodeProcess, tmp_path: Path) -> None:
    """With an API key the node itself mints everybody's token."""
    told = Told()
    status = await replay(recording(tmp_path, 5, 5), node.base, "replay-key", speed=5, api_key="lck_dev_dev", console=told.console)
    assert status == 0, told.text
