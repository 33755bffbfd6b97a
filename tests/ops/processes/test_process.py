"""What a serving process does to itself."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time

import pytest

from livecast.facts import Fact, LoopLag
from livecast.ops.processes.process import CannotListen, LagProbe, listening_sockets, raise_file_limit, steady_clock, url_of


def test_the_clock_is_unix_time_and_does_not_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting the machine's clock changes nothing for a running node."""
    clock = steady_clock()
    assert abs(clock() - time.time() * 1000) < 100
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert abs(clock() - time.time() * 1000) < 100


def test_a_free_port_is_taken_and_a_taken_one_is_refused_with_advice() -> None:
    """Port 0 says which one it became; a second node on it is told what to do."""
    (listener,) = listening_sockets("127.0.0.1", 0)
    with listener:
        port = listener.getsockname()[1]
        assert port > 0
        listener.listen()
        with pytest.raises(CannotListen, match=f"port {port} on 127.0.0.1 is in use.*--port"):
            listening_sockets("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.7"])
def test_a_wrong_host_is_refused_with_advice(host: str) -> None:
    """A name nobody knows, and an address that is somebody else's."""
    with pytest.raises(CannotListen, match="--host"):
        listening_sockets(host, 0)


def test_a_name_with_several_addresses_has_one_port() -> None:
    """`localhost` may be ::1 and 127.0.0.1: the ready line names one port for both."""
    listeners = listening_sockets("localhost", 0)
    try:
        assert len({listener.getsockname()[1] for listener in listeners}) == 1
    finally:
        for listener in listeners:
            listener.close()


def test_the_ready_line_puts_brackets_around_ipv6() -> None:
    """As a browser wants it."""
    assert [url_of("::1", 80), url_of("127.0.0.1", 81)] == ["http://[::1]:80", "http://127.0.0.1:81"]


def test_the_file_limit_is_raised_as_far_as_permitted() -> None:
    """In a process of its own, so that this one keeps its limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    goal = min(512, hard) if hard != resource.RLIM_INFINITY else 512
    script = (
        "import resource as r; from livecast.ops.processes.process import raise_file_limit as f;"
        f"r.setrlimit(r.RLIMIT_NOFILE, (256, {hard})); print(f({goal}), r.getrlimit(r.RLIMIT_NOFILE)[0])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.split() == [str(goal), str(goal)]
    assert raise_file_limit(1) >= 1


async def test_the_lag_probe_sees_a_blocked_loop() -> None:
    """A loop held up for 300 ms shows as a lag of at least most of that."""
    told: list[float] = []
    heard = asyncio.Event()

    class Listener:
        def observe(self, fact: Fact) -> None:
            assert isinstance(fact, LoopLag)
            told.append(fact.ms)
            heard.set()

    probe = LagProbe(Listener())
    probe.start()
    asyncio.get_running_loop().call_later(0.2, time.sleep, 0.3)  # the fault itself: something blocks the loop
    await asyncio.wait_for(heard.wait(), 5)
    probe.stop()
    assert told[0] > 200
