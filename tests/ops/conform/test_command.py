"""`livecast conform` on the command line."""

from __future__ import annotations

import json
import socket

import pytest
from click.testing import CliRunner

from livecast.ops.cli import main
from livecast.ops.conform import command
from livecast.ops.conform.script import arrive, follow, walk
from livecast.ops.conform.stage import Stage


def test_an_address_that_is_none() -> None:
    """Is refused with how it should look."""
    for url in ("ws://x:1", "http://x", "http://x:1/room", "http://x:port"):
        done = CliRunner().invoke(main, ["conform", url])
        assert done.exit_code == 2, url
        assert "is not of the form http://HOST:PORT" in done.output


def test_a_port_that_is_taken() -> None:
    """Says so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = CliRunner().invoke(main, ["conform", f"http://127.0.0.1:{taken.getsockname()[1]}"])
    assert done.exit_code == 1
    assert "cannot listen at" in done.output


def test_a_program_reads_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON; the exit status is the grade's."""

    async def short(stage: Stage) -> bool:
        return await walk(stage, (arrive, follow))

    monkeypatch.setattr(command, "walk", short)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = CliRunner().invoke(main, ["conform", f"http://127.0.0.1:{port}", "--example", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["grade"], said["whole"]) == ("A", True)
