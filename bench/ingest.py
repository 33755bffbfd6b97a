"""How many comments and likes can one core take in, from the bytes on a socket to the room's verdict?

Method. 500 viewers, each with a token of its own, send as fast as they are answered: (a) likes without `cid` (one in 32 carries
one, so that its answer sets the pace), (b) comments, each acknowledged, (c) nine likes to one comment. Every message is a write of
its own and the senders take turns; a server that lags finds several per socket, as in life. A viewer who only watches reads from
the frames what the room decided: `likes.delta` and `tally.in` over the middle seconds. Service on one core, load on the other.

Includes. Reading, unmasking, decoding, identity and limits per connection, all checks of the room (repeated `cid`, size, bans,
mode, GCRA, repeated text, word filter, merging, lanes), the verdict, its commit, the ack written to the socket, and the frames
(five a second to 500 viewers).

Does not show. Refusals, which are cheaper. The limits that would refuse this are raised through the configuration
(`messages_per_s`, `gcra_*`, `like_*`, `inbox_max`); the rest is as it comes: of thousands of comments a second the room shows its
budget of 40 and tells the others `sampled`, which is what it would do in life. With `inbox_max` as it comes a burst from 500
sockets within one turn of the loop would be refused in part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from bench.report import Row, run
from bench.service import Service, guests
from bench.viewers import Kept, Viewers

RELAXED: Final = {
    "LIVECAST_SERVER__MESSAGES_PER_S": "1000000",
    "LIVECAST_SERVER__MESSAGES_BURST": "1000000",
    "LIVECAST_ROOM__GCRA_BURST": "1000000",
    "LIVECAST_ROOM__GCRA_INTERVAL_MS": "1",
    "LIVECAST_ROOM__LIKE_MAX_PER_S": "1000",
    "LIVECAST_ROOM__LIKE_BURST": "1000000",
    "LIVECAST_ROOM__INBOX_MAX": "200000",
}
#: kind -> (words, what is asked, unanswered messages with a cid per viewer: half a second of work at the speed asked for).
KINDS: Final = {
    "like": ("likes without `cid`", 80_000, 2),
    "comment": ("comments, each acknowledged", 25_000, 20),
    "mix": ("nine likes to one comment", 60_000, 6),
}


class Rate(NamedTuple):
    """Verdicts per second, by the wall and per second of the node's CPU."""

    wall: float
    per_core: float
    node_busy: float
    stores_busy: float
    load_busy: float


def decided(frames: list[Kept], start: float, end: float) -> tuple[int, float]:
    """What the room decided between two moments, as its frames tell it, and how long that was from frame to frame."""
    within = [each for each in frames if start <= each.at <= end]
    if len(within) < 3:
        raise SystemExit(f"bench: {len(within)} frames between the marks")
    count = 0
    for each in within[1:]:
        count += (each.message.get("likes") or {}).get("delta", 0) + (each.message.get("tally") or {}).get("in", 0)
    return count, within[-1].at - within[0].at


def flood(  # noqa: PLR0917 - what a measurement turns
    kind: str, senders: int, seconds: float, window: int, batch: int, prepare: Callable[[Service], None] | None = None
) -> Rate:
    """Saturate a fresh node with one kind of message, after `prepare` had its way with the node."""
    with Service(RELAXED) as service, Viewers(service.port) as crowd:
        if prepare is not None:
            prepare(service)
        crowd.join(guests(senders + 1, "ingest"))
        crowd.do(f"flood {kind} 1 {window} {batch}")
        crowd.record()
        crowd.begin(f"flood {kind} {seconds + 1.5} {window} {batch}")
        time.sleep(1)
        before = service.cpu()
        time.sleep(seconds)
        after = service.cpu()
        seen = crowd.end()
        used = after.since(before)
        count, took = decided(crowd.frames(), before.at, after.at)
        total, _ = decided(crowd.frames(), 0, float("inf"))
    if seen.errors or seen.closed:
        raise SystemExit(f"bench: refused or closed under load: {seen}")
    wall = count / took
    share = used.node / used.at
    if abs(total / (seen.likes + seen.comments) - 1) > 0.05:  # the first frame's part is not counted
        print(f"bench: {kind}: {seen.likes + seen.comments:,} sent, {total:,} counted by the room")
    return Rate(wall, wall / share, share, used.stores / used.at, seen.cpu_s / (seen.seconds + 1.5))


def measure(quick: bool) -> list[Row]:
    """A row per kind."""
    rows = []
    for kind, (words, asked, window) in KINDS.items():
        found = flood(kind, 100 if quick else 500, 1.5 if quick else 5.0, window, 1)
        batched = found if quick else flood(kind, 500, 5.0, window, 16)
        rows.append(
            Row(
                f"ingest: {words}, per second of one core",
                f"≥ {asked:,}",
                f"{found.per_core:,.0f}",
                f"{found.wall:,.0f}/s by the wall clock, node at {found.node_busy:.0%} and Valkey at "
                f"{found.stores_busy:.0%} of the core, load at {found.load_busy:.0%} of the other; "
                f"16 messages per write: {batched.per_core:,.0f}",
            )
        )
    return rows


if __name__ == "__main__":
    run([("ingest", measure)])
