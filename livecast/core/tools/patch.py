"""JSON Merge Patch (RFC 7396): apply one, find one, and refuse values that not every client could read.

Values are never changed in place: a merge makes new dicts along the changed paths and shares the rest, so that an old
value stays what it was and `diff` can skip what is the same object.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Json

DEPTH_MAX: Final = 16
"""Nesting of values that a platform hands in. Deeper ones are of no use on a screen, and recursion must end somewhere."""
INT_MAX: Final = 2**53 - 1
"""The largest integer that JavaScript keeps exact."""


def merge(target: Json, patch: Json) -> Json:
    """`target` after `patch`: null takes a member away, objects are merged, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = merge(merged.get(name), value)
        else:
            merged[name] = value
    return merged


def diff(old: dict[str, Json], new: dict[str, Json]) -> dict[str, Json]:
    """The patch that turns `old` into `new`. Objects of neither may have null members (a merge leaves none)."""
    patch: dict[str, Json] = dict.fromkeys(name for name in old if name not in new)
    for name, value in new.items():
        if name not in old:
            patch[name] = value
            continue
        before = old[name]
        if value is before:
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := diff(before, value):
                patch[name] = inner
        elif not same(before, value):
            patch[name] = value
    return patch


def same(a: Json, b: Json) -> bool:
    """Whether two JSON values are the same. Unlike `==` this tells `true`, `1` and `1.0` apart."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(value, b[name]) for name, value in a.items())
    return bool(a == b)


def check_plain(value: Json, field: str) -> None:
    """Raise `InvalidChange` (`invalid`) unless every client can read `value`: JSON types, bounded depth, integers of 53 bits."""
    level = [value]
    for _ in range(DEPTH_MAX):
        inner: list[Json] = []
        for v in level:
            if (wrong := _fault(v)) is not None:
                raise InvalidChange(Refusal("invalid", wrong, field=field))
            if isinstance(v, dict):
                inner.extend(v.values())
            elif isinstance(v, list | tuple):
                inner.extend(v)
        if not inner:
            return
        level = inner
    raise InvalidChange(Refusal("invalid", f"Nested deeper than {DEPTH_MAX}.", field=field))


def _fault(v: Json) -> str | None:
    """Why some client could not read this one value, whatever is inside it."""
    match v:
        case None | bool() | str() | list() | tuple():
            return None
        case dict():
            return None if all(isinstance(name, str) for name in v) else "Names must be text."
        case int():
            return None if -INT_MAX <= v <= INT_MAX else "Integers must fit in 53 bits."
        case float():
            return None if isfinite(v) else "Numbers must be finite."
        case _:
            return "Only JSON values can be passed on."
