"""Draws: the tree of RFC 6962, an order nobody can choose, and a file in which no change goes unseen."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.money import draw
from livecast.core.money.units import Entrant

SEED = bytes(range(32))
VECTORS = Path(__file__).parent / "vectors"


def entrants(n: int, salt: str = "") -> list[Entrant]:
    """People who entered, each with a nonce of their own."""
    return [Entrant(i + 1, f"u{i}", f"c{i}", f"nonce-{salt}{i}", 1000 + i) for i in range(n)]


def a_file(n: int = 9, units: int = 3, pass_over: int = 0) -> draw.DrawFile:
    """A draw as it ends; the first `pass_over` of its order got nothing."""
    order = draw.drawn(SEED, entrants(n), b"\x01\x02")
    winners = [e.user for e in order[pass_over : pass_over + units]]
    return draw.file_of("r", "d", units, SEED, entrants(n), winners, b"\x01\x02")


def tree_as_the_rfc_says(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + tree_as_the_rfc_says(leaves[:k]) + tree_as_the_rfc_says(leaves[k:])).digest()


def test_the_root_is_that_of_rfc_6962() -> None:
    """The known roots of Certificate Transparency's own test tree, and the RFC's definition for every size."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [bytes.fromhex(h) for h in inputs]
    known = {
        0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for n, root in known.items():
        assert draw.root_of(leaves[:n]).hex() == root
    for n in range(70):
        many = [n.to_bytes(2) + bytes([i]) for i in range(n)]
        assert draw.root_of(many) == tree_as_the_rfc_says(many)


@given(st.integers(1, 70), st.data())
def test_a_proof_shows_one_leaf_at_one_place(n: int, data: Any) -> None:
    """Its own proof shows it; no other leaf, place, size or proof with a part missing, added or changed does."""
    leaves = [bytes([i]) * 32 for i in range(n)]
    root = draw.root_of(leaves)
    i = data.draw(st.integers(0, n - 1))
    proof = draw.proof_of(leaves, i)
    assert draw.is_in(leaves[i], i, n, proof, root)
    assert not draw.is_in(b"other", i, n, proof, root)
    assert not draw.is_in(leaves[i], i, n, [*proof, b"\x00" * 32], root)
    assert not draw.is_in(leaves[i], n, n, proof, root)
    assert not draw.is_in(leaves[i], -1, n, proof, root)
    assert not draw.is_in(leaves[i], i, n, proof, bytes(32))
    for other in range(n):
        assert draw.is_in(leaves[i], other, n, proof, root) == (other == i)
    if proof:
        k = data.draw(st.integers(0, len(proof) - 1))
        assert not draw.is_in(leaves[i], i, n, proof[:k] + proof[k + 1 :], root)
        assert not draw.is_in(leaves[i], i, n, [*proof[:k], bytes(32), *proof[k + 1 :]], root)


def test_the_order_is_the_documented_one() -> None:
    """A draw made by hand, with nothing but HMAC and SHA-256: whoever reads the rule can write this."""
    import hmac  # noqa: PLC0415 - for the second opinion only

    pot = sorted(hmac.digest(f"nonce-{i}".encode(), f"u{i}".encode(), "sha256") for i in range(9))
    root = tree_as_the_rfc_says(pot)
    order = sorted(pot, key=lambda leaf: hmac.digest(SEED, root + b"\x01\x02" + leaf, "sha256"))
    file = a_file()
    assert file.winners == tuple(leaf.hex() for leaf in order[:3])
    assert file.entrants == tuple(leaf.hex() for leaf in pot)
    assert (file.root, file.commitment) == (root.hex(), sha256(SEED).hexdigest())
    assert draw.result_of(file) == draw.DrawResult(file.commitment, SEED.hex(), root.hex(), 9, 3, 0, "0102")


@given(st.permutations(range(12)))
def test_the_order_of_arrival_does_not_matter(places: list[int]) -> None:
    """Whoever came first wins no sooner, and coming twice with the same nonce counts once."""
    people = entrants(12)
    shuffled = [people[i] for i in places]
    assert draw.drawn(SEED, shuffled) == draw.drawn(SEED, people) == draw.drawn(SEED, people + shuffled)


def test_everybody_wins_equally_often() -> None:
    """Over 3,000 seeds each of 30 entrants wins one of 3 units 300 times, give or take five standard deviations."""
    people = entrants(30)
    leaves = draw.pot_of(draw.leaf_of(e.nonce, e.user) for e in people)
    root = draw.root_of(leaves)
    wins = Counter[bytes]()
    for n in range(3000):
        wins.update(draw.in_order(n.to_bytes(32), root, leaves)[:3])
    assert all(abs(wins[leaf] - 300) < 5 * (3000 * 0.1 * 0.9) ** 0.5 for leaf in leaves)


@pytest.mark.parametrize(("n", "units", "pass_over"), [(0, 3, 0), (1, 1, 0), (3, 3, 0), (2, 5, 0), (9, 3, 2), (9, 9, 2), (4, 9, 4)])
def test_a_draw_as_it_ends_has_no_findings(n: int, units: int, pass_over: int) -> None:
    """Also nobody entered, more units than entrants, people passed over; also after a way through JSON."""
    file = a_file(n, units, pass_over)
    assert draw.verify(file, draw.commitment_of(SEED)) == []
    assert draw.verify(msgspec.json.decode(msgspec.json.encode(file), type=draw.DrawFile)) == []
    assert (len(file.winners), len(file.passed)) == (min(units, max(0, n - pass_over)), pass_over)


CHANGED = "commitment seed root beacon drop-one add-one swap repeat win pass units room drop"
CHANGES = st.sampled_from([change.replace("-", " ") for change in CHANGED.split()])


@given(CHANGES, st.integers(0, 8), st.sampled_from(["entrants", "winners", "passed"]), st.binary(min_size=32, max_size=32))
def test_any_change_of_the_file_is_found(change: str, k: int, where: str, noise: bytes) -> None:
    """Seed, commitment, root, beacon, who entered, who won and who was passed over: each change has a finding."""
    good = a_file(9, 3, 2)
    raw = msgspec.json.decode(msgspec.json.encode(good))
    leaves = list(raw[where])
    at = k % len(leaves)
    match change:
        case "commitment" | "seed" | "root":
            raw[change] = noise.hex()
        case "beacon":
            raw[change] = noise[:2].hex()
        case "drop one":
            raw[where] = leaves[:at] + leaves[at + 1 :]
        case "add one":
            raw[where] = sorted([*leaves, noise.hex()])
        case "swap":
            raw[where] = [*leaves[1:], leaves[0]]
        case "repeat":
            raw[where] = [*leaves[: at + 1], *leaves[at:]]
        case "win":
            raw["winners"][0] = next(e for e in raw["entrants"] if e not in raw["winners"])
        case "pass":
            raw["passed"].append(raw["winners"].pop())
        case "units":
            raw["units"] = [0, 1, 2, 4, 999][k % 5]
        case "room" | "drop":
            raw[change] += noise.hex()[:4]
    changed = msgspec.convert(raw, draw.DrawFile)
    assert changed == good or draw.verify(changed, good.commitment)


def test_another_seed_with_its_own_commitment_is_found_by_who_kept_the_first() -> None:
    """A file that is right in itself but was made with a seed chosen afterwards."""
    other = draw.file_of("r", "d", 1, bytes(32), entrants(5), [draw.drawn(bytes(32), entrants(5))[0].user])
    assert draw.verify(other) == []
    assert draw.verify(other, draw.commitment_of(SEED)) == ["The commitment is not the one that was published before the draw."]


def resealed(file: draw.DrawFile, **changes: object) -> draw.DrawFile:
    """A changed file whose digest fits: what somebody would publish who wanted to cheat."""
    changed = msgspec.structs.replace(file, **changes)
    return msgspec.structs.replace(changed, digest=draw.digest_of(changed))


def test_the_first_difference_is_named() -> None:
    """A cheat who computes the digest anew is found by the rules: with the place, who should stand there and who does."""
    good = a_file(9, 3)
    loser = next(leaf for leaf in good.entrants if leaf not in good.winners)
    forged = resealed(good, winners=(good.winners[0], loser, good.winners[2]))
    (finding,) = draw.verify(forged)
    assert f"number 2 should be {good.winners[1]}, but is {loser}" in finding
    (finding,) = draw.verify(resealed(good, winners=good.winners[:2]))
    assert f"number 3 should be {good.winners[2]}, but is nobody" in finding


def test_the_digest_can_be_computed_elsewhere() -> None:
    """From its description alone."""
    file = a_file(4, 2, 1)
    told = ["1", file.room, file.drop, str(file.units), file.commitment, file.seed, file.root, file.beacon]
    told += ["entrants", *file.entrants, "winners", *file.winners, "passed", *file.passed]
    assert file.digest == sha256(("\n".join(told) + "\n").encode()).hexdigest()


def test_nobody_is_in_the_pot_twice() -> None:
    """A leaf that stands there twice would have two chances; a file made with one is right in all but that, and is found."""
    good = a_file(3, 1)
    leaves = sorted(bytes.fromhex(leaf) for leaf in (*good.entrants, good.entrants[0]))
    assert draw.pot_of(leaves) == [bytes.fromhex(leaf) for leaf in good.entrants]
    root = draw.root_of(leaves)
    winner = draw.in_order(SEED, root, leaves, b"\x01\x02")[0].hex()
    forged = resealed(good, entrants=tuple(leaf.hex() for leaf in leaves), root=root.hex(), winners=(winner,))
    (finding,) = draw.verify(forged)
    assert finding.startswith("The entrants are not sorted, or one is there twice: number")


def test_only_the_nonce_finds_oneself() -> None:
    """Everybody can check their own outcome; a user id alone finds nobody."""
    file = a_file(9, 3, 2)
    outcomes = Counter(draw.outcome_for(file, e.user, e.nonce) for e in entrants(9))
    assert outcomes == {"won": 3, "passed": 2, "lost": 4}
    assert draw.outcome_for(file, "u1", "nonce-2") == "absent"


@pytest.mark.parametrize("field", ["seed", "root", "commitment", "entrants", "winners", "beacon", "v", "units"])
def test_what_is_no_draw_is_not_read(field: str) -> None:
    """Wrong lengths, upper case, another version: refused before anything is computed."""
    for wrong in ("AB" * 32, "ab", -1, 2, None):
        raw = {**msgspec.to_builtins(a_file()), field: [wrong] if field in {"entrants", "winners"} else wrong}
        if field == "beacon" and wrong == "ab":
            continue
        if field == "units" and wrong == 2:
            continue
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(raw, draw.DrawFile)


@pytest.mark.parametrize("row", json.loads((VECTORS / "draws.json").read_text()), ids=lambda row: row["name"])
def test_what_anybody_can_check(row: dict[str, Any]) -> None:
    """The files that the pages check too: the same ones are as the rules say, and the same outcomes follow."""
    file, by = msgspec.convert(row["file"], draw.DrawFile), row["by"]
    assert bool(draw.verify(file, by.get("commitment"))) == bool(set(row["wrong"]) - {"about"})
    if "nonce" in by:
        assert draw.outcome_for(file, by["user"], by["nonce"]) == row["mine"]
