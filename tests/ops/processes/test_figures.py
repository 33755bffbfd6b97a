"""Metrics of several processes as one page."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from livecast.facts import FannedOut, LoopLag, Trouble, WebhooksCounted
from livecast.ops.observers import PrometheusObserver
from livecast.ops.processes.figures import LARGEST, Family, kept, merged, page, read

SUMMED = {
    "livecast_connections",
    "livecast_rooms",
    "livecast_views",
    "livecast_view_bytes",
    "livecast_shards",
    "livecast_gifts_pending",
}
"""Gauges of which each process has a share of its own."""


def process(deliveries: int, dead_letters: int = 0) -> list[Family]:
    """What a process says that has handed out so many frames."""
    observer = PrometheusObserver()
    observer.observe(FannedOut("r", deliveries, 10 * deliveries, 0, 3.0))
    observer.observe(LoopLag(2.0))
    observer.observe(Trouble("something", "somewhere", ""))
    observer.observe(WebhooksCounted(endpoints=2, disabled=0, pending=0, dead=dead_letters, in_flight=0, oldest_ms=0))
    observer.publish()
    return read(observer.registry)


def values(families: list[Family]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a page, as a scraper reads it; each is there once."""
    found = [
        ((sample.name, tuple(sorted(sample.labels.items()))), sample.value)
        for family in text_string_to_metric_families(page(families).decode())
        for sample in family.samples
    ]
    assert len(dict(found)) == len(found)
    return dict(found)


def test_counts_are_summed_and_what_is_shared_is_not() -> None:
    """Counters and histograms add up; the webhooks of the one store are not counted twice; memory has its worker's number."""
    found = values(merged([("0", process(5, dead_letters=3)), ("1", process(7, dead_letters=4))]))
    assert found["livecast_deliveries_total", ()] == 12
    assert found["livecast_loop_lag_seconds_count", ()] == 2
    assert found["livecast_loop_lag_seconds_bucket", (("le", "+Inf"),)] == 2
    assert found["livecast_troubles_total", (("level", "warning"),)] == 2
    assert found["livecast_webhooks", (("what", "dead"),)] == 4
    assert {labels for name, labels in found if name == "process_resident_memory_bytes"} == {(("worker", "0"),), (("worker", "1"),)}


def test_what_a_dead_process_counted_stays_and_what_it_held_does_not() -> None:
    """However many have died: no counter falls, and nobody's connections are shown who is not there."""
    gone = kept(kept([], process(5)), process(6))
    found = values(merged([("0", process(7))], gone))
    assert found["livecast_deliveries_total", ()] == 18
    assert found["livecast_loop_lag_seconds_count", ()] == 3
    assert found["livecast_webhooks", (("what", "endpoints"),)] == 2
    assert sum(name == "process_open_fds" for name, _ in found) == 1
    assert {family.kind for family in gone} <= {"counter", "histogram"}


def test_for_every_gauge_it_is_decided_what_several_processes_say_together() -> None:
    """A new one has to be put into `SUMMED` here, or into `LARGEST`."""
    gauges = {family.name for family in process(0) if family.kind == "gauge" and not family.name.startswith("process_")}
    assert gauges - LARGEST == SUMMED
