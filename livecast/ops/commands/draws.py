"""`livecast verify-draw`: recompute a draw from its public file, without asking anybody to be believed."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import click
import msgspec

from livecast.core.money.draw import DrawFile, outcome_for, verify
from livecast.ops.stores.access import EXIT_USAGE, stop

EXIT_DIFFERENCE: Final = 1
FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""A draw of a million entrants takes 70 MB, with as many winners twice that."""
ANSWER_S: Final = 30.0
_DRAW_PATH: Final = re.compile(r"/v1/rooms/([^/]+)/drops/([^/]+)/draw")
_OUTCOMES: Final = {
    "won": "won a unit",
    "lost": "entered, and was not drawn before the units were gone",
    "passed": "was drawn, and passed over because of a limit over several drops",
}


@click.command()
@click.argument("file_or_url")
@click.option("--commitment", metavar="HEX", help="What was published before the draw (`commitment` of the drop).")
@click.option("--user", metavar="ID", help="Your user id, to see what became of you; goes with --nonce.")
@click.option("--nonce", metavar="N", help="The nonce from your `entered` answer, or from GET …/me.")
def command(file_or_url: str, commitment: str | None, user: str | None, nonce: str | None) -> None:
    """Recompute a draw, or a fair window, from its public file.

    FILE_OR_URL is the JSON of GET /v1/rooms/ROOM/drops/DROP/draw, saved or where it is. Checked are: that the seed is the one
    committed to, the tree's root over all entrants, every winner in the order of the draw, who was passed over, and that the copy
    is whole; from a URL also that it is about that room and drop. Give --commitment as you saw it before the draw: that the seed
    was not chosen afterwards is shown by nothing else. With --user and --nonce your own leaf is looked up.

    Exits 0 if all is right, 1 with the first thing that is not, 2 if there is no such file.

    \b
    Examples:
      livecast verify-draw https://live.example/v1/rooms/shop/drops/lucky/draw
      livecast verify-draw draw.json --commitment 9f86d0… --user ann --nonce 5lW0…
    """  # noqa: D301 - click wants the control character, not its name
    if (user is None) != (nonce is None):
        raise click.UsageError("--user and --nonce go together: both make your leaf.")
    try:
        file = msgspec.json.decode(_read(file_or_url), type=DrawFile)
    except msgspec.DecodeError as fault:
        click.echo(f"The draw is NOT right: this is no draw file ({fault}).")
        raise click.exceptions.Exit(EXIT_DIFFERENCE) from None
    commitment = None if commitment is None else commitment.strip().lower()
    findings = [*_elsewhere(file, file_or_url), *verify(file, commitment)]
    click.echo(told(file))
    if findings:
        click.echo(f"The draw is NOT right: {findings[0]}")
        raise click.exceptions.Exit(EXIT_DIFFERENCE)
    if user is not None and nonce is not None and not _tell(file, user, nonce):
        raise click.exceptions.Exit(EXIT_DIFFERENCE)
    kept = "" if commitment else " Compare the commitment with what was announced before the draw, or give it with --commitment."
    click.echo("The draw is right." + kept)


def told(file: DrawFile) -> str:
    """What the file says, for people."""
    rows = [
        ("room / drop", f"{file.room} / {file.drop}"),
        ("units", f"{file.units:,}"),
        ("entrants", f"{len(file.entrants):,}"),
        ("winners", f"{len(file.winners):,}" + (f" ({len(file.passed):,} passed over)" if file.passed else "")),
        ("commitment", file.commitment),
        ("seed", file.seed),
        ("root", file.root),
        *([("beacon", file.beacon)] if file.beacon else []),
    ]
    return "\n".join(f"  {name:<12}{value}" for name, value in rows)


def _tell(file: DrawFile, user: str, nonce: str) -> bool:
    """What became of one entrant; False if they are not there."""
    outcome = outcome_for(file, user, nonce)
    if outcome == "absent":
        click.echo(f"The draw is NOT right for you: {user} with this nonce is not among the entrants. Is the nonce from this drop?")
        return False
    click.echo(f"{user} {_OUTCOMES[outcome]}.")
    return True


def _elsewhere(file: DrawFile, where: str) -> list[str]:
    """Whether the file is about another drop than its address."""
    match = _DRAW_PATH.fullmatch(urlsplit(where).path) if _is_url(where) else None
    if match is None or (unquote(match[1]), unquote(match[2])) == (file.room, file.drop):
        return []
    return [f"The file is about {file.room}/{file.drop}, but its address says {unquote(match[1])}/{unquote(match[2])}."]


def _is_url(where: str) -> bool:
    return where.startswith(("http://", "https://"))


def _read(where: str) -> bytes:
    """The file, or the end of the program."""
    try:
        if _is_url(where):
            with urllib.request.urlopen(where, timeout=ANSWER_S) as response:  # noqa: S310 - http or https, as was asked for
                data: bytes = response.read(FILE_BYTES_MAX + 1)
        else:
            with Path(where).open("rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
    except urllib.error.HTTPError as refused:
        stop(f"{where} answers {refused.code}: {_detail(refused)}", EXIT_USAGE)
    except OSError as fault:
        stop(f"{where} cannot be read: {fault}", EXIT_USAGE)
    if len(data) > FILE_BYTES_MAX:
        stop(f"{where} is larger than any draw ({FILE_BYTES_MAX:,} bytes)", EXIT_USAGE)
    return data


def _detail(refused: urllib.error.HTTPError) -> str:
    """What the problem says of itself."""
    try:
        problem = msgspec.json.decode(refused.read(65_536), type=dict[str, object])
    except (msgspec.DecodeError, OSError):
        return str(refused.reason)
    return str(problem.get("detail") or problem.get("title") or refused.reason)
