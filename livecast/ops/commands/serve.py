"""`livecast serve`: read the settings, run a node, exit 0 after a clean stop, 1 after a failed start, 2 on wrong settings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import click

from livecast.ops.configuration.layers import Given, Layer, SettingsError
from livecast.ops.configuration.settings import Settings
from livecast.ops.configuration.source import Source
from livecast.ops.processes import early_signals
from livecast.ops.processes.loading import no_collection

#: Exit code for wrong settings, the same that click uses for wrong options.
EXIT_USAGE = 2


class Workers(click.ParamType):  # type: ignore[type-arg,unused-ignore] # generic in later versions of click alone
    """A number, or `auto`."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Its bounds are the configuration's."""
        if value == "auto" or isinstance(value, int):
            return value
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor `auto`", param, ctx)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="LIVECAST_CONFIG",
        metavar="FILE",
        help="TOML file with the settings (also LIVECAST_CONFIG).",
    ),
    click.option("--host", metavar="H", help="Address to listen on [default: 127.0.0.1]."),
    click.option("--port", type=int, metavar="P", help="Port to listen on; 0 takes a free one [default: 8080]."),
    click.option("--data-dir", metavar="D", help="Where the embedded stores keep their files [default: .livecast]."),
    click.option("--redis", metavar="URL", help="Use this Redis or Valkey for the rooms instead of an embedded one."),
    click.option("--ledger", metavar="URL", help="Use this server for the ledger instead of an embedded one."),
    click.option("--workers", type=Workers(), metavar="N", help="Processes that serve, or `auto`: one per core [default: 1]."),
)

#: Option -> the key that it sets.
_SETS = {
    "host": ("server", "host"),
    "port": ("server", "port"),
    "data_dir": ("server", "data_dir"),
    "redis": ("redis", "url"),
    "ledger": ("ledger", "url"),
    "workers": ("server", "workers"),
}


def node_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a node; they arrive as `config` and the keywords that `settings_or_exit` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_or_exit(*, config: Path | None, dev: bool, **options: Any) -> Settings:
    """Put file, environment and options together. What is wrong goes to stderr, all of it, and ends the process with 2."""
    settings, _ = _read_or_exit(_source(config=config, dev=dev, **options))
    return settings


def run_or_exit(beside: Callable[[str], Coroutine[Any, Any, None]] | None = None, **options: Any) -> NoReturn:
    """Run a node with these options, in this process or with workers, and exit as it says. `beside` runs for as long as it does."""
    early_signals.hold()
    source = _source(**options)
    settings, layer = _read_or_exit(source)
    # Wrong settings are told before the service is imported.
    if settings.server.workers == 1:
        with no_collection():
            from livecast.ops.main import run  # noqa: PLC0415 - see above

        sys.exit(run(settings, source, beside))
    from livecast.ops.processes.supervisor import run as supervise  # noqa: PLC0415 - see above

    sys.exit(supervise(settings, layer, source, beside))


def _source(*, config: Path | None, dev: bool, **options: Any) -> Source:
    given: Layer = {
        _SETS[name]: Given(value, f"--{name.replace('_', '-')}") for name, value in options.items() if value is not None
    }
    return Source(config, given, dev)


def _read_or_exit(source: Source) -> tuple[Settings, Layer]:
    try:
        return source.read()
    except SettingsError as error:
        click.echo("livecast: the configuration is wrong", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        sys.exit(EXIT_USAGE)


@click.command()
@click.option(
    "--dev",
    is_flag=True,
    help="For trying things out: a known secret and the key lck_dev_dev, rooms made on first join, /metrics open, "
    "no limits on connections per address and user. Never for production.",
)
@node_options
def command(**options: Any) -> None:
    """Run a node.

    Prints `livecast ready http://H:P` once it accepts connections; logs go to standard error. Without --redis and --ledger it
    starts Valkeys of its own in the data directory, and takes over what a killed predecessor left there. SIGTERM and Ctrl-C
    stop it cleanly within 15 seconds; a second one at once. SIGHUP reads the configuration again. With --workers a supervisor
    keeps N processes serving on one port; SIGUSR2 replaces them one by one.

    Every key can be set in the file, as LIVECAST_<SECTION>__<KEY> in the environment, and some by an option, which wins.

    \b
    Examples:
      livecast serve --dev
      livecast serve --config livecast.toml --host 0.0.0.0 --port 8080
      LIVECAST_AUTH__JWT_SECRETS_FILE=/run/secrets/jwt livecast serve
    """  # noqa: D301 - click wants the control character, not its name
    run_or_exit(**options)
