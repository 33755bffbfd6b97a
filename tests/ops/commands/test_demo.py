"""`livecast demo`: a living room from one command, gone without a trace when it is stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from livecast.ops.commands.demo import guide

LIVECAST = str(Path(sys.executable).with_name("livecast"))


def until(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Wait for other processes."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)  # polling processes: there is nothing to await


def crowds(url: str) -> list[int]:
    """Crowd processes that play against `url`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"crowd" in words and url.encode() in words:
                found.append(int(entry.name))
    return found


class Demo:
    """A demo on a free port."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        self.out = directory / "out"
        command = [LIVECAST, "demo", "--port", self.url.rsplit(":", 1)[1], "--data-dir", str(directory / "data"), "--viewers", "20"]
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def text(self) -> str:
        """What it has printed."""
        return self.out.read_text()

    def snapshot(self) -> dict[str, list[object]]:
        """The room now."""
        with urllib.request.urlopen(f"{self.url}/v1/rooms/demo/snapshot", timeout=5) as response:
            body: dict[str, list[object]] = json.load(response)
        return body


@pytest.fixture
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One that is up; whatever a test does to it, nothing of it stays."""
    directory = tmp_path_factory.mktemp("d")
    made = Demo(directory)
    try:
        until(lambda: "Ctrl-C" in made.text() or made.process.poll() is not None)
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.name != str(os.getpid()):
                try:
                    inside = (entry / "cwd").readlink().is_relative_to(directory.resolve())
                except OSError:
                    continue
                if inside:
                    os.kill(int(entry.name), signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes in /proc")
def test_a_demo_lives_and_leaves_nothing(demo: Demo) -> None:
    """It prints the links, its room fills with comments, SIGTERM ends node and crowd with status 0."""
    text = demo.text()
    assert text.startswith(f"livecast ready {demo.url}\n")
    assert f"tail --room demo --url {demo.url}" in text
    until(lambda: len(demo.snapshot()["recent"]) >= 5)
    assert len(crowds(demo.url)) == 1
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(20) == 0
    until(lambda: not crowds(demo.url), 10)
    assert "Traceback" not in demo.text()
    assert "did not go by itself" not in demo.text()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes in /proc")
def test_a_killed_demo_takes_its_crowd_along(demo: Demo) -> None:
    """Even kill -9 of the node leaves no crowd behind that knocks for ever."""
    until(lambda: crowds(demo.url))
    demo.process.kill()
    until(lambda: not crowds(demo.url), 15)


def test_the_guide_is_short_where_the_address_is_the_usual_one() -> None:
    """On the default port nothing has to be added to the commands; elsewhere the address is."""
    assert " --url " not in guide("http://127.0.0.1:8080", 5)
    assert "--url http://127.0.0.1:9000" in guide("http://127.0.0.1:9000", 5)
