"""What do thousands of rooms cost of which few are lively?

Method. 5,000 rooms with two viewers each on two workers, 10,000 sockets in all. In 1, 2, 4 and 8 of a hundred rooms one of the two
says something every second, which is a frame to both. What the workers, their supervisor and the stores used of a core meanwhile is
read from the processes' CPU time and laid against the number of lively rooms: a straight line is fitted, and the row says how far
the measured points are from it.

Includes. Pings, presence, signs of life, the archive: whatever runs for rooms in which nothing happens is the line's beginning.

Does not show. How the memory is used (`memory.py`, `idle_rooms.py`); many viewers in a room (`fanout.py`).
"""

from __future__ import annotations

import statistics
from typing import NamedTuple

from bench.report import Row, run
from bench.service import Service, token
from bench.viewers import Viewers

SHARES = (0.0, 0.01, 0.02, 0.04, 0.08)
TEXT_BYTES = 34


def crowd_of(rooms: int) -> str:
    """Two viewers each; the first of every room come before the second ones, so that the first n talk in n rooms."""
    return "".join(f"r{room} {token(f'{seat}{room}')}\n" for seat in "ab" for room in range(rooms))


class Point(NamedTuple):
    """How many rooms were lively, and the share of a core that workers and stores used meanwhile."""

    lively: int
    node: float
    stores: float


def points(rooms: int, seconds: float) -> list[Point]:
    """CPU by lively rooms."""
    found: list[Point] = []
    with Service(options=("--workers", "2"), pinned=False) as service, Viewers(service.port) as crowd:
        crowd.join(crowd_of(rooms))
        crowd.do("expect 1e9 5")
        for share in SHARES:
            lively, before = round(rooms * share), service.cpu()
            if lively:
                seen = crowd.do(f"comments {lively} {seconds} {lively} {TEXT_BYTES}")
                if seen.closed or seen.errors:
                    raise SystemExit(f"bench: viewers did not all see it: {seen}")
            else:
                crowd.do(f"expect 1e9 {seconds}")
            used = service.cpu().since(before)
            found.append(Point(lively, used.node / used.at, used.stores / used.at))
    return found


def measure(quick: bool) -> list[Row]:
    """With 1 % lively, and the line through all points."""
    rooms, seconds = (200, 2.0) if quick else (5000, 8.0)
    found = points(rooms, seconds)
    slope, start = statistics.linear_regression([each.lively for each in found], [each.node for each in found])
    off = max(abs(each.node - (start + slope * each.lively)) for each in found)
    lively, node, stores = found[1]
    return [
        Row(
            f"{rooms:,} rooms with two viewers each on two workers, {lively} of them lively: share of a core",
            "≤ 20 %",
            f"{node:.1%}",
            f"stores beside it {stores:.1%}; with none lively {found[0].node:.1%} and {found[0].stores:.1%}",
        ),
        Row(
            "CPU is linear in lively rooms: farthest point from the line",
            "linear",
            f"{off:.1%} of a core",
            f"of {max(each.node for each in found):.1%}; {slope * 1e6:.0f} µs for each comment to two viewers; "
            + ", ".join(f"{each.lively}: {each.node:.1%}" for each in found),
        ),
    ]


if __name__ == "__main__":
    run([("rooms", measure)])
