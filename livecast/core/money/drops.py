"""Drops as merchants set them up and viewers see them: the configuration with its bounds, the picture in the state, who may.

What decides over claims (`units.Terms`, the table `units.STEPS` of states) is the ledger's; `terms_of` and `about_of` split a
configuration into the two halves that the ledger keeps, and `config_of` puts them together again. Times are Unix ms.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from livecast.core.chat.forms import check_size
from livecast.core.commands import TimeMs, Title
from livecast.core.errors import InvalidChange, Refusal
from livecast.core.money.units import BEFORE_OPENING, OPEN_END, Codes, Drop, DropChange, Kind, State, Terms
from livecast.core.text import clean, merge_key
from livecast.core.tools.patch import INT_MAX, merge

META_BYTES_MAX: Final = 1024
"""`meta` of a drop, as JSON. Every viewer downloads it on joining, for each drop on show."""
FACTS_MAX: Final = 10
"""Facts that one drop may ask for: each is checked for each claim."""
VALUES_MAX: Final = 20
"""Values of which a fact may be one, say the cities of a region."""
FAIR_WINDOW_MS: Final = 2000
"""How long a fair window is if nothing is said: slow lines have answered by then, and nobody has lost patience."""
ENDED: Final[frozenset[State]] = frozenset({"closed", "settled", "cancelled"})
"""States in which nobody claims any more; only `closed` still leads on, to `settled`."""
ASKING: Final[frozenset[State]] = frozenset({"announced", "open", "paused", "sold_out"})
"""States in which viewers see the drop and it may still be claimed, now or later."""

Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]
FactText: TypeAlias = Annotated[str, Meta(max_length=64)]
FactInt: TypeAlias = Annotated[int, Meta(ge=-INT_MAX, le=INT_MAX)]
Stock: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]  # an uploaded list of so many codes is 64 MiB
PerUser: TypeAlias = Annotated[int, Meta(ge=1, le=10)]
ReserveS: TypeAlias = Annotated[int, Meta(ge=1, le=86_400)]  # a second is for trying it out; after a day nobody pays any more
FairWindowMs: TypeAlias = Annotated[int, Meta(ge=100, le=60_000)]  # shorter is a ping again, longer is a draw


# --- Who may claim ----------------------------------------------------------------------------------------------------
class AtLeast(Struct, frozen=True, forbid_unknown_fields=True):
    """A number not below this."""

    gte: FactInt | float


FactRule: TypeAlias = (
    FactText | FactInt | float | bool
    | Annotated[tuple[FactText | FactInt | float | bool, ...], Meta(min_length=1, max_length=VALUES_MAX)]
    | AtLeast
)  # fmt: skip


class Eligibility(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a claimant must have done or be. What is absent, false or 0 is not asked for.

    `liked` counts taps, `commented` looks for the keyword in comments, both from the announcement on; `min_watch_s` counts the
    broadcast. `facts` are looked up in the token and in what the platform said of the user.
    """

    min_watch_s: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    min_level: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    commented: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    gifted: bool = False
    liked: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    facts: Annotated[dict[Name, FactRule], Meta(max_length=FACTS_MAX)] = {}


ANYBODY: Final = Eligibility()


class Facts(Struct, frozen=True):
    """What is known of a claimant. None: not known, which is as good as not done.

    `commented` are the keywords (as drops write them) that the user has said; `facts` is everybody's map, the platform's
    entries put over the token's.
    """

    watch_s: int | None = None
    level: int | None = None
    liked: int | None = None
    commented: tuple[str, ...] = ()
    gifted: bool | None = None
    facts: dict[str, Any] = {}


class Missing(Struct, frozen=True):
    """One thing that speaks against a claim. `rule` is the member of `eligibility` (`facts.KEY` for a fact)."""

    rule: str
    have: Any
    need: Any


def missing(eligibility: Eligibility, facts: Facts) -> list[Missing]:
    """What a claimant lacks, in the order of the rules; nothing: they may. What is not known for sure is lacking."""
    out: list[Missing] = []
    at_least = (
        ("min_watch_s", facts.watch_s, eligibility.min_watch_s),
        ("min_level", facts.level, eligibility.min_level),
        ("liked", facts.liked, eligibility.liked),
    )
    out += [Missing(rule, have, need) for rule, have, need in at_least if need is not None and (have is None or have < need)]
    if eligibility.commented is not None and eligibility.commented not in facts.commented:
        out.append(Missing("commented", have=False, need=eligibility.commented))
    if eligibility.gifted and not facts.gifted:
        out.append(Missing("gifted", have=False, need=True))
    for key, rule in eligibility.facts.items():
        have = facts.facts.get(key)
        if not _meets(have, rule):
            out.append(Missing(f"facts.{key}", have, msgspec.to_builtins(rule)))
    return out


def _meets(have: Any, rule: FactRule) -> bool:
    if isinstance(rule, AtLeast):
        return isinstance(have, int | float) and not isinstance(have, bool) and have >= rule.gte
    if isinstance(rule, tuple):
        return any(_equal(have, value) for value in rule)
    return _equal(have, rule)


