"""API keys: made, found, revoked; of a secret only a hash is kept."""

from __future__ import annotations

import msgspec
import pytest

from livecast.edge.access.keys import SCOPES, ApiKey, KeyRing, is_key, new_key


def test_a_new_key_is_found_by_its_secret_alone():
    """Only the whole, exact credential finds the key, and nothing of it stands in the configured entry."""
    key, entry = new_key("shop-1", ("rooms:read",), ("shop-*",), "acme")
    ring = KeyRing([entry])
    assert ring.find(key) == entry
    assert key.startswith("lck_shop-1_")
    assert key.split("_", 2)[2] not in msgspec.json.encode(entry).decode()
    for wrong in (key[:-1], key + "x", key.upper(), key.replace("shop-1", "shop-2"), "lck_shop-1_", "lck__x", "", "Bearer " + key):
        assert ring.find(wrong) is None
    assert entry.covers("shop-7")
    assert not entry.covers("other")


def test_secrets_differ():
    """Two keys of one id are two secrets; replacing the ring revokes the old at once."""
    old, old_entry = new_key("a")
    new, new_entry = new_key("a")
    assert old != new
    ring = KeyRing([old_entry])
    ring.replace([new_entry])
    assert ring.find(old) is None
    assert ring.find(new) == new_entry
    assert list(ring) == [new_entry]


def test_a_given_secret():
    """The development key is a known one; underscores within a secret belong to it."""
    key, entry = new_key("dev", SCOPES, secret="dev")
    assert key == "lck_dev_dev"
    assert KeyRing([entry]).find("lck_dev_dev") == entry
    key, entry = new_key("x", secret="a_b_c")
    assert KeyRing([entry]).find(key) == entry


@pytest.mark.parametrize("wrong", [{"id": "a_b"}, {"id": ""}, {"hash": "abc"}, {"scopes": ["rooms:destroy"]}, {"what": 1}])
def test_configured_entries_are_checked(wrong):
    """An entry with a wrong id, hash, scope or name is no entry."""
    good = {"id": "a", "hash": "0" * 64, "scopes": ["rooms:read"], "rooms": ["*"]}
    assert msgspec.convert(good, ApiKey)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**good, **wrong}, ApiKey)


def test_which_credentials_are_keys():
    """Keys are told from tokens by their first letters."""
    assert is_key("lck_a_b")
    assert not is_key("eyJhbGciOiJIUzI1NiJ9.e30.x")
