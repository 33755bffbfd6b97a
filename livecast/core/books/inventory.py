"""What an auditor looks at: parts of a shard's books, and how they differ from what the ledger's entries lead to."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from livecast.core.errors import LivecastError

Kind: TypeAlias = Literal[
    "wallets", "statements", "boards", "board sizes", "givers", "takings", "gifts", "pending", "drops", "units", "unit counts",
    "answers", "holders", "expiring", "code counts", "codes", "entrants", "entrant counts", "taken", "orders",
]  # fmt: skip
"""What books hold. Those of goods go by "room/drop", `taken` also by "room/group group"; boards by "room/broadcast", takings by
that and by room; orders by room; gifts and what is pending by shard, under the name ""."""


class Difference(LivecastError):  # noqa: N818 - the field's word
    """The books do not agree; the message names where and how."""


class Found(Struct, frozen=True):
    """What books hold under one name, or a part of it; None or empty: nothing.

    Of a list it is what stands from `first` on, `count` of it at most (None: all). Of a dict it is what stands for the ids `of`
    (None: all). `where` says to an operator where it stands.
    """

    kind: Kind
    name: str
    value: Any
    first: int = 1
    count: int | None = None
    of: tuple[Any, ...] | None = None
    where: str = ""


class Purse(Struct, frozen=True):
    """A wallet: its balance and how many bookings made it."""

    balance: int
    bookings: int


class Standing(Struct, frozen=True):
    """A place on a board: what somebody has given, and the position at which they had."""

    user: str
    value: int
    reached: int


class BookedGift(Struct, frozen=True):
    """What is compared of a gift: not all of it, as there may be millions."""

    user: str
    value: int
    broadcast: str
    paid: str
    reversed: bool


def check(expected: Any, found: Found, shard: int) -> None:
    """Raise the `Difference` of what books hold from what they must, if there is one."""
    if expected != found.value:
        name = f"{found.kind} of {found.name}" if found.name else found.kind
        where = f" ({found.where})" if found.where else ""
        raise Difference(f"shard {shard}, {name}{where}: {_detail(expected, found.value, found.first)}")


def _detail(want: Any, have: Any, first: int = 1) -> str:
    """Where two values part, as closely as can be said."""
    if isinstance(want, list) and isinstance(have, list):
        for number, (one, other) in enumerate(zip(want, have, strict=False), first):
            if one != other:
                return f"number {number}: {_detail(one, other)}"
        ledger, books = first - 1 + len(want), first - 1 + len(have)
        return f"the ledger says that there are {ledger}, the books say {books}"
    if isinstance(want, dict) and isinstance(have, dict):
        key = next(key for key in {**want, **have} if want.get(key) != have.get(key))
        said = "/".join(key) if isinstance(key, tuple) else key
        return f"{said}: {_detail(want.get(key), have.get(key))}"
    if isinstance(want, Struct) and type(want) is type(have):
        field = next(name for name in want.__struct_fields__ if getattr(want, name) != getattr(have, name))
        return f"{field}: {_detail(getattr(want, field), getattr(have, field))}"
    return f"the ledger says {_said(want)}, the books say {_said(have)}"


def _said(value: Any) -> str:
    return "that there is nothing" if value is None or value == {} else str(value)
