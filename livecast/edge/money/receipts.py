"""Receipts: what a winner can show to anybody, a JWS that our published key proves (RFC 7515, 7519; EdDSA: RFC 8037).

A receipt follows from the unit alone, and Ed25519 signs the same bytes the same way: a repeated answer has the same receipt.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_seed_keypair

from livecast.core.errors import LivecastError
from livecast.core.money.receipts import Receipt
from livecast.edge.access.tokens import base64url

ISSUER: Final = "livecast"
"""`iss` of every receipt: it says what it is, the key says whose."""
KEY_FILE: Final = "receipts.pem"


class BadReceiptKey(LivecastError):  # noqa: N818 - says what is wrong
    """The key that was given is none that receipts are signed with; the message says what to do."""


class Receipts:
    """Signs receipts with one Ed25519 key, named by its thumbprint (RFC 7638)."""

    def __init__(self, pem: str) -> None:
        """`pem`: a PKCS #8 private key. Raises `BadReceiptKey`."""
        try:
            key = serialization.load_pem_private_key(pem.encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
            raise BadReceiptKey("it is no private key in PEM (make one with: openssl genpkey -algorithm ed25519)") from fault
        if not isinstance(key, Ed25519PrivateKey):
            raise BadReceiptKey("it is no Ed25519 key (make one with: openssl genpkey -algorithm ed25519)")
        # Signed by libsodium: half the time of OpenSSL for the same bytes, and hundreds win in one moment.
        kind, form = serialization.Encoding.Raw, serialization.PrivateFormat.Raw
        _, self._key = crypto_sign_seed_keypair(key.private_bytes(kind, form, serialization.NoEncryption()))
        public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        jwk = {"crv": "Ed25519", "kty": "OKP", "x": base64url(public).decode()}
        kid = base64url(hashlib.sha256(msgspec.json.encode(jwk, order="sorted")).digest()).decode()
        self._jwk = {**jwk, "kid": kid, "use": "sig", "alg": "EdDSA"}
        self._head = base64url(msgspec.json.encode({"alg": "EdDSA", "kid": kid, "typ": "JWT"})) + b"."

    def sign(self, receipt: Receipt) -> str:
        """The receipt, signed: RFC 7515's compact form."""
        return self.sign_all([receipt])[0]

    def sign_all(self, receipts: Sequence[Receipt]) -> list[str]:
        """`sign` for many. Hundreds win in one moment, and a general library adds a third to each.

        Step by step for all of them: a signature's tables push all else out of the processor's nearest cache, and what is done
        around it takes twice as long where each receipt is finished before the next.
        """
        head, key, encode = self._head, self._key, msgspec.json.encode
        said = [head + base64url(encode(receipt)) for receipt in receipts]
        signatures = [crypto_sign(each, key)[:crypto_sign_BYTES] for each in said]
        return [(each + b"." + base64url(signature)).decode() for each, signature in zip(said, signatures, strict=True)]

    def jwks(self) -> dict[str, Any]:
        """The key set that proves them (RFC 7517)."""
        return {"keys": [self._jwk]}


def new_key() -> str:
    """A fresh key, PEM."""
    kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return Ed25519PrivateKey.generate().private_bytes(kind, form, serialization.NoEncryption()).decode()


def offered_key(directory: str | os.PathLike[str]) -> str:
    """The key that is kept in `directory`, or a fresh one that is kept nowhere yet. Raises `OSError`."""
    path = Path(directory) / KEY_FILE
    return path.read_text() if path.exists() else new_key()


def kept_key(directory: str | os.PathLike[str], otherwise: str = "") -> str:
    """The key that is kept in `directory` for this user's eyes only; where there is none it is `otherwise` from now on, or a fresh
    one. Raises `OSError`.
    """
    path = Path(directory) / KEY_FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written aside and linked into place: of two that start at once one key wins, and a crash leaves none half written.
    draft = path.with_name(f"{KEY_FILE}.{os.getpid()}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(otherwise or new_key())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text()
