"""The command line: `livecast COMMAND`. Each command is a module of its own and is imported only when it is called,
so that `livecast token` does not pay for the terminal views.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Final

import click

from livecast import __version__
from livecast.ops.processes.loading import no_collection

#: Name -> (module with a click command called `command`, one line for the overview).
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("livecast.ops.commands.serve", "Run a node."),
    "demo": ("livecast.ops.commands.demo", "Run a node with a simulated crowd in room `demo`."),
    "tail": ("livecast.ops.commands.tail", "Watch a room in the terminal."),
    "crowd": ("livecast.ops.commands.crowd", "Send a simulated crowd into a room."),
    "replay": ("livecast.ops.commands.replay", "Play a danmaku XML file into a room."),
    "moderate": ("livecast.ops.commands.moderate", "Keep a room civil: mute, ban, redact, slow down, judge what is held."),
    "report": ("livecast.ops.commands.report", "Print the report of a broadcast."),
    "export": ("livecast.ops.commands.export", "Write the comments of a broadcast to a file."),
    "token": ("livecast.ops.commands.tokens", "Print a token for a viewer or for staff."),
    "key": ("livecast.ops.commands.keys", "Make and revoke keys of the control plane."),
    "check": ("livecast.ops.commands.check", "Check the configuration and print what is in force."),
    "audit": ("livecast.ops.commands.audit", "Replay the ledger and compare the books with it."),
    "ledger": ("livecast.ops.commands.ledger", "Show where the ledger stands; confirm a loss."),
    "verify-draw": ("livecast.ops.commands.draws", "Recompute a draw from its public file."),
    "receipt": ("livecast.ops.commands.receipts", "Check a receipt that a winner shows."),
    "backup": ("livecast.ops.commands.backup", "Write everything in a data directory to one file."),
    "restore": ("livecast.ops.commands.restore", "Make a data directory of a backup."),
    "user": ("livecast.ops.commands.user", "Give out or forget what is known of a user."),
    "conform": ("livecast.ops.conform.command", "Walk a client through a scripted room and grade it."),
    "simulate": ("livecast.ops.commands.simulate", "Say what so many viewers will take, and the bill."),
    "schema": ("livecast.ops.commands.schema", "Print the JSON Schema of every message."),
}


class Overview(click.Group):
    """A group that knows its commands by name, loads one when it is used, and suggests the nearest for a wrong name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a first day with livecast, not of the alphabet."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        with no_collection():
            command = import_module(COMMANDS[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name][0]}.command is not a click command")
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, without importing a single command."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one is nearest."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            ctx.fail(f"there is no command {args[0]!r}; " + (f"did you mean {near[0]!r}?" if near else "see livecast --help"))
        return super().resolve_command(ctx, args)


@click.group(cls=Overview, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="livecast")
def main() -> None:
    """The interaction service of live commerce: bullet comments and likes for broadcasts with many viewers.

    `livecast demo` shows a living room at once. `livecast serve --dev` runs a node for trying things out: tokens are signed
    with a known secret and rooms come to be when somebody joins. `livecast COMMAND --help` tells more.
    """
