"""How addresses of stores are written, and what is said of those that cannot be one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livecast.adapters.redis.address import Address, BadAddressError, parse, without_password


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", {"form": "server", "places": (("h", 6379),)}),
        ("REDIS://h:7/3", {"places": (("h", 7),), "db": 3}),
        ("redis://ann:p%40ss@h", {"login": {"username": "ann", "password": "p@ss"}}),
        ("redis://:pw@h", {"login": {"password": "pw"}}),
        ("redis://[::1]:7", {"places": (("::1", 7),)}),
        ("unix:///run/a%20b.sock?db=2", {"form": "server", "path": "/run/a b.sock", "db": 2, "places": ()}),
        (
            "redis+sentinel://a,b:7,[::1]/shop",
            {"form": "sentinel", "service": "shop", "places": (("a", 26379), ("b", 7), ("::1", 26379))},
        ),
        ("redis+sentinel://u:p@a/shop/2", {"service": "shop", "db": 2, "login": {"username": "u", "password": "p"}}),
        ("redis+sentinel://a/s?sentinel_password=x&sentinel_username=y", {"sentinel_login": {"password": "x", "username": "y"}}),
        ("redis+cluster://a,b:7,a", {"form": "cluster", "places": (("a", 6379), ("b", 7))}),
        ("rediss+cluster://a?ssl_check_hostname=no", {"tls": True, "tls_options": {"ssl_check_hostname": False}}),
    ],
)
def test_what_is_written(url: str, expected: dict[str, Any]) -> None:
    """Hosts, ports that go without saying, names, logins with signs in them."""
    address = parse(url)
    assert {name: getattr(address, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:6379", "must begin with redis://"),
        ("valkey://h", "did you mean redis://"),
        ("redis-sentinel://a/m", "did you mean redis+sentinel://"),
        ("rediss-cluster://a", "did you mean rediss+cluster://"),
        ("redis://", "names no host"),
        ("redis://a,b", "names several hosts"),
        ("redis://a:port", "is no host"),
        ("redis://a,,b", "names an empty host"),
        ("redis://a/shop", "no number of a database"),
        ("redis://u:secret/x@h", "%-escapes for signs such as /"),
        ("redis://u/secret@h", "%-escapes stand for a /"),
        ("redis+sentinel://a,b", "lacks the name"),
        ("redis+sentinel://a/shop/x", "no number of a database"),
        ("redis+cluster://a/1", "only number 0"),
        ("unix://run/a.sock", "three slashes"),
        ("redis://secret@h", "without a password"),
        ("redis://h?ssl_ca_certs=/x", "begin it with rediss"),
        ("rediss://h?ssl_ca_certs=/nowhere/ca.pem", "there is no such file"),
        ("rediss://h?ssl_ca_cert=/x", "did you mean `ssl_ca_certs`?"),
        ("rediss://h?ssl_cert_reqs=maybe", "required, optional or none"),
        (f"rediss://h?ssl_certfile={__file__}", "needs both"),
        ("redis://h?max_connections=5", "livecast decides by itself"),
        ("redis://h?sentinel_password=x", "an option `sentinel_password` that there is not"),
    ],
)
def test_what_cannot_be_one(url: str, says: str) -> None:
    """The reader is told what to write instead, and no password is repeated."""
    with pytest.raises(BadAddressError) as error:
        parse(url)
    assert says in str(error.value)
    assert "secret" not in str(error.value)


def test_a_client_certificate(tmp_path: Path) -> None:
    """Files are looked for when the address is read, not when the first viewer comes."""
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
    address = parse(f"rediss://h?ssl_ca_certs={tmp_path}/ca&ssl_certfile={tmp_path}/cert&ssl_keyfile={tmp_path}/key")
    assert address.tls_options == {
        "ssl_ca_certs": f"{tmp_path}/ca",
        "ssl_certfile": f"{tmp_path}/cert",
        "ssl_keyfile": f"{tmp_path}/key",
    }


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:p@h:1/0", "redis://u:***@h:1/0"),
        ("redis+sentinel://:p@a,b/m?sentinel_password=q&db=1", "redis+sentinel://:***@a,b/m?sentinel_password=***&db=1"),
        ("redis://h", "redis://h"),
        ("postgresql://u:p@h/db?password=x", "postgresql://u:***@h/db?password=***"),
        ("", ""),
    ],
)
def test_what_may_be_shown(url: str, shown: str) -> None:
    """Everything but passwords."""
    assert without_password(url) == shown


def test_the_same_place() -> None:
    """A ledger that is the rooms' store under another spelling is noticed; two names of one set of Sentinels are two stores."""

    def same(one: str, other: str) -> bool:
        return parse(one).same_place(parse(other))

    assert isinstance(parse("redis://h"), Address)
    assert same("redis://h", "redis://u:p@h:6379")
    assert same("redis+cluster://a,b", "redis+cluster://b,c")
    assert not same("redis+sentinel://a,b/rooms", "redis+sentinel://a,b/ledger")
    assert not same("redis://h", "redis://h:6380")
