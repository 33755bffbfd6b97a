"""Draws that anybody can recompute: who won follows from a seed that was fixed before and from who had entered.

1. Before: the *commitment* to a secret seed is public, SHA-256(seed).
2. Everybody who enters gets a *nonce*. Their leaf is HMAC-SHA256(nonce, user id): it names nobody to those without the nonce.
3. At the close the distinct leaves, sorted by their bytes, become a Merkle tree as in RFC 6962 §2.1, and its root is public.
4. Then the seed is public, and with it the order of the draw: leaves by HMAC-SHA256(seed, root ‖ beacon ‖ leaf), smallest first.
   The beacon is bytes of a public source made after the close, or nothing.
5. The first ones win, as many as there are units. Who cannot get one (a limit over several drops) is passed over, and is named.

The first claims of a drop with a fair order are drawn in just this way. It shows that nobody could choose a seed to fit the
entrants; that all entrants were people is more than numbers can show.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import pairwise, zip_longest
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from livecast.core.money.units import Entrant

Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Beacon = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{2}){0,128}\Z")]

EMPTY_ROOT: Final = sha256().digest()
"""Root of a tree without leaves (RFC 6962 §2.1)."""


# --- Drawing ----------------------------------------------------------------------------------------------------------
def seed_of(secret: bytes) -> bytes:
    """The seed of a drop's draw. Not the secret itself: codes follow from that too, and the seed is published in the end."""
    return hmac.digest(secret, b"draw", "sha256")


def commitment_of(seed: bytes) -> str:
    """What is public before the draw, hex."""
    return sha256(seed).hexdigest()


def leaf_of(nonce: str, user: str) -> bytes:
    """An entrant's leaf. Both are taken as UTF-8."""
    return hmac.digest(nonce.encode(), user.encode(), "sha256")


def pot_of(leaves: Iterable[bytes]) -> list[bytes]:
    """The leaves as the tree has them: sorted, each once."""
    return sorted(set(leaves))


def in_order(seed: bytes, root: bytes, leaves: Iterable[bytes], beacon: bytes = b"") -> list[bytes]:
    """The order of the draw."""
    public = root + beacon
    return sorted(leaves, key=lambda leaf: hmac.digest(seed, public + leaf, "sha256"))


def drawn(seed: bytes, entrants: Sequence[Entrant], beacon: bytes = b"") -> list[Entrant]:
    """The entrants in the order of the draw. Who is in the pot twice with the same leaf is drawn once."""
    by_leaf = {leaf_of(e.nonce, e.user): e for e in reversed(entrants)}
    leaves = pot_of(by_leaf)
    return [by_leaf[leaf] for leaf in in_order(seed, root_of(leaves), leaves, beacon)]


