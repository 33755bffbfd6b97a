"""`livecast user`: what is known of a person, given out or forgotten."""

from __future__ import annotations

from pathlib import Path

import click

from livecast.ops.asking import Node, asker_options, segment


@click.group()
def command() -> None:
    """Give out or forget what is known of a user.

    Both need an API key of the platform: for all rooms, of no merchant, with the scope chat:moderate.
    """


@command.command()
@click.argument("user")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Without it: standard output."
)
@asker_options
def export(user: str, output: Path | None, url: str, api_key: str | None) -> None:
    """Write everything that is archived of USER: one JSON object a line."""
    n_bytes = Node(url, api_key).save(f"/v1/users/{segment(user)}/export", output)
    if output is not None:
        click.echo(f"wrote {output}" + ("" if n_bytes else ": nothing is archived of this user"), err=True)


@command.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@asker_options
def erase(user: str, yes: bool, url: str, api_key: str | None) -> None:
    """Forget USER: in every room, and in the archive.

    What they said is deleted. Entries of the ledger are kept, as bookkeeping law asks, under a pseudonym. This cannot be undone.
    """
    if not yes:
        click.confirm(f"Forget {user} for good?", abort=True)
    done = Node(url, api_key).json("DELETE", f"/v1/users/{segment(user)}")
    click.echo(f"forgotten in {len(done['rooms'])} rooms")
    archived = done.get("archived")
    if archived is not None:
        click.echo(
            f"archive: {archived['comments']:,} comments deleted, {archived['money']:,} entries of the ledger and "
            f"{archived['staff']:,} of the staff's log now name {archived['pseudonym']}"
        )
    if done["failed"]:
        raise click.ClickException(f"these rooms did not answer, ask again: {', '.join(done['failed'])}")
