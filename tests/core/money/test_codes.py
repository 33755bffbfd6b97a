"""Codes follow from secret and serial, and are read however they were typed."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.money.codes import ALPHABET, as_meant, code_key, code_of
from livecast.core.money.draw import seed_of

KEY = bytes(32)


def test_a_code_is_the_start_of_an_hmac() -> None:
    """Recomputed another way: 60 bits, five a character; one code to hold all later versions to."""
    bits = f"{int.from_bytes(hmac.digest(KEY, bytes([0] * 7 + [1]), 'sha256')):0256b}"
    expected = "".join(ALPHABET[int(bits[i : i + 5], 2)] for i in range(0, 60, 5))
    assert code_of(KEY, 1).replace("-", "") == expected
    assert code_of(KEY, 1) == "MJGH-SSFV-X3WP"


def test_codes_are_distinct_and_say_nothing_of_each_other() -> None:
    """50,000 serials, two drops: no code twice."""
    codes = {code_of(key, serial) for key in (KEY, b"other") for serial in range(1, 25_001)}
    assert len(codes) == 50_000
    assert all(len(code) == 14 for code in codes)


def test_the_published_seed_does_not_give_the_codes_away() -> None:
    """One secret, two keys that do not follow from each other; neither is the secret."""
    secret = b"secret"
    assert len({secret, code_key(secret), seed_of(secret)}) == 3
    assert code_of(seed_of(secret), 1) != code_of(code_key(secret), 1)


@given(st.integers(1, 2**40), st.booleans(), st.sampled_from(["", " ", "-"]))
def test_a_code_is_read_as_it_was_meant(serial: int, lower: bool, between: str) -> None:
    """Small letters, no dashes, spaces; O for 0, I and l for 1."""
    code = code_of(KEY, serial)
    typed = code.replace("0", "O").replace("1", "l").replace("-", between)
    assert as_meant(typed.lower() if lower else typed) == code
    assert as_meant(f" {code.replace('1', 'I')}\n") == code


@pytest.mark.parametrize("typed", ["", "SPRING-SALE", "7K3M-9QXZ-2B4U", "7K3M-9QXZ-2B4", "春"])
def test_other_codes_stay_as_they_are(typed: str) -> None:
    """Merchants' own codes are not bent into ours."""
    assert as_meant(typed) == typed
