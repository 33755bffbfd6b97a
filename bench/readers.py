"""How many readers does one core of nginx carry, and what do they cost the node?

Method. `deploy/nginx.conf` as it is, with one worker process, before a node whose room somebody talks in ten times a second. On the
other core 200 keep-alive connections (`c/readers.c`, no pipelining) ask for the newest ten frames and for `head`, in turn, as fast
as they are answered; after each second the list moves on with the room. Then the same with whole bundles. In between the talk
goes on without readers, for as long, so that what the readers cost the node is the difference. Nginx and node share the first core.

Includes. Everything nginx does for a request: reading it, its cache, headers, the kernel's `write` to a loopback socket; misses.

Does not show. TLS (a resumed handshake per viewer, some microseconds per request), a network card, a cache larger than memory,
readers that come anew for each request. How late a frame is at a reader: nginx lets those who wait for a frame look again every
half a second. And a CDN, which takes over all of this but the misses.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from functools import partial
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec

from bench.machine import cores, cpu_s, pin, program
from bench.nginx import Nginx, binary
from bench.report import Row, run
from bench.service import Service
from livecast.edge.viewers.frames import BUNDLE

ROOM: Final = "readers"
CONNECTIONS: Final = 200
TALK_PAUSE_S: Final = 0.1
BUNDLES_WITHIN_S: Final = 30
NEWEST: Final = 10


class Read(msgspec.Struct):
    """What the load program saw."""

    requests: int
    bytes: int
    hits: int
    failed: int
    ok: int
    seconds: float
    cpu_s: float
    p50_ms: float
    p99_ms: float


class Turn(NamedTuple):
    """A while with or without readers: requests and bytes answered by nginx, its CPU, the node's CPU and requests, seconds."""

    requests: int
    bytes: int
    nginx_s: float
    node_s: float
    node_requests: int
    seconds: float


class Talker:
    """Says something ten times a second, as a service. A context manager."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._talk)

    def _talk(self) -> None:
        while not self._stop.wait(TALK_PAUSE_S):
            self._service.ask("POST", f"/v1/rooms/{ROOM}/comments", {"text": "one more line of an evening's talk"})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()


def file_requests(service: Service) -> int:
    """Requests for files that the node has answered so far."""
    return sum(
        int(float(line.rsplit(" ", 1)[1]))
        for line in service.text("/metrics").splitlines()
        if line.startswith("livecast_http_requests_total{")
        and any(f'route="/v1/rooms/{{room}}/{kind}' in line for kind in ("frames", "bundles", "snapshot"))
    )


def newest(service: Service, bundles: bool) -> list[str]:
    """Where the room's newest files are."""
    head = service.ask("GET", f"/v1/rooms/{ROOM}/frames/head")
    base, last = f"/v1/rooms/{ROOM}", head["seq"]
    if bundles:
        ready = (last + 1) // BUNDLE  # how many are complete
        files = [f"{base}/bundles/{head['epoch']}/{k}.msgpack" for k in range(max(0, ready - 2), ready)]
    else:
        files = [f"{base}/frames/{head['epoch']}/{seq}.msgpack" for seq in range(max(1, last - NEWEST + 1), last + 1)]
    return [*files, f"{base}/frames/head"]


def turn(service: Service, nginx: Nginx, rounds: int, read: str) -> Turn:
    """`rounds` seconds with `read` being "frames", "bundles" or "nothing"."""
    requests = size = 0
    nginx_s, node_s, asked, began = cpu_s(nginx.worker), service.cpu().node, file_requests(service), time.monotonic()
    own = 1  # the look at the head that chooses the files
    for _ in range(rounds):
        if read == "nothing":
            time.sleep(1)
            own = 0
            continue
        with tempfile.NamedTemporaryFile("w", prefix="livecast-bench-") as paths:
            paths.write("\n".join(newest(service, read == "bundles")) + "\n")
            paths.flush()
            command = [str(program("readers")), "127.0.0.1", str(nginx.port), str(CONNECTIONS), "1", paths.name]
            on_the_other = partial(os.sched_setaffinity, 0, {cores()[1]})
            done = subprocess.run(command, capture_output=True, check=True, preexec_fn=on_the_other)
            seen = msgspec.json.decode(done.stdout, type=Read)
        if seen.failed or seen.ok != seen.requests:
            raise SystemExit(f"bench: not every request was answered with a file: {seen}")
        requests, size = requests + seen.requests, size + seen.bytes
    return Turn(
        requests, size, cpu_s(nginx.worker) - nginx_s, service.cpu().node - node_s,
        file_requests(service) - asked - own * rounds, time.monotonic() - began,
    )  # fmt: skip


def _until_two_bundles(service: Service) -> None:
    deadline = time.monotonic() + BUNDLES_WITHIN_S
    while (seq := service.ask("GET", f"/v1/rooms/{ROOM}/frames/head")["seq"]) < 2 * BUNDLE:
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: the room said only {seq} frames in {BUNDLES_WITHIN_S} s")
        time.sleep(0.1)


def measure(quick: bool) -> list[Row]:
    """Frames one by one, and in bundles."""
    if binary() is None:
        return [
            Row(
                "frames as files from nginx's cache",
                "≥ 50,000",
                "not measured",
                "there is no nginx (Debian: apt install nginx-light)",
            )
        ]
    rounds = 2 if quick else 8
    with Service() as service, Nginx([service.base.removeprefix("http://")]) as nginx:
        pin(nginx.worker, cores()[0])
        service.ask("PUT", f"/v1/rooms/{ROOM}", {})
        service.ask("POST", f"/v1/rooms/{ROOM}/start", {})
        with Talker(service):
            _until_two_bundles(service)
            turn(service, nginx, 1, "frames")
            quiet = turn(service, nginx, rounds, "nothing")
            frames = turn(service, nginx, rounds, "frames")
            bundles = turn(service, nginx, rounds, "bundles")
    more = (frames.node_s / frames.seconds - quiet.node_s / quiet.seconds) * 100
    return [
        Row(
            "frames as files from nginx's cache: requests per second of one core",
            "≥ 50,000",
            f"{frames.requests / frames.nginx_s:,.0f}",
            f"{frames.requests / frames.seconds:,.0f}/s by the wall clock; {frames.nginx_s / frames.requests * 1e6:.1f} µs and "
            f"{frames.bytes / frames.requests:.0f} B each, headers included",
        ),
        Row(
            "bundles as files from nginx's cache: frames per second of one core",
            "as measured",
            f"{10 * bundles.requests * 2 / 3 / bundles.nginx_s:,.0f}",
            f"two of three requests are for ten frames, one for the head; {bundles.nginx_s / bundles.requests * 1e6:.1f} "
            f"µs and {bundles.bytes / bundles.requests:.0f} B a request",
        ),
        Row(
            "what reaches the node meanwhile: requests per second, and CPU of a core",
            "flat",
            f"{frames.node_requests / frames.seconds:.1f}/s of {frames.requests / frames.seconds:,.0f}/s; {more:+.1f} %",
            f"{1000 * quiet.node_s / quiet.seconds:.0f} ms of CPU a second without readers, "
            f"{1000 * frames.node_s / frames.seconds:.0f} ms with",
        ),
    ]


if __name__ == "__main__":
    run([("readers", measure)])
