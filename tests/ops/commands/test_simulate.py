"""`livecast simulate`: rooms on a virtual clock, costs that were measured, and sums that add up."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from livecast.core.rules import RoomRules
from livecast.ops.commands.simulate import command
from livecast.ops.forecast import Crowd, Evening, evening, forecast, known_costs, play, sizes

RULES = RoomRules()


@pytest.fixture(scope="module")
def small() -> Evening:
    """5,000 viewers in thirty rooms."""
    return evening(5_000, 30, 0.2, crowd=Crowd(), rules=RULES)


def test_rooms_share_the_viewers() -> None:
    """The fullest has its share, the others as fame goes, and nobody is forgotten or counted twice."""
    for viewers, rooms, hottest in ((1_000_000, 1_000, 0.1), (5_000, 30, 0.2), (10, 1, 0.3), (100, 400, 0.0)):
        watched = sizes(viewers, rooms, hottest)
        assert len(watched) == rooms
        assert watched == sorted(watched, reverse=True)
        assert sum(watched) == viewers
    assert sizes(1_000_000, 1_000, 0.1)[0] == 100_000


def test_a_played_room_keeps_its_rules() -> None:
    """Frames no faster than the tick and the viewers' count allow, comments within the budget, the rest merged or sampled."""
    quiet, full = play(50, Crowd(), RULES), play(20_000, Crowd(), RULES)
    assert quiet == play(50, Crowd(), RULES)
    assert quiet.sampled == 0
    assert quiet.frames < full.frames <= 1000 / RULES.policy.tick_ms + 1.5
    assert full.shown <= 1.3 * RULES.policy.chat_budget_per_s
    assert full.shown + full.merged + full.sampled == pytest.approx(full.comments, rel=0.1)
    assert full.deflated_bytes < full.plain_bytes < full.json_bytes


def test_what_nodes_do_adds_up(small: Evening) -> None:
    """Every frame goes to every viewer of its room, however many nodes there are; each node more takes some of the load."""
    costs = known_costs()
    alone, four = forecast(small, 1, costs=costs), forecast(small, 4, costs=costs)
    assert alone.deliveries == pytest.approx(sum(size * room.frames for size, room in small.rooms))
    assert alone.deliveries == pytest.approx(four.deliveries)
    assert alone.publishes == 0 < four.publishes
    for found in (alone, four):
        assert sum(node.viewers for node in found.nodes) == pytest.approx(5_000, abs=30 + len(found.nodes))
        assert sum(node.rooms for node in found.nodes) == 30
    assert four.busiest.cpu < alone.busiest.cpu < sum(node.cpu for node in four.nodes)  # what is shared has its price
    assert four.publishes < forecast(small, 4, costs=costs, by_room=False).publishes


def test_more_of_it_costs_more(small: Evening) -> None:
    """Costs count: twice as dear a delivery is what most of the node's work is."""
    costs = known_costs()
    dearer = msgspec.structs.replace(costs, delivery_us=2 * costs.delivery_us)
    assert forecast(small, 1, costs=dearer).busiest.cpu > 1.3 * forecast(small, 1, costs=costs).busiest.cpu
    assert forecast(small, 1, costs=dearer).p99_ms > forecast(small, 1, costs=costs).p99_ms


def test_the_command_says_what_is_needed(tmp_path: Path) -> None:
    """As many nodes as carry it, or that those given are too few; with costs of one's own, and a word on a file that is none."""
    run = CliRunner().invoke
    some = ["--viewers", "20000", "--rooms", "5", "--hottest", "0.4"]
    said = run(command, [*some, "--claims", "5000"])
    assert said.exit_code == 0, said.output
    assert "20,000 viewers in 5 rooms, 8,000 in the fullest" in said.output
    assert "5,000 click at once" in said.output
    assert "TOO FEW NODES" not in said.output
    assert "TOO FEW NODES" in run(command, [*some, "--nodes", "1"]).output
    cheap = tmp_path / "cheap.json"
    cheap.write_bytes(msgspec.json.encode(msgspec.structs.replace(known_costs(), delivery_us=0.1, taken="a dream")))
    dreamt = run(command, [*some, "--nodes", "1", "--costs", str(cheap)])
    assert "TOO FEW NODES" not in dreamt.output
    assert "Costs: a dream." in dreamt.output
    cheap.write_text("{}")
    refused = run(command, [*some, "--costs", str(cheap)])
    assert refused.exit_code == 2
    assert "--costs" in refused.output
