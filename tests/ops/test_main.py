"""A node as a process: what it says, how it ends, and what it refuses to start with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from livecast.ops.stores.valkey_remains import left_behind
from support.node import DEV_KEY, NodeProcess
from support.outside import Outsider
from support.stores import PortBlock, Server, scratch, until

LIVECAST = str(Path(sys.executable).with_name("livecast"))
SECRET = "a-secret-of-forty-bytes-for-these-tests!!"


def serve(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`livecast serve` that is expected to end by itself."""
    return subprocess.run(
        [LIVECAST, "serve", *args], capture_output=True, text=True, timeout=75, check=False, env={**os.environ, **environment}
    )


def status(url: str, **headers: str) -> int:
    """The HTTP status of a GET."""
    try:
        with urlopen(Request(url, headers=headers), timeout=5) as answer:
            return int(answer.status)
    except OSError as error:
        return int(getattr(error, "code", 0))


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """For what leaves it as it is, and for the last test."""
    with NodeProcess() as process:
        yield process


# --- Start and stop ---------------------------------------------------------------------------------------------------
async def test_a_stop_is_clean_and_says_goodbye() -> None:
    """One line on stdout; at SIGTERM what was said is kept, viewers get `bye` 4000 with a delay, exit 0, no store left."""
    with NodeProcess() as node:
        async with Outsider(node, "r", "ada") as viewer:
            assert (await viewer.ask(t="comment", cid="c1", text="kept"))["verdict"] == "shown"
            assert node.process
            node.process.send_signal(signal.SIGTERM)
            await viewer.until(lambda: viewer.closed, what="goodbye")
            bye = viewer.said[-1]
            assert (bye["t"], bye["code"], bye["reconnect"]) == ("bye", 4000, True)
            assert 0 <= bye["retry_after_ms"] <= 10_000
            assert viewer.closed is not None
            assert viewer.closed[0] == 4000
        assert await asyncio.to_thread(node.process.wait, 15) == 0
        assert node.process.stdout is not None
        with node.process.stdout as stdout:
            assert not stdout.read(), "more than the ready line on stdout"
        assert node.stores() == []
        node.start()
        async with Outsider(node, "r") as viewer:
            assert [comment["text"] for comment in viewer.welcome["recent"]] == ["kept"]


