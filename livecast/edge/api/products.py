"""The shelf: products, and which of them is on air."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from livecast.core.commands import DeleteProduct, OnAir, PatchProduct, Price, PutProduct
from livecast.core.show.shelf import tag_of
from livecast.edge.http import cursors
from livecast.edge.http.calls import Call, Outcome, Route, change, listed, question, whole
from livecast.edge.http.problems import Fault, ProblemError

_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Product(Struct, omit_defaults=True):
    """A product on the shelf. `taps`: how often viewers tapped on its card in this broadcast (in lists alone)."""

    id: str
    title: str
    price: Price
    status: str
    order: int
    list_price: Price | None = None
    image: str | None = None
    url: str | None = None
    sku: str | None = None
    taps: int | None = None


class ProductPage(Struct):
    """A page of the shelf, in the order in which products are shown."""

    data: list[Product]
    next_cursor: str | None


class OnTheAir(Struct):
    """The product whose card is shown, or null."""

    on_air: str | None
    product: Product | None


class ListProducts(Struct, frozen=True):
    """Which page. The cursor is opaque: hand back what `next_cursor` said."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


async def put_product(call: Call) -> Outcome:
    """201 if it is new on the shelf."""
    body: PutProduct = call.body
    return await _changed(call, "put_product", msgspec.structs.replace(body, id=_product(call, makes=True)))


async def patch_product(call: Call) -> Outcome:
    """The product as it is now. It keeps its id: one in the body is that of the path, or wrong."""
    id_ = _product(call)
    if call.body.get("id") not in (None, id_):
        detail = "A product keeps its id."
        raise ProblemError("invalid", detail, errors=[Fault("/id", detail)])
    return await _changed(call, "patch_product", PatchProduct(id_, call.body))


async def delete_product(call: Call) -> Outcome:
    """What was taken off."""
    return whole(await change(call, "delete_product", DeleteProduct(_product(call)), tagged=True))


async def get_product(call: Call) -> Outcome:
    """As viewers see it. How often it was tapped on is in the list."""
    product = await question(call, "product", product=_product(call))
    return Outcome(product, revision=tag_of(product))


async def get_products(call: Call) -> Outcome:
    """The shelf with its taps."""
    return await listed(call, "products")


async def put_on_air(call: Call) -> Outcome:
    """What is on air now."""
    body: OnAir = call.body
    return whole(await change(call, "on_air", body))


async def _changed(call: Call, name: str, args: Struct) -> Outcome:
    """The product as it is now, with its own tag."""
    done = await change(call, name, args, tagged=True)
    return Outcome(done.value, 201 if done.created else 200, revision=tag_of(done.value))


def _product(call: Call, *, makes: bool = False) -> str:
    """The product's id in the path."""
    product = call.path("product")
    if not _ID.fullmatch(product):
        if makes:
            detail = "A product's id is 1 to 64 of A-Z a-z 0-9 _ . : -"
            raise ProblemError("invalid", detail, errors=[Fault("product", detail)])
        raise ProblemError("not_found", "There is no such product on the shelf.")
    return product


_ROOM: Final = "/v1/rooms/{room}"
_WRITE: Final = ("rooms:write",)
ROUTES: Final = (
    Route("GET", f"{_ROOM}/products", get_products, ("rooms:read",), "List the products on the shelf and their taps.",
          query=ListProducts, answer=ProductPage),
    Route("GET", f"{_ROOM}/products/{{product}}", get_product, ("rooms:read",), "Read a product on the shelf.", answer=Product),
    Route("PUT", f"{_ROOM}/products/{{product}}", put_product, _WRITE, "Put a product on the shelf, or replace it.",
          body=PutProduct, answer=Product, statuses=(200, 201)),
    Route("PATCH", f"{_ROOM}/products/{{product}}", patch_product, _WRITE, "Change some of a product.",
          body=PutProduct, form="patch", answer=Product),
    Route("DELETE", f"{_ROOM}/products/{{product}}", delete_product, _WRITE, "Take a product off the shelf.", answer=Product),
    Route("PUT", f"{_ROOM}/on-air", put_on_air, _WRITE, "Show the card of one product, or of none.", body=OnAir, answer=OnTheAir),
)  # fmt: skip
