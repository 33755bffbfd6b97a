"""`livecast check`: is the configuration right, and what is in force? Secrets are masked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from livecast.adapters.redis.address import without_password
from livecast.ops.commands.serve import node_options, settings_or_exit
from livecast.ops.configuration.groups import DEV_SECRET
from livecast.ops.configuration.reference import as_toml, example
from livecast.ops.configuration.settings import SECTIONS, Settings, keys_of
from livecast.ops.stores.look import lines, look_at_stores

__all__ = ["command", "in_force", "masked"]

EXIT_STORES: Final = 3
"""The configuration is right, and a store is not."""


def in_force(settings: Settings) -> str:
    """Every key with its value, as TOML, and where it came from if it is not a default."""
    lines: list[str] = []
    for section in SECTIONS:
        lines.append(f"[{section}]")
        for key in keys_of(section):
            origin = settings.origins.get((section, key))
            value = as_toml(masked(section, key, settings.value(section, key)))
            lines.append(f"{key} = {value}" + (f"  # {origin}" if origin else ""))
        lines.append("")
    return "\n".join(lines).rstrip()


def masked(section: str, key: str, value: Any) -> Any:
    """The value as it may be shown: secrets by their length, hashes by their beginning, addresses without a password."""
    if (section, key) == ("auth", "jwt_secrets"):
        return [secret if secret == DEV_SECRET else f"({len(secret.encode())} bytes)" for secret in value]
    if (section, key) == ("auth", "api_keys"):
        return [msgspec.to_builtins(each) | {"hash": each.hash[:8] + "…"} for each in value]
    if key in {"url", "jwks_url"}:
        return without_password(value)
    return msgspec.to_builtins(value)


@click.command()
@click.option("--dev", is_flag=True, help="Check what `livecast serve --dev` would use.")
@click.option(
    "--example", "wants_example", is_flag=True, help="Print a settings file with every key, commented out, and do nothing else."
)
@click.option("--stores", is_flag=True, help="Exit with 3 if a configured store cannot be used or would lose something.")
@click.option("--offline", is_flag=True, help="Do not look at the configured stores.")
@node_options
def command(*, config: Path | None, dev: bool, wants_example: bool, stores: bool, offline: bool, **options: Any) -> None:
    """Check the configuration and print what is in force.

    Secrets are masked; values that are not defaults say where they came from. Development secrets are refused without --dev.
    Configured stores are looked at: who is there, which versions and settings they have, how fast they answer; what is wrong with
    them is said on standard error. Nothing is changed there.

    Exits 0 if the configuration is right, 2 with everything that is wrong otherwise; with --stores 3 if the configuration is right
    and a store is not.
    """
    if wants_example:
        click.echo(example(), nl=False)
        return
    settings = settings_or_exit(config=config, dev=dev, **options)
    click.echo(in_force(settings))
    for advice in settings.advice:
        click.echo(f"livecast: {advice}", err=True)
    looks = [] if offline else asyncio.run(look_at_stores(settings))
    if looks:
        click.echo("\n" + "\n".join(lines(looks)))
    for look in looks:
        for said in (*look.problems, *(f"(hint) {hint}" for hint in look.hints)):
            click.echo(f"livecast: [{look.role}] {said}", err=True)
    if stores and any(look.problems for look in looks):
        raise click.exceptions.Exit(EXIT_STORES)
