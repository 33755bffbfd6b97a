"""How the address of a store is written, whatever form the store has.

    redis://[user:password@]host[:6379][/db]                                  one server
    unix:///path/to/socket[?db=1]                                             one server on this machine
    redis+sentinel://[user:password@]host[:26379][,host…]/name[/db]           the primary that Sentinels call `name`
    redis+cluster://[user:password@]host[:6379][,host…]                       a cluster, of which some nodes are named

`rediss` in place of `redis` is TLS, to Sentinels as well. Options follow behind `?`: redis-py's names for what TLS needs
(`ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_password` of that, `ssl_cert_reqs`, `ssl_check_hostname`, `ssl_ciphers`), and
`sentinel_username` and `sentinel_password`. The spelling for Sentinels is the one that Python's packages share
(redis-sentinel-url, Prefect), as redis-py has none.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

Form: TypeAlias = Literal["server", "sentinel", "cluster"]
Place: TypeAlias = tuple[str, int]
"""Host and port."""

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SCHEMES: Final[dict[str, tuple[Form, bool]]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "unix": ("server", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
"""Scheme -> the form of the store, and whether it speaks TLS."""
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS: Final = (*_FILES, "ssl_password", "ssl_cert_reqs", "ssl_check_hostname", "ssl_ciphers")
_SENTINEL: Final = ("sentinel_username", "sentinel_password")
_OURS: Final = frozenset(
    {"socket_timeout", "socket_connect_timeout", "max_connections", "timeout", "health_check_interval", "retry_on_timeout"}
)
"""What redis-py would take, and livecast decides by itself."""
_YES, _NO = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


class BadAddressError(ValueError):
    """The address cannot be one; the message says why. It repeats neither passwords nor the whole address."""


class Address(Struct, frozen=True):
    """Where a store is. `places` are a server's host and port, Sentinels, or some nodes of a cluster; none with a `path`."""

    form: Form
    tls: bool
    places: tuple[Place, ...] = ()
    path: str = ""
    service: str = ""
    """The name that Sentinels know the primary by."""
    db: int = 0
    login: dict[str, str] = {}
    """`username` and `password` as far as they are given, as redis-py's connections take them."""
    tls_options: dict[str, Any] = {}
    """`ssl_…` as redis-py's connections take them."""
    sentinel_login: dict[str, str] = {}

    def same_place(self, other: Address) -> bool:
        """Whether both lead to the same data, as far as can be seen from here."""
        here, there = (self.form, self.path, self.service, self.db), (other.form, other.path, other.service, other.db)
        return here == there and (not self.places or not set(self.places).isdisjoint(other.places))


