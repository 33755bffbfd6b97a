"""`livecast moderate`: what a host's desk does most, from the terminal or a script."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from livecast.edge.reports.phrases import clock, number
from livecast.ops.asking import Node, asker_options, segment

PAGE: Final = "200"
"""The longest page there is."""
SLOW_MODE_MAX_S: Final = 120

_SENTENCE_OPTIONS: Final = (
    click.option("--for", "for_s", type=click.IntRange(1, 31_536_000), metavar="SECONDS", help="Without it: until taken back."),
    click.option("--reason", default="", metavar="TEXT", help="For the staff's log; mutes and bans are told with it."),
)
_SCOPE: Final = click.option(
    "--scope", type=click.Choice(["room", "merchant", "platform"]), help="How far it holds. Default: the room."
)
_REASON: Final = click.option("--reason", default="", metavar="TEXT", help="For the staff's log.")


class Desk:
    """One room's desk at a running node."""

    def __init__(self, room: str, node: Node) -> None:
        self.node = node
        self.room = room
        self.path = f"/v1/rooms/{segment(room)}"

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str | None) -> Any:
        """The answer of a call on this room."""
        return self.node.json(method, f"{self.path}/{path}", body, **query)

    def all(self, path: str) -> Iterator[dict[str, Any]]:
        """A list, page after page."""
        cursor: str | None = None
        while True:
            page = self.call("GET", path, limit=PAGE, cursor=cursor)
            yield from page["data"]
            if (cursor := page["next_cursor"]) is None:
                return


