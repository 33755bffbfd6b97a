"""`livecast report`: what a broadcast was, in the terminal, as JSON or as a page to print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from livecast.edge.reports.phrases import clock, duration, money, number, said
from livecast.ops.asking import Node, asker_options, segment


@click.command()
@click.option("--room", required=True, metavar="R", help="The room.")
@click.option("--broadcast", metavar="B", help="Which broadcast; without it the latest.")
@click.option("--list", "wants_list", is_flag=True, help="List the room's broadcasts instead.")
@click.option("--json", "as_json", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it as JSON.")
@click.option(
    "--html", "as_html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it as a page to print."
)
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of the page.")
@asker_options
def command(  # noqa: PLR0917 - click hands options over by name
    room: str,
    broadcast: str | None,
    wants_list: bool,
    as_json: Path | None,
    as_html: Path | None,
    lang: str,
    url: str,
    api_key: str | None,
) -> None:
    """Print the report of a broadcast.

    It is of the latest broadcast unless another is named, and a second old at most. Needs an API key with the scope reports:read.

    \b
    Examples:
      livecast report --room demo
      livecast report --room demo --html report.html --lang zh
      livecast report --room demo --list
    """  # noqa: D301 - click wants the control character, not its name
    node, path = Node(url, api_key), f"/v1/rooms/{segment(room)}"
    if wants_list:
        _list(node.json("GET", f"{path}/broadcasts")["data"])
        return
    for wanted, file in (("json", as_json), ("html", as_html)):
        if file is not None:
            node.save(f"{path}/report", file, broadcast=broadcast, format=wanted, lang=lang)
            click.echo(f"wrote {file}", err=True)
    if as_json is None and as_html is None:
        _print(node.json("GET", f"{path}/report", broadcast=broadcast))


def _list(broadcasts: list[dict[str, Any]]) -> None:
    table = Table("broadcast", "title", "status", "began (UTC)", "viewers", "at one time", box=None)
    for each in broadcasts:
        began = clock(each["started_at"], day=True)
        table.add_row(each["id"], each["title"], each["status"], began, number(each["users"]), number(each["peak"]))
    Console().print(table)


def _print(report: dict[str, Any]) -> None:
    """The figures; what is long is in the files."""
    audience, comments, sales = report["audience"], report["comments"], report["sales"]
    table = Table(title=f"{report['title'] or report['room']} · {report['broadcast']}", show_header=False, title_justify="left")
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    ended = clock(report["ended_at"], day=True) if report["ended_at"] else "still on air"
    table.add_row("when (UTC)", f"{clock(report['started_at'], day=True)} – {ended}, {duration('en', report['duration_ms'])}")
    table.add_row(
        "viewers",
        f"{number(audience['peak'])} at one time, {number(audience['average'])} on average, {number(audience['unique'])} in all",
    )
    rejected = ", ".join(f"{said('en', code)} {number(n)}" for code, n in comments["rejected"].items())
    verdicts = ", ".join(f"{name} {number(comments[name])}" for name in ("shown", "merged", "sampled", "held"))
    table.add_row("comments", f"{number(comments['in'])}: {verdicts}" + (f"; refused: {rejected}" if rejected else ""))
    table.add_row("top words", ", ".join(f"{word['word']} {number(word['n'])}" for word in report["words"][:10]) or "none")
    table.add_row("likes", number(report["likes"]))
    table.add_row("gifts", f"{number(report['gifts']['gifts'])}, {number(report['gifts']['value'])} coins")
    table.add_row("orders", f"{number(sales['orders'])}, {money(sales['value'])}")
    for drop in report["drops"]:
        fast = f", sold out in {duration('en', drop['sold_out_in_ms'])}" if drop["sold_out_in_ms"] is not None else ""
        table.add_row("drop", f"{drop['title'] or drop['drop']}: {number(drop['granted'])} of {number(drop['stock'])}{fast}")
    for poll in report["polls"]:
        choices = ", ".join(f"{choice['text']} {number(choice['votes'])}" for choice in poll["choices"])
        table.add_row("poll", f"{poll['question']} {choices}")
    acts = ", ".join(f"{said('en', act)} {number(n)}" for act, n in report["moderation"]["acts"].items())
    table.add_row("staff", acts or "none")
    Console().print(table)
