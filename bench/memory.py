"""What does a viewer weigh who only watches?

Method. 1,000 viewers join and stay, so that the room is loaded, every code path was taken, and what the allocator had to spare is
used up; then 5,000 more, each with a token of its own, MessagePack. The difference in resident memory of the node, five seconds
later, divided by 5,000.

Includes. Whatever Python, uvloop, OpenSSL and the allocator keep per connection: protocol, transport, parser, identity, presence.

Does not show. The kernel's part (about 2 KB per idle socket, more while bytes are under way), and viewers who lag, who hold up
to their bound.
"""

from __future__ import annotations

from bench.report import Row, run
from bench.service import Service, guests
from bench.viewers import Viewers


def measure(quick: bool) -> list[Row]:
    """KB per viewer."""
    before_n, count = (200, 500) if quick else (1000, 5000)
    with Service() as service, Viewers(service.port) as crowd:
        crowd.join(guests(before_n, "memory", "first"))
        crowd.do("expect 1e9 3")
        before, _ = service.rss_kb()
        crowd.join(guests(count, "memory"))
        crowd.do("expect 1e9 5")
        after, stores = service.rss_kb()
    return [
        Row(
            f"memory per idle viewer, MessagePack, own token each, over {count:,}",
            "≤ 5 KB",
            f"{(after - before) / count:.2f} KB",
            f"node {before / 1024:.0f} → {after / 1024:.0f} MB resident; its Valkeys {stores / 1024:.0f} MB",
        )
    ]


if __name__ == "__main__":
    run([("memory", measure)])
