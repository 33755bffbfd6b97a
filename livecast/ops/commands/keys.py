"""`livecast key`: make an API key for the control plane, or take one back."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import cast

import click
import msgspec

from livecast.adapters.redis.address import without_password
from livecast.adapters.redis.revoked import RedisRevokedKeys
from livecast.adapters.redis.server import RedisServer
from livecast.edge.access.keys import SCOPES, ApiKey, Scope, new_key
from livecast.ops.commands.serve import settings_or_exit
from livecast.ops.stores import valkey_socket
from livecast.ports import StoreError


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


@command.command()
@click.argument("key_id", metavar="ID")
@click.option("--config", type=click.Path(path_type=Path), envvar="LIVECAST_CONFIG", metavar="FILE", help="The node's settings.")
@click.option("--data-dir", metavar="D", help="The node's data directory [default: .livecast].")
@click.option("--redis", metavar="URL", help="The rooms' server, if it is not an embedded one.")
def revoke(key_id: str, config: Path | None, data_dir: str | None, redis: str | None) -> None:
    """Take a key back: within ten seconds no node accepts it any more.

    Works on the store of running nodes, so no node has to be restarted. ID stays revoked; a new key needs another one. Take
    its entry out of the configuration as well when there is time.

    \b
    Examples:
      livecast key revoke shop
      livecast key revoke shop --redis redis://10.0.0.5:6379
    """  # noqa: D301 - click wants the control character, not its name
    if not re.fullmatch(r"[A-Za-z0-9-]{1,32}", key_id):
        raise click.BadParameter("the id is the middle part of lck_<id>_<secret>", param_hint="ID")
    settings = settings_or_exit(config=config, dev=True, data_dir=data_dir, redis=redis)
    url = settings.redis.url or _running(Path(settings.server.data_dir))
    try:
        new_to_it = asyncio.run(_revoked(url, key_id))
    except StoreError as error:
        raise click.ClickException(f"{without_password(url)} does not answer ({error}): the key is NOT revoked") from error
    click.echo(f"{key_id} is revoked" if new_to_it else f"{key_id} was revoked already")


async def _revoked(url: str, key_id: str) -> bool:
    server = RedisServer(url)
    try:
        return await RedisRevokedKeys(server).add(key_id)
    finally:
        await server.close()


def _running(data_dir: Path) -> str:
    """The address of the embedded store of a running node."""
    directory = (data_dir / "rooms").absolute()
    if directory.is_dir() and (path := valkey_socket.socket_path(directory.resolve())).exists():
        return valkey_socket.url(path)
    raise click.ClickException(
        f"no node runs on {data_dir}: say which one with --data-dir or --redis, or take the key out of the configuration"
    )
