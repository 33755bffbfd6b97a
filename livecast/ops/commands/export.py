"""`livecast export`: the comments of a broadcast as a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Final

import click

from livecast.ops.asking import Node, asker_options, segment, written

COLUMNS: Final = ("offset_ms", "at", "id", "user", "name", "role", "text", "n", "lane")
#: A cell that begins like this is a formula to a spreadsheet: whoever comments shall not run anything on the merchant's desk.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@click.command()
@click.option("--room", required=True, metavar="R", help="The room.")
@click.option("--broadcast", metavar="B", help="Which broadcast; without it the latest.")
@click.option(
    "--format", "form", type=click.Choice(["xml", "json", "csv"]), default="xml", show_default=True,
    help="xml: danmaku XML, for video players and `livecast replay`. csv: for spreadsheets.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Without it: standard output."
)
@asker_options
def command(  # noqa: PLR0917 - click hands options over by name
    room: str, broadcast: str | None, form: str, output: Path | None, url: str, api_key: str | None
) -> None:
    """Write the comments of a broadcast against its time line.

    Merges and redactions are applied. Needs an API key with the scope reports:read.

    \b
    Examples:
      livecast export --room demo -o show.xml
      livecast replay show.xml --room another --speed 10
    """  # noqa: D301 - click wants the control character, not its name
    node, path = Node(url, api_key), f"/v1/rooms/{segment(room)}/replay"
    if form == "csv":
        table = _table(node.json("GET", f"{path}.json", broadcast=broadcast)["comments"]).encode("utf-8-sig")
        with written(output) as file:
            file.write(table)
    else:
        node.save(f"{path}.{form}", output, broadcast=broadcast)
    if output is not None:
        click.echo(f"wrote {output}", err=True)


def _table(comments: list[dict[str, Any]]) -> str:
    """As RFC 4180 has it, with a byte order mark so that spreadsheets read it as UTF-8. Redacted comments are left out."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for comment in comments:
        if comment.get("redacted"):
            continue
        told = {**comment, "user": comment["u"]["id"], "name": comment["u"]["name"], "role": comment["u"]["role"]}
        rows.writerow([_cell(told[column]) for column in COLUMNS])
    return text.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
