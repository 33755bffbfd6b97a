"""What is said to a node that finds others on its stores, and has something for itself alone."""

from __future__ import annotations

from pathlib import Path

from livecast.facts import Fact, ShardsHeld, Trouble
from livecast.ops.configuration.neighbours import Neighbours
from livecast.ops.configuration.settings import load


class Told:
    """Keeps what is said to the operator."""

    def __init__(self) -> None:
        self.about: list[str] = []

    def observe(self, fact: Fact) -> None:
        """Keep what it is about."""
        assert isinstance(fact, Trouble)
        self.about.append(fact.about)


def told(tmp_path: Path, text: str, *nodes: int, siblings: int = 1, key_apart: bool = True) -> list[str]:
    """What is said when so many nodes are seen, one number after the other."""
    file = tmp_path / "livecast.toml"
    file.write_text(text)
    said = Told()
    neighbours = Neighbours(load(file=file), siblings, said, key_apart=key_apart)
    for number in nodes:
        neighbours.observe(ShardsHeld(10, number, 0))
    return said.about


def test_company_is_told_of_what_is_apart_once(tmp_path: Path) -> None:
    """With the first other node, and not again; alone nothing is."""
    assert told(tmp_path, "", 1, 1) == []
    assert told(tmp_path, "", 1, 2, 3) == ["[ledger] receipt_key", "[archive] url"]
    assert told(tmp_path, '[archive]\nurl = "postgresql://db/livecast"', 2) == ["[ledger] receipt_key"]
    assert told(tmp_path, "", 2, key_apart=False) == ["[archive] url"]


def test_workers_have_everything_in_common(tmp_path: Path) -> None:
    """Of those of one's own node, and their successors, nothing is said."""
    assert told(tmp_path, "", 2, 4, siblings=4) == []
    assert told(tmp_path, "", 5, siblings=4) != []
