"""`livecast tail` against a running node: the lines, the JSON, the picture on a terminal, and the ways it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from livecast.client import LivecastClient
from livecast.ops.cli import main
from support.node import NodeProcess, token

LIVECAST = str(Path(sys.executable).with_name("livecast"))


@contextlib.asynccontextmanager
async def speaker(node: NodeProcess, room: str, user: str = "ada") -> AsyncIterator[LivecastClient]:
    """Somebody who can say something in `room`."""
    async with LivecastClient(node.base, room, token=token(user, name=user.title())) as client:
        yield client


async def tail(*args: str, env: dict[str, str] | None = None) -> Process:
    """Start it."""
    return await asyncio.create_subprocess_exec(
        LIVECAST, "tail", *args, stdout=PIPE, stderr=PIPE, env={**os.environ, **(env or {})}
    )


async def finished(process: Process) -> tuple[int, str, str]:
    """Its exit status and words."""
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def line(process: Process) -> str:
    """Its next line."""
    assert process.stdout
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().rstrip("\n")


@pytest.mark.parametrize("style", [["--plain"], []])
async def test_a_pipe_gets_a_line_per_comment(node: NodeProcess, style: list[str]) -> None:
    """Without a terminal: what the room was, then every comment as it comes; Ctrl-C is a clean end with a summary."""
    room = f"tail-plain-{len(style)}"
    async with speaker(node, room) as ada:
        await ada.comment("already here")
        process = await tail("--room", room, "--url", node.base, *style)
        assert (await line(process)).endswith(f"-- {room}: live, 0 likes")
        assert (await line(process)).endswith("Ada: already here")
        await ada.comment("你好，直播间")
        assert (await line(process)).endswith("Ada: 你好，直播间")
    process.send_signal(signal.SIGINT)
    status, out, err = await finished(process)
    assert status == 0
    assert out == ""
    assert "left" in err
    assert "1 in = 1 shown" in err
    assert "Traceback" not in err


async def test_json_is_one_message_a_line(node: NodeProcess) -> None:
    """Everything that came, as it stood on the wire."""
    async with speaker(node, "tail-json") as ada:
        process = await tail("--room", "tail-json", "--url", node.base, "--json")
        messages = [json.loads(await line(process))]
        while messages[-1]["t"] != "welcome":
            messages.append(json.loads(await line(process)))
        await ada.comment("hello")
        while not any(comment["text"] == "hello" for comment in messages[-1].get("comments", [])):
            messages.append(json.loads(await line(process)))  # frames before it tell who came
        process.send_signal(signal.SIGINT)
        status, _, _ = await finished(process)
    assert status == 0
    kinds = [message["t"] for message in messages]
    assert kinds[:4] == ["connection", "connection", "welcome", "frame"]


async def test_frames_end_it(node: NodeProcess) -> None:
    """`--frames 1`: one frame, whatever is in it, and a clean end."""
    async with speaker(node, "tail-frames") as ada:
        process = await tail("--room", "tail-frames", "--url", node.base, "--json", "--frames", "1")
        messages = [json.loads(await line(process))]
        while messages[-1]["t"] != "welcome":
            messages.append(json.loads(await line(process)))
        await ada.comment("hello")
        status, out, _ = await finished(process)
    assert status == 0
    assert [json.loads(one)["t"] for one in out.splitlines()].count("frame") == 1


async def test_a_reader_that_leaves_ends_it(node: NodeProcess) -> None:
    """`livecast tail | head`: no complaint, no traceback."""
    command = f"{LIVECAST} tail --room tail-head --url {node.base} --json | head -n 1"
    process = await asyncio.create_subprocess_shell(command, stdout=PIPE, stderr=PIPE)
    async with speaker(node, "tail-head") as ada:
        await ada.comment("one")
        _, out, err = await finished(process)
    assert len(out.splitlines()) == 1
    assert err == ""


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--url", "http://127.0.0.1:9", "--wait", "0.3"], "no welcome from ws://127.0.0.1:9/"),
        (["--token", "not-a-token"], "(4401)"),
        (["--token", token("ada", rooms=["other"])], "(4403)"),
    ],
)
def test_it_says_why_it_cannot_show_the_room(node: NodeProcess, args: list[str], reason: str) -> None:
    """A sentence and status 1."""
    where = [] if "--url" in args else ["--url", node.base]
    done = CliRunner().invoke(main, ["tail", "--room", "tail-no", *where, *args])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert reason in done.stderr


async def test_the_picture_on_a_terminal(node: NodeProcess) -> None:
    """On a terminal the room fills the screen; Ctrl-C gives the screen back as it was and leaves a summary."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    process = await asyncio.create_subprocess_exec(
        LIVECAST,
        "tail",
        "--room",
        "tail-tty",
        "--url",
        node.base,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=env,
        start_new_session=True,
    )
    os.close(theirs)
    seen, news = bytearray(), asyncio.Event()

    def read() -> None:
        try:
            data = os.read(ours, 65_536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(ours)
        seen.extend(data)
        news.set()

    async def until_seen(words: str) -> None:
        async with asyncio.timeout(20):
            while words.encode() not in seen:
                news.clear()
                await news.wait()

    asyncio.get_running_loop().add_reader(ours, read)
    try:
        async with speaker(node, "tail-tty") as ada:
            await until_seen("connected")
            await ada.comment("弹幕来了")
            await until_seen("弹幕来了")
            for name in ("bob", "cyd", "dan"):
                async with speaker(node, "tail-tty", name) as other:
                    await other.comment("弹幕来了")
            await until_seen("×")
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        await until_seen("tail-tty: left")
        assert b"\x1b[?1049l" in seen  # the other screen is left
        assert b"Traceback" not in seen
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