# --- The Merkle tree of RFC 6962 --------------------------------------------------------------------------------------
def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree over `leaves`, in their order."""
    return _levels(leaves)[-1][0] if leaves else EMPTY_ROOT


def proof_of(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that, with the leaf at `index`, give the root: from the leaf's sibling up."""
    proof: list[bytes] = []
    for level in _levels(leaves)[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        index //= 2
    return proof


def is_in(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that `leaf` is the one at `index` of `size` below `root`."""
    if not 0 <= index < size:
        return False
    at, last, node = index, size - 1, _leaf_hash(leaf)
    rest = iter(proof)
    while last:
        if at % 2 or at < last:  # it has a sibling; the last of an odd number goes up alone
            sibling = next(rest, None)
            if sibling is None:
                return False
            node = _node_hash(sibling, node) if at % 2 else _node_hash(node, sibling)
        at, last = at // 2, last // 2
    return next(rest, None) is None and hmac.compare_digest(node, root)


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All hashes, from the leaves' to the root. The last of an odd number goes up as it is: that is RFC 6962's tree too."""
    level = [_leaf_hash(leaf) for leaf in leaves]
    levels = [level]
    while len(level) > 1:
        above = [_node_hash(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
        if len(level) % 2:
            above.append(level[-1])
        level = above
        levels.append(level)
    return levels


def _leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


# --- The public file --------------------------------------------------------------------------------------------------
class DrawFile(Struct, frozen=True, omit_defaults=True):
    """Everything that is needed to recompute a draw; all bytes in lower-case hex.

    `entrants` are the leaves of the tree; `winners` and `passed` (over) are some of them, in the order of the draw. `digest` is
    `digest_of` all else: it shows a copy that was cut or changed, and proves nothing beyond that.
    """

    v: Literal[1]
    room: str
    drop: str
    units: Annotated[int, Meta(ge=0)]
    commitment: Hex32
    seed: Hex32
    root: Hex32
    entrants: tuple[Hex32, ...]
    winners: tuple[Hex32, ...]
    digest: Hex32
    passed: tuple[Hex32, ...] = ()
    beacon: Beacon = ""


class DrawResult(Struct, frozen=True, omit_defaults=True):
    """What viewers see of a draw in the drop's `result`; the lists are in the public file."""

    commitment: str
    seed: str
    root: str
    entrants: int
    winners: int
    passed: int = 0
    beacon: str = ""


def file_of(  # noqa: PLR0917 - in the order in which they come to be known
    room: str, drop: str, units: int, seed: bytes, entrants: Sequence[Entrant], winners: Iterable[str], beacon: bytes = b""
) -> DrawFile:
    """The public file of a draw in which the users `winners` got the `units`, drawn from `entrants`.

    Who was drawn before the last winner, or while units were left, and got none, was passed over.
    """
    won = set(winners)
    order = drawn(seed, entrants, beacon)
    leaves = [leaf_of(e.nonce, e.user) for e in order]
    last = max((i for i, e in enumerate(order) if e.user in won), default=-1) if len(won) >= units else len(order) - 1
    pot = pot_of(leaves)
    file = DrawFile(
        v=1,
        room=room,
        drop=drop,
        units=units,
        commitment=commitment_of(seed),
        seed=seed.hex(),
        root=root_of(pot).hex(),
        entrants=tuple(leaf.hex() for leaf in pot),
        winners=tuple(leaf.hex() for e, leaf in zip(order, leaves, strict=True) if e.user in won),
        passed=tuple(leaf.hex() for e, leaf in zip(order[: last + 1], leaves, strict=False) if e.user not in won),
        beacon=beacon.hex(),
        digest="0" * 64,
    )
    return msgspec.structs.replace(file, digest=digest_of(file))


def digest_of(file: DrawFile) -> str:
    """SHA-256, hex, over the file's values as lines, each ended by a line feed: v, room, drop, units, commitment, seed, root,
    beacon, then the words `entrants`, `winners` and `passed`, each followed by its leaves one a line.
    """
    lines = [str(file.v), file.room, file.drop, str(file.units), file.commitment, file.seed, file.root, file.beacon]
    for name, leaves in (("entrants", file.entrants), ("winners", file.winners), ("passed", file.passed)):
        lines += [name, *leaves]
    return sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def result_of(file: DrawFile) -> DrawResult:
    """The file in short."""
    return DrawResult(file.commitment, file.seed, file.root, len(file.entrants), len(file.winners), len(file.passed), file.beacon)


def verify(file: DrawFile, commitment: str | None = None) -> list[str]:
    """What is wrong with a draw, in sentences; nothing: it is as the rules say.

    `commitment` is the one that was public before, kept by whoever checks. Room, drop and the number of units are what the
    file says they are: compare them with what was announced.
    """
    seed, beacon = bytes.fromhex(file.seed), bytes.fromhex(file.beacon)
    entrants = [bytes.fromhex(leaf) for leaf in file.entrants]
    findings = []
    if commitment is not None and commitment != file.commitment:
        findings.append("The commitment is not the one that was published before the draw.")
    if commitment_of(seed) != file.commitment:
        findings.append(f"The seed is not the one that was committed to: its SHA-256 is {commitment_of(seed)}.")
    unsorted = next((n for n, (a, b) in enumerate(pairwise(entrants), 2) if a >= b), None)
    if unsorted is not None:
        findings.append(f"The entrants are not sorted, or one is there twice: number {unsorted}.")
    root = root_of(entrants)
    if root.hex() != file.root:
        findings.append(f"The root is not that of the entrants: theirs is {root.hex()}.")
    order = [leaf.hex() for leaf in in_order(seed, root, entrants, beacon)]
    findings += _findings_on_winners(file, order)
    if not findings and file.digest != digest_of(file):
        findings.append("The file was changed or cut short: its digest is not that of what it says (room, drop, units …).")
    return findings


def _findings_on_winners(file: DrawFile, order: list[str]) -> list[str]:
    """Walk down the order of the draw: each is the next winner or the next who was passed over, until the units are gone."""
    passed, winners = set(file.passed), list[str]()
    skipped: list[str] = []
    for leaf in order:
        if len(winners) == file.units:
            break
        (skipped if leaf in passed else winners).append(leaf)
    findings = []
    if (at := _first_difference(winners, file.winners)) is not None:
        findings.append(f"The winners are not the first in the order of the draw: {at}.")
    if (at := _first_difference(skipped, file.passed)) is not None:
        findings.append(f"Somebody is said to have been passed over who was not, or in another order: {at}.")
    return findings


def _first_difference(right: Sequence[str], said: Sequence[str]) -> str | None:
    """Where two lists of leaves part."""
    for number, (one, other) in enumerate(zip_longest(right, said, fillvalue="nobody"), 1):
        if one != other:
            return f"number {number} should be {one}, but is {other}"
    return None


def outcome_for(file: DrawFile, user: str, nonce: str) -> Literal["won", "lost", "passed", "absent"]:
    """What became of one entrant; only who has the nonce can ask."""
    leaf = leaf_of(nonce, user).hex()
    if leaf not in file.entrants:
        return "absent"
    return "won" if leaf in file.winners else "passed" if leaf in file.passed else "lost"
