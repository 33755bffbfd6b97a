"""`livecast key`: make an API key for the control plane."""

from __future__ import annotations

import json
from typing import cast

import click
import msgspec

from livecast.edge.keys import SCOPES, ApiKey, Scope, new_key


@click.group()
def command() -> None:
    """Keys of the control plane: `lck_<id>_<secret>`, sent as `Authorization: Bearer …`."""


@command.command()
@click.option("--id", "key_id", required=True, metavar="ID", help="Who it is for: 1 to 32 of A-Z a-z 0-9 -. Shown in logs.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    metavar="S",
    help="What it may do; may be repeated. Without it: everything.",
)
@click.option("--room", "rooms", multiple=True, metavar="GLOB", help="Room id or glob; may be repeated [default: *].")
@click.option("--merchant", default="", metavar="M", help="Only rooms of this merchant.")
def new(key_id: str, scopes: tuple[str, ...], rooms: tuple[str, ...], merchant: str) -> None:
    """Print a new key and its entry for the configuration.

    `key` is shown this once and stored nowhere. `config` goes into [auth] api_keys, in the file as TOML or in
    LIVECAST_AUTH__API_KEYS as a JSON list; the node knows the key from its next start on.

    \b
    Examples:
      livecast key new --id shop --scope rooms:write --scope chat:write --room 'shop-*'
      livecast key new --id ops | jq -r .key
    """  # noqa: D301 - click wants the control character, not its name
    try:
        key, entry = new_key(key_id, cast("tuple[Scope, ...]", scopes or SCOPES), rooms or ("*",), merchant)
        config = msgspec.to_builtins(msgspec.convert(msgspec.to_builtins(entry), ApiKey))  # what a node would read
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from error
    click.echo(json.dumps({"key": key, "config": config}, indent=2))
