"""What does each thing cost that a node does, apart from the others? The figures behind `livecast simulate`.

Method. One node is given the same kinds of work in different mixtures: few viewers, many, much talk, many rooms. Of each the
CPU time of node and rooms store is read over some seconds, and what was done in them from the node's own metrics. Costs are the
solution of those equations by least squares, none below zero. Then a mixture that was not among them is predicted and measured, on
one process and on two workers.

Includes. The kernel's part of each `write` to a loopback socket; the archive, which comes with comments and frames.

Does not show. Claims, gifts, memory, what a frame costs at another node: `bench claims`, `gifts`, `memory` and `workers` measure
those, and `--write` leaves their figures as they are.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from bench.machine import allow_sockets, facts
from bench.report import Row, run
from bench.service import Service, guests
from bench.viewers import Viewers

COSTS: Final = Path(__file__).parent.parent / "livecast" / "ops" / "costs.json"
COUNTED: Final = ("livecast_deliveries_total", "livecast_frames_total", "livecast_verdicts_total")
STEPS: Final = 200_000


class Mixture(NamedTuple):
    """Viewers in rooms, and comments per second of them all."""

    viewers: int
    rooms: int
    comments: float


MIXTURES: Final = (
    Mixture(100, 1, 0),
    Mixture(500, 1, 20),
    Mixture(3000, 1, 20),
    Mixture(600, 1, 400),
    Mixture(600, 60, 100),
    Mixture(600, 20, 300),
)
UNSEEN: Final = Mixture(2000, 8, 80)


class Did(NamedTuple):
    """Per second: CPU of the serving processes and of the rooms store (s), deliveries, frames, comments."""

    node: float
    store: float
    deliveries: float
    frames: float
    comments: float


def counts(service: Service) -> dict[str, float]:
    """What the node has counted."""
    sums = dict.fromkeys(COUNTED, 0.0)
    for name, value in re.findall(r"^(\w+)(?:\{[^}]*\})? (\S+)$", service.text("/metrics"), re.MULTILINE):
        if name in sums:
            sums[name] += float(value)
    return sums


def do(mixture: Mixture, seconds: float, workers: int = 1) -> Did:
    """Have it done, and look what it took."""
    allow_sockets(mixture.viewers)
    options = ("--workers", str(workers)) if workers > 1 else ()
    with Service(options=options, pinned=workers == 1, stores_aside=workers == 1) as service, Viewers(service.port) as crowd:
        one = mixture.viewers // mixture.rooms
        lists = [guests(one, f"room-{n}", f"r{n}u").splitlines() for n in range(mixture.rooms)]
        crowd.join("".join(f"{line}\n" for row in zip(*lists, strict=True) for line in row))
        senders = min(mixture.viewers, max(1, round(mixture.comments / 0.8)))
        crowd.do("expect 1e9 3")
        if mixture.comments:
            crowd.do(f"comments {mixture.comments} 1.5 {senders} 34")
        before, at, then = counts(service), service.cpu(), time.monotonic()
        if mixture.comments:
            crowd.do(f"comments {mixture.comments} {seconds} {senders} 34")
        else:
            crowd.do(f"expect 1e9 {seconds}")
        used, took, after = service.cpu().since(at), time.monotonic() - then, counts(service)
    deliveries, frames, comments = ((after[name] - before[name]) / took for name in COUNTED)
    return Did(used.node / took, (used.stores - used.ledger) / took, deliveries, frames, comments)


def solved(rows: list[list[float]], wanted: list[float]) -> list[float]:
    """Least squares, none below zero, each equation weighed by its size: one unknown after the other, until nothing moves."""
    scaled = [[value / max(goal, 1e-9) for value in row] for row, goal in zip(rows, wanted, strict=True)]
    found = [0.0] * len(rows[0])
    for step in range(STEPS):
        n = step % len(found)
        column = [row[n] for row in scaled]
        size = sum(value * value for value in column)
        if size:
            missing = [1 - sum(v * x for v, x in zip(row, found, strict=True)) for row in scaled]
            found[n] = max(0.0, found[n] + sum(v * m for v, m in zip(column, missing, strict=True)) / size)
    return found


def measure(quick: bool) -> list[Row]:
    """The costs, and how well they predict."""
    seconds = 2.0 if quick else 8.0
    done = [do(mixture, seconds) for mixture in MIXTURES]
    rest, delivery, frame, comment = solved([[1, d.deliveries, d.frames, d.comments] for d in done], [d.node for d in done])
    store_frame, store_comment = solved([[d.frames, d.comments] for d in done[1:]], [d.store for d in done[1:]])
    costs: dict[str, Any] = msgspec.json.decode(COSTS.read_bytes())
    costs |= {
        "taken": facts().partition(", load")[0],
        "rest_ms": round(rest * 1e3, 1),
        "delivery_us": round(delivery * 1e6, 1),
        "frame_us": round(frame * 1e6),
        "comment_us": round(comment * 1e6),
        "store_frame_us": round(store_frame * 1e6),
        "store_comment_us": round(store_comment * 1e6, 1),
    }
    if "--write" in sys.argv and not quick:
        COSTS.write_text(msgspec.json.format(msgspec.json.encode(costs), indent=2).decode() + "\n")
    said = ", ".join(f"{name} {value}" for name, value in costs.items() if name != "taken")
    rows = [Row("costs of a node's work, by themselves", "as measured", "see note", said)]
    for workers in (1, 2):
        found = do(UNSEEN, seconds, workers)
        hops = found.frames * costs["hop_us"] / 1e6 if workers > 1 else 0.0
        expected = workers * rest + found.deliveries * delivery + found.frames * frame + found.comments * comment + hops
        rows.append(
            Row(
                f"{UNSEEN.viewers:,} viewers in {UNSEEN.rooms} rooms, {UNSEEN.comments:.0f} comments/s, {workers} worker(s): "
                "CPU predicted, measured",
                "± 20 %",
                f"{expected:.2f}, {found.node:.2f} of a core ({found.node / expected - 1:+.0%})",
                f"{found.deliveries:,.0f} deliveries/s, {found.frames:.0f} frames/s; rooms store "
                f"{found.frames * store_frame + found.comments * store_comment:.3f}, {found.store:.3f}",
            )
        )
    return rows


if __name__ == "__main__":
    run([("costs", measure)])
