"""The report of a broadcast: what its figures in the archive say. Pure: figures in, report out.

Everything is counted once. Comments are those of the tallies; gifts, claims and orders those of the ledger; what was on air is
what viewers were told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct

from livecast.archive import Broadcast, DropFigures, Figures, Sale
from livecast.core.records.chronicle import BUCKET_MS, REJECTED, TAPPED, Moment, Tick

MINUTE_MS: Final = 60_000
TOP: Final = 20
"""Words and givers in a report."""
POINTS_MAX: Final = 720
"""Points of a curve: two hours in ten seconds. A longer broadcast is told in longer steps."""
#: An order in one of these states is no sale. The states are the shop's own words; these are the common ones for "not any more".
UNSOLD: Final = frozenset({"cancelled", "canceled", "refunded", "returned", "failed", "expired", "void", "rejected"})


class Audience(Struct, frozen=True):
    """`peak` viewers at the same time, at `peak_at`; on `average` over the broadcast; `unique` in all (approximate)."""

    peak: int
    peak_at: int | None
    average: int
    unique: int


class Comments(Struct, frozen=True, rename={"total": "in"}):
    """What became of the comments: `in` = shown + merged + sampled + held + Σ rejected. `redacted`: taken off later."""

    total: int
    shown: int
    merged: int
    sampled: int
    held: int
    rejected: dict[str, int]
    redacted: int
    per_minute_max: int


class WordCount(Struct, frozen=True):
    """A word, and by how many it was said."""

    word: str
    n: int


class GiverLine(Struct, frozen=True):
    """Who gave how much, in coins."""

    user: str
    gifts: int
    value: int


class Gifts(Struct, frozen=True):
    """Gifts and coins, reversed ones taken off."""

    gifts: int
    value: int
    givers: list[GiverLine]


class DropLine(Struct, frozen=True):
    """A drop. `sold_out_in_ms`: from its opening to the last unit. `claims_per_s`: on average from the first grant to the last.

    `units`: how many are in which state.
    """

    drop: str
    title: str
    kind: str
    state: str
    test: bool
    stock: int
    granted: int
    entrants: int
    opened_at: int | None
    sold_out_at: int | None
    sold_out_in_ms: int | None
    claims_per_s: float
    claims_per_s_max: int
    units: dict[str, int]


class ProductLine(Struct, frozen=True):
    """A product's way from its card to money. `shown`: the most viewers at one time while its card was on air, for `on_air_ms`
    in all; `taps` on it; `claims` of drops that sell it; `orders` of it that were not cancelled, and what they are worth.
    """

    product: str
    title: str
    sku: str
    shown: int
    on_air_ms: int
    taps: int
    claims: int
    orders: int
    value: dict[str, int]


class SalesMinute(Struct, frozen=True):
    """Orders first made in the minute from `at` on, and their value by currency, in its smallest unit."""

    at: int
    orders: int
    value: dict[str, int]


class Sales(Struct, frozen=True):
    """What was sold, as orders stand now. `cancelled` ones are counted in nothing else."""

    orders: int
    cancelled: int
    value: dict[str, int]
    by_minute: list[SalesMinute]
    products: list[ProductLine]


class PollChoice(Struct, frozen=True):
    """A choice of a poll."""

    text: str
    votes: int


class PollLine(Struct, frozen=True):
    """A poll as it was last told."""

    poll: str
    question: str
    state: str
    votes: int
    choices: list[PollChoice]


class Moderation(Struct, frozen=True):
    """What was held back, refused or taken off, and how often staff did what."""

    held: int
    redacted: int
    blocked: int
    acts: dict[str, int]


class Point(Struct, frozen=True):
    """Figures of a step from `at` on. `connections` and `users` are the highest told in it; null: there was no change to tell
    of, they are as they were. What happened is added up.
    """

    at: int
    connections: int | None
    users: int | None
    comments: int
    shown: int
    likes: int
    gifts: int
    gift_value: int
    claims: int
    orders: int


class Series(Struct, frozen=True):
    """Figures in steps of `step` ms, oldest first; steps without any are left out."""

    step: int
    data: list[Point]


class BroadcastReport(Struct, frozen=True):
    """A broadcast in figures. Times are Unix ms; it is as of `made_at`, and final once the broadcast has ended."""

    room: str
    broadcast: str
    title: str
    merchant: str
    status: str
    test: bool
    started_at: int | None
    ended_at: int | None
    duration_ms: int
    made_at: int
    audience: Audience
    comments: Comments
    likes: int
    words: list[WordCount]
    gifts: Gifts
    drops: list[DropLine]
    sales: Sales
    polls: list[PollLine]
    moderation: Moderation
    series: Series


def report_of(figures: Figures, now: int) -> BroadcastReport:
    """The report, as of `now`."""
    of, counts = figures.broadcast, figures.counts
    end = of.ended_at or now
    rejected = {name.removeprefix(REJECTED): n for name, n in counts.items() if name.startswith(REJECTED)}
    return BroadcastReport(
        room=of.room,
        broadcast=of.id,
        title=of.title,
        merchant=of.merchant,
        status=of.status,
        test=of.test,
        started_at=of.started_at,
        ended_at=of.ended_at,
        duration_ms=max(0, end - (of.started_at or end)),
        made_at=now,
        audience=_audience(of, figures.ticks),
        comments=Comments(
            total=counts.get("in", 0),
            shown=counts.get("shown", 0),
            merged=counts.get("merged", 0),
            sampled=counts.get("sampled", 0),
            held=counts.get("held", 0),
            rejected=rejected,
            redacted=figures.redacted,
            per_minute_max=max((point.comments for point in steps(figures.ticks, MINUTE_MS)), default=0),
        ),
        likes=counts.get("likes", 0),
        words=[WordCount(word, n) for word, n in figures.words[:TOP]],
        gifts=Gifts(figures.gifts, figures.gift_value, [GiverLine(g.user, g.gifts, g.value) for g in figures.givers[:TOP]]),
        drops=[_drop(drop, figures.cards.get("drop", {}).get(drop.drop, {})) for drop in figures.drops],
        sales=_sales(figures, end),
        polls=[_poll(id_, card) for id_, card in figures.cards.get("poll", {}).items()],
        moderation=Moderation(counts.get("held", 0), figures.redacted, rejected.get("blocked", 0), figures.staff),
        series=_series(figures.ticks, of, end),
    )


def steps(ticks: Iterable[Tick], step: int) -> list[Point]:
    """Ticks put together in steps of `step` ms, on the clock."""
    by_step: dict[int, list[Tick]] = {}
    for tick in ticks:
        by_step.setdefault(tick.at - tick.at % step, []).append(tick)
    return [_point(at, together) for at, together in sorted(by_step.items())]


def _point(at: int, ticks: Sequence[Tick]) -> Point:
    def total(name: str) -> int:
        return sum(getattr(tick, name) for tick in ticks)

    return Point(
        at=at,
        connections=max((tick.connections for tick in ticks if tick.told), default=None),
        users=max((tick.users for tick in ticks if tick.told), default=None),
        **{name: total(name) for name in ("comments", "shown", "likes", "gifts", "gift_value", "claims", "orders")},
    )


# --- Audience ---------------------------------------------------------------------------------------------------------
def _audience(of: Broadcast, ticks: Sequence[Tick]) -> Audience:
    """Viewers are told of only when their number changes: between two ticks that tell of any, the former holds."""
    told = [tick for tick in ticks if tick.told]
    peak = max(told, key=lambda tick: tick.users, default=None)
    return Audience(
        peak=max(of.peak, peak.users if peak else 0), peak_at=peak.at if peak else None, average=_average(told), unique=of.users
    )


def _average(told: Sequence[Tick]) -> int:
    if not told:
        return 0
    spans = [(tick.users, after.at - tick.at) for tick, after in pairwise(told)] + [(told[-1].users, BUCKET_MS)]
    return round(sum(users * ms for users, ms in spans) / sum(ms for _, ms in spans))


def _series(ticks: Sequence[Tick], of: Broadcast, end: int) -> Series:
    length = end - (of.started_at or end)
    step = BUCKET_MS
    while length > step * POINTS_MAX:
        step += BUCKET_MS
    return Series(step, steps(ticks, step))


# --- Drops and sales --------------------------------------------------------------------------------------------------
def _drop(drop: DropFigures, card: Mapping[str, Any]) -> DropLine:
    took_ms = (drop.last_at or 0) - (drop.first_at or 0)
    sold_out_in_ms = max(0, drop.sold_out_at - drop.opened_at) if drop.sold_out_at and drop.opened_at else None
    return DropLine(
        drop=drop.drop,
        title=str(card.get("title", "")),
        kind=str(card.get("kind", "")),
        state=drop.state,
        test=drop.test,
        stock=drop.stock,
        granted=drop.granted,
        entrants=drop.entrants,
        opened_at=drop.opened_at,
        sold_out_at=drop.sold_out_at,
        sold_out_in_ms=sold_out_in_ms,
        claims_per_s=round(drop.granted / max(took_ms / 1000, 1), 2),
        claims_per_s_max=drop.claims_per_s_max,
        units=drop.units,
    )


def _sales(figures: Figures, end: int) -> Sales:
    sold = [sale for sale in figures.sales if sale.status not in UNSOLD]
    minutes: defaultdict[int, list[Sale]] = defaultdict(list)
    for sale in sold:
        minutes[sale.at - sale.at % MINUTE_MS].append(sale)
    return Sales(
        orders=len(sold),
        cancelled=len(figures.sales) - len(sold),
        value=_value(sold),
        by_minute=[SalesMinute(at, len(within), _value(within)) for at, within in sorted(minutes.items())],
        products=_products(figures, sold, end),
    )


def _value(sales: Iterable[Sale]) -> dict[str, int]:
    value: Counter[str] = Counter()
    for sale in sales:
        value[sale.currency] += sale.amount
    return dict(value)


def _products(figures: Figures, sold: Sequence[Sale], end: int) -> list[ProductLine]:
    """Those that were on air, tapped, claimed or sold, in the order in which they were first on air."""
    cards, drops = figures.cards.get("product", {}), figures.cards.get("drop", {})
    on_air = _on_air(figures.moments, end)
    taps = {name.removeprefix(TAPPED): n for name, n in figures.counts.items() if name.startswith(TAPPED)}
    sku_of = {product: str(card.get("sku") or product) for product, card in cards.items()}
    known = {sku: product for product, sku in sku_of.items()}
    sold_only = [sale.sku for sale in sold if sale.sku not in known]
    lines = []
    for product in dict.fromkeys([*on_air, *cards, *taps, *sold_only]):
        sku, spans = sku_of.get(product, product), on_air.get(product, [])
        of_sku = [sale for sale in sold if sale.sku == sku]
        claims = sum(drop.granted for drop in figures.drops if drops.get(drop.drop, {}).get("sku") == sku)
        if not (spans or taps.get(product) or claims or of_sku):
            continue
        lines.append(
            ProductLine(
                product=product,
                title=str(cards.get(product, {}).get("title", "")),
                sku=sku,
                shown=_most_users(figures.ticks, spans),
                on_air_ms=sum(until - since for since, until in spans),
                taps=taps.get(product, 0),
                claims=claims,
                orders=len(of_sku),
                value=_value(of_sku),
            )
        )
    return lines


def _on_air(moments: Iterable[Moment], end: int) -> dict[str, list[tuple[int, int]]]:
    """Product -> when it was on air, `[(since, until)…]`. A new epoch tells again what is on air: that is the same time."""
    spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    current, since = "", 0
    for moment in moments:
        if moment.kind != "on_air" or moment.ref == current:
            continue
        if current:
            spans[current].append((since, moment.at))
        current, since = moment.ref, moment.at
    if current:
        spans[current].append((since, max(since, end)))
    return dict(spans)


def _most_users(ticks: Sequence[Tick], spans: Sequence[tuple[int, int]]) -> int:
    """The most viewers at one time within any of the spans; before the first change within one, those of the change before it."""
    most = 0
    for since, until in spans:
        before = [tick.users for tick in ticks if tick.told and tick.at + BUCKET_MS <= since]
        within = [tick.users for tick in ticks if since < tick.at + BUCKET_MS and tick.at <= until]
        most = max([most, *before[-1:], *within])
    return most


# --- Polls ------------------------------------------------------------------------------------------------------------
def _poll(id_: str, card: Mapping[str, Any]) -> PollLine:
    choices = [PollChoice(str(choice.get("text", "")), int(choice.get("votes", 0))) for choice in card.get("choices", [])]
    votes = sum(choice.votes for choice in choices)
    return PollLine(id_, str(card.get("question", "")), str(card.get("state", "")), votes, choices)
