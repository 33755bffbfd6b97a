"""The shelf: products that a host shows, one of them on air, and how often viewers tapped on each.

Products stand in the public state as they are. Taps are clamped per user like likes and counted for the broadcast; staff and the
records see the figures, viewers do not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import sha256
from typing import Any, Final

import msgspec

from livecast.core import commands as c
from livecast.core.chat.forms import check_link
from livecast.core.control import Control
from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Command, Json, Tapped
from livecast.core.limits import Taps
from livecast.core.rules import Policy, RoomRules
from livecast.core.text import clean
from livecast.core.tools.kept import Kept
from livecast.core.tools.patch import merge
from livecast.core.tools.tolerance import without_unknown

PRODUCTS_MAX: Final = 200
"""Products on one shelf: everybody downloads them on joining, some 60 KB at this number."""
TAG_CHARS: Final = 16
"""Of a product's tag: 64 bits, to tell states of one product from each other."""
NOT_FOUND: Final = Refusal("not_found", "There is no such product on the shelf.")


class Shelf:
    """The taps on one room's products. The products themselves are part of the state, in `Control`."""

    __slots__ = ("_kept", "_limit", "_taps")

    def __init__(self, rules: RoomRules, policy: Policy) -> None:
        self._limit = Taps(policy.like_max_per_s, rules.like_burst)
        self._taps: dict[str, int] = {}
        self._kept = Kept()

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def tap(self, tapped: Tapped, control: Control, now: int) -> bool:
        """Count taps on a product that is there, while the broadcast is live; whether any counted."""
        if not control.live or tapped.target not in control.overlay.get("products", {}):
            return False
        counted = self._limit.take(tapped.person.id, tapped.n, now)
        if counted:
            self._taps[tapped.target] = total = self._taps.get(tapped.target, 0) + counted
            self._kept.put(tapped.target, total)
        return bool(counted)

    def policy_changed(self, policy: Policy) -> None:
        """Another rate from now on."""
        self._limit.change(policy.like_max_per_s)

    def removed(self, product: str) -> None:
        """A product left the shelf, and its taps with it."""
        if self._taps.pop(product, None) is not None:
            self._kept.drop(product)

    def new_broadcast(self) -> None:
        """Taps are counted from zero."""
        self._taps = {}
        self._kept.clear()

    # --- Ask ----------------------------------------------------------------------------------------------------------
    @property
    def taps(self) -> dict[str, int]:
        """Product -> taps in this broadcast."""
        return self._taps

    def drain_private(self) -> dict[str, Json]:
        """The patch for the next commit."""
        taps = self._kept.drain()
        return {"taps": taps} if taps else {}

    def private(self) -> dict[str, Json]:
        """What the next owner needs, as of the last commit."""
        return {"taps": dict(self._kept.told)} if self._kept.told else {}

    def restore(self, taps: dict[str, int]) -> None:
        """Go on where a former owner stopped."""
        self._taps = dict(taps)
        self._kept = Kept(taps)


def carry_out(control: Control, command: Command) -> tuple[Json, bool]:
    """Do one of `SHELVED`: (its answer, whether it is new). Raises `InvalidChange`."""
    if command.if_tags is not None:
        check_tag(_products(control).get(command.args.id), command.if_tags)  # type: ignore[attr-defined] # all of one product
    return SHELVED[command.name](control, command.args)


def tag_of(product: Json) -> str:
    """What tells this state of a product from any other: made of all that it says, so that nothing has to be kept for it."""
    said = {name: value for name, value in product.items() if name not in {"id", "taps"}}
    return sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()[:TAG_CHARS]


def check_tag(product: Json | None, wanted: Collection[str]) -> None:
    """Raise `InvalidChange` (`precondition_failed`) if the product is not in a state that is asked for."""
    if product is None or not ("*" in wanted or tag_of(product) in wanted):
        raise InvalidChange(Refusal("precondition_failed"))


def put_product(control: Control, args: c.PutProduct) -> tuple[Json, bool]:
    """Put a product on the shelf, or replace it: (the product, whether it is new)."""
    products = _products(control)
    title = clean(args.title)
    if not title:
        raise InvalidChange(Refusal("invalid", "Nothing is left of this text.", field="title"))
    check_link(args.url, "url")
    check_link(args.image, "image")
    new = args.id not in products
    if new and len(products) >= PRODUCTS_MAX:
        raise InvalidChange(Refusal("conflict", f"At most {PRODUCTS_MAX} products on one shelf."))
    order = args.order if args.order is not None else products.get(args.id, {}).get("order", _next_order(products))
    given = msgspec.to_builtins(args)
    named = ("price", "list_price", "image", "url", "sku")
    told = {
        "title": title,
        **{name: given[name] for name in named if given[name] is not None},
        "status": args.status,
        "order": order,
    }
    control.show("products", {**products, args.id: told})
    return {"id": args.id, **told}, new


def patch_product(control: Control, args: c.PatchProduct) -> Json:
    """Merge into a product (RFC 7396)."""
    products = _products(control)
    if args.id not in products:
        raise InvalidChange(NOT_FOUND)
    kept = without_unknown(products[args.id], c.PutProduct)
    merged = merge({"id": args.id, **kept}, {name: value for name, value in args.patch.items() if name != "id"})
    try:
        wanted = msgspec.convert(merged, c.PutProduct)
    except msgspec.ValidationError as wrong:
        detail, _, path = str(wrong).partition(" - at `$.")
        raise InvalidChange(Refusal("invalid", detail.replace("`", ""), field=path.rstrip("`") or None)) from None
    return put_product(control, wanted)[0]


def delete_product(control: Control, args: c.DeleteProduct) -> Json:
    """Take a product off the shelf, and off the air."""
    products = _products(control)
    if args.id not in products:
        raise InvalidChange(NOT_FOUND)
    control.show("products", {name: product for name, product in products.items() if name != args.id})
    if control.overlay.get("on_air") == args.id:
        control.show("on_air", None)
    return {"id": args.id, **products[args.id]}


def put_on_air(control: Control, args: c.OnAir) -> Json:
    """Show one product's card, or none."""
    if args.product is not None and args.product not in _products(control):
        raise InvalidChange(NOT_FOUND)
    control.show("on_air", args.product)
    product = _products(control).get(args.product or "")
    return {"on_air": args.product, "product": None if product is None else {"id": args.product, **product}}


def one(control: Control, product: str) -> Json | None:
    """A product of the shelf."""
    found = _products(control).get(product)
    return None if found is None else {"id": product, **found}


def listed(control: Control, taps: dict[str, int]) -> list[Json]:
    """The products in the order in which they are shown, with their taps."""
    told = [{"id": name, **product, "taps": taps.get(name, 0)} for name, product in _products(control).items()]
    return sorted(told, key=lambda product: (product["order"], product["id"]))


def _products(control: Control) -> dict[str, Json]:
    products: dict[str, Json] = control.overlay.get("products", {})
    return products


def _next_order(products: dict[str, Json]) -> int:
    return max((product["order"] for product in products.values()), default=0) + 1


SHELVED: Final[dict[str, Callable[[Control, Any], tuple[Json, bool]]]] = {
    "put_product": put_product,
    "patch_product": lambda control, args: (patch_product(control, args), False),
    "delete_product": lambda control, args: (delete_product(control, args), False),
    "on_air": lambda control, args: (put_on_air(control, args), False),
}
"""The commands about products."""
