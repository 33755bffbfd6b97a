"""`livecast simulate`: what so many viewers will take, before they come."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import click
import msgspec

from livecast.core.rules import RoomRules
from livecast.ops.forecast import FULL, Costs, Crowd, Evening, Forecast, evening, forecast, known_costs

#: Guesses at a number of nodes: each multiplies it by at most four.
TRIES_MAX: Final = 16


@click.command()
@click.option("--viewers", type=click.IntRange(1, 100_000_000), default=1_000_000, show_default=True, metavar="V")
@click.option("--rooms", type=click.IntRange(1, 200_000), default=1_000, show_default=True, metavar="R", help="Live rooms.")
@click.option(
    "--hottest", type=click.FloatRange(0, 1), default=0.1, show_default=True, metavar="SHARE", help="The fullest room's share."
)
@click.option(
    "--nodes", type=click.IntRange(1, 5_000), metavar="N", help="Processes, a core each. Left out: as many as are needed."
)
@click.option("--comments", type=float, default=0.6, show_default=True, metavar="C", help="Comments of a viewer per minute.")
@click.option(
    "--likes", type=float, default=3.0, show_default=True, metavar="L", help="Messages with likes of a viewer per minute."
)
@click.option("--gifts", type=float, default=0.5, show_default=True, metavar="G", help="Gifts of a viewer per hour.")
@click.option("--claims", type=click.IntRange(0), default=0, metavar="N", help="A drop in the fullest room that so many click at.")
@click.option("--stock", type=click.IntRange(0), default=1_000, show_default=True, metavar="S", help="Units of that drop.")
@click.option(
    "--balance",
    type=click.Choice(["rooms", "viewers"]),
    default="rooms",
    show_default=True,
    help="Whether viewers of a room are kept together on as few nodes as carry them, or dealt over all.",
)
@click.option("--costs", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Costs of your own machines.")
def command(**options: object) -> None:
    """Say what V viewers in R rooms will take: nodes, bandwidth, stores, time, and the bill.

    Plays rooms of each size for some seconds on a virtual clock, with the code that serves them, and multiplies what they do with
    what each thing costs. Those costs were measured (`python -m bench costs`) on a machine named below; --costs takes yours.

    \b
    Examples:
      livecast simulate --viewers 1000000
      livecast simulate --viewers 10000000 --rooms 5000 --hottest 0.2 --claims 2000000 --stock 5000
    """  # noqa: D301 - click wants the control character, not its name
    given = msgspec.convert(options, Asked)
    costs = _costs_in(given.costs) if given.costs else known_costs()
    crowd = Crowd(given.comments, given.likes, gifts_per_h=given.gifts)
    of = evening(given.viewers, given.rooms, given.hottest, crowd=crowd, rules=RoomRules())
    by_room = given.balance == "rooms"
    nodes = given.nodes or needed(of, costs, by_room=by_room)
    click.echo("\n".join(report(given, forecast(of, nodes, costs=costs, by_room=by_room), costs)))


def _costs_in(file: Path) -> Costs:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Costs)
    except (OSError, msgspec.MsgspecError) as fault:
        raise click.BadParameter(f"{file}: {fault}", param_hint="--costs") from None


class Asked(msgspec.Struct, frozen=True):
    """The options."""

    viewers: int
    rooms: int
    hottest: float
    nodes: int | None
    comments: float
    likes: float
    gifts: float
    claims: int
    stock: int
    costs: Path | None
    balance: str


def needed(of: Evening, costs: Costs, *, by_room: bool) -> int:
    """So many nodes that the busiest is not full."""
    nodes = 1
    for _ in range(TRIES_MAX):
        busiest = forecast(of, nodes, costs=costs, by_room=by_room).busiest.cpu
        if busiest <= FULL:
            break
        nodes = max(nodes + 1, math.ceil(nodes * min(busiest / FULL, 4)))
    return nodes


def report(asked: Asked, found: Forecast, costs: Costs) -> list[str]:
    """The lines that are printed."""
    hot, busiest, nodes = found.hottest, found.busiest, len(found.nodes)
    left_out = f"{hot.shown:.0f} are shown, {hot.merged:,.0f} merged, {hot.sampled:,.0f} sampled"
    out = f"{busiest.memory_mb:,.0f} MB, {busiest.bytes_per_s * 8 / 1e6:,.0f} Mbit/s out"
    rows = [
        ("the fullest room", f"{hot.comments:,.0f} comments/s come in, {left_out}"),
        ("", f"{hot.frames:.1f} frames/s of {hot.plain_bytes:,.0f} bytes, {hot.deflated_bytes:,.0f} compressed"),
        ("all rooms", f"{found.frames:,.0f} frames/s, {found.deliveries:,.0f} deliveries/s, {found.comments:,.0f} comments/s in"),
        ("the busiest node", f"{busiest.cpu:.0%} of its core, {busiest.viewers:,} viewers, {out}"),
        (
            "rooms store",
            f"{found.rooms_store_cpu:.0%} of a core, {found.commits:,.0f} commits/s, {found.publishes:,.0f} messages/s out",
        ),
        ("ledger", f"{found.ledger_cpu:.0%} of a core, for gifts"),
        ("comment to screen", f"{found.p50_ms:,.0f} ms (half), {found.p99_ms:,.0f} ms (99 %), fullest room, without the network"),
    ]
    if busiest.cpu > FULL:
        rows.append(("TOO FEW NODES", f"above {FULL:.0%} of a core ticks are stretched, and then comments left out"))
    if found.rooms_store_cpu > FULL:
        rows.append(("ONE ROOMS STORE", f"is not enough: a cluster of {math.ceil(found.rooms_store_cpu / FULL)} primaries"))
    if asked.claims:
        rows += _drop(asked, nodes, costs)
    return [
        f"{asked.viewers:,} viewers in {asked.rooms:,} rooms, {hot.viewers:,} in the fullest, on {nodes:,} nodes of one core",
        "",
        *(f"  {name:<19}{text}" for name, text in rows),
        "",
        "The bill",
        *(f"  {name:<19}{text}" for name, text in _bill(asked, found, costs)),
        "",
        f"Costs: {costs.taken}. Plan with twice as much: networks, TLS and people are not in it.",
    ]


def _bill(asked: Asked, found: Forecast, costs: Costs) -> list[tuple[str, str]]:
    out = sum(node.bytes_per_s for node in found.nodes) * 8 / 1e9
    files = asked.viewers * found.file_requests_per_viewer_s
    file_mb, file_requests = 3600 * found.file_bytes_per_viewer_s / 1e6, 3600 * found.file_requests_per_viewer_s
    return [
        ("over sockets", f"{out:,.1f} Gbit/s out; a viewer takes {3600 * found.wire_bytes_per_viewer_s / 1e6:,.1f} MB an hour"),
        ("or as files", f"{file_mb:,.1f} MB and {file_requests:,.0f} requests an hour per viewer of the fullest room"),
        ("", f"{files:,.0f} requests/s at most: {math.ceil(files * costs.file_us / 1e6 / FULL):,} cores of nginx, or a CDN"),
        ("", f"of which {2 * asked.rooms + found.frames / 10:,.0f} requests/s reach the nodes, however many read"),
    ]


def _drop(asked: Asked, nodes: int, costs: Costs) -> list[tuple[str, str]]:
    """What the nodes, and the one server that has the drop, need for all who click."""
    won = min(asked.claims, asked.stock)
    ledger_s, nodes_s = asked.claims * costs.store_claim_us / 1e6, asked.claims * costs.claim_us / 1e6 / nodes
    kept_mb = won * costs.claim_bytes / 1e6
    answered_s = max(ledger_s, nodes_s / FULL)
    return [
        (f"a drop of {asked.stock:,}", f"{asked.claims:,} click at once: answered within {answered_s:,.1f} s"),
        (
            "",
            f"ledger {ledger_s:,.1f} s of its core, a node {nodes_s:,.1f} s; {kept_mb:,.1f} MB of the ledger stay",
        ),
    ]
