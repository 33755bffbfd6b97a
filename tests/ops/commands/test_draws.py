"""`livecast verify-draw`: right files pass, any changed one fails and is told where, and everybody finds themselves."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from livecast.core.money import draw
from livecast.core.money.units import Entrant
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


def by_the_book(raw: dict[str, Any], commitment: str) -> None:
    """The steps that the documentation gives to whoever writes a verifier, with the standard library alone."""

    def sha(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    seed, root, beacon = (bytes.fromhex(raw.get(name, "")) for name in ("seed", "root", "beacon"))
    leaves = [bytes.fromhex(leaf) for leaf in raw["entrants"]]
    assert raw["commitment"] == commitment == sha(seed).hex()
    assert all(a < b for a, b in itertools.pairwise(leaves))
    level = [sha(b"\0" + leaf) for leaf in leaves] or [sha(b"")]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [sha(b"\1" + pair[0] + pair[1]) if len(pair) == 2 else pair[0] for pair in pairs]
    assert level == [root]
    order = sorted(leaves, key=lambda leaf: hmac.new(seed, root + beacon + leaf, "sha256").digest())
    winners, passed = list(raw["winners"]), list(raw.get("passed", []))
    won = 0
    for leaf in order:
        if won == raw["units"]:
            break
        if passed[:1] == [leaf.hex()]:
            passed.pop(0)
        else:
            assert winners.pop(0) == leaf.hex()
            won += 1
    assert winners == passed == []
    lines = [str(raw[name]) for name in ("v", "room", "drop", "units", "commitment", "seed", "root")] + [raw.get("beacon", "")]
    for name in ("entrants", "winners", "passed"):
        lines += [name, *raw.get(name, [])]
    assert raw["digest"] == sha("".join(f"{line}\n" for line in lines).encode()).hex()


@pytest.mark.parametrize("entrants", [0, 1, 2, 3, 8, 21])
def test_anybody_can_write_a_verifier(entrants: int) -> None:
    """From the documented steps, for any size of the tree, with somebody passed over where there are enough."""
    people = [Entrant(n, f"u{n}", f"c{n}", f"nonce{n}", 5) for n in range(1, entrants + 1)]
    order = [each.user for each in draw.drawn(b"s" * 32, people)]
    winners = [user for n, user in enumerate(order) if n != 1][:3]
    file = draw.file_of("shop", "d1", 3, b"s" * 32, people, winners)
    by_the_book(msgspec.json.decode(msgspec.json.encode(file)), draw.commitment_of(b"s" * 32))


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
    by_the_book(json.loads(body), commitment)
    (tmp_path / "draw.json").write_bytes(body)
    assert verify(tmp_path / "draw.json", "--commitment", commitment).exit_code == 0
