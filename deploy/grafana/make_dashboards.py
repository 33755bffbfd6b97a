"""The four dashboards, written here as tables of panels and kept as JSON beside it: `python deploy/grafana/make_dashboards.py`.

A test holds the JSON against this table, and every metric and label of it against what a node shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "dashboards"
NODE: Final = '{job="livecast",instance=~"$instance"}'
PER_ROW: Final = 3


class Panel(NamedTuple):
    """One graph: (query, legend) each. `unit` is Grafana's word for it."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    says: str = ""


def rate(metric: str, by: str = "", **labels: str) -> str:
    """Per second, summed over nodes, or apart by a label."""
    more = "".join(f',{name}=~"{value}"' for name, value in labels.items())
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}{NODE[:-1]}{more}}}[$__rate_interval]))"


def total(metric: str, by: str = "", how: str = "sum", **labels: str) -> str:
    """As it is now, summed (or the largest) over nodes, or apart by a label."""
    more = "".join(f',{name}=~"{value}"' for name, value in labels.items())
    return f"{how}{f' by ({by}) ' if by else ''}({metric}{NODE[:-1]}{more}}})"


def times(histogram: str) -> tuple[tuple[str, str], ...]:
    """Half of them, and all but one in a hundred, take no longer than this."""
    buckets = f"sum by (le) (rate({histogram}_bucket{NODE}[$__rate_interval]))"
    return tuple((f"histogram_quantile({share}, {buckets})", name) for share, name in ((0.5, "p50"), (0.99, "p99")))


CHAT: Final = rate("livecast_verdicts_total", verdict="shown|merged|sampled")
SKIPPED: Final = rate("livecast_skipped_frames_total")

SHOW: Final = (
    Panel("Viewers", "short", ((total("livecast_connections", "kind"), "{{kind}}"),)),
    Panel(
        "Coming and going",
        "ops",
        ((rate("livecast_connections_opened_total"), "came"), (rate("livecast_connections_closed_total", "code"), "went {{code}}")),
    ),
    Panel("Rooms", "short", ((total("livecast_rooms", "state"), "{{state}}"), (total("livecast_views"), "watched"))),
    Panel("What rooms decide", "ops", ((rate("livecast_verdicts_total", "verdict"), "{{verdict}}"),)),
    Panel(
        "Comments that are not shown",
        "percentunit",
        (
            (f"{rate('livecast_verdicts_total', verdict='sampled')} / {CHAT}", "sampled"),
            (f"{rate('livecast_verdicts_total', verdict='merged')} / {CHAT}", "merged"),
        ),
        "Merged: many said the same. Sampled: more than anybody could read.",
    ),
    Panel("Refused before any room heard of it", "ops", ((rate("livecast_refusals_total", "code"), "{{code}}"),)),
    Panel("Frames", "ops", ((rate("livecast_frames_total"), "committed"), (rate("livecast_deliveries_total"), "delivered"))),
    Panel(
        "How late ticks begin",
        "s",
        times("livecast_flush_lateness_seconds"),
        "Above a quarter of a tick the process is overloaded.",
    ),
    Panel("Judged outside", "ops", ((rate("livecast_reviews_total", "outcome"), "{{outcome}}"),)),
)

MONEY: Final = (
    Panel(
        "Money is closed",
        "bool_yes_no",
        (
            (total("livecast_money_closed", how="max"), "entries are missing"),
            (total("livecast_store_down", how="max", role="ledger"), "the ledger is away"),
        ),
    ),
    Panel("Claims", "ops", ((rate("livecast_claims_total", "verdict"), "{{verdict}}"),)),
    Panel("Gifts", "ops", ((rate("livecast_gifts_total", "verdict"), "{{verdict}}"),)),
    Panel("Until the ledger acknowledges", "s", times("livecast_ledger_seconds"), "Past 0.8 s people are told `unavailable`."),
    Panel("Claims in one call", "short", times("livecast_claims_batch")),
    Panel(
        "Gifts half done",
        "short",
        ((total("livecast_gifts_pending"), "gifts"), (total("livecast_gifts_pending_seconds", how="max"), "age of the oldest, s")),
    ),
    Panel("Entries read on", "ops", ((rate("livecast_ledger_entries_total"), "entries"),)),
    Panel("Webhooks", "ops", ((rate("livecast_webhook_tries_total", "outcome"), "{{outcome}}"),)),
    Panel(
        "Webhooks that wait",
        "short",
        (
            (total("livecast_webhooks", "what", "max"), "{{what}}"),
            (total("livecast_webhook_oldest_seconds", how="max"), "age of the oldest, s"),
        ),
    ),
    Panel("Age of webhooks on arrival", "s", times("livecast_webhook_lag_seconds")),
    Panel("The books agree", "bool_yes_no", (("min(livecast_audit_agrees)", "at the last audit"),)),
    Panel("Since the last audit", "s", (("time() - max(livecast_audit_finished_timestamp_seconds)", "age"),)),
)

