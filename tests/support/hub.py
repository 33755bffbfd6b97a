"""What tests of a room that is handed out say and ask: rules under which little is much, a room that speaks, the hub of it."""

from __future__ import annotations

from typing import Any, Final

from livecast.core.rules import Policy, RoomRules
from livecast.edge.rules import EdgeRules
from support.house import House

HURRIED: Final = EdgeRules(
    sweep_ms=20,
    fanout_slice=4,
    outbox_soft_bytes=16_384,
    outbox_max_bytes=65_536,
    outbox_stall_ms=5_000,
    close_deadline_ms=300,
    connections_per_address=0,
    send_buffer_bytes=8_192,
)
"""Small slices, so that a handful of sockets is a large room; small outboxes, so that slowness shows soon."""
SNAPSHOTS: Final = RoomRules(policy=Policy(tick_ms=50), snapshot_frames=3)
"""A snapshot every few frames."""


async def say(house: House, n: int, room: str = "r", size: int = 1) -> None:
    """Have the room speak `n` times: each change is a frame of its own."""
    for k in range(n):
        filling = f"{k:04d}" + "x" * size
        assert (await house.call("PATCH", f"/v1/rooms/{room}/custom", json={"k": filling})).status == 200


async def begin_anew(house: House) -> None:
    """One broadcast ends, the next begins: a new epoch."""
    assert (await house.call("POST", "/v1/rooms/r/end")).status == 200
    assert (await house.call("POST", "/v1/rooms/r/start")).status == 200


def k_of(message: dict[str, Any]) -> Any:
    """What `say` said in this frame."""
    return message.get("state", {}).get("custom", {}).get("k")


def hub_of(house: House) -> Any:
    """The hub of `r`: a `RoomHub`, into which tests look further than others may."""
    hub = house.node.views.peek("r")
    assert hub is not None
    return hub
