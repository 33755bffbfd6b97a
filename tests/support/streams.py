"""The independent checker of what viewers were shown: frames without gaps, of their own room, the same for all, of one owner.

What it is given are the reports of `chaos/watcher.py`, whose viewers held each message against the one before it; what it adds is
what only shows when all of them are laid side by side. It gives back violations, one sentence each, that begin with the name of the
promise that was broken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

LATE_S, LATE_FRAMES = 1.0, 3
"""A node that stood still may still hand out a frame or two that were kept before."""


class Shown(NamedTuple):
    """How a fault looked on people's screens. Seconds from the mark, or of silence."""

    viewers: int
    lost: int
    """Those who lost their connection."""
    back: tuple[float, ...]
    """When each of them was back, from when it was lost."""
    recovered: int
    """Those who went on without a gap."""
    silence: tuple[float, ...]
    """The longest time without a frame, of each viewer."""
    latency: tuple[float, ...]
    """From hand to screen, of comments after the mark."""

    def __str__(self) -> str:
        back, silence, latency = (_told(values) for values in (self.back, self.silence, self.latency))
        return (
            f"{self.viewers} viewers, {self.lost} lost their connection: back after {back}, {self.recovered} without a gap; "
            f"silent for {silence}; hand to screen {latency}"
        )


def _told(values: Sequence[float]) -> str:
    p50, p99, longest = (percentile(values, percent) for percent in (50, 99, 100))
    return f"{p50:.2f} s (p50), {p99:.2f} s (p99), {longest:.2f} s (longest)"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many per cent do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, ceil(percent / 100 * len(ordered)) - 1)] if ordered else 0.0


def shown(reports: Sequence[dict[str, Any]]) -> Shown:
    """All reports as one."""
    viewers = [viewer for report in reports for viewer in report["viewers"]]
    lost = [viewer for viewer in viewers if viewer["lost"]]
    return Shown(
        len(viewers),
        len(lost),
        tuple(back - gone for viewer in lost for gone, back in zip(viewer["lost"], viewer["back"], strict=False)),
        sum(viewer["recovered"] for viewer in lost),
        tuple(viewer["silence_s"] for viewer in viewers),
        tuple(took for report in reports for _, took, _ in report["latencies"]),
    )


def check_streams(reports: Sequence[dict[str, Any]]) -> list[str]:
    """Every violation."""
    if not all(report["frames"] for report in reports) or not any(report["acks"] for report in reports):
        return ["nothing shown: nobody was told anything, so the run proves nothing"]
    violations = [each for report in reports for each in report["violations"]]
    looks: dict[tuple[str, str], int] = {}
    seen: defaultdict[str, defaultdict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    room_of: dict[str, str] = {}
    for report in reports:
        for room, versions in report["versions"].items():
            for place, (look, at) in versions.items():
                if looks.setdefault((room, place), look) != look:
                    violations.append(f"two versions: {place} of {room} is not the same for all")
                epoch = place.partition(":")[0]
                seen[room][epoch][place] = min(at, seen[room][epoch].get(place, at))
                if room_of.setdefault(epoch, room) != room:
                    violations.append(f"cross-room: epoch {epoch} is told in {room} and in {room_of[epoch]}")
        violations += [
            f"not back: a viewer of {viewer['room']} lost the connection and has none"
            for viewer in report["viewers"]
            if len(viewer["back"]) < len(viewer["lost"])
        ]
    return [*violations, *(each for room, epochs in seen.items() for each in _two_owners(room, epochs))]


def _two_owners(room: str, epochs: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """An owner speaks in an epoch of its own: once the next one has begun, the one before is over, on whichever node."""
    begun = sorted((min(places.values()), epoch) for epoch, places in epochs.items())
    for (_, former), (at, epoch) in pairwise(begun):
        late = [place for place, seen_s in epochs[former].items() if seen_s > at + LATE_S]
        if len(late) >= LATE_FRAMES:
            yield f"fencing: {room} went on in epoch {former} ({len(late)} frames) after {epoch} had begun"
