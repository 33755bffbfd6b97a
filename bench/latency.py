"""How long does a comment take from one viewer's hand to the others' screens?

Method. 5,000 viewers watch a room, 40 comments a second come from 60 of them. Each comment carries the time at which it was
written to its socket; every 50th viewer (so also the last ones to be written to) reads it out of the frame. Arrival is the time
stamp that the kernel gave the packet, so a load program that is busy does not add to the figure. A comment waits for the tick
(200 ms, so 100 ms in the mean); what matters is what comes on top of it in the worst case: p99 minus the tick.

The load program does not sleep between frames: no viewer's phone is woken by the service's processor, but on loopback the writer's
`write(2)` wakes the reader, which is a third of it. The note says what it was, in the same run, with a load program that sleeps.

Includes. Reading, judging, the commit in Valkey on disk's way, publishing, encoding, and 5,000 writes one after the other.

Does not show. A network: add the way there and back.
"""

from __future__ import annotations

from bench.report import Row, run
from bench.service import Service, guests
from bench.viewers import Counted, Viewers

TICK_MS = 200
WATCH_EVERY = 50


def measure(quick: bool) -> list[Row]:
    """Milliseconds from writing a comment to the frame at a viewer."""
    viewers, seconds = (500, 4) if quick else (5000, 20)
    with Service() as service, Viewers(service.port) as crowd:
        crowd.join(guests(viewers, "latency"))
        crowd.do(f"watch {WATCH_EVERY}")
        crowd.do("comments 40 2 60 34")
        asleep = _seen(crowd, viewers, seconds)
        crowd.do("awake 1")
        before = service.cpu()
        seen = _seen(crowd, viewers, seconds)
        used = service.cpu().since(before)
    return [
        Row(
            f"comment to frame at a viewer, {viewers:,} viewers, 40 comments/s: p99 over the tick ({TICK_MS} ms)",
            "≤ 50 ms",
            f"{seen.p99_ms - TICK_MS:.0f} ms",
            f"p50 {seen.p50_ms:.0f}, p99 {seen.p99_ms:.0f}, worst {seen.max_ms:.0f} ms of {seen.samples:,} samples; "
            f"node at {used.node / used.at:.0%} of its core; where each write must wake the reader: "
            f"p50 {asleep.p50_ms:.0f}, p99 {asleep.p99_ms:.0f}, worst {asleep.max_ms:.0f} ms",
        )
    ]


def _seen(crowd: Viewers, viewers: int, seconds: int) -> Counted:
    seen = crowd.do(f"comments 40 {seconds} 60 34")
    if seen.samples < 0.95 * seen.comments * viewers / WATCH_EVERY:
        raise SystemExit(f"bench: comments are missing at the viewers: {seen}")
    return seen


if __name__ == "__main__":
    run([("latency", measure)])
