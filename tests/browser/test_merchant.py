"""The merchant's panel: a seller signs in, sells, settles, is told by webhook, and sees no more than the key allows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.browsing import WITHIN_MS, Stage, serious, until
from support.node import NodeProcess, token

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all files
expect.set_options(timeout=WITHIN_MS)

HOSTILE = (Path(__file__).parent.parent / "support" / "hostile.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def node(pages: None) -> Iterator[NodeProcess]:  # noqa: ARG001 - must be there first
    """A node without all the other tests' rooms: the panel looks into each of its own."""
    with NodeProcess() as process:
        yield process


async def enter(stage: Stage) -> Page:
    """A seller who typed in the key."""
    page = await stage.page(size=(1280, 800))
    await page.goto(f"{stage.node.base}/merchant")
    await page.locator("input[type=password]").fill("lck_dev_dev")
    await page.locator("form .primary").click()
    await page.locator(".panel").wait_for()
    return page


async def test_a_seller_opens_settles_and_takes_back(stage: Stage) -> None:
    """A drop with reservations: opened here, won elsewhere, confirmed with an order, and one taken back."""
    drop = stage.call("POST", "/drops", {"title": "Teapot", "kind": "coupon", "stock": 3, "reserve_s": 600})["id"]
    page = await enter(stage)
    line = page.locator(f"[data-drop='{drop}']")
    await line.get_by_role("button", name="Open").click()
    await expect(line.locator(".mark.open")).to_be_visible()
    for who in ("ann", "bo"):
        assert stage.say(who, {"t": "claim", "cid": f"c-{who}", "drop": drop})["verdict"] == "won"
    await line.get_by_role("button", name="Claims").click()
    first, second = page.locator("[data-serial='1']"), page.locator("[data-serial='2']")
    await expect(first).to_contain_text("ann")
    await first.get_by_role("button", name="Confirm").click()
    await page.get_by_label("Order number").fill("A-1")
    await page.get_by_role("dialog").locator(".primary").click()
    await expect(first).to_contain_text("A-1")
    await expect(first.locator(".mark")).to_have_text("Bought")
    await second.get_by_role("button", name="Revoke").click()
    await page.get_by_label("Reason").fill("a bot")
    await page.get_by_role("dialog").locator(".primary").click()
    await expect(second.locator(".mark")).to_have_text("Taken back")
    async with page.expect_download() as file:
        await page.get_by_role("button", name="CSV").click()
    path = await (await file.value).path()
    assert "A-1" in path.read_text()
    claims = stage.call("GET", f"/drops/{drop}/claims")["data"]
    assert [(claim["user"], claim["state"], claim.get("order_id")) for claim in claims] == [
        ("ann", "confirmed", "A-1"), ("bo", "revoked", None),
    ]  # fmt: skip


async def test_webhooks_are_made_tried_and_followed(stage: Stage) -> None:
    """The secret is shown once; what does not arrive is seen with its reason; nothing is left behind."""
    page = await enter(stage)
    await page.get_by_role("button", name="Webhooks").click()
    await page.get_by_role("button", name="New webhook").click()
    url = f"http://127.0.0.1:9/{stage.room}"
    await page.get_by_label("Address").fill(url)
    await page.get_by_role("dialog").locator(".primary").click()
    await expect(page.get_by_role("dialog").locator(".code")).to_have_text(re.compile("^whsec_"))
    await page.get_by_role("dialog").get_by_role("button", name="Close").click()
    card = page.locator(".card", has_text=url)
    await card.get_by_role("button", name="Send a test").click()
    await card.get_by_role("button", name="Deliveries").click()
    delivery = page.locator("[data-delivery]")
    await expect(delivery).to_contain_text("webhook.test")
    await expect(delivery.locator(".mark")).to_have_text("waiting")
    await page.keyboard.press("Escape")
    await card.get_by_role("button", name="Disable").click()
    await expect(card.locator(".mark")).to_have_text("disabled")
    await card.get_by_role("button", name="Delete").click()
    await card.get_by_role("button", name="Sure?").click()
    await expect(page.locator(".card", has_text=url)).to_have_count(0)


async def test_who_may_not_is_told_so(stage: Stage) -> None:
    """A wrong key; a merchant's token, which moves no webhooks; a key that ended."""
    page = await stage.page()
    await page.goto(f"{stage.node.base}/merchant")
    await page.locator("input[type=password]").fill("lck_no_such")
    await page.locator("form .primary").click()
    await expect(page.get_by_role("alert")).to_have_text("This key or token is not taken any more.")
    stage.faults.clear()
    await page.goto(f"{stage.node.base}/?")
    await page.goto(f"{stage.node.base}/merchant#token={token('mia', name='Mia', role='merchant', rooms=[stage.room])}")
    await page.locator(".panel").wait_for()
    await page.get_by_role("button", name="Webhooks").click()
    await expect(page.locator(".empty")).to_have_text("This needs the scope webhooks:write.")
    await page.get_by_role("button", name="Access").click()
    await expect(page.locator(".access")).to_contain_text("claims:settle")
    await expect(page.locator(".access")).to_contain_text(stage.room)


async def test_it_is_usable_by_all_and_lets_nothing_through(stage: Stage) -> None:
    """axe-core without serious findings, on a phone too and in both languages; strangers' texts are texts."""
    for text in HOSTILE[:12]:
        stage.call("POST", "/drops", {"title": text, "kind": "coupon", "stock": 1})
    page = await enter(stage)
    await expect(page.locator("tbody tr th").filter(has_text=HOSTILE[0]).first).to_be_visible()
    for n in range(4):
        await page.locator("nav button").nth(n).click()
        assert await serious(page) == []
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.locator(".head .small").first.click()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    for n in range(4):
        await page.locator("nav button").nth(n).click()
        await until(page, "document.documentElement.scrollWidth <= innerWidth")