def _equal(a: Any, b: Any) -> bool:
    """As JSON sees it: `true` is not 1, but 1 is 1.0."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b
    return isinstance(a, str) and isinstance(b, str) and a == b


# --- Configuration ----------------------------------------------------------------------------------------------------
class DropConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A drop to be made. `reserve_s`: units are reserved so long until their order is confirmed.

    `order` "fair": the claims of the first `fair_window_ms` are one pot, ordered by the committed seed. `limit_group`: `per_user`
    counts over all drops of the room with the same one. `test`: touches no stock of codes and is marked everywhere.
    """

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    kind: Kind
    stock: Stock
    per_user: PerUser = 1
    announce_at: TimeMs | None = None
    opens_at: TimeMs | None = None
    closes_at: TimeMs | None = None
    eligibility: Eligibility | None = None
    codes: Codes = "generated"
    reserve_s: ReserveS | None = None
    order: Literal["first", "fair"] = "first"
    fair_window_ms: FairWindowMs | None = None
    limit_group: Name | None = None
    sku: Name | None = None
    meta: dict[str, Any] | None = None
    test: bool = False


class DropPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """A change of a drop. Before it opens, any member of its configuration; null takes one back to its default.

    After that only `stock_delta` (never below what is granted) and `closes_at`; null: until somebody closes it.
    """

    title: Title | UnsetType = UNSET
    stock: Stock | UnsetType = UNSET
    per_user: PerUser | UnsetType | None = UNSET
    announce_at: TimeMs | UnsetType | None = UNSET
    opens_at: TimeMs | UnsetType | None = UNSET
    closes_at: TimeMs | UnsetType | None = UNSET
    eligibility: dict[str, Any] | UnsetType | None = UNSET
    codes: Codes | UnsetType | None = UNSET
    reserve_s: ReserveS | UnsetType | None = UNSET
    order: Literal["first", "fair"] | UnsetType | None = UNSET
    fair_window_ms: FairWindowMs | UnsetType | None = UNSET
    limit_group: Name | UnsetType | None = UNSET
    sku: Name | UnsetType | None = UNSET
    meta: dict[str, Any] | UnsetType | None = UNSET
    test: bool | UnsetType | None = UNSET
    stock_delta: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] | UnsetType = UNSET


class About(Struct, frozen=True, omit_defaults=True):
    """The half of a configuration that decides nothing in the ledger, as it keeps it. `commitment` is hex."""

    title: str
    eligibility: Eligibility = ANYBODY
    sku: str = ""
    meta: dict[str, Any] | None = None
    commitment: str = ""
    merchant: str | None = None
    """Whose drop it is: the audience of its receipts. None: from before that was kept."""


_encode_about = msgspec.msgpack.Encoder().encode
_decode_about = msgspec.msgpack.Decoder(About).decode


def checked(config: DropConfig, now: int) -> DropConfig:
    """The configuration as it will be kept. Raises `InvalidChange` with the member at fault where its members disagree."""
    title = clean(config.title)
    if not title:
        raise _invalid("Nothing is left of this title.", "title")
    _check_times(config, now)
    if config.order == "fair" and config.kind == "draw":
        raise _invalid("A draw is fair by itself.", "order")
    if config.fair_window_ms is not None and config.order != "fair":
        raise _invalid("Only for a fair order.", "fair_window_ms")
    keyword = None if config.eligibility is None else config.eligibility.commented
    if keyword is not None and not merge_key(clean(keyword)):
        raise _invalid("Nothing is left of this keyword.", "eligibility.commented")
    meta = config.meta
    if meta is not None:
        check_size(meta, "meta", META_BYTES_MAX)
        meta = merge({}, meta)
    return msgspec.structs.replace(
        config,
        title=title,
        eligibility=_what_is_asked(config.eligibility),
        fair_window_ms=(config.fair_window_ms or FAIR_WINDOW_MS) if config.order == "fair" else None,
        meta=meta or None,
    )


def _what_is_asked(of: Eligibility | None) -> Eligibility | None:
    """A rule that everybody meets is none. None: anybody may."""
    if of is not None:
        of = msgspec.structs.replace(of, min_watch_s=of.min_watch_s or None, min_level=of.min_level or None, liked=of.liked or None)
    return None if of == ANYBODY else of


def _check_times(config: DropConfig, now: int) -> None:
    announce_at, opens_at, closes_at = config.announce_at, config.opens_at, config.closes_at
    if announce_at is not None and opens_at is not None and announce_at > opens_at:
        raise _invalid("It opens before it is announced.", "announce_at")
    if closes_at is None:
        return
    if closes_at <= now:
        raise _invalid("That is over already.", "closes_at")
    latest = max((t for t in (announce_at, opens_at) if t is not None), default=None)
    if latest is not None and closes_at <= latest:
        raise _invalid("It closes before it opens.", "closes_at")