def test_a_stop_during_the_start_is_a_clean_stop_too(tmp_path: Path) -> None:
    """A supervisor that changes its mind gets exit code 0, and the store that was just started is ended."""
    data = tmp_path / "data"
    process = subprocess.Popen(
        [LIVECAST, "serve", "--dev", "--port", "0", "--data-dir", str(data)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 20
    while not (data / "rooms").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    said, log = process.communicate(timeout=15)
    assert process.returncode == 0, log
    assert said == b"" or said.startswith(b"livecast ready")
    assert list(left_behind((data / "rooms").resolve())) == []


def test_a_second_signal_ends_the_process_at_once() -> None:
    """While the first one waits for a store that is frozen."""
    with NodeProcess() as node:
        assert status(f"{node.base}/v1/rooms/r/snapshot") == 200
        (store,) = node.stores("rooms")
        assert node.process
        os.kill(store, signal.SIGSTOP)
        try:
            node.process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                node.process.wait(0.5)
            began = time.monotonic()
            node.process.send_signal(signal.SIGTERM)
            assert node.process.wait(5) == -signal.SIGTERM
            assert time.monotonic() - began < 1
        finally:
            os.kill(store, signal.SIGCONT)


# --- What it does not start with --------------------------------------------------------------------------------------
def test_a_taken_port_is_exit_1_with_advice(tmp_path: Path) -> None:
    """Told in one line, before any store is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = serve("--dev", "--port", str(port), "--data-dir", str(tmp_path / "d"))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"port {port} on 127.0.0.1 is in use" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "d").exists()


def test_a_taken_data_directory_is_exit_1_with_advice(node: NodeProcess) -> None:
    """Two nodes must not write to one directory."""
    ended = serve("--dev", "--port", "0", "--data-dir", str(node.data))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "--data-dir" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert status(f"{node.base}/readyz") == 200, "the first one goes on"


def test_a_store_that_does_not_answer_is_exit_1_without_its_password() -> None:
    """And the address is named, so that one sees which one was meant."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    ended = serve("--dev", "--port", "0", "--redis", f"redis://me:hunter2@{address}")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"redis://me:***@{address}" in ended.stderr
    assert "hunter2" not in ended.stderr
    assert "Traceback" not in ended.stderr


# --- With a server of one's own ---------------------------------------------------------------------------------------
def test_a_server_of_ones_own_is_used(valkey: str) -> None:
    """`--redis URL`: no store is started, and the warning about the ledger is in the log."""
    with NodeProcess("--redis", valkey) as node:
        assert status(f"{node.base}/v1/rooms/r/snapshot") == 200
        assert node.stores() == []
        assert "do not count money" in node.log_text()


def test_a_server_that_is_slow_at_first_is_waited_for() -> None:
    """A store that answers after three seconds, more than a call may take later: the node starts all the same."""
    ports = PortBlock()
    with scratch() as directory:
        server = Server(directory, ports.first).start()
        thaw = threading.Timer(3.0, server.thaw)
        try:
            until(lambda: server.command("PING"), "a server that answers")
            server.freeze()
            thaw.start()
            with NodeProcess("--redis", f"redis://{server.place}") as node:
                assert status(f"{node.base}/readyz") == 200
        finally:
            server.thaw()
            thaw.cancel()
            server.stop()
            ports.give_back()


# --- Keys and metrics -------------------------------------------------------------------------------------------------
def test_metrics_need_a_key_outside_dev_and_a_revoked_key_opens_nothing() -> None:
    """`livecast key new` makes the key, `key revoke` takes it back on the running node within ten seconds."""
    made = json.loads(subprocess.check_output([LIVECAST, "key", "new", "--id", "watch", "--scope", "reports:read"]))
    environment = {"LIVECAST_AUTH__API_KEYS": json.dumps([made["config"]]), "LIVECAST_AUTH__JWT_SECRETS": json.dumps([SECRET])}
    with NodeProcess(dev=False, env=environment) as node:
        metrics, bearer = f"{node.base}/metrics", {"Authorization": f"Bearer {made['key']}"}
        assert [status(metrics), status(metrics, **DEV_KEY), status(metrics, **bearer)] == [401, 401, 200]
        assert status(f"{node.base}/v1/rooms/never-made/snapshot") == 404, "rooms come to be by themselves in --dev alone"
        subprocess.run([LIVECAST, "key", "revoke", "watch", "--data-dir", str(node.data)], check=True, capture_output=True)
        deadline = time.monotonic() + 10
        while status(metrics, **bearer) != 401:
            assert time.monotonic() < deadline, "still open after ten seconds"
            time.sleep(0.1)
        assert made["key"] not in node.log_text()


# --- The end of the node that some tests share ------------------------------------------------------------------------
def test_a_stop_waits_for_no_body(node: NodeProcess) -> None:
    """Requests whose bodies do not come are given up: exit 0 in time, and nothing to report."""
    assert status(f"{node.base}/v1/rooms/r/snapshot") == 200
    port = int(node.base.rsplit(":", 1)[1])
    head = b"POST /v1/rooms/r/comments HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer lck_dev_dev\r\n"
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for k, one in enumerate(slow):
        one.sendall(head + (b"Content-Length: 100\r\n\r\n{" if k % 2 else b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"))
    assert status(f"{node.base}/healthz") == 200  # they were read by now
    began = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - began < 10
    for one in slow:
        one.close()
    assert "not stopped cleanly" not in node.log_text()
    assert '"error"' not in node.log_text()
