"""Observers: the facts of `livecast.facts` as Prometheus metrics and as log lines. Nothing else in the service counts or logs.

Every label has a bound: words that we made, or `other`. No label is a room, a user or an address.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from livecast import __version__
from livecast.core.errors import CODES
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
    Observer,
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

VERDICTS: Final = frozenset({"shown", "merged", "sampled", "held", "counted", "ok", "reported", *CODES})
CLAIM_VERDICTS: Final = frozenset({"won", "entered", "sold_out", "limit", "not_eligible", "not_open", "closed", *CODES})
MOVES: Final = frozenset({"taken", "taken_over", "given", "lost"})
GIFT_VERDICTS: Final = frozenset({"sent", *CODES})
#: A batch of claims: from one click to a full call.
BATCHES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
CLOSE_CODES: Final = frozenset(
    {1000, 1001, 1002, 1003, 1005, 1006, 1007, 1009, 1011, 4000, 4001, 4002, 4003, 4008, 4010, 4400, 4401, 4403, 4404, 4429, 4503}
)
#: Why the edge refuses: an error code, the status of an answered handshake, or a close code.
REFUSALS: Final = frozenset({*CODES, "400", "403", "404", "408", "426", "431", "503", *map(str, CLOSE_CODES)})
METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
#: From a prompt tick to one that is five stretched ticks late.
SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
#: How old a webhook is when it arrives: from at once to three days.
AGES: Final = (0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3_600.0, 28_800.0, 86_400.0, 259_200.0)
EVENTS: Final = (0, 1, 10, 100, 1_000, 10_000, 20_000)
#: Combinations of labels that are kept at hand per metric: more than there are, as all labels are bounded.
LABELS_MAX: Final = 4_096
#: The same trouble is logged once in so long; what was left out is counted in the next line.
SAME_TROUBLE_S: Final = 5.0
#: Different troubles remembered for that; beyond, all are forgotten and may be said again.
TROUBLES_MAX: Final = 1_000
#: Versions of nodes that are told apart; two at most are meant to run side by side.
VERSIONS_MAX: Final = 8


Metric = TypeVar("Metric", Counter, Gauge)


class Observers:
    """Tells every fact to all of them."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def add(self, observer: Observer) -> None:
        """One more."""
        self._observers = (*self._observers, observer)

    def observe(self, fact: Fact) -> None:
        """Take note."""
        for observer in self._observers:
            observer.observe(fact)