def _invalid(message: str, field: str) -> InvalidChange:
    return InvalidChange(Refusal("invalid", message, field=field))


def needs_seed(terms: Terms) -> bool:
    """Whether chance decides over it: it has a secret seed, and its commitment is told with the drop."""
    return terms.kind == "draw" or terms.fair_window_ms > 0


def terms_of(config: DropConfig) -> Terms:
    """What decides over the drop's claims."""
    return Terms(
        stock=config.stock,
        kind=config.kind,
        per_user=config.per_user,
        announce_at=config.announce_at,
        opens_at=config.opens_at,
        closes_at=config.closes_at,
        codes=config.codes,
        reserve_ms=(config.reserve_s or 0) * 1000,
        fair_window_ms=config.fair_window_ms or 0,
        limit_group=config.limit_group or "",
        gifted=config.eligibility is not None and config.eligibility.gifted,
        test=config.test,
    )


def about_of(config: DropConfig, commitment: str = "", merchant: str | None = None) -> bytes:
    """The rest of it, as the ledger hands it on."""
    return _encode_about(About(config.title, config.eligibility or ANYBODY, config.sku or "", config.meta, commitment, merchant))


def read_about(drop: Drop) -> About:
    """What `about_of` wrote. Raises `msgspec.DecodeError`."""
    return _decode_about(drop.about)


def config_of(drop: Drop) -> DropConfig:
    """The configuration that a drop was made of, changes since then included."""
    terms, about = drop.terms, read_about(drop)
    return DropConfig(
        title=about.title,
        kind=terms.kind,
        stock=terms.stock,
        per_user=terms.per_user,
        announce_at=terms.announce_at,
        opens_at=terms.opens_at,
        closes_at=terms.closes_at,
        eligibility=None if about.eligibility == ANYBODY else about.eligibility,
        codes=terms.codes,
        reserve_s=terms.reserve_ms // 1000 or None,
        order="fair" if terms.fair_window_ms else "first",
        fair_window_ms=terms.fair_window_ms or None,
        limit_group=terms.limit_group or None,
        sku=about.sku or None,
        meta=about.meta,
        test=terms.test,
    )


def change_of(drop: Drop, patch: DropPatch, tx: str, now: int) -> DropChange:
    """What the ledger is asked for. Raises `InvalidChange`: `conflict` for what cannot be changed any more, or `invalid`."""
    asked = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}
    delta = asked.pop("stock_delta", 0)
    if drop.state in BEFORE_OPENING:
        config = _patched(config_of(drop), asked, delta, now)
        kept = read_about(drop)
        terms = terms_of(config)
        about = about_of(config, kept.commitment if needs_seed(terms) else "", kept.merchant)
        return DropChange(tx, terms, about)
    late = sorted(asked.keys() - {"closes_at"})
    if late or drop.state in ENDED:
        raise InvalidChange(Refusal("conflict", f"The drop is {drop.state}.", field=late[0] if late else None))
    closes_at = asked.get("closes_at")
    if closes_at is not None and closes_at <= now:
        raise _invalid("It closes at some time to come.", "closes_at")
    if "closes_at" in asked and closes_at is None:
        closes_at = OPEN_END
    return DropChange(tx, stock_delta=delta, closes_at=closes_at)


def _patched(config: DropConfig, asked: dict[str, Any], delta: int, now: int) -> DropConfig:
    before = {name: value for name, value in msgspec.to_builtins(config).items() if value is not None}
    if asked.get("order", config.order) != "fair":
        before.pop("fair_window_ms", None)
    wanted = merge(before, asked)
    wanted["stock"] = wanted["stock"] + delta
    try:
        return checked(msgspec.convert(wanted, DropConfig), now)
    except msgspec.ValidationError as wrong:
        said, _, path = str(wrong).partition(" - at `$.")
        path = path.rstrip("`").partition("[")[0]  # a map's keys it does not tell
        raise _invalid(said.replace("`", ""), path or "eligibility") from None


# --- What viewers see -------------------------------------------------------------------------------------------------
def view_of(drop: Drop) -> dict[str, Any] | None:
    """The drop as it stands in `state.drops`; None for a draft, which nobody sees. Nothing in it is null."""
    if drop.state == "draft":
        return None
    terms, about = drop.terms, read_about(drop)
    shown: dict[str, Any] = {
        "id": drop.id,
        "title": about.title,
        "kind": terms.kind,
        "state": drop.state,
        "stock": terms.stock,
        "left": drop.left,
        "opens_at": terms.opens_at,
        "closes_at": terms.closes_at,
        "per_user": terms.per_user,
        "eligibility": msgspec.to_builtins(about.eligibility),
        "order": "fair" if terms.fair_window_ms else None,
        "sku": about.sku or None,
        "meta": about.meta,
        "commitment": about.commitment or None,
        "result": msgspec.json.decode(drop.result) if drop.result else None,
        "test": terms.test or None,
    }
    return {name: value for name, value in shown.items() if value is not None}
