"""`livecast token`: sign a JWT with the node's first secret, for trying things out and for scripts."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any, Final

import click
import jwt

from livecast.core.rules import UserId
from livecast.ops.groups import DEV_SECRET
from livecast.ops.layers import SettingsError
from livecast.ops.settings import load

ROLES: Final = ("viewer", "host", "moderator", "merchant")
#: The longest life of a token made by hand: a year. Longer ones belong to a key that can be revoked.
TTL_MAX_S: Final = 31_536_000


def signing_secret(config: Path | None) -> str:
    """The first secret of the configuration, or the development secret if there is none."""
    try:
        secrets = load(file=config, environment=os.environ, dev=True).auth.jwt_secrets
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    configured = [secret for secret in secrets if secret != DEV_SECRET]
    return configured[0] if configured else DEV_SECRET


def minted(secret: str, sub: str, *, ttl_s: int, now_s: int, **claims: Any) -> str:
    """A signed token; claims that are empty or None are left out."""
    body = {"sub": sub, "iat": now_s, "exp": now_s + ttl_s} | {
        name: value for name, value in claims.items() if value not in (None, "", [])
    }
    return jwt.encode(body, secret, "HS256")


@click.command()
@click.option("--sub", required=True, metavar="U", help="User id: 1 to 128 printable ASCII characters without `/`.")
@click.option("--name", metavar="N", help="What others read; without it, the id.")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@click.option(
    "--room",
    "rooms",
    multiple=True,
    metavar="GLOB",
    help="Room id or glob; may be repeated. Viewers get `*` without it; staff must name theirs.",
)
@click.option("--level", type=click.IntRange(0), metavar="L", help="The user's level, for lanes and for rooms with a minimum.")
@click.option("--badge", "badges", multiple=True, metavar="B", help="A badge; may be repeated.")
@click.option(
    "--ttl",
    "ttl_s",
    type=click.IntRange(1, TTL_MAX_S),
    default=86_400,
    show_default=True,
    metavar="S",
    help="Seconds it is good for.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="LIVECAST_CONFIG",
    metavar="FILE",
    help="Sign with the first secret of this file.",
)
def command(
    *, sub: str, rooms: tuple[str, ...], ttl_s: int, config: Path | None, badges: tuple[str, ...], role: str, **claims: Any
) -> None:
    """Print a token (a JWT).

    It is signed with the first of [auth] jwt_secrets, from --config or the environment, or with the development secret that
    `livecast serve --dev` accepts.

    \b
    Examples:
      livecast token --sub ada
      livecast token --sub mei --name 小美 --role host --room 'mei-*' --ttl 3600
    """  # noqa: D301 - click wants the control character, not its name
    if not re.match(_pattern(UserId), sub):
        raise click.BadParameter("1 to 128 printable ASCII characters without space and `/`", param_hint="--sub")
    for room in rooms:
        if not re.match(r"^[A-Za-z0-9_*?\[\]!-]{1,64}\Z", room):
            raise click.BadParameter(f"{room!r} can match no room id (1 to 64 of A-Z a-z 0-9 _ -)", param_hint="--room")
    if role != "viewer" and not rooms:
        raise click.BadParameter(f"a {role}'s token must name its rooms (--room '*' for all)", param_hint="--room")
    secret = signing_secret(config)
    if secret == DEV_SECRET:
        click.echo("Signed with the development secret: good for `livecast serve --dev` only.", err=True)
    click.echo(
        minted(secret, sub, ttl_s=ttl_s, now_s=int(time.time()), role=role, rooms=list(rooms), badges=list(badges), **claims)
    )


def _pattern(kind: Any) -> str:
    return str(kind.__metadata__[0].pattern)
