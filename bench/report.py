"""Figures in words: rows of the table in bench/README.md, and the frame in which every script runs."""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.machine import facts

README: Final = Path(__file__).parent / "README.md"
BEGIN: Final = "<!-- figures: written by `python -m bench --write` -->"
END: Final = "<!-- end of figures -->"


class Row(NamedTuple):
    """One line of the table. `note` says what the number hangs on."""

    what: str
    asked: str
    measured: str
    note: str = ""


Measure = Callable[[bool], list[Row]]
"""Takes `quick`: fewer rounds, smaller crowds; the figures then say nothing but that the script works."""


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["| what | asked | measured | note |", "|---|---|---|---|", *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(lines)


def run(measures: Sequence[tuple[str, Measure]]) -> None:
    """Run measurements one after the other, print each as it is done, and write them down if asked to."""
    parser = argparse.ArgumentParser(description="Measure livecast; what each number means stands at the top of its script.")
    parser.add_argument("only", nargs="*", help=f"which ({', '.join(name for name, _ in measures)}); all by default")
    parser.add_argument("--quick", action="store_true", help="see that it works; the figures are worth nothing")
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    given = parser.parse_args()
    unknown = set(given.only) - {name for name, _ in measures}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    about = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {facts()}"
    print(about)
    rows = list[Row]()
    for name, measure in measures:
        if given.only and name not in given.only:
            continue
        start = time.monotonic()
        found = measure(given.quick)
        rows += found
        print(f"\n{name} ({time.monotonic() - start:.0f} s)\n{table(found)}", flush=True)
    if given.write and not given.quick:
        _write(rows, None if given.only else about)


def _write(rows: Sequence[Row], about: str | None) -> None:
    """Of a whole run everything is new; of a part of it (no `about`) its rows take the place of those of the same name."""
    before, _, rest = README.read_text().partition(BEGIN)
    told, _, after = rest.partition(END)
    lines = told.strip().splitlines()
    head = "\n".join(line for line in lines if not line.startswith("|")).strip()
    kept = [Row(*line[2:-2].split(" | ")) for line in [line for line in lines if line.startswith("|")][2:]]
    named = {row.what: row for row in rows}
    known = {row.what for row in kept}
    merged = rows if about else [named.get(row.what, row) for row in kept] + [row for row in rows if row.what not in known]
    README.write_text(f"{before}{BEGIN}\n{about or head}\n\n{table(merged)}\n{END}{after}")
