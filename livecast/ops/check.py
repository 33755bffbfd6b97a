"""`livecast check`: is the configuration right, and what is in force? Secrets are masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from livecast.adapters.redis_address import without_password
from livecast.ops.groups import DEV_SECRET
from livecast.ops.reference import as_toml, example
from livecast.ops.serve import node_options, settings_or_exit
from livecast.ops.settings import SECTIONS, Settings, keys_of

__all__ = ["command", "in_force", "masked", "without_password"]


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
@node_options
def command(*, config: Path | None, dev: bool, wants_example: bool, **options: Any) -> None:
    """Check the configuration and print what is in force.

    Exits 0 if a node would start with it, and 2 with everything that is wrong otherwise. Secrets are masked; values that are
    not defaults say where they came from. Development secrets are refused without --dev.
    """
    if wants_example:
        click.echo(example(), nl=False)
        return
    settings = settings_or_exit(config=config, dev=dev, **options)
    click.echo(in_force(settings))
    for advice in settings.advice:
        click.echo(f"livecast: {advice}", err=True)
