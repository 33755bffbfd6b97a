"""Life signs: when each socket is pinged, with time in the test's hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from livecast.edge.rules import EdgeRules
from livecast.edge.viewers.pulse import Pulse
from support.house import House, until
from support.viewer import Viewer

RULES = EdgeRules()


@pytest.mark.parametrize("apart_ms", [0, 700, 4100])
async def test_every_socket_is_pinged_once_per_interval_from_its_first_on(house: House, apart_ms: int) -> None:
    """Whenever it joined: the first ping within `ping_ms`, then one every `ping_ms`; whoever came at once not all at once."""
    await house.live_room("r")
    guests = [Viewer(house.port, "r") for _ in range(8)]
    for guest in guests:
        await guest.__aenter__()
    await until(lambda: len(house.node.pulse.sockets) == 8, "everybody in")
    viewers, pulse = list(house.node.pulse.sockets.values()), Pulse(RULES)
    joined = {viewer: 1000 + k * apart_ms for k, viewer in enumerate(viewers)}
    pinged: dict[Any, list[int]] = {viewer: [] for viewer in viewers}
    pulse.sweep(0)
    for now in range(250, 120_000, 250):
        for viewer in viewers:
            viewer.silent = 0
            if now - 250 < joined[viewer] <= now:
                pulse.add(viewer, joined[viewer])
        pulse.sweep(now)
        for viewer in viewers:
            pinged[viewer] += [now] * viewer.silent
    for viewer, times in pinged.items():
        assert times[0] - joined[viewer] <= RULES.ping_ms
        assert {later - earlier for earlier, later in pairwise(times)} == {RULES.ping_ms}
    assert len({times[0] for times in pinged.values()}) > 1
    for viewer in viewers:
        viewer.silent = 0
        pulse.remove(viewer)
    pulse.sweep(200_000)
    assert not any(viewer.silent for viewer in viewers)
    for guest in guests:
        await guest.__aexit__()
