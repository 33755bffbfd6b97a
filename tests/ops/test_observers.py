"""Observers: facts become metrics with bounded labels, and troubles become log lines."""

from __future__ import annotations

import re
from typing import get_args

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from livecast.facts import (
    Archived,
    ClaimsDecided,
    CommentJudged,
    CommitRefused,
    Connected,
    Disconnected,
    Fact,
    FannedOut,
    Flushed,
    GiftsDecided,
    KeysFetched,
    LedgerFollowed,
    LoopLag,
    MoneyLookedAt,
    NoDescriptor,
    Refused,
    RoomsHeld,
    Served,
    ShardsHeld,
    ShardsMoved,
    StoreLookedAt,
    Trouble,
    VersionsSeen,
    WebhooksCounted,
    WebhookTried,
)
from livecast.ops.observers import SAME_TROUBLE_S, LogObserver, Observers, PrometheusObserver

FACTS: list[Fact] = [
    Flushed("r", 12.0, 3.0, 700, {"shown": 4, "merged": 2, "rate_limited": 1}, 7),
    Flushed("r", 1.0, 2.0, 0, {}, 0),
    FannedOut("r", 1000, 704_000, 3, 5.1),
    Connected("ws", anonymous=True),
    Connected("ws", anonymous=False),
    Disconnected("ws", 4008),
    Refused("socket", "bad_message", 3),
    NoDescriptor(),
    Served("PUT", "/v1/rooms/{room}", "/v1/rooms/r1", 201, 4.0, "8d7e"),
    RoomsHeld(12, 3, 5, 1_000_000),
    ShardsHeld(128, 2, 2),
    ShardsMoved("taken_over", 12, 250),
    VersionsSeen({"0.1.0": 1, "0.2.0": 3}),
    CommitRefused("r", "fenced"),
    StoreLookedAt("rooms", "no answer within 2.0 s"),
    StoreLookedAt("ledger", "", -250.0, 900, 1_000),
    MoneyLookedAt(closed=True),
    KeysFetched(ok=True),
    KeysFetched(ok=False),
    LoopLag(2.5),
    ClaimsDecided(500, 12, {"won": 2, "sold_out": 497, "a verdict to come": 1}),
    GiftsDecided(9, 4, {"sent": 8, "insufficient_funds": 1}),
    LedgerFollowed(40, 2, 1500),
    Archived(500, 10, 200, 1_200, 40, 3),
    WebhookTried("retry", 10_000, None),
    WebhookTried("delivered", 20, 11_000),
    CommentJudged("deny", 12),
    CommentJudged("skipped", 0),
    WebhooksCounted(3, 1, 40, 9_000, 2, 5),
    Trouble("the log does not answer", "rooms", "look at the store"),
]


