"""`livecast receipt`: look at what a winner shows, with the published key alone."""

from __future__ import annotations

import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import jwt
import msgspec

from livecast.core.money.codes import as_meant
from livecast.core.money.receipts import Receipt, code_hash
from livecast.edge.money.receipts import ISSUER, KEY_FILE, BadReceiptKey, Receipts
from livecast.ops.commands.serve import settings_or_exit
from livecast.ops.stores.access import EXIT_USAGE, stop

EXIT_NOT_VALID: Final = 1
JWKS_BYTES_MAX: Final = 1024 * 1024
"""A set of keys takes some hundred bytes each; more is the wrong address."""
ANSWER_S: Final = 10.0
TOKEN_CHARS_MAX: Final = 8192
"""A receipt takes some 600."""


class NotValidError(Exception):
    """The receipt is worth nothing; the message says why."""


@click.group()
def command() -> None:
    """Receipts: what a winner can show, signed by the node (JWS, EdDSA)."""


@command.command()
@click.argument("token")
@click.option("--jwks", metavar="URL_OR_FILE", help="The published keys: https://live.example/.well-known/jwks.json, or a copy.")
@click.option("--code", metavar="CODE", help="The code that goes with it: is it the one that was handed out?")
@click.option("--config", type=click.Path(path_type=Path), envvar="LIVECAST_CONFIG", metavar="FILE", help="The node's settings.")
@click.option("--data-dir", metavar="D", help="The node's data directory, whose key is used [default: .livecast].")
def verify(token: str, jwks: str | None, code: str | None, config: Path | None, data_dir: str | None) -> None:
    """Check a receipt and print what it says.

    TOKEN is the receipt as it was handed out, or - to read it from standard input. The key comes from --jwks, else from the node's
    own settings and data directory. It shows that this unit was won by this user; whether it was revoked or used since then only
    the node knows (claims of the drop).

    Exits 0 if it is valid, 1 if it is not and why: forged, changed, run out, the wrong code. 2 if there are no keys to check with.

    \b
    Examples:
      livecast receipt verify eyJ… --jwks https://live.example/.well-known/jwks.json
      livecast receipt verify - --code 7K3M-9QXZ-2B4T < receipt.txt
    """  # noqa: D301 - click wants the control character, not its name
    token = (sys.stdin.read(TOKEN_CHARS_MAX + 1) if token == "-" else token).strip()  # noqa: S105 - the usual word for it
    keys = _published(jwks) if jwks else _own(config, data_dir)
    try:
        receipt = proven(token, keys)
        click.echo(told(receipt))
        _check(receipt, code, time.time())
    except NotValidError as fault:
        click.echo(f"The receipt is NOT valid: {fault}")
        raise click.exceptions.Exit(EXIT_NOT_VALID) from None
    click.echo("The receipt is valid." + (" It is from a test drop: there is nothing to hand out for it." if receipt.test else ""))


def proven(token: str, keys: dict[str, Any]) -> Receipt:
    """What a receipt says, if one of `keys` (by `kid`) signed it. Raises `NotValidError`."""
    if len(token) > TOKEN_CHARS_MAX:
        raise NotValidError("it is longer than any receipt")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise NotValidError("it is no receipt: it has not the form of a JWS, or was cut short") from None
    if header.get("alg") != "EdDSA":
        raise NotValidError(f"it is signed with {header.get('alg')!r}, and receipts only with EdDSA: forged, or no receipt")
    key = keys.get(str(header.get("kid")))
    if key is None:
        raise NotValidError(f"it is forged, or of another deployment: its key {header.get('kid')!r} is not among those published")
    try:
        claims = jwt.decode(token, key, ["EdDSA"], options={"verify_exp": False, "verify_aud": False, "verify_iat": False})
        receipt = msgspec.convert(claims, Receipt)
    except jwt.InvalidSignatureError:
        raise NotValidError("the signature does not fit: it was changed after it was signed, or is forged") from None
    except (jwt.InvalidTokenError, msgspec.ValidationError) as fault:
        raise NotValidError(f"the key is right, but it is no receipt ({fault})") from None
    if receipt.iss != ISSUER:
        raise NotValidError(f"it was issued by {receipt.iss!r}, not by {ISSUER}")
    return receipt


def told(receipt: Receipt) -> str:
    """The claims for people."""
    rows = [
        ("winner", receipt.sub),
        ("merchant", receipt.aud or "(none)"),
        ("room / drop", f"{receipt.room} / {receipt.drop}" + (" (TEST)" if receipt.test else "")),
        ("broadcast", receipt.broadcast),
        ("unit", f"{receipt.serial:,} of {receipt.of:,}"),
        ("won at", _moment(receipt.iat)),
        *([("reserved until", _moment(receipt.exp))] if receipt.exp is not None else []),
        *([("sku", receipt.sku)] if receipt.sku else []),
        *([("code SHA-256", receipt.code_hash)] if receipt.code_hash else []),
        ("id", receipt.jti),
    ]
    return "\n".join(f"  {name:<16}{value}" for name, value in rows)


def _check(receipt: Receipt, code: str | None, now: float) -> None:
    if receipt.exp is not None and receipt.exp <= now:
        raise NotValidError(f"it ran out at {_moment(receipt.exp)}: the reservation lapsed if it was not confirmed by then")
    if code is not None and receipt.code_hash not in {code_hash(code), code_hash(as_meant(code))}:
        raise NotValidError("the code is not the one that was handed out with it" if receipt.code_hash else "it goes with no code")


def _moment(unix_s: int) -> str:
    try:
        return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{unix_s} s"


# --- Keys -------------------------------------------------------------------------------------------------------------
def _published(where: str) -> dict[str, Any]:
    try:
        if where.startswith(("http://", "https://")):
            with urllib.request.urlopen(where, timeout=ANSWER_S) as response:  # noqa: S310 - http or https, as was asked for
                data: bytes = response.read(JWKS_BYTES_MAX)
        else:
            data = Path(where).read_bytes()
        return _by_id(msgspec.json.decode(data, type=dict[str, Any]))
    except (OSError, msgspec.DecodeError, jwt.PyJWKSetError) as fault:
        stop(f"{where} gives no keys: {fault}", EXIT_USAGE)


def _own(config: Path | None, data_dir: str | None) -> dict[str, Any]:
    settings = settings_or_exit(config=config, dev=True, data_dir=data_dir)
    path = Path(settings.server.data_dir) / KEY_FILE
    try:
        return _by_id(Receipts(settings.ledger.receipt_key or path.read_text()).jwks())
    except (OSError, BadReceiptKey) as fault:
        stop(f"there is no key in {path} ({fault}): give --jwks with the node's /.well-known/jwks.json, or --data-dir", EXIT_USAGE)


def _by_id(jwks: dict[str, Any]) -> dict[str, Any]:
    return {str(key.key_id): key for key in jwt.PyJWKSet.from_dict(jwks).keys if key.key_type == "OKP"}
