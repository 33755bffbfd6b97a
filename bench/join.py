"""How many viewers can come in per second?

Method. 5,000 viewers, each with an HS256 token of its own, open a WebSocket to one live room, 64 handshakes at a time; a join
is done when the `welcome` has arrived. Then all are dropped and the next 5,000 come; the first round warms up and does not
count. The service runs on one core, the load on the other.

Includes. TCP accept, upgrade, HMAC check and reading of the claims, the room's `welcome` (encoded for each), presence, the
frames that tell how many are watching, and forgetting the viewers of the round before.

Does not show. TLS, tokens signed with RS256 or ES256 (ten times the work), an empty node that must first load the room.
`--dev` switches off limits per address and user; the bound on handshakes per second stays as it is by default (20,000).
"""

from __future__ import annotations

import time

from bench.report import Row, run
from bench.service import Service, guests
from bench.viewers import Viewers


def measure(quick: bool) -> list[Row]:
    """Joins per second, by the wall and per second of the node's CPU."""
    count, rounds = (500, 1) if quick else (5000, 4)
    found = []
    with Service() as service, Viewers(service.port) as crowd:
        for each in range(rounds + 1):
            everybody = guests(count, "join", f"r{each}-")
            before = service.cpu()
            seen = crowd.join(everybody)
            used = service.cpu().since(before)
            if each:
                found.append((count / used.node, count / seen.seconds, seen.p50_ms, seen.cpu_s / seen.seconds))
            crowd.do("close")
            time.sleep(0.5)  # the node notices that they are gone
    per_core, wall, middle, load = sorted(found)[len(found) // 2]
    return [
        Row(
            "join: own JWT checked, `welcome` sent, per second of one core",
            "≥ 8,000, stretch 15,000",
            f"{per_core:,.0f}",
            f"{wall:,.0f}/s by the wall clock; a join takes {middle:.1f} ms with 64 under way; load at {load:.0%} of its core",
        )
    ]


if __name__ == "__main__":
    run([("join", measure)])
