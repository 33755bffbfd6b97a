"""Receipts: signed with one key that stays, the same each time, checkable by anybody."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from livecast.core.money.receipts import Receipt
from livecast.edge.access.tokens import base64url
from livecast.edge.money.receipts import KEY_FILE, BadReceiptKey, Receipts, kept_key, new_key, offered_key

RECEIPT = Receipt("livecast", "ann", "cups", "r/d/1", 1_700_000_000, "r", "b1", "d", 1, 500, code_hash="00")


def test_the_published_key_proves_a_receipt() -> None:
    """Another library finds the key by its id, and reads what was said."""
    receipts = Receipts(new_key())
    signed = receipts.sign(RECEIPT)
    (key,) = jwt.PyJWKSet.from_dict(receipts.jwks()).keys
    assert jwt.get_unverified_header(signed) == {"alg": "EdDSA", "kid": key.key_id, "typ": "JWT"}
    said = jwt.decode(signed, key, ["EdDSA"], audience="cups", issuer="livecast")
    assert (said["sub"], said["serial"], said["of"], "exp" in said) == ("ann", 1, 500, False)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(Receipts(new_key()).sign(RECEIPT), key, ["EdDSA"], audience="cups")


def test_whoever_signs_the_bytes_are_the_same() -> None:
    """A repeated answer has the same receipt, whichever library signed the first: here the one that verifies signs as well."""
    pem = new_key()
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, Ed25519PrivateKey)
    said, _, signature = Receipts(pem).sign(RECEIPT).rpartition(".")
    assert base64url(key.sign(said.encode())).decode() == signature


def test_a_repeated_answer_has_the_same_receipt() -> None:
    """Byte for byte, also from another process with the same key."""
    pem = new_key()
    assert Receipts(pem).sign(RECEIPT) == Receipts(pem).sign(RECEIPT)
    assert Receipts(pem).jwks() == Receipts(pem).jwks()


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    """A restart signs with the same key; nobody else can read it; nothing half written is left."""
    first = kept_key(tmp_path / "data")
    assert kept_key(tmp_path / "data") == first
    assert [path.name for path in (tmp_path / "data").iterdir()] == [KEY_FILE]
    assert (tmp_path / "data" / KEY_FILE).stat().st_mode & 0o777 == 0o600
    Receipts(first)


def test_a_node_without_a_key_takes_the_one_it_is_given(tmp_path: Path) -> None:
    """What is offered is kept nowhere yet; who has a key from before keeps and offers it."""
    given = new_key()
    assert offered_key(tmp_path) not in {given, offered_key(tmp_path)}
    assert kept_key(tmp_path, given) == given
    assert kept_key(tmp_path, new_key()) == given == offered_key(tmp_path)


def test_a_wrong_key_is_refused_with_what_to_do() -> None:
    """No PEM, and a key of another kind."""
    other = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for wrong in ("secret", other.decode()):
        with pytest.raises(BadReceiptKey, match="openssl genpkey"):
            Receipts(wrong)
