"""`livecast receipt verify`: what a real node hands out is valid, and whatever is done to it is found and named."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner, Result

from livecast.core.money.receipts import Receipt, code_hash
from livecast.edge.money.receipts import ISSUER, KEY_FILE, Receipts, kept_key, new_key
from livecast.ops.cli import main
from support.node import NodeProcess
from support.till import Till

RECEIPT = Receipt(
    ISSUER, "ann", "acme", "shop/d1/7", 1_700_000_000, "shop", "b1", "d1", 7, 500, code_hash=code_hash("7K3M-9QXZ-2B4T")
)


@pytest.fixture
def desk(tmp_path: Path) -> tuple[Receipts, Path]:
    """A signer, and the directory that has its key."""
    pem = new_key()
    (tmp_path / KEY_FILE).write_text(pem)
    return Receipts(pem), tmp_path


def verify(*args: object, text: str | None = None) -> Result:
    """`livecast receipt verify ARGS`."""
    return CliRunner().invoke(main, ["receipt", "verify", *map(str, args)], input=text)


def test_a_receipt_of_a_real_node(node: NodeProcess, tmp_path: Path) -> None:
    """Checked with the published key, with a copy of it, and with the node's own; it fits its code and no other."""
    won = Till(node, "receipts").trade()
    jwks = f"{node.base}/.well-known/jwks.json"
    _, body = Till(node, "receipts").ask("GET", "/.well-known/jwks.json", key=False)
    (tmp_path / "keys.json").write_bytes(body)
    for source in (("--jwks", jwks), ("--jwks", tmp_path / "keys.json"), ("--data-dir", node.data)):
        done = verify(won["receipt"], *source, "--code", won["code"])
        assert (done.exit_code, done.output.splitlines()[-1]) == (0, "The receipt is valid."), done.output
    assert "receipts-ann" in done.output
    assert "1 of 2" in done.output
    wrong = verify(won["receipt"], "--jwks", jwks, "--code", "AAAA-AAAA-AAAA")
    assert wrong.exit_code == 1
    assert "the code is not the one" in wrong.output


def test_codes_may_be_typed_as_people_do(desk: tuple[Receipts, Path]) -> None:
    """And the receipt may come from standard input."""
    receipts, directory = desk
    done = verify("-", "--data-dir", directory, "--code", "7k3m 9qxz2b4t", text=receipts.sign(RECEIPT) + "\n")
    assert done.exit_code == 0, done.output


def changed(token: str, **claims: Any) -> str:
    """The same signature under other claims."""
    header, payload, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))) | claims
    return ".".join((header, base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode(), signature))


def test_whatever_is_wrong_is_named(desk: tuple[Receipts, Path]) -> None:
    """Changed, cut, forged with another key, without a signature, with a shared secret, run out, another token."""
    receipts, directory = desk
    good = receipts.sign(RECEIPT)
    kid = jwt.get_unverified_header(good)["kid"]
    lapsed = receipts.sign(Receipt(ISSUER, "ann", "a", "j", 1, "r", "b", "d", 1, 1, exp=int(time.time()) - 5))
    cases = {
        changed(good, sub="eve"): "changed after it was signed",
        good[: good.rindex(".")]: "has not the form of a JWS",
        good[:-6] + "AAAAAA": "signature does not fit",
        Receipts(new_key()).sign(RECEIPT): "not among those published",
        jwt.encode({"iss": ISSUER}, "", "none", {"kid": kid}): "only with EdDSA",
        jwt.encode({"iss": ISSUER}, "s" * 64, "HS256", {"kid": kid}): "only with EdDSA",
        lapsed: "it ran out at",
        jwt.encode({"iss": ISSUER, "sub": "ann"}, kept_key(directory), "EdDSA", {"kid": kid}): "it is no receipt",
        receipts.sign(Receipt("else", "ann", "a", "j", 1, "r", "b", "d", 1, 1)): "issued by 'else'",
        "x" * 9000: "longer than any receipt",
    }
    for token, named in cases.items():
        done = verify(token, "--data-dir", directory)
        assert done.exit_code == 1, (named, done.output)
        last = done.output.splitlines()[-1]
        assert last.startswith("The receipt is NOT valid: "), done.output
        assert named in last


def test_without_keys_it_ends_with_2(tmp_path: Path) -> None:
    """No key file, no such file of keys, a file that is no set of keys."""
    (tmp_path / "no.json").write_text("{}")
    for source in (("--data-dir", tmp_path), ("--jwks", tmp_path / "nothing"), ("--jwks", tmp_path / "no.json")):
        done = verify("x.y.z", *source)
        assert done.exit_code == 2, (source, done.output)


def test_what_anybody_can_check(tmp_path: Path) -> None:
    """The tokens that the pages check too: the same ones are valid. (The clock here is the machine's: lapsed ones stay lapsed.)"""
    known = json.loads((Path(__file__).parents[2] / "core" / "money" / "vectors" / "receipts.json").read_text())
    (tmp_path / "keys.json").write_text(json.dumps({"keys": known["keys"]}))
    for row in known["receipts"]:
        done = verify(row["token"], "--jwks", tmp_path / "keys.json")
        lapsed = row["name"] == "reserved, in time"  # it was, in 2023
        assert (done.exit_code == 0) == (row["fault"] is None and not lapsed), (row["name"], done.output)