def samples(observer: PrometheusObserver) -> dict[str, float]:
    """`name|label values` -> value."""
    return {
        sample.name + "".join(f"|{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(observer.exposition().decode())
        for sample in family.samples
    }


@pytest.fixture
def told() -> PrometheusObserver:
    """An observer that was told each kind of fact."""
    observer = PrometheusObserver()
    for fact in FACTS:
        observer.observe(fact)
    return observer


def test_every_kind_of_fact_is_taken() -> None:
    """A new kind of fact without a metric fails here and not in production."""
    assert {type(fact) for fact in FACTS} == set(get_args(Fact))


def test_facts_add_up(told: PrometheusObserver) -> None:
    """The figures of the facts above."""
    got = samples(told)
    expected = {
        "livecast_frames_total": 1,
        "livecast_frame_bytes_total": 700,
        "livecast_verdicts_total|shown": 4,
        "livecast_verdicts_total|rate_limited": 1,
        "livecast_inbox_events_sum": 7,
        "livecast_claims_total|sold_out": 497,
        "livecast_claims_total|other": 1,
        "livecast_claims_batch_sum": 500,
        "livecast_gifts_total|sent": 8,
        "livecast_ledger_seconds_count": 2,
        "livecast_ledger_entries_total": 40,
        "livecast_gifts_pending_seconds": 1.5,
        "livecast_webhook_tries_total|retry": 1,
        "livecast_webhook_lag_seconds_sum": 11,
        "livecast_webhooks|pending": 40,
        "livecast_webhook_oldest_seconds": 9,
        "livecast_flush_lateness_seconds_count": 2,
        "livecast_flush_lateness_seconds_sum": 0.013,
        "livecast_commit_seconds_sum": 0.005,
        "livecast_deliveries_total": 1000,
        "livecast_delivered_bytes_total": 704_000,
        "livecast_skipped_frames_total": 3,
        "livecast_connections|ws": 1,
        "livecast_connections_opened_total|yes|ws": 1,
        "livecast_connections_closed_total|4008|ws": 1,
        "livecast_refusals_total|bad_message|socket": 3,
        "livecast_descriptors_exhausted_total": 1,
        "livecast_http_requests_total|PUT|/v1/rooms/{room}|201": 1,
        "livecast_rooms|owned": 12,
        "livecast_rooms|active": 3,
        "livecast_shards": 128,
        "livecast_shards_ownerless": 2,
        "livecast_nodes": 2,
        "livecast_nodes_by_version|0.2.0": 3,
        "livecast_shards_moved_total|taken_over": 12,
        "livecast_hand_over_seconds_sum": 0.25,
        "livecast_view_bytes": 1_000_000,
        "livecast_loop_lag_seconds_sum": 0.0025,
        "livecast_troubles_total|warning": 1,
        "livecast_commits_refused_total|fenced": 1,
        "livecast_store_down|rooms": 1,
        "livecast_store_down|ledger": 0,
        "livecast_store_clock_ahead_seconds|ledger": -0.25,
        "livecast_store_memory_bytes|ledger": 900,
        "livecast_store_memory_max_bytes|ledger": 1_000,
        "livecast_money_closed": 1,
        "livecast_jwks_fetches_total|ok": 1,
        "livecast_jwks_fetches_total|failed": 1,
    }
    assert {name: pytest.approx(got[name]) for name in expected} == expected


def test_labels_are_bounded(told: PrometheusObserver) -> None:
    """Unknown words and codes share one label; no room, user or address is one."""
    for code in range(4100, 4200):
        told.observe(Disconnected("ws", code))
        told.observe(Refused("http", f"word{code}"))
        told.observe(Flushed(f"room{code}", 1, 1, 1, {f"verdict{code}": 1}, 0))
    text = told.exposition().decode()
    assert "word41" not in text
    assert "room41" not in text
    assert "verdict41" not in text
    assert samples(told)["livecast_connections_closed_total|other|ws"] == 100


def test_names_follow_the_rules_of_prometheus(told: PrometheusObserver) -> None:
    """Lower case, counters end in _total, times are seconds, each has a help text."""
    for family in text_string_to_metric_families(told.exposition().decode()):
        if not family.name.startswith("livecast_"):
            continue
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name)
        assert family.documentation
        assert not re.search(r"_(ms|millis|kb)$", family.name)
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples)


def test_the_same_trouble_is_not_said_again_at_once() -> None:
    """Ten thousand rooms losing one store make one line, and later one that counts the rest."""
    now = 0.0
    observer = LogObserver(clock=lambda: now)
    trouble = Trouble("the log does not answer", "rooms", "look at the store", "error")
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            observer.observe(trouble)
        now = SAME_TROUBLE_S
        observer.observe(trouble)
        observer.observe(Trouble("another", "rooms", ""))
    assert [(line["event"], line["log_level"], line.get("left_out")) for line in lines] == [
        ("the log does not answer", "error", None),
        ("the log does not answer", "error", 4),
        ("another", "warning", None),
    ]


def test_observers_tells_all_of_them() -> None:
    """Each fact reaches each observer once."""
    one, two = PrometheusObserver(), PrometheusObserver()
    Observers([one, two]).observe(LoopLag(1))
    assert samples(one)["livecast_loop_lag_seconds_count"] == samples(two)["livecast_loop_lag_seconds_count"] == 1
