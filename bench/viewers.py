"""The crowd: drives `bench/c/viewers.c`, one command after another, on the second core."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import msgpack
import msgspec

from bench.machine import allow_sockets, cores, program

RECORD: Final = struct.Struct("=QI")


class Counted(msgspec.Struct):
    """What one command saw. `p50_ms`… are of joins after `join`, of comments after `comments`, `answer_p50_ms`… of claims and
    gifts; -1: no sample. `paid` claims and gifts were asked for, `kinds` says how often each verdict and error code came.
    """

    open: int
    joined: int
    refused: int
    closed: int
    frames: int
    frames_least: int
    frames_most: int
    frame_bytes: int
    acks: int
    errors: int
    welcomes: int
    comments: int
    likes: int
    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    paid: int
    answers: int
    answer_p50_ms: float
    answer_p99_ms: float
    answer_max_ms: float
    seconds: float
    cpu_s: float
    kinds: dict[str, int]


class Kept(NamedTuple):
    """A message the first viewer got: when (monotonic seconds), its record as `pace` plays it, what it said."""

    at: float
    record: bytes
    message: dict[str, Any]


class Viewers:
    """A load process. A context manager; `join` as often as needed, then ask for what is to be measured."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._directory = tempfile.TemporaryDirectory(prefix="livecast-bench-")
        self.tape = Path(self._directory.name) / "tape"

    def __enter__(self) -> Self:
        allow_sockets(12_000)
        core = cores()[1]
        self._process = subprocess.Popen(
            [str(program("viewers")), "127.0.0.1", str(self._port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - no threads here
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        self._directory.cleanup()

    def begin(self, command: str) -> None:
        """Give a command; `end` waits for its answer. In between the crowd is at work."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def end(self) -> Counted:
        """The answer of the command given last."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: the load program ended ({self._process.wait()})")
        return msgspec.json.decode(line, type=Counted)

    def do(self, command: str) -> Counted:
        """A command and its answer."""
        self.begin(command)
        return self.end()

    def join(self, guests: str, *, inflight: int = 64, deflate: bool = False) -> Counted:
        """All guests come in, at most `inflight` handshakes at a time. Raises if one of them is refused.

        64 stays below the usual listen backlog of 100: beyond it the kernel drops SYNs and repeats them a second later.
        """
        path = Path(self._directory.name) / "guests"
        path.write_text(guests)
        counted = self.do(f"join {path} {inflight} {int(deflate)}")
        wanted = guests.count("\n")
        if counted.joined != wanted:
            raise SystemExit(f"bench: {counted.joined} of {wanted} viewers joined, {counted.refused} were refused")
        return counted

    def record(self) -> None:
        """Keep what the first viewer gets from now on."""
        self.do(f"tap {self.tape}")

    def frames(self) -> list[Kept]:
        """The frames of the record, decoded by libraries that share nothing with the service (msgpack, zlib)."""
        return [each for each in self._kept() if each.message["t"] == "frame"]

    def _kept(self) -> Iterator[Kept]:
        data, at = self.tape.read_bytes(), 0
        while at < len(data):
            ns, size = RECORD.unpack_from(data, at)
            end = at + RECORD.size + size
            yield Kept(ns / 1e9, data[at:end], _message(data[at + RECORD.size : end]))
            at = end


def _message(frame: bytes) -> dict[str, Any]:
    head = {126: 4, 127: 10}.get(frame[1], 2)
    body = frame[head:]
    if frame[0] & 0x40:
        body = zlib.decompressobj(-zlib.MAX_WBITS).decompress(body + b"\x00\x00\xff\xff")
    message: dict[str, Any] = msgpack.unpackb(body)
    return message