class PrometheusObserver:
    """Facts as metrics in a registry of its own; `exposition` is what `/metrics` answers."""

    def __init__(self) -> None:  # noqa: PLR0915 - one line for each metric
        disable_created_metrics()  # type: ignore[no-untyped-call]  # no types there. A second sample beside each counter is noise
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(f"livecast_{name}", says, labels, registry=registry)

        def gauge(name: str, says: str, *labels: str) -> Gauge:
            return Gauge(f"livecast_{name}", says, labels, registry=registry)

        def of(metric: Metric) -> Callable[..., Metric]:
            # The library's own look-up takes a lock and checks each label: ten times as long as the count itself.
            return lru_cache(LABELS_MAX)(metric.labels)

        def histogram(name: str, says: str, buckets: Sequence[float] = SECONDS) -> Histogram:
            return Histogram(f"livecast_{name}", says, buckets=buckets, registry=registry)

        gauge("build_info", "Always 1; the version is its label.", "version").labels(__version__).set(1)
        self._connections = of(gauge("connections", "Viewers connected now, by kind: ws, sse.", "kind"))
        self._opened = of(counter("connections_opened_total", "Viewers who came.", "kind", "anonymous"))
        self._closed = of(counter("connections_closed_total", "Viewers who went, by close code.", "kind", "code"))
        self._rooms = of(gauge("rooms", "Rooms this process owns: in memory, and of them with anything under way.", "state"))
        self._views = gauge("views", "Rooms that viewers of this process watch.")
        self._view_bytes = gauge("view_bytes", "Bytes of frames kept for resume.")
        self._frames = counter("frames_total", "Frames committed.")
        self._frame_bytes = counter("frame_bytes_total", "Bytes of committed frames, as MessagePack.")
        self._deliveries = counter("deliveries_total", "Frames written to viewers.")
        self._delivered = counter("delivered_bytes_total", "Bytes of frames written to viewers, headers included.")
        self._skipped = counter("skipped_frames_total", "Frames not written because a viewer was too slow; a welcome follows.")
        self._fan_out = histogram("fan_out_seconds", "Time to write one frame to all viewers of a room here.")
        self._inbox = histogram("inbox_events", "Events that waited for a room when it flushed.", EVENTS)
        self._verdicts = of(counter("verdicts_total", "What rooms decided, by verdict or error code.", "verdict"))
        self._refused = of(counter("refusals_total", "What the edge refused before any room heard of it.", "where", "code"))
        self._no_descriptor = counter("descriptors_exhausted_total", "Looks, four a second, that found no file descriptor left.")
        self._requests = of(counter("http_requests_total", "HTTP requests answered, by route.", "method", "route", "status"))
        self._answered = histogram("http_answer_seconds", "Time to answer a request; an event stream counts until it ends.")
        self._late = histogram("flush_lateness_seconds", "How long after it was due a flush began.")
        self._commit = histogram("commit_seconds", "Time from a flush to the log's word that it is kept.")
        self._shards = gauge("shards", "Shards this process owns; over all processes that share the stores they are 256.")
        self._ownerless = gauge("shards_ownerless", "Shards that no living process says to own.")
        self._nodes = gauge("nodes", "Processes that share the stores, as this one sees them.")
        self._versions = gauge("nodes_by_version", "Processes that share the stores by version, as this one sees them.", "version")
        self._moved = of(counter("shards_moved_total", "Shards that came or went: taken, taken_over, given, lost.", "how"))
        self._move_took = histogram("hand_over_seconds", "Time to flush and give up, or to take, one batch of shards.")
        self._commits_refused = of(counter("commits_refused_total", "Commits the log refused: fenced, out_of_order.", "why"))
        self._store_down = of(gauge("store_down", "1 while a store cannot be used: rooms, ledger.", "role"))
        self._store_ahead = of(gauge("store_clock_ahead_seconds", "How far a store's clock is before this node's.", "role"))
        self._store_memory = of(gauge("store_memory_bytes", "What a store uses.", "role"))
        self._store_memory_max = of(gauge("store_memory_max_bytes", "What it may use, or what its machine has.", "role"))
        self._money_closed = gauge("money_closed", "1 while money is closed because entries of the ledger are missing.")
        self._keys_fetched = of(counter("jwks_fetches_total", "Fetches of the issuer's public keys: ok, failed.", "outcome"))
        self._claims = of(counter("claims_total", "Claims that the ledger decided, by verdict or error code.", "verdict"))
        self._batch = histogram("claims_batch", "Claims that went to the ledger in one call.", BATCHES)
        self._gifts = of(counter("gifts_total", "Gifts that the ledger answered: sent, or the error code.", "verdict"))
        self._ledger = histogram("ledger_seconds", "Time to the ledger's answer to a batch of claims or of gifts.")
        self._entries = counter("ledger_entries_total", "Entries that owners of shards have read of their ledgers.")
        self._pending = gauge("gifts_pending", "Gifts debited or reversed and not yet done on the other side.")
        self._pending_age = gauge("gifts_pending_seconds", "Age of the oldest of them.")
        self._rows = counter("archive_rows_total", "Rows written to the archive.")
        self._lost = counter("archive_lost_records_total", "Records of rooms that were gone before they were archived.")
        self._behind = gauge("archive_behind_seconds", "Age of the oldest of what was archived last.")
        self._archive_took = histogram("archive_write_seconds", "Time to write one batch to the archive.")
        self._reviews = of(counter("reviews_total", "Comments judged outside, or not: failed, skipped.", "outcome"))
        self._review_took = histogram("review_seconds", "Time to an answer about a comment, or to giving up.")
        self._webhooks = of(counter("webhook_tries_total", "Deliveries of webhooks tried: delivered, retry, dead.", "outcome"))
        self._webhook_took = histogram("webhook_seconds", "Time of one try to deliver a webhook.")
        self._webhook_lag = histogram("webhook_lag_seconds", "Age of a delivery when it arrived, retries included.", AGES)
        self._webhooks_held = of(
            gauge("webhooks", "Webhooks by what they are: endpoints, disabled, pending, dead, in_flight.", "what")
        )
        self._webhook_oldest = gauge("webhook_oldest_seconds", "Age of the oldest delivery that waits.")
        self._lag = histogram("loop_lag_seconds", "How much later than asked the event loop woke a timer.")
        self._troubles = of(counter("troubles_total", "What an operator should know; the log says what.", "level"))
        self._came: dict[Connected, int] = {}
        """Who came since the last look at the metrics: in a storm of joins two metrics each would be a twentieth of the work."""
        self._take: dict[type, Callable[[Any], None]] = {
            Flushed: self._flushed,
            FannedOut: self._fanned_out,
            Connected: self._connected,
            Disconnected: self._disconnected,
            Refused: lambda fact: self._refused(fact.where, _bounded(fact.code, REFUSALS)).inc(fact.times),
            NoDescriptor: lambda _: self._no_descriptor.inc(),
            Served: self._served,
            RoomsHeld: self._held,
            ShardsHeld: self._shards_held,
            ShardsMoved: self._shards_moved,
            VersionsSeen: self._versions_seen,
            CommitRefused: lambda fact: self._commits_refused(fact.why).inc(),
            StoreLookedAt: self._store_looked_at,
            MoneyLookedAt: lambda fact: self._money_closed.set(fact.closed),
            KeysFetched: lambda fact: self._keys_fetched("ok" if fact.ok else "failed").inc(),
            ClaimsDecided: self._claimed,
            GiftsDecided: self._given,
            LedgerFollowed: self._followed,
            Archived: self._archived,
            WebhookTried: self._webhook_tried,
            WebhooksCounted: self._webhooks_counted,
            CommentJudged: self._judged,
            LoopLag: lambda fact: self._lag.observe(fact.ms / 1000),
            Trouble: lambda fact: self._troubles(fact.level).inc(),
        }

    def observe(self, fact: Fact) -> None:
        """Take note."""
        self._take[type(fact)](fact)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        self.publish()
        return generate_latest(self.registry)

    def publish(self) -> None:
        """Bring what is counted beside the metrics into them."""
        came, self._came = self._came, {}
        for fact, times in came.items():
            self._connections(fact.kind).inc(times)
            self._opened(fact.kind, "yes" if fact.anonymous else "no").inc(times)

    def _flushed(self, fact: Flushed) -> None:
        if fact.frame_bytes:
            self._frames.inc()
            self._frame_bytes.inc(fact.frame_bytes)
        self._inbox.observe(fact.inbox)
        self._late.observe(fact.late_ms / 1000)
        self._commit.observe(fact.commit_ms / 1000)
        for verdict, times in fact.verdicts.items():
            self._verdicts(_bounded(verdict, VERDICTS)).inc(times)

    def _fanned_out(self, fact: FannedOut) -> None:
        self._deliveries.inc(fact.deliveries)
        self._delivered.inc(fact.wire_bytes)
        self._skipped.inc(fact.skipped)
        self._fan_out.observe(fact.took_ms / 1000)

    def _connected(self, fact: Connected) -> None:
        self._came[fact] = self._came.get(fact, 0) + 1

    def _disconnected(self, fact: Disconnected) -> None:
        self._connections(fact.kind).dec()
        self._closed(fact.kind, _bounded(fact.code, CLOSE_CODES)).inc()

    def _served(self, fact: Served) -> None:
        self._requests(_bounded(fact.method, METHODS), fact.route, str(fact.status)).inc()
        self._answered.observe(fact.took_ms / 1000)

    def _claimed(self, fact: ClaimsDecided) -> None:
        self._batch.observe(fact.claims)
        self._ledger.observe(fact.took_ms / 1000)
        for verdict, times in fact.verdicts.items():
            self._claims(_bounded(verdict, CLAIM_VERDICTS)).inc(times)

    def _given(self, fact: GiftsDecided) -> None:
        self._ledger.observe(fact.took_ms / 1000)
        for verdict, times in fact.verdicts.items():
            self._gifts(_bounded(verdict, GIFT_VERDICTS)).inc(times)

    def _followed(self, fact: LedgerFollowed) -> None:
        self._entries.inc(fact.entries)
        self._pending.set(fact.pending)
        self._pending_age.set(fact.pending_ms / 1000)

    def _archived(self, fact: Archived) -> None:
        self._rows.inc(fact.rows)
        self._lost.inc(fact.lost)
        self._behind.set(fact.behind_ms / 1000)
        self._archive_took.observe(fact.took_ms / 1000)

    def _webhook_tried(self, fact: WebhookTried) -> None:
        self._webhooks(fact.outcome).inc()
        self._webhook_took.observe(fact.took_ms / 1000)
        if fact.lag_ms is not None:
            self._webhook_lag.observe(fact.lag_ms / 1000)

    def _judged(self, fact: CommentJudged) -> None:
        self._reviews(fact.outcome).inc()
        if fact.outcome != "skipped":
            self._review_took.observe(fact.took_ms / 1000)

    def _webhooks_counted(self, fact: WebhooksCounted) -> None:
        for what in ("endpoints", "disabled", "pending", "dead", "in_flight"):
            self._webhooks_held(what).set(getattr(fact, what))
        self._webhook_oldest.set(fact.oldest_ms / 1000)

    def _held(self, fact: RoomsHeld) -> None:
        self._rooms("owned").set(fact.owned)
        self._rooms("active").set(fact.active)
        self._views.set(fact.views)
        self._view_bytes.set(fact.view_bytes)

    def _shards_held(self, fact: ShardsHeld) -> None:
        self._shards.set(fact.owned)
        self._ownerless.set(fact.ownerless)
        self._nodes.set(fact.nodes)

    def _versions_seen(self, fact: VersionsSeen) -> None:
        self._versions.clear()
        for version, count in list(fact.versions.items())[-VERSIONS_MAX:]:
            self._versions.labels(version).set(count)

    def _shards_moved(self, fact: ShardsMoved) -> None:
        self._moved(_bounded(fact.how, MOVES)).inc(fact.shards)
        if fact.took_ms:
            self._move_took.observe(fact.took_ms / 1000)

    def _store_looked_at(self, fact: StoreLookedAt) -> None:
        self._store_down(fact.role).set(bool(fact.fault))
        if not fact.fault:
            self._store_ahead(fact.role).set(fact.ahead_ms / 1000)
            self._store_memory(fact.role).set(fact.memory)
            self._store_memory_max(fact.role).set(fact.memory_max)


