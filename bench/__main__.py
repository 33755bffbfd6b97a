"""All measurements, one after the other: `python -m bench [--quick] [--write] [NAME…]`."""

from __future__ import annotations

from bench import archive, claims, costs, fanout, gifts, idle_rooms, ingest, join, latency, memory, readers, rooms, words, workers
from bench.report import run

if __name__ == "__main__":
    run(
        [
            ("fanout", fanout.measure),
            ("ingest", ingest.measure),
            ("join", join.measure),
            ("memory", memory.measure),
            ("latency", latency.measure),
            ("idle_rooms", idle_rooms.measure),
            ("claims", claims.measure),
            ("gifts", gifts.measure),
            ("archive", archive.measure),
            ("readers", readers.measure),
            ("costs", costs.measure),
            ("words", words.measure),
            ("workers", workers.measure),
            ("rooms", rooms.measure),
        ]
    )
