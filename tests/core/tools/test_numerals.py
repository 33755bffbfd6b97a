"""Short numbers: read back by any language's base 36."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from livecast.core.tools.numerals import base36


@given(st.integers(0, 2**60))
def test_base_36_is_what_int_reads(n: int) -> None:
    """As JavaScript writes it: digits, then small letters, no leading zero."""
    assert int(base36(n), 36) == n
    assert base36(n).islower() or base36(n).isdigit()
    assert n == 0 or not base36(n).startswith("0")
