"""`livecast verify-draw`: right files pass, any changed one fails and is told where, and everybody finds themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from livecast.core import draw
from livecast.core.units import Entrant
from livecast.ops.cli import main
from support.node import NodeProcess
from support.till import Till


def verify(*args: object) -> Result:
    """`livecast verify-draw ARGS`."""
    return CliRunner().invoke(main, ["verify-draw", *map(str, args)])


def a_file() -> dict[str, Any]:
    """A draw of 2 units among 5, with one passed over."""
    people = [Entrant(n, f"u{n}", f"c{n}", f"nonce{n}", 5) for n in range(1, 6)]
    order = draw.drawn(b"s" * 32, people, b"\x01")
    file = draw.file_of("shop", "d1", 2, b"s" * 32, people, [order[0].user, order[2].user], b"\x01")
    raw: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(file))
    return raw


def flipped(hex_: str) -> str:
    """Another value of the same form."""
    return ("0" if hex_[0] != "0" else "1") + hex_[1:]


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "v": lambda raw: raw.update(v=2),
    "room": lambda raw: raw.update(room="other"),
    "drop": lambda raw: raw.update(drop="other"),
    "units": lambda raw: raw.update(units=3),
    "commitment": lambda raw: raw.update(commitment=flipped(raw["commitment"])),
    "seed": lambda raw: raw.update(seed=flipped(raw["seed"])),
    "root": lambda raw: raw.update(root=flipped(raw["root"])),
    "beacon": lambda raw: raw.update(beacon="02"),
    "digest": lambda raw: raw.update(digest=flipped(raw["digest"])),
    "an entrant": lambda raw: raw["entrants"].pop(),
    "the entrants' order": lambda raw: raw["entrants"].reverse(),
    "a winner": lambda raw: raw["winners"].reverse(),
    "a winner less": lambda raw: raw["winners"].pop(),
    "who was passed over": lambda raw: raw["passed"].clear(),
    "a field less": lambda raw: raw.pop("root"),
}


def test_a_right_file_passes(tmp_path: Path) -> None:
    """And says what it is about; without the commitment of before it says what that leaves open."""
    raw = a_file()
    (tmp_path / "draw.json").write_text(json.dumps(raw))
    done = verify(tmp_path / "draw.json")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].startswith("The draw is right. Compare the commitment")
    assert "shop / d1" in done.output
    done = verify(tmp_path / "draw.json", "--commitment", raw["commitment"])
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "The draw is right.")


@pytest.mark.parametrize("what", list(CHANGES))
def test_a_changed_file_fails(tmp_path: Path, what: str) -> None:
    """Whatever was changed, in whatever field."""
    raw = a_file()
    CHANGES[what](raw)
    (tmp_path / "draw.json").write_text(json.dumps(raw))
    done = verify(tmp_path / "draw.json")
    assert done.exit_code == 1, done.output
    assert done.output.splitlines()[-1].startswith("The draw is NOT right: ")


def test_another_commitment_fails(tmp_path: Path) -> None:
    """A file that is right in itself, but not what was announced."""
    (tmp_path / "draw.json").write_text(json.dumps(a_file()))
    done = verify(tmp_path / "draw.json", "--commitment", "ab" * 32)
    assert done.exit_code == 1
    assert "not the one that was published before" in done.output


def test_what_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    """No file; half of the options for oneself. What is no draw fails."""
    assert verify(tmp_path / "nothing").exit_code == 2
    (tmp_path / "draw.json").write_text("[]")
    assert verify(tmp_path / "draw.json").exit_code == 1
    assert verify(tmp_path / "draw.json", "--user", "ann").exit_code == 2


def test_from_the_click_to_the_proof(node: NodeProcess, tmp_path: Path) -> None:
    """On a real node: enter, be drawn, fetch the file without credentials, verify it, and find oneself with one's own nonce."""
    till = Till(node, "lucky")
    till.live()
    drop = till.drop(kind="draw", stock=1)
    entered = {user: till.claim(user, drop) for user in ("ann", "bob", "cat")}
    assert {answer["verdict"] for answer in entered.values()} == {"entered"}
    url = f"{node.base}/v1/rooms/lucky/drops/{drop}/draw"
    early = verify(url)
    assert early.exit_code == 2
    assert "not drawn yet" in early.output
    commitment = till.do("GET", f"/drops/{drop}")["commitment"]
    till.drawn(drop)
    done = verify(url, "--commitment", commitment)
    assert done.exit_code == 0, done.output
    (winner,) = [claim["user"] for claim in till.do("GET", f"/drops/{drop}/claims")["data"]]
    for user, answer in entered.items():
        done = verify(url, "--user", user, "--nonce", answer["nonce"])
        assert done.exit_code == 0, done.output
        assert (f"{user} won a unit" in done.output) is (user == winner)
    assert verify(url, "--user", "ann", "--nonce", entered["bob"]["nonce"]).exit_code == 1
    status, body = till.ask("GET", f"/v1/rooms/lucky/drops/{drop}/draw", key=False)
    assert status == 200
    assert b"ann" not in body
    (tmp_path / "draw.json").write_bytes(body)
    assert verify(tmp_path / "draw.json", "--commitment", commitment).exit_code == 0