def desk_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--room`, `--url`, `--api-key`; the command gets a `Desk` of them."""

    @click.option("--room", required=True, metavar="R", help="The room.")
    @asker_options
    @functools.wraps(command)
    def at_desk(*args: Any, room: str, url: str, api_key: str | None, **options: Any) -> None:
        command(Desk(room, Node(url, api_key)), *args, **options)

    return at_desk


def _sentence_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed((*_SENTENCE_OPTIONS, _SCOPE)):
        command = option(command)
    return desk_options(command)


@click.group()
def command() -> None:
    """Keep a room civil: mute, ban, redact, slow down, judge what is held.

    Needs an API key with the scope chat:moderate (slow and mode: rooms:write). Every act is in the room's log, with its reason.
    Exits 0 when it was done, 1 when the node refused or did not answer, 2 when the command was written wrong.

    \b
    Examples:
      livecast moderate mute u17 --room demo --for 600 --reason spam
      livecast moderate held --room demo
      livecast moderate approve 5fk2 --room demo
      livecast moderate panic --room demo --reason raid
    """  # noqa: D301 - click wants the control character, not its name


# --- Users ------------------------------------------------------------------------------------------------------------
@command.command()
@click.argument("user")
@_sentence_options
def mute(desk: Desk, user: str, for_s: int | None, reason: str, scope: str | None) -> None:
    """Let USER watch, but neither comment nor like."""
    _impose(desk, "mute", user, for_s, reason, scope)


@command.command()
@click.argument("user")
@_sentence_options
def ban(desk: Desk, user: str, for_s: int | None, reason: str, scope: str | None) -> None:
    """Put USER out of the room, and do not let them in again."""
    _impose(desk, "ban", user, for_s, reason, scope)


@command.command()
@click.argument("user")
@_SCOPE
@desk_options
def unmute(desk: Desk, user: str, scope: str | None) -> None:
    """Take a mute of USER back: the narrowest in force, or that of --scope."""
    lifted = desk.call("DELETE", f"mutes/{segment(user)}", scope=scope)
    click.echo(f"{user} may speak again ({lifted['scope']})")


@command.command()
@click.argument("user")
@_SCOPE
@desk_options
def unban(desk: Desk, user: str, scope: str | None) -> None:
    """Take a ban of USER back: the narrowest in force, or that of --scope."""
    lifted = desk.call("DELETE", f"bans/{segment(user)}", scope=scope)
    click.echo(f"{user} may come in again ({lifted['scope']})")


@command.command()
@desk_options
def mutes(desk: Desk) -> None:
    """List the mutes in force."""
    _sentences(desk, "mutes")


@command.command()
@desk_options
def bans(desk: Desk) -> None:
    """List the bans in force."""
    _sentences(desk, "bans")


@command.command()
@click.argument("user")
@click.option("--for", "for_s", type=click.IntRange(1, 31_536_000), metavar="SECONDS", help="Keep them out for so long, too.")
@_REASON
@asker_options
def kick(user: str, for_s: int | None, reason: str, url: str, api_key: str | None) -> None:
    """Close every connection of USER, in every room that the key reaches, on every node."""
    done = Node(url, api_key).json("POST", f"/v1/users/{segment(user)}/disconnect", {"for_s": for_s, "reason": reason})
    click.echo(f"{user} is put out of {', '.join(done['scopes'])}" + (f", {_end(done['until'])}" if done["until"] else ""))


# --- Comments ---------------------------------------------------------------------------------------------------------
@command.command()
@click.argument("comments", nargs=-1)
@click.option("--user", "users", multiple=True, metavar="U", help="Everything that this user said. May be given several times.")
@_REASON
@desk_options
def redact(desk: Desk, comments: tuple[str, ...], users: tuple[str, ...], reason: str) -> None:
    """Take COMMENTS (their ids) off every screen, and out of what is replayed."""
    if not comments and not users:
        raise click.UsageError("Name comments, or a --user.")
    done = desk.call("POST", "redactions", {"comments": comments, "users": users, "reason": reason})
    gone = [*done["comments"], *(f"everything of {user}" for user in done["users"])]
    click.echo(f"redacted {', '.join(gone)}")


@command.command()
@desk_options
def held(desk: Desk) -> None:
    """List the comments that wait for a moderator, the oldest first."""
    table = Table("comment", "since (UTC)", "user", "name", "violations", "text", box=None)
    for each in desk.all("held"):
        about = each.get("about") or {}
        who, known = each["u"], number(about.get("violations", 0)) + (", new here" if about.get("new") else "")
        table.add_row(*map(escape, (each["id"], clock(each["at"]), who["id"], who["name"], known, each["text"])))
    _show(table, "nothing is held")


@command.command()
@click.argument("comments", nargs=-1, required=True)
@_REASON
@desk_options
def approve(desk: Desk, comments: tuple[str, ...], reason: str) -> None:
    """Let held COMMENTS be shown."""
    _judge(desk, comments, "approve", reason)


@command.command()
@click.argument("comments", nargs=-1, required=True)
@_REASON
@desk_options
def reject(desk: Desk, comments: tuple[str, ...], reason: str) -> None:
    """Never show held COMMENTS."""
    _judge(desk, comments, "reject", reason)


@command.command()
@desk_options
def reports(desk: Desk) -> None:
    """List what viewers reported, what was last reported first."""
    table = Table("report", "last (UTC)", "user", "times", "reasons", "comment", "text", box=None)
    for each in desk.all("reports"):
        reasons = "; ".join(one["reason"] for one in each["reasons"] if one["reason"])
        about = (each.get("comment", ""), each.get("text", ""))
        table.add_row(*map(escape, (each["id"], clock(each["last_at"]), each["user"], number(each["n"]), reasons, *about)))
    _show(table, "nothing is reported")


@command.command()
@click.argument("report_ids", metavar="REPORTS...", nargs=-1, required=True)
@desk_options
def settle(desk: Desk, report_ids: tuple[str, ...]) -> None:
    """Take REPORTS (their ids) off the list: they were looked at."""
    for report_id in report_ids:
        desk.call("DELETE", f"reports/{segment(report_id)}")
        click.echo(f"settled {report_id}")


# --- The room ---------------------------------------------------------------------------------------------------------
@command.command()
@click.argument("seconds", type=click.IntRange(0, SLOW_MODE_MAX_S))
@desk_options
def slow(desk: Desk, seconds: int) -> None:
    """Let everybody comment once in SECONDS (0 to 120) only; 0 ends it."""
    policy = desk.call("PATCH", "policy", {"slow_mode_s": seconds})["policy"]
    at = policy["slow_mode_s"]
    click.echo(f"one comment in {at} s" if at else "no slow mode")


@command.command()
@click.argument("who", type=click.Choice(["all", "level", "staff"]))
@click.option("--level", type=click.IntRange(0), metavar="N", help="With level: the lowest level that may comment.")
@desk_options
def mode(desk: Desk, who: str, level: int | None) -> None:
    """Say who may comment: all, those of a level, or staff."""
    if (who == "level") is (level is None):
        raise click.UsageError("--level belongs to level: `livecast moderate mode level --level 5`.")
    policy = desk.call("PATCH", "policy", {"mode": who, "min_level": level})["policy"]
    click.echo(f"comments from {policy['mode']}" + (f" {policy['min_level']} and up" if policy["mode"] == "level" else ""))


@command.command()
@_REASON
@desk_options
def panic(desk: Desk, reason: str) -> None:
    """Let nobody but staff speak, and clean every screen. `mode all` ends it; what was cleaned stays off."""
    done = desk.call("POST", "panic", {"reason": reason})
    click.echo(f"comments from {done['mode']}; {number(done['redacted'])} taken off every screen")


# --- Private ----------------------------------------------------------------------------------------------------------
def _impose(desk: Desk, kind: str, user: str, for_s: int | None, reason: str, scope: str | None) -> None:  # noqa: PLR0917 - all that a sentence is
    made = desk.call("POST", f"{kind}s", {"user": user, "for_s": for_s, "reason": reason, "scope": scope})
    click.echo(f"{user} is {'muted' if kind == 'mute' else 'banned'} ({made['scope']}), {_end(made['until'])}")


def _judge(desk: Desk, comments: tuple[str, ...], action: str, reason: str) -> None:
    for comment in comments:
        judged = desk.call("POST", f"held/{segment(comment)}", {"action": action, "reason": reason})
        click.echo(f"{action}: {judged['id']} {judged['comment']['u']['id']}: {judged['comment']['text']}")


def _sentences(desk: Desk, kind: str) -> None:
    table = Table("user", "scope", "since (UTC)", "until (UTC)", "by", "reason", box=None)
    for each in desk.all(kind):
        until = clock(each["until"], day=True) if each["until"] else "taken back"
        row = (each["user"], each["scope"], clock(each["at"], day=True), until, each["by"], each["reason"])
        table.add_row(*map(escape, row))
    _show(table, f"no {kind} in force")


def _end(until: int | None) -> str:
    return f"until {clock(until, day=True)} UTC" if until else "until taken back"


def _show(table: Table, empty: str) -> None:
    """A table as wide as it needs where nobody looks at it (a pipe), as wide as the terminal where somebody does."""
    if not table.row_count:
        click.echo(empty, err=True)
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=1_000)
    console.print(table)
