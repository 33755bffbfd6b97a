"""What does it cost to hand a frame to a viewer, compared with the least a server could do?

Method. 1,000 and 5,000 viewers, each with a token of its own, watch one room; 60 of them say 40 short comments a second between
them, which makes 5 frames of about 700 bytes per second. The CPU time that the service used is divided by the frames that *arrived*
(each viewer counts). What one viewer received is recorded and then played back, at the recorded times, by a C program that does
nothing but `send()` it to as many sockets, whose other ends are the same viewers' program. Both take turns, five times; the
figure is the median of the five ratios. The service runs on one core, the viewers on the other. Once plain, once with
permessage-deflate (compressed once per frame; the C loop sends the compressed bytes). With 1,000 viewers also with 5 long comments
a second: the same bytes with less work for the room, so that the difference is what the comments cost and not the fan-out.

Includes. Everything the node does meanwhile: reading comments, judging and acknowledging them, committing, pings, timers. Its
Valkeys run on the same core and are given beside it. Also what the kernel does for a `write` to a loopback socket, up to the
reader's queue, on both sides of the ratio.

Does not show. On loopback a `write` also pays for waking the reader if it sleeps, and the slower of two writers meets a sleeping
reader more often; a network would not charge that to the writer. Nor a network card (offloads favour larger writes), TLS, viewers
that do not read, or a machine with more cores. The fewer viewers, the more the room itself weighs: with 5,000 deliveries a second
each millisecond of other work per second adds 0.2 µs to every one of them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from bench.machine import allow_sockets, cores, cpu_s, program
from bench.report import Row, run
from bench.service import Cpu, Service, guests
from bench.viewers import Counted, Viewers

SENDERS = 60
"""With 40 comments a second each says something every 1.5 s, so nobody meets a limit."""


class Talk(NamedTuple):
    """What makes the frames: both kinds come to about 700 bytes, five times a second."""

    per_s: int
    text_bytes: int
    words: str


CHATTER = Talk(40, 34, "40 short comments/s")
SPEECH = Talk(5, 520, "5 long comments/s")


class Pace:
    """The C program that only sends. A context manager."""

    def __enter__(self) -> Self:
        core = cores()[0]
        self._process = subprocess.Popen(
            [str(program("pace"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - no threads here
        )
        self.port = int(self._answer()["port"])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def begin(self, command: str) -> None:
        """Give a command; `end` waits for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def end(self) -> dict[str, Any]:
        """What the command given last came to."""
        return self._answer()

    def cpu_s(self) -> float:
        """CPU used so far, by the same clock as the service's."""
        return cpu_s(self._process.pid)


class Turn(NamedTuple):
    """One turn of both: microseconds of CPU per frame that arrived."""

    node: float
    stores: float
    loop: float
    frames: int
    bytes_each: float

    @property
    def ratio(self) -> float:
        """Node against C loop."""
        return self.node / self.loop


def turn(service: Service, crowd: Viewers, pace: Pace, echo: Viewers, talk: Talk, seconds: float) -> Turn:  # noqa: PLR0917 - the stage
    """Let the service speak for a while, then play the same to the other crowd."""
    crowd.record()
    before = service.cpu()
    seen = crowd.do(f"comments {talk.per_s} {seconds} {SENDERS} {talk.text_bytes}")
    used = service.cpu().since(before)
    _check(seen, used, "the service")
    frames = crowd.frames()
    tape = Path(f"{crowd.tape}.frames")
    tape.write_bytes(b"".join(each.record for each in frames))
    start = pace.cpu_s()
    pace.begin(f"play {tape}")
    echoed = echo.do(f"expect {seen.frames} {3 * seconds + 10}")
    played = pace.end()
    loop = pace.cpu_s() - start
    if played["failed"] or not echoed.frames == played["sent"] == seen.frames == len(frames) * seen.open:
        raise SystemExit(
            f"bench: the first viewer got {len(frames)} frames, all {seen.frames}; of {played} {echoed.frames} arrived"
        )
    return Turn(used.node / seen.frames * 1e6, used.stores / seen.frames * 1e6, loop / echoed.frames * 1e6, seen.frames,
                seen.frame_bytes / seen.frames)  # fmt: skip


def _check(seen: Counted, used: Cpu, who: str) -> None:
    if seen.frames_least != seen.frames_most or seen.closed or seen.welcomes:
        raise SystemExit(f"bench: viewers of {who} did not all see the same: {seen}")
    if seen.errors or seen.acks != seen.comments:
        raise SystemExit(f"bench: of {seen.comments} comments {seen.acks} were accepted: {seen.kinds}")
    assert used.at > 0


def compare(viewers: int, talk: Talk = CHATTER, *, deflate: bool, turns: int, seconds: float) -> tuple[list[Turn], float]:
    """Alternate; returns the turns and frames per second."""
    allow_sockets(2 * viewers)
    with Service() as service, Viewers(service.port) as crowd, Pace() as pace, Viewers(pace.port) as echo:
        crowd.join(guests(viewers, "fanout"), deflate=deflate)
        pace.begin(f"accept {viewers}")
        echo.join("fanout -\n" * viewers, deflate=deflate)
        pace.end()
        crowd.do("expect 1e9 3")  # the frames that tell how many came
        turn(service, crowd, pace, echo, talk, 1.0)  # caches, allocators and code paths of both
        all_turns = [turn(service, crowd, pace, echo, talk, seconds) for _ in range(turns)]
    return all_turns, statistics.median(each.frames for each in all_turns) / viewers / (seconds + 0.2)


def measure(quick: bool) -> list[Row]:
    """Rows for each size of crowd, plain and compressed."""
    small, seconds = (200, 2.0) if quick else (1000, 2.4)
    runs = [(small, CHATTER, False), (small, SPEECH, False), (small, CHATTER, True)]
    if not quick:
        runs += [(5000, CHATTER, False), (5000, CHATTER, True)]
    return [
        _row(viewers, talk, compare(viewers, talk, deflate=deflate, turns=2 if quick else 5, seconds=seconds), deflate)
        for viewers, talk, deflate in runs
    ]


def _row(viewers: int, talk: Talk, found: tuple[list[Turn], float], deflate: bool) -> Row:
    turns, rate = found
    ratios = sorted(each.ratio for each in turns)
    node, loop, stores = (
        statistics.median(column) for column in ([t.node for t in turns], [t.loop for t in turns], [t.stores for t in turns])
    )
    return Row(
        f"fan-out to {viewers:,} viewers, {'permessage-deflate' if deflate else 'plain'}: CPU per delivered frame ÷ C loop",
        f"≤ {1.3 if deflate else 1.25}",
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})",
        f"{talk.words}; node {node:.2f} µs, C loop {loop:.2f} µs; with Valkey {(node + stores) / loop:.2f}; "
        f"{rate:.1f} frames/s of {turns[0].bytes_each:.0f} B",
    )


if __name__ == "__main__":
    run([("fanout", measure)])
