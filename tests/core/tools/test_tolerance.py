"""Fields that only a later version knows are left out, however deep; what is wrong with the others is still wrong."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from livecast.core.tools.tolerance import Reader, members, tolerant


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    """Strict."""

    size: Annotated[int, Meta(ge=1)] = 1
    key: bytes = b""


class Outer(Struct, frozen=True, forbid_unknown_fields=True):
    """Strict, and around others that are."""

    name: str
    mode: Literal["on", "off"] = "off"
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}
    free: dict[str, Any] = {}


LATER = {
    "name": "n",
    "zz": [1],
    "inner": {"size": 2, "key": b"k", "zz": 1},
    "many": [{"zz": {}}, {"size": 3}],
    "named": {"a": {"size": 4, "zz": None}},
    "free": {"zz": 1},
}
KNOWN = Outer("n", "off", Inner(2, b"k"), (Inner(), Inner(3)), {"a": Inner(4)}, {"zz": 1})


def test_unknown_fields_are_left_out() -> None:
    """From bytes and from values."""
    assert Reader(Outer).decode(msgspec.msgpack.encode(LATER)) == KNOWN
    assert Reader(list[Outer]).decode(msgspec.msgpack.encode([LATER])) == [KNOWN]
    assert tolerant(LATER, Outer) == KNOWN
    assert Reader(Outer).decode(msgspec.msgpack.encode(KNOWN)) == KNOWN


@pytest.mark.parametrize("wrong", [{}, {"name": 1}, {"name": "n", "inner": {"size": 0}}, {"name": "n", "mode": "maybe"}])
def test_what_is_wrong_stays_wrong(wrong: dict[str, Any]) -> None:
    """Also beside a field that is not known."""
    for value in (wrong, {**wrong, "zz": 1}):
        with pytest.raises(msgspec.ValidationError):
            Reader(Outer).decode(msgspec.msgpack.encode(value))
    with pytest.raises(msgspec.DecodeError):
        Reader(Outer).decode(b"\xc1")


def test_members_one_by_one() -> None:
    """A value that only a later version knows costs that member alone."""
    default = Outer("d", "on")
    assert members({**LATER, "mode": "dimmed"}, default) == msgspec.structs.replace(KNOWN, mode="on")
    assert members({"inner": {"size": 0}, "free": 3}, default) == default
