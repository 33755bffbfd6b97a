"""A room's policy: from a patch to a valid `Policy`, and back to what viewers see."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import msgspec

from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Json
from livecast.core.rules import Policy
from livecast.core.tools.patch import check_plain, merge

_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`\Z")
_UNKNOWN: Final = re.compile(r"unknown field `([^`]*)`")


@lru_cache(256)
def policy_dict(policy: Policy) -> dict[str, Json]:
    """A policy as viewers see it. One object for all rooms with that policy: read only."""
    plain: dict[str, Json] = msgspec.json.decode(msgspec.json.encode(policy))
    return plain


def policy_from(patch: dict[str, Any], current: dict[str, Json], usual: Policy, field: str) -> Policy:
    """The policy after `patch`; what it takes away falls back to `usual`. Raises `InvalidChange` with the member at fault.

    `field` is the name under which the caller sent the patch. If nothing differs from `usual` it is that very object.
    """
    check_plain(patch, field or "policy")
    wanted = _filled(merge(current, patch), policy_dict(usual))
    try:
        policy = msgspec.convert(wanted, Policy)
    except msgspec.ValidationError as e:
        raise InvalidChange(_refusal(str(e), field)) from None
    return usual if policy == usual else policy


def _filled(wanted: dict[str, Json], usual: dict[str, Json]) -> dict[str, Json]:
    """`wanted`, with the usual value for every member that is absent."""
    return {
        **usual,
        **{k: _filled(v, usual[k]) if isinstance(v, dict) and isinstance(usual.get(k), dict) else v for k, v in wanted.items()},
    }


def _refusal(said: str, field: str) -> Refusal:
    """What msgspec says of a wrong policy, with the member at fault as a dotted path."""
    path = _PATH.search(said)
    names = [field, path[1] if path else ""]
    if unknown := _UNKNOWN.search(said):
        names.append(unknown[1])
    return Refusal("invalid", said[: path.start()] if path else said, field=".".join(n for n in names if n) or "policy")