EDGE: Final = (
    Panel(
        "CPU of a core", "percentunit", ((f"rate(process_cpu_seconds_total{NODE}[$__rate_interval])", "{{instance}} {{worker}}"),)
    ),
    Panel(
        "Memory",
        "bytes",
        (
            (f"process_resident_memory_bytes{NODE}", "{{instance}} {{worker}}"),
            (total("livecast_view_bytes", "instance"), "views of {{instance}}"),
        ),
    ),
    Panel("How late timers wake", "s", times("livecast_loop_lag_seconds"), "Above 50 ms the core is full."),
    Panel("Bandwidth of frames", "Bps", ((rate("livecast_delivered_bytes_total", "instance"), "{{instance}}"),)),
    Panel(
        "Frames left out for slow viewers",
        "percentunit",
        ((f"{SKIPPED} / ({rate('livecast_deliveries_total')} + {SKIPPED})", "skipped"),),
    ),
    Panel("One frame to all viewers of a room", "s", times("livecast_fan_out_seconds")),
    Panel("HTTP calls", "ops", ((rate("livecast_http_requests_total", "status"), "{{status}}"),)),
    Panel("Until a call is answered", "s", times("livecast_http_answer_seconds"), "An event stream counts until it ends."),
    Panel("Busiest routes", "ops", ((f"topk(10, {rate('livecast_http_requests_total', 'route')})", "{{route}}"),)),
    Panel("Descriptors", "short", ((f"process_open_fds{NODE}", "{{instance}} {{worker}}"),)),
    Panel("The issuer's keys", "ops", ((rate("livecast_jwks_fetches_total", "outcome"), "{{outcome}}"),)),
    Panel("Troubles logged", "ops", ((rate("livecast_troubles_total", "level"), "{{level}}"),)),
)

STORE: Final = (
    Panel("A store is away", "bool_yes_no", ((total("livecast_store_down", "role", "max"), "{{role}}"),)),
    Panel(
        "Shards",
        "short",
        ((total("livecast_shards", "instance"), "{{instance}}"), (total("livecast_shards_ownerless", how="max"), "without owner")),
    ),
    Panel("Shards that changed hands", "ops", ((rate("livecast_shards_moved_total", "how"), "{{how}}"),)),
    Panel("Until a commit is kept", "s", times("livecast_commit_seconds")),
    Panel("Commits refused", "ops", ((rate("livecast_commits_refused_total", "why"), "{{why}}"),)),
    Panel(
        "Events that wait for a room", "short", times("livecast_inbox_events"), "Near 20,000 comments are refused as `overloaded`."
    ),
    Panel(
        "Memory of the stores",
        "bytes",
        (
            (total("livecast_store_memory_bytes", "role", "max"), "{{role}}"),
            (total("livecast_store_memory_max_bytes", "role", "max"), "{{role}} may"),
        ),
    ),
    Panel("Clocks of the stores before ours", "s", ((f"livecast_store_clock_ahead_seconds{NODE}", "{{role}} {{instance}}"),)),
    Panel("Size of frames", "bytes", ((f"{rate('livecast_frame_bytes_total')} / {rate('livecast_frames_total')}", "MessagePack"),)),
    Panel(
        "Rows to the archive",
        "ops",
        ((rate("livecast_archive_rows_total"), "rows"), (rate("livecast_archive_lost_records_total"), "records lost")),
    ),
    Panel("How far the archive is behind", "s", ((total("livecast_archive_behind_seconds", how="max"), "age of the oldest"),)),
    Panel("One batch to the archive", "s", times("livecast_archive_write_seconds")),
)

DASHBOARDS: Final = {"show": SHOW, "money": MONEY, "edge": EDGE, "store": STORE}


def dashboard(name: str, panels: tuple[Panel, ...]) -> dict[str, Any]:
    """One dashboard as Grafana imports it."""
    width, height = 24 // PER_ROW, 8
    return {
        "uid": f"livecast-{name}",
        "title": f"livecast · {name}",
        "tags": ["livecast"],
        "schemaVersion": 41,
        "editable": False,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "instance",
                    "label": "node",
                    "type": "query",
                    "datasource": {"type": "prometheus", "uid": "prometheus"},
                    "query": {"query": 'label_values(livecast_build_info{job="livecast"}, instance)', "refId": "nodes"},
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                    "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                }
            ]
        },
        "links": [{"type": "dashboards", "tags": ["livecast"], "title": "livecast", "asDropdown": False, "keepTime": True}],
        "panels": [
            {
                "id": number + 1,
                "type": "timeseries",
                "title": panel.title,
                "description": panel.says,
                "datasource": {"type": "prometheus", "uid": "prometheus"},
                "gridPos": {"x": number % PER_ROW * width, "y": number // PER_ROW * height, "w": width, "h": height},
                "fieldConfig": {
                    "defaults": {"unit": panel.unit, "min": None if "ahead" in panel.queries[0][0] else 0},
                    "overrides": [],
                },
                "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
                "targets": [
                    {"refId": chr(ord("A") + n), "expr": query, "legendFormat": legend}
                    for n, (query, legend) in enumerate(panel.queries)
                ],
            }
            for number, panel in enumerate(panels)
        ],
    }


def texts() -> dict[str, str]:
    """File name -> what stands in it."""
    return {
        f"{name}.json": json.dumps(dashboard(name, panels), indent=1, ensure_ascii=False) + "\n"
        for name, panels in DASHBOARDS.items()
    }


if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
