"""`livecast token`: sign a token with the node's first secret, for trying things out and for scripts."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any, Final

import click

from livecast.edge.access.identity import AuthError
from livecast.edge.access.tokens import mint
from livecast.ops.configuration.groups import DEV_SECRET
from livecast.ops.configuration.layers import SettingsError
from livecast.ops.configuration.settings import load

ROLES: Final = ("viewer", "host", "moderator", "merchant")
#: The longest life of a token made by hand: a year. Longer ones belong to a key that can be revoked.
TTL_MAX_S: Final = 31_536_000
#: A room id in which `*` and `?` may stand for others.
GLOB: Final = re.compile(r"[A-Za-z0-9_*?-]{1,64}")


def signing_secret(config: Path | None) -> str:
    """The first secret of the configuration, or the development secret if there is none."""
    try:
        secrets = load(file=config, environment=os.environ, dev=True).auth.jwt_secrets
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    configured = [secret for secret in secrets if secret != DEV_SECRET]
    return configured[0] if configured else DEV_SECRET


@click.command()
@click.option("--sub", required=True, metavar="U", help="User id: 1 to 128 printable ASCII characters without `/`.")
@click.option("--name", metavar="N", help="What others read; without it, the id.")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What the bearer is to the room.")
@click.option("--room", "rooms", multiple=True, metavar="GLOB", help="Room id or glob; may be repeated. Staff must name theirs.")
@click.option("--level", type=click.IntRange(0), metavar="L", help="The user's level, for lanes and for rooms with a minimum.")
@click.option("--badge", "badges", multiple=True, metavar="B", help="A badge; may be repeated.")
@click.option("--merchant", metavar="M", help="With --role merchant: whose rooms.")
@click.option("--ttl", "ttl_s", type=click.IntRange(1, TTL_MAX_S), default=86_400, show_default=True, metavar="S", help="Seconds.")
@click.option("--config", type=click.Path(path_type=Path), envvar="LIVECAST_CONFIG", metavar="FILE", help="Whose secret signs.")
def command(*, rooms: tuple[str, ...], badges: tuple[str, ...], ttl_s: int, config: Path | None, **claims: Any) -> None:
    """Print a token (a JWT) for a viewer or for staff.

    It is signed with the first of [auth] jwt_secrets, from --config or the environment, or with the development secret that
    `livecast serve --dev` accepts.

    \b
    Examples:
      livecast token --sub ada
      livecast token --sub mei --name 小美 --role host --room 'mei-*' --ttl 3600
    """  # noqa: D301 - click wants the control character, not its name
    for room in rooms:
        if not GLOB.fullmatch(room):
            raise click.BadParameter(f"{room!r} can match no room id (1 to 64 of A-Z a-z 0-9 _ -)", param_hint="--room")
    if claims["role"] != "viewer" and not rooms:
        raise click.BadParameter("staff must name their rooms (--room '*' for all)", param_hint="--room")
    secret, now_s = signing_secret(config), int(time.time())
    said = {**claims, "rooms": rooms, "badges": badges}
    try:
        token = mint(
            secret, {"iat": now_s, "exp": now_s + ttl_s} | {name: value for name, value in said.items() if value not in (None, ())}
        )
    except AuthError as error:
        raise click.UsageError(error.message) from error
    if secret == DEV_SECRET:
        click.echo("Signed with the development secret: good for `livecast serve --dev` only.", err=True)
    click.echo(token)
