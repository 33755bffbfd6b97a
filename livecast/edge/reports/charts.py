"""Charts as inline SVG: no script, no style but classes. Whoever cannot see them finds the same in tables, or in the title."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

WIDTH: Final = 720
HEIGHT: Final = 180
LEFT: Final = 52
"""Room for the numbers of the axis: `1,234,567` in 11 px."""
BOTTOM: Final = 22
TOP: Final = 8
ROW: Final = 22

Point: TypeAlias = tuple[int, float]
"""A time (Unix ms) and a value."""
Write: TypeAlias = Callable[[float], str]


class Span(Struct, frozen=True):
    """The time that a chart shows, and how times are written."""

    begin: int
    end: int
    clock: Callable[[int], str]


def curve(title: str, points: Sequence[Point], span: Span, write: Write) -> str:
    """A filled curve. Between two points the former's value holds."""
    begin, end = span.begin, max(span.end, span.begin + 1)
    top = _nice(max((value for _, value in points), default=0))

    def x(at: int) -> float:
        return LEFT + (WIDTH - LEFT - 4) * (min(max(at, begin), end) - begin) / (end - begin)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)

    path, level = f"M{x(begin):.1f} {y(0):.1f}", 0.0
    for at, value in points:
        path += f"H{x(at):.1f}" if not level else f"L{x(at):.1f} {y(level):.1f}"
        path += f"L{x(at):.1f} {y(value):.1f}"
        level = value
    path += f"L{x(end):.1f} {y(level):.1f}V{y(0):.1f}Z"
    shape = f'<path class="area" d="{path}"/>'
    return _frame(title, shape + _ruler(top, y, write) + _clock(begin, end, x, span.clock))


def bars(title: str, points: Sequence[Point], step: int, span: Span, write: Write) -> str:
    """A bar for each point, `step` ms wide."""
    begin, end = span.begin - span.begin % step, max(span.end, span.begin + step)
    top = _nice(max((value for _, value in points), default=0))

    def x(at: int) -> float:
        return LEFT + (WIDTH - LEFT - 4) * (min(max(at, begin), end) - begin) / (end - begin)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - max(value, 0) / top)

    shapes = "".join(
        f'<rect class="bar" x="{x(at):.1f}" y="{y(value):.1f}" width="{max(x(at + step) - x(at) - 0.6, 0.4):.1f}" '
        f'height="{y(0) - y(value):.1f}"><title>{html.escape(f"{span.clock(at)} · {write(value)}")}</title></rect>'
        for at, value in points
        if value > 0
    )
    return _frame(title, shapes + _ruler(top, y, write) + _clock(begin, end, x, span.clock))


def rows(title: str, values: Sequence[tuple[str, float]], write: Write, *, width: int = WIDTH) -> str:
    """A bar lying for each (name, value), in the order given."""
    top = max((value for _, value in values), default=0) or 1
    height = ROW * len(values) + 4
    name_width = width // 4 + 10
    room = width - name_width - 90
    lines = []
    for place, (name, value) in enumerate(values):
        y = place * ROW
        long = max(room * value / top, 1)
        lines.append(
            f'<text class="name" x="{name_width - 8}" y="{y + 15}">{html.escape(_short(name))}</text>'
            f'<rect class="bar" x="{name_width}" y="{y + 4}" width="{long:.1f}" height="{ROW - 8}"/>'
            f'<text class="value" x="{name_width + long + 6:.1f}" y="{y + 15}">{html.escape(write(value))}</text>'
        )
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}">{"".join(lines)}</svg>'


def _frame(title: str, inside: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">{inside}</svg>'


def _ruler(top: float, y: Callable[[float], float], write: Write) -> str:
    return "".join(
        f'<path class="rule" d="M{LEFT} {y(value):.1f}H{WIDTH - 4}"/>'
        f'<text class="axis right" x="{LEFT - 6}" y="{y(value) + 4:.1f}">{html.escape(write(value))}</text>'
        for value in (0, top / 2, top)
    )


def _clock(begin: int, end: int, x: Callable[[int], float], clock: Callable[[int], str]) -> str:
    """Five times below, the outer ones kept inside of the picture."""
    marks = []
    for n in range(5):
        at = begin + (end - begin) * n // 4
        side = "" if 0 < n < 4 else (" left" if n == 0 else " right")
        marks.append(f'<text class="axis{side or " middle"}" x="{x(at):.1f}" y="{HEIGHT - 6}">{html.escape(clock(at))}</text>')
    return "".join(marks)


def _nice(value: float) -> float:
    """The next round number, so that the half of it is round as well."""
    if value <= 2:
        return 2
    unit = 10 ** math.floor(math.log10(value))
    return float(next(factor * unit for factor in (1, 2, 4, 6, 8, 10) if factor * unit >= value))


def _short(name: str) -> str:
    return name if len(name) <= 22 else name[:21] + "…"
