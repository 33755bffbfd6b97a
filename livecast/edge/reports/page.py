"""The report as a page to read, print and hand on: one file, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from livecast.core.records.chronicle import Tick
from livecast.edge.reports import charts
from livecast.edge.reports.phrases import Language, clock, duration, main_units, money, number, phrase, said
from livecast.edge.reports.report import MINUTE_MS, BroadcastReport, Point, steps

STYLE: Final = """
:root{--ink:#1b1f24;--soft:#5b6570;--line:#dfe4e9;--accent:#0a6c74;--fill:#0a6c7422;--paper:#fff}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;color:var(--ink);
background:var(--paper);max-width:54rem;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .2rem} h2{font-size:1.1rem;margin:2rem 0 .6rem;border-bottom:1px solid var(--line)}
h3{font-size:.9rem;font-weight:600;color:var(--soft);margin:1rem 0 .2rem}
p.about{color:var(--soft);margin:0} p.test{color:#8a4600;font-weight:600}
dl{display:grid;grid-template-columns:repeat(4,1fr);gap:.8rem;margin:1.2rem 0}
@media (max-width:40rem){dl{grid-template-columns:repeat(2,1fr)}}
dl div{border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem} dt{color:var(--soft);font-size:.8rem}
dd{margin:0;font-size:1.35rem;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{font-size:.8rem;color:var(--soft);font-weight:600} td.n,th.n{text-align:right} .n+td:not(.n),.n+th:not(.n){padding-left:1.2rem}
svg{width:100%;height:auto;display:block} .area{fill:var(--fill);stroke:var(--accent);stroke-width:1.5}
.bar{fill:var(--accent)} .rule{stroke:var(--line);fill:none} text{font-size:11px;fill:var(--soft)}
.right{text-anchor:end} .middle{text-anchor:middle} .name{text-anchor:end;fill:var(--ink)} .value{fill:var(--ink)}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:0 2rem}
footer{margin-top:2rem;color:var(--soft);font-size:.8rem}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa4ae;--line:#333b44;--accent:#4cc3cd;--fill:#4cc3cd2b;
--paper:#14181d} p.test{color:#f0a35e}}
@media print{:root{--ink:#000;--soft:#444;--line:#bbb;--accent:#0a6c74;--fill:#0a6c7422;--paper:#fff}
body{margin:0;max-width:none;font-size:12px} section,tr,svg{break-inside:avoid} h2{break-after:avoid}}
@page{margin:15mm}
"""
_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
#: What the page may do: have its own style, and nothing else. Not even our own scripts.
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def page(report: BroadcastReport, language: Language) -> str:
    """The whole page."""
    say = partial(phrase, language)
    title = report.title or say("untitled")
    parts = [
        f'<!doctype html><html lang="{"zh-Hans" if language == "zh" else "en"}"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{html.escape(title)} · {say('title')}</title><style>{STYLE}</style>",
        f"<header><h1>{html.escape(title)}</h1>{_about(report, language)}</header>",
        _headlines(report, language),
        _audience(report, language),
        _comments(report, language),
        _sales(report, language),
        _drops(report, language),
        _givers(report, language),
        _polls(report, language),
        _moderation(report, language),
        f"<footer>{say('made')} {clock(report.made_at, day=True)} · {say('times')} · livecast</footer></html>",
    ]
    return "".join(parts)


def _about(report: BroadcastReport, language: Language) -> str:
    say = partial(phrase, language)
    until = say("running") if report.ended_at is None else f"– {clock(report.ended_at, day=True)}"
    about = f"{clock(report.started_at, day=True)} {until} · {duration(language, report.duration_ms)} · {say('room')} {report.room}"
    test = f'<p class="test">{say("test")}</p>' if report.test else ""
    return f'<p class="about">{html.escape(about)} · {html.escape(report.broadcast)}</p>{test}'


def _headlines(report: BroadcastReport, language: Language) -> str:
    say = partial(phrase, language)
    figures = [
        ("peak", number(report.audience.peak)), ("average", number(report.audience.average)),
        ("unique", number(report.audience.unique)), ("comments", number(report.comments.total)),
        ("likes", number(report.likes)), ("coins", number(report.gifts.value)),
        ("orders", number(report.sales.orders)), ("sales", money(report.sales.value)),
    ]  # fmt: skip
    return "<dl>" + "".join(f"<div><dt>{say(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in figures) + "</dl>"


# --- Chapters ---------------------------------------------------------------------------------------------------------
def _audience(report: BroadcastReport, language: Language) -> str:
    say = partial(phrase, language)
    points = [(point.at, float(point.users)) for point in report.series.data if point.users is not None]
    title = say("audience_curve")
    return _section(say("audience"), f"<h3>{title}</h3>" + charts.curve(title, points, _span(report), number))


def _comments(report: BroadcastReport, language: Language) -> str:
    say = partial(phrase, language)
    step = max(MINUTE_MS, report.series.step - report.series.step % MINUTE_MS)
    minutes = steps((_again(report.room, point) for point in report.series.data), step)
    drawn = ""
    for name, figure in (("comments_minute", "comments"), ("likes_minute", "likes"), ("coins_minute", "gift_value")):
        per_minute = [(point.at, getattr(point, figure) * MINUTE_MS / step) for point in minutes]
        if any(value for _, value in per_minute):
            drawn += f"<h3>{say(name)}</h3>" + charts.bars(say(name), per_minute, step, _span(report), number)
    told = report.comments
    verdicts = [(say(name), getattr(told, name)) for name in ("shown", "merged", "sampled", "held")]
    verdicts += [(f"{say('rejected')}: {said(language, code)}", n) for code, n in sorted(told.rejected.items(), key=_most)]
    verdicts += [(say("redacted"), told.redacted)] if told.redacted else []
    table = _table([say("verdict"), say("n")], [[name, number(n)] for name, n in verdicts])
    top = [(word.word, float(word.n)) for word in report.words[:12]]
    words = charts.rows(say("words"), top, number, width=360) if top else say("none")
    both = f'<div class="two"><div><h3>{say("verdicts")}</h3>{table}</div><div><h3>{say("words")}</h3>{words}</div></div>'
    return _section(say("activity"), drawn + both)


def _sales(report: BroadcastReport, language: Language) -> str:
    say = partial(phrase, language)
    sales = report.sales
    if not sales.products and not sales.orders:
        return ""
    lines = [
        [
            line.title or line.product, number(line.shown), duration(language, line.on_air_ms), number(line.taps),
            number(line.claims), number(line.orders), money(line.value),
        ]
        for line in sales.products
    ]  # fmt: skip
    names = ("product", "seen", "on_air", "taps", "claims", "orders", "worth")
    steps_of_all = [
        (say("seen"), float(max((line.shown for line in sales.products), default=0))),
        (say("taps"), float(sum(line.taps for line in sales.products))),
        (say("claims"), float(sum(line.claims for line in sales.products))),
        (say("orders"), float(sales.orders)),
    ]
    inside = charts.rows(say("funnel"), steps_of_all, number) + _table([say(name) for name in names], lines)
    for currency in sorted(sales.value):
        title = f"{say('sales_minute')}, {currency}"
        points = [(minute.at, main_units(minute.value.get(currency, 0), currency)) for minute in sales.by_minute]
        inside += f"<h3>{html.escape(title)}</h3>" + charts.bars(title, points, MINUTE_MS, _span(report), number)
    if sales.cancelled:
        inside += f"<p>{say('cancelled')}: {number(sales.cancelled)}</p>"
    return _section(say("funnel"), inside)


def _drops(report: BroadcastReport, language: Language) -> str:
    say = partial(phrase, language)
    if not report.drops:
        return ""
    lines = []
    for drop in report.drops:
        name = (drop.title or drop.drop) + (f" ({say('test_mark')})" if drop.test else "")
        units = ", ".join(f"{said(language, state)} {number(n)}" for state, n in sorted(drop.units.items(), key=_most))
        lines.append(
            [
                name, said(language, drop.state), f"{number(drop.granted)} / {number(drop.stock)}",
                duration(language, drop.sold_out_in_ms), number(drop.claims_per_s_max), units or "–",
            ]
        )  # fmt: skip
    names = ("drop", "state", "granted", "sold_out_in", "claims_s", "units")
    return _section(say("drops"), _table([say(name) for name in names], lines, numbers=(2, 3, 4)))


def _givers(report: BroadcastReport, language: Language) -> str:
    say = partial(phrase, language)
    if not report.gifts.givers:
        return ""
    lines = [[giver.user, number(giver.gifts), number(giver.value)] for giver in report.gifts.givers]
    return _section(say("givers"), _table([say("user"), say("gifts"), say("value")], lines))


def _polls(report: BroadcastReport, language: Language) -> str:
    say = partial(phrase, language)
    inside = ""
    for poll in report.polls:
        about = f"{number(poll.votes)} {say('votes')} · {said(language, poll.state)}"
        choices = [(choice.text, float(choice.votes)) for choice in poll.choices]
        inside += f"<h3>{html.escape(poll.question)} · {html.escape(about)}</h3>" + charts.rows(poll.question, choices, number)
    return _section(say("polls"), inside) if inside else ""


def _moderation(report: BroadcastReport, language: Language) -> str:
    say = partial(phrase, language)
    told = report.moderation
    lines = [(say("held"), told.held), (say("blocked"), told.blocked), (say("redacted"), told.redacted)]
    lines += [(said(language, act), n) for act, n in sorted(told.acts.items(), key=_most)]
    return _section(say("moderation"), _table([say("acts"), say("times_n")], [[name, number(n)] for name, n in lines]))


# --- Pieces -----------------------------------------------------------------------------------------------------------
def _section(title: str, inside: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>{inside}</section>"


def _table(names: Sequence[str], lines: Iterable[Sequence[str]], numbers: Sequence[int] | None = None) -> str:
    """`numbers`: columns that stand right; all but the first unless told otherwise."""
    right = range(1, len(names)) if numbers is None else numbers

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if place in right else ''}>{html.escape(value)}</{tag}>" for place, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', line)}</tr>" for line in lines)
    return f"<table><thead><tr>{cells('th', names)}</tr></thead><tbody>{body}</tbody></table>"


def _span(report: BroadcastReport) -> charts.Span:
    begin = report.started_at or report.made_at
    return charts.Span(begin, max(report.ended_at or report.made_at, begin + MINUTE_MS), clock)


def _again(room: str, point: Point) -> Tick:
    """A step as a tick, to be put together in longer ones."""
    counted = ("comments", "shown", "likes", "gifts", "gift_value", "claims", "orders")
    return Tick(room, point.at, **{name: getattr(point, name) for name in counted})


def _most(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
