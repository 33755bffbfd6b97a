"""The groups of settings that belong to no other part: where the node listens, who may call, which stores, what is logged.

A field's docstring is what the configuration reference says of the key.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from livecast.core.money.gifts import CATALOGUE, CatalogueGift
from livecast.edge.access.keys import ApiKey

#: What `--dev` signs and accepts. Public on purpose, and therefore refused everywhere else.
DEV_SECRET: Final = "livecast-development-secret-do-not-use"  # noqa: S105 - it is meant to be read
DEV_KEY: Final = "lck_dev_dev"
#: RFC 7518 §3.2: an HS256 key is at least as long as the hash.
SECRET_BYTES_MIN: Final = 32
DEFAULT_PORT: Final = 8080


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the node listens and keeps its data."""

    host: Annotated[str, Meta(min_length=1, max_length=255)] = "127.0.0.1"
    """Address to listen on. `0.0.0.0` or `::` to be reached from outside."""
    port: Annotated[int, Meta(ge=0, le=65535)] = DEFAULT_PORT
    """Port to listen on; 0 takes a free one, which the ready line tells."""
    workers: Annotated[int, Meta(ge=1, le=256)] | Literal["auto"] = 1
    """Processes that serve, one per core at most; `auto` is as many as this machine, or the container's share of it, has cores."""
    data_dir: Annotated[str, Meta(min_length=1)] = ".livecast"
    """Where the embedded stores keep their files, readable by this user alone. Unused with `[redis] url`."""


class Auth(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is who: viewers by JWT, callers of the control plane by API key or staff JWT."""

    jwt_secrets: tuple[str, ...] = ()
    """HS256 secrets, at least 32 bytes each. All are accepted, the first one signs: put a new one first, drop the old one later."""
    jwks_url: str = ""
    """Where the public keys of RS256, ES256 or EdDSA tokens are."""
    api_keys: tuple[ApiKey, ...] = ()
    """Keys of the control plane: `{id, hash, scopes, rooms, merchant}`, as `livecast key new` prints them."""


class Redis(Struct, frozen=True, forbid_unknown_fields=True):
    """The store of the rooms: frame log, ownership, pub/sub."""

    url: str = ""
    """`redis://`, `rediss://`, `unix://`, `redis+sentinel://host,host,host/name` or `redis+cluster://host,host,host`, with
    `rediss+…` for TLS. Empty: the node starts its own Valkey in `data_dir`/rooms."""


class Ledger(Struct, frozen=True, forbid_unknown_fields=True):
    """The store of the money: wallets, gifts, drops and what was granted of them."""

    url: str = ""
    """A store of its own in any of the forms of `[redis] url`, which must show `appendfsync always`. Empty: the node starts its own
    in `data_dir`/ledger."""
    durability: Literal["always", "external", "none"] = "always"
    """`always`: the store must show it. `external`: a managed store that hides it vouches for it. `none`: only with `--dev`."""
    replicas: Annotated[int, Meta(ge=0, le=5)] = 0
    """Replicas that must have a write on disk before it is acknowledged."""
    receipt_key: str = ""
    """The Ed25519 private key (PEM) that receipts are signed with, the same on all nodes. Empty: the node keeps one in
    `data_dir`/receipts.pem, which with `[redis] url` is that of the first node there."""
    claims_per_user_per_s: Annotated[int, Meta(ge=0, le=1000)] = 5
    """Claims that one user may make in the long run; more are `rate_limited`, and nobody else feels them. 0: no limit."""
    claims_per_user_burst: Annotated[int, Meta(ge=1, le=1000)] = 20
    """... and at once, after quiet: an impatient finger."""
    claims_per_address_per_s: Annotated[int, Meta(ge=0, le=1_000_000)] = 200
    """Claims that may come from one address, `trusted_proxies` looked through: a school or an office. 0: no limit."""


class GiftLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """What one viewer may spend, in coins; absent: no limit."""

    per_gift: Annotated[int, Meta(ge=1)] | None = None
    """In one message."""
    per_day: Annotated[int, Meta(ge=1)] | None = None
    """In a day of UTC."""
    per_month: Annotated[int, Meta(ge=1)] | None = None
    """In a month of UTC."""


class Gifts(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be sent and how much of it."""

    catalogue: tuple[CatalogueGift, ...] = CATALOGUE
    """Gifts: `{id, name, price, tier}`."""
    limits: GiftLimits = field(default_factory=GiftLimits)
    """Spending limits of one viewer: `{per_gift, per_day, per_month}`."""


class Archive(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept for later: comments for replays, money for the books, figures for reports."""

    url: str = ""
    """`postgresql://…`, or `sqlite:///…` with a file's absolute path. Empty: a SQLite file `archive.db` in `data_dir`. `none`:
    nothing is archived; then there are no reports and replays, and a ledger that comes back empty is not noticed."""
    chat_days: Annotated[int, Meta(ge=0, le=36_500)] = 180
    """For how many days comments are kept; 0: for good. Figures of broadcasts, which name nobody, stay."""
    money_days: Annotated[int, Meta(ge=0, le=36_500)] = 3_650
    """... and entries of the ledger: ten years, the longest that bookkeeping law commonly asks for."""
    staff_days: Annotated[int, Meta(ge=0, le=36_500)] = 730
    """... and what staff did: a complaint may come late."""
    backlog_bytes: Annotated[int, Meta(ge=1_048_576, le=2**40)] = 67_108_864
    """What the rooms store keeps, per shard (a 256th of the rooms), for an archive that is away. A full room (40 comments a second)
    fills it in two hours, a usual one in days; beyond it the oldest are lost to the archive, which says how many."""


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """Logs go to standard error; tokens never do."""

    format: Literal["auto", "console", "json"] = "auto"
    """`auto`: console on a terminal, else JSON, one object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written."""
