"""The metrics of several processes as one page: read in each, put together by their supervisor.

Counters and histograms are summed, and those of processes that are gone stay in the sum: else it would fall with each, which
Prometheus takes for a restart and counts everything anew. Gauges are summed over the living, or the largest is taken where each
process says the same of something shared. What is a process's own (memory, CPU, descriptors) has it as a label, `worker`, of
which there are as many values as workers.

prometheus_client has a mode for several processes, in which every count is written to a mapped file for each process and kind. It
is not used here: it has no `process_*` metrics, is chosen for a whole interpreter by an environment variable before anything is
imported, and leaves files for each dead process to be looked after.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from msgspec import Struct
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

#: Gauges of which each process tells the same, or the worst of its own: the largest counts.
LARGEST: Final = frozenset(
    {
        "livecast_build_info",
        "livecast_gifts_pending_seconds",
        "livecast_archive_behind_seconds",
        "livecast_webhooks",
        "livecast_store_down",
        "livecast_store_clock_ahead_seconds",
        "livecast_store_memory_bytes",
        "livecast_store_memory_max_bytes",
        "livecast_shards_ownerless",
        "livecast_nodes",
        "livecast_nodes_by_version",
        "livecast_money_closed",
        "livecast_webhook_oldest_seconds",
        "python_info",
    }
)
#: What belongs to one process.
OWN: Final = "process_"
#: Kinds that only grow.
GROWING: Final = frozenset({"counter", "histogram"})

Labels: TypeAlias = tuple[tuple[str, str], ...]
Key: TypeAlias = tuple[str, Labels]


class Family(Struct, frozen=True, array_like=True):
    """One metric with all its samples: (name, labels, value) each."""

    name: str
    kind: str
    says: str
    samples: tuple[tuple[str, Labels, float], ...]


def read(registry: CollectorRegistry) -> list[Family]:
    """What this process has counted."""
    return [
        Family(
            metric.name,
            metric.type,
            metric.documentation,
            tuple((each.name, tuple(sorted(each.labels.items())), float(each.value)) for each in metric.samples),
        )
        for metric in registry.collect()
    ]


def kept(families: Iterable[Family], more: Iterable[Family] = ()) -> list[Family]:
    """What stays of processes that are gone: what they counted, in one."""
    return merged([("", [each for part in (families, more) for each in part if each.kind in GROWING])])


def merged(of: Iterable[tuple[str, Iterable[Family]]], gone: Iterable[Family] = ()) -> list[Family]:
    """Everything as one. `of`: workers and their metrics, "" for one whose number another has by now; `gone`: what `kept` says
    of those that are no more.
    """
    shapes: dict[str, Family] = {}
    values: dict[str, dict[Key, float]] = {}
    for worker, families in [*of, ("", gone)]:
        for family in families:
            own = family.name.startswith(OWN)
            if own and not worker:
                continue
            shapes.setdefault(family.name, family)
            sums = values.setdefault(family.name, {})
            for name, labels, value in family.samples:
                key = (name, (*labels, ("worker", worker)) if own else labels)
                sums[key] = max(sums.get(key, value), value) if family.name in LARGEST else sums.get(key, 0.0) + value
    return [
        Family(name, shape.kind, shape.says, tuple((*key, value) for key, value in values[name].items()))
        for name, shape in shapes.items()
    ]


class _Page(Collector):
    """Families as `generate_latest` wants them."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.says, family.kind)
            metric.samples = [Sample(name, dict(labels), value, None, None, None) for name, labels, value in family.samples]
            yield metric


def page(families: Iterable[Family]) -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(families))
    return generate_latest(registry)
