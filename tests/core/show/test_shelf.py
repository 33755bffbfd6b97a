"""The shelf: products as viewers see them, the one on air, and counted taps."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done, Tapped
from livecast.core.show.shelf import PRODUCTS_MAX
from support.driven import HERE, SERVICE, Driven, person, told

PRICE = {"amount": 1990, "currency": "CNY"}


def listed(room: Driven) -> list[Any]:
    """What staff see."""
    done = room.room.receive(Ask(HERE, SERVICE, "products", {"limit": 200}), room.now)
    assert isinstance(done, Done)
    return list(done.value["data"])


def taps(room: Driven) -> dict[str, int]:
    """Product -> taps."""
    return {product["id"]: product["taps"] for product in listed(room)}


def tap(user: str, target: str, n: int) -> Tapped:
    """Taps of a user."""
    return Tapped(HERE, person(user), target, n)


def test_products_are_put_changed_and_taken_off() -> None:
    """Whole, merged, gone; each change is a patch of the state, and the answer is the product."""
    room = Driven()
    room.feed(1000, told("put_product", id="p1", title=" Lip\u200bstick ", price=PRICE, sku="s-1"))
    made = room.answer("put_product")
    assert made == Done(
        {"id": "p1", "title": "Lipstick", "price": PRICE, "sku": "s-1", "status": "available", "order": 1}, created=True
    )
    room.feed(2000, told("put_product", id="p2", title="Cream", price=PRICE))
    room.feed(3000, told("patch_product", id="p1", patch={"price": {"amount": 990}, "sku": None, "status": "sold_out"}))
    assert room.view.state["products"] == {
        "p1": {"title": "Lipstick", "price": {"amount": 990, "currency": "CNY"}, "status": "sold_out", "order": 1},
        "p2": {"title": "Cream", "price": PRICE, "status": "available", "order": 2},
    }
    room.feed(4000, told("put_product", id="p1", title="Lipstick", price=PRICE))
    assert not room.answer("put_product").created
    assert room.view.state["products"]["p1"]["order"] == 1
    room.feed(5000, told("delete_product", id="p1"))
    assert list(room.view.state["products"]) == ["p2"]
    for command in (told("patch_product", id="p1", patch={}), told("delete_product", id="p1")):
        [refusal] = room.feed(6000, command)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "not_found"


def test_a_patch_must_leave_a_product() -> None:
    """What is at fault is named."""
    room = Driven()
    room.feed(1000, told("put_product", id="p1", title="Lipstick", price=PRICE))
    for patch, field in (({"price": {"amount": -1}}, "price.amount"), ({"title": None}, None), ({"colour": 1}, None)):
        [refusal] = room.feed(2000, told("patch_product", id="p1", patch=patch))
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.field) == ("invalid", field)


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        " Java\tScript:alert(1)",
        "data:text/html,<p>",
        "\x01vbscript:x",
        "file:///etc",
        "https://x/\0",
        "https://x/a\nb",
    ],
)
def test_links_run_nothing(link: str) -> None:
    """Every viewer's page gets them: what a browser would run instead of open is refused, and what no address has; a patch and a
    redirect included.
    """
    room = Driven()
    room.feed(1000, told("put_product", id="p1", title="Tea", price=PRICE, url="weixin://dl/x", image="/tea.png"))
    put: dict[str, Any] = {"id": "p2", "title": "Tea", "price": PRICE}
    commands = [told("put_product", **put, url=link), told("put_product", **put, image=link)]
    for command in (*commands, told("patch_product", id="p1", patch={"url": link}), told("end", redirect=link)):
        [refusal] = room.feed(2000, command)
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.field in {"url", "image", "redirect"}) == ("invalid", True)
    assert list(room.view.state["products"]) == ["p1"]
    assert room.view.state["status"] == "live"


def test_one_card_is_on_air() -> None:
    """Until another one is, none is, or it leaves the shelf."""
    room = Driven()
    room.feed(1000, told("put_product", id="p1", title="Lipstick", price=PRICE))
    room.feed(2000, told("on_air", product="p1"))
    assert room.view.state["on_air"] == "p1"
    assert room.answer("on_air").value["product"]["title"] == "Lipstick"
    [refusal] = room.feed(3000, told("on_air", product="p9"))
    assert isinstance(refusal, Refusal)
    room.feed(4000, told("delete_product", id="p1"))
    assert room.view.state["on_air"] is None
    room.feed(5000, told("on_air", product=None))
    assert room.answer("on_air").value == {"on_air": None, "product": None}


def test_taps_are_counted_and_clamped() -> None:
    """Per user like likes; on what is on the shelf, while the broadcast is live; anew with each broadcast; by any owner."""
    room = Driven()
    room.feed(1000, told("put_product", id="p1", title="Lipstick", price=PRICE))
    room.feed(2000, tap("ann", "p1", 3), tap("ann", "p1", 100), tap("ann", "p1", 100), tap("bob", "p1", 1), tap("ann", "p9", 5))
    room.run(3000)
    assert taps(room) == {"p1": 101}
    again = room.restart(4000)
    assert taps(again) == {"p1": 101}
    again.feed(5000, tap("bob", "p1", 2))
    again.feed(6000, told("pause"), tap("bob", "p1", 2))
    assert taps(again) == {"p1": 103}
    again.feed(7000, told("end"), told("start"))
    again.run(8000)
    assert taps(again) == {"p1": 0}


def test_the_shelf_is_bounded() -> None:
    """One more than fits is refused; replacing is not."""
    room = Driven()
    for n in range(PRODUCTS_MAX):
        room.feed(1000 + n, told("put_product", id=f"p{n}", title="x", price=PRICE))
    refusal, replaced = room.feed(
        9000, told("put_product", id="one-more", title="x", price=PRICE), told("put_product", id="p0", title="y", price=PRICE)
    )
    assert isinstance(refusal, Refusal)
    assert replaced is None
    assert len(listed(room)) == PRODUCTS_MAX