def _bounded(word: Any, words: Any) -> str:
    return str(word) if word in words else "other"


class LogObserver:
    """Troubles as log lines, with what to do about them; at level debug also who comes, goes and asks."""

    def __init__(self, level: str = "info", clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.get_logger("livecast").bind()  # bound now: to do it for each line takes longer than the line
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}
        self._take: dict[type, Callable[[Any], None]] = {}
        self.at(level)

    def observe(self, fact: Fact) -> None:
        """Take note."""
        if (take := self._take.get(type(fact))) is not None:
            take(fact)

    def at(self, level: str) -> None:
        """From now on write what this level asks for."""
        passing = (Connected, Disconnected, Served)
        self._take = {Trouble: self._trouble} | (dict.fromkeys(passing, self._in_passing) if level == "debug" else {})

    def _in_passing(self, fact: Connected | Disconnected | Served) -> None:
        self._log.debug(type(fact).__name__.lower(), **{name: getattr(fact, name) for name in fact.__struct_fields__})

    def _trouble(self, fact: Trouble) -> None:
        now, key = self._clock(), (fact.what, fact.about)
        said_at, left_out = self._said.get(key, (float("-inf"), 0))
        if now - said_at < SAME_TROUBLE_S:
            self._said[key] = said_at, left_out + 1
            return
        if len(self._said) >= TROUBLES_MAX:
            self._said.clear()
        self._said[key] = now, 0
        more = {"left_out": left_out} if left_out else {}
        getattr(self._log, fact.level, self._log.warning)(fact.what, about=fact.about, advice=fact.advice, **more)