def parse(url: str) -> Address:
    """An address from its text. Raises `BadAddressError`."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in SCHEMES:
        raise BadAddressError(_wrong_scheme(scheme if separator else ""))
    form, tls = SCHEMES[scheme.lower()]
    authority, path, query = _parted(rest)
    login, hosts = _login(authority)
    options = _options(query, form, tls)
    sentinel_login = {name.removeprefix("sentinel_"): options.pop(name) for name in _SENTINEL if name in options}
    service, db, socket = "", options.pop("db", 0), ""
    places: tuple[Place, ...] = ()
    if scheme.lower() == "unix":
        if not path or hosts:
            raise BadAddressError("a socket is written unix:///path/to/socket, with three slashes")
        socket = unquote(path)
    else:
        places = _places(hosts, SENTINEL_PORT if form == "sentinel" else PORT)
        service, db = _below(path, form, db)
    if form == "server" and len(places) > 1:
        raise BadAddressError("names several hosts: write redis+sentinel://…/name or redis+cluster://… if they belong together")
    return Address(form, tls, places, socket, service, db, login, options, sentinel_login)


def without_password(url: str) -> str:
    """The address with `***` for its passwords."""
    head, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, path, query = _parted(rest)
    login, at, hosts = authority.rpartition("@")
    user, colon, _ = login.partition(":")
    shown = f"{user}:***{at}{hosts}" if colon else authority
    parts = [f"{name}=***" if name.endswith("password") else part for part in query.split("&") for name in [part.split("=")[0]]]
    return f"{head}://{shown}{path}" + (f"?{'&'.join(parts)}" if query else "")


def _wrong_scheme(scheme: str) -> str:
    found = difflib.get_close_matches(scheme.lower().replace("valkey", "redis"), list(SCHEMES), n=1)
    hint = f"; did you mean {found[0]}://?" if found else ""
    return f"must begin with {'://, '.join(SCHEMES)}://{hint}"


def _parted(rest: str) -> tuple[str, str, str]:
    """Authority, path and query of what follows `://`. By hand: urllib takes no list of hosts for an authority."""
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    return authority, slash + path, query


def _login(authority: str) -> tuple[dict[str, str], str]:
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    named = {"username": unquote(user), "password": unquote(password)}
    if named["username"] and not named["password"]:
        raise BadAddressError("names a user without a password: write user:password@host, with %-escapes for signs such as @ and /")
    return {name: value for name, value in named.items() if value}, hosts


def _places(hosts: str, port: int) -> tuple[Place, ...]:
    places = []
    for each in hosts.split(","):
        try:
            parts = urlsplit(f"//{each.strip()}")
            place = (parts.hostname or "", parts.port or port)
        except ValueError:  # not repeated: with a / in a password its beginning would stand here
            raise BadAddressError(
                "names something that is no host: write host:port, or [::1]:port, and %-escapes for signs such as / in a password"
            ) from None
        if not place[0]:
            raise BadAddressError("names no host" if not hosts else "names an empty host")
        places.append(place)
    return tuple(dict.fromkeys(places))


def _below(path: str, form: Form, db: int) -> tuple[str, int]:
    """The Sentinels' name for the primary, and the number of the database."""
    parts = [unquote(part) for part in path.strip("/").split("/")] if path.strip("/") else []
    service = ""
    if form == "sentinel":
        if not parts:
            raise BadAddressError(
                "lacks the name that the Sentinels have for the primary: write redis+sentinel://host,host/mymaster"
            )
        service = parts.pop(0)
    if parts:
        if len(parts) > 1 or not parts[0].isdigit():
            raise BadAddressError("has no number of a database behind the last / (and %-escapes stand for a / in a password)")
        db = int(parts[0])
    if form == "cluster" and db:
        raise BadAddressError("names a database, and a cluster has only number 0")
    return service, db


def _options(query: str, form: Form, tls: bool) -> dict[str, Any]:
    known = ("db", *(_TLS if tls else ()), *(_SENTINEL if form == "sentinel" else ()))
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _OURS:
            raise BadAddressError(f"sets `{name}`, which livecast decides by itself: leave it out")
        if name in _TLS and not tls:
            raise BadAddressError(f"sets `{name}` without TLS: begin it with rediss")
        if name not in known:
            found = difflib.get_close_matches(name, known, n=1)
            raise BadAddressError(f"has an option `{name}` that there is not" + (f"; did you mean `{found[0]}`?" if found else ""))
        options[name] = _value(name, value)
    if ("ssl_certfile" in options) != ("ssl_keyfile" in options):
        raise BadAddressError("names one of ssl_certfile and ssl_keyfile: a client's certificate needs both")
    return options


def _value(name: str, value: str) -> Any:
    if name in _FILES and not Path(value).is_file():
        raise BadAddressError(f"{name} names {value}, and there is no such file")
    if name == "ssl_cert_reqs" and value not in {"required", "optional", "none"}:
        raise BadAddressError(f"ssl_cert_reqs is `{value}`, and can be required, optional or none")
    if name == "ssl_check_hostname":
        if value.lower() not in _YES | _NO:
            raise BadAddressError(f"{name} is `{value}`, and can be true or false")
        return value.lower() in _YES
    if name == "db":
        if not value.isdigit():
            raise BadAddressError(f"db is `{value}`, and has to be a number")
        return int(value)
    return value
