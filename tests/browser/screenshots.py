"""Pictures of the pages for the documents: `make screenshots`. A real node, a simulated crowd, the system's Chromium."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from playwright.async_api import Page, async_playwright

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser.conftest import CHROMIUM, FLAGS  # noqa: E402 - tests are no package
from support.browsing import Stage  # noqa: E402
from support.node import NodeProcess  # noqa: E402

INTO = ROOT / "docs" / "pictures"
WIDE, PHONE = (1280, 800), (390, 844)


def furnish(stage: Stage) -> str:
    """A broadcast with something to buy, win and vote on; the id of the sale that is open."""
    now = int(time.time() * 1000)
    stage.call("PATCH", "", {"title": "新茶上市 · Spring tea tasting", "hosts": [{"id": "lin", "name": "林老师"}]})
    price, before = {"amount": 19_900, "currency": "CNY"}, {"amount": 29_900, "currency": "CNY"}
    tea = {"title": "明前龙井 250 g Longjing", "price": price, "list_price": before, "url": "https://shop.example/tea"}
    stage.call("PUT", "/products/tea", tea)
    stage.call("PUT", "/on-air", {"product": "tea"})
    sale = stage.call("POST", "/drops", {"title": "半价券 Half price", "kind": "coupon", "stock": 500, "closes_at": now + 180_000})
    stage.call("POST", f"/drops/{sale['id']}/open")
    draw = {"title": "紫砂壶 Clay teapot", "kind": "draw", "stock": 3, "opens_at": now + 120_000}
    stage.call("POST", f"/drops/{stage.call('POST', '/drops', draw)['id']}/announce")
    stage.call("POST", "/polls", {"question": "下一个看哪款？ What next?", "choices": ["普洱 Pu'er", "白茶 White tea"]})
    return str(sale["id"])


async def win(page: Page, sale: str) -> None:
    """Claim, speak, give."""
    await page.locator(f'[data-drop="{sale}"] .primary').click()
    await page.locator(".outcome").wait_for()
    await page.locator("#say").fill("好看！想要")
    await page.keyboard.press("Enter")
    await page.locator(".action").first.click()
    await page.locator("[data-gift=rocket]").evaluate("button => { for (let i = 0; i < 3; i++) button.click() }")
    await page.wait_for_timeout(500)
    await page.keyboard.press("Escape")
    await page.locator(".banner").first.wait_for()
    await page.locator("#say").focus()


async def main() -> None:
    """All of them."""
    INTO.mkdir(exist_ok=True)
    livecast = str(Path(sys.executable).with_name("livecast"))
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with NodeProcess() as node:
            stage = Stage(node, chromium)
            sale = furnish(stage)
            people = [livecast, "crowd", "--url", node.base, "--room", stage.room, "--viewers", "60", "--seed", "5", "--quiet"]
            crowd = subprocess.Popen(people)  # noqa: ASYNC220 - it lives as long as we do
            try:
                for name, lang, size, dark in (
                    ("viewer", "en", WIDE, False),
                    ("viewer-dark", "zh-CN", WIDE, True),
                    ("viewer-phone", "zh-CN", PHONE, False),
                    ("viewer-phone-gifts", "en", PHONE, True),
                ):
                    page = await stage.watch(name, name="安娜 Ann", lang=lang, size=size, dark=dark)
                    await page.wait_for_timeout(7000)  # for comments to fill the picture
                    if name == "viewer":
                        await win(page, sale)
                    if name == "viewer-phone-gifts":
                        await page.locator(".action").first.click()
                        await page.locator("[data-gift]").first.wait_for()
                    await page.screenshot(path=INTO / f"{name}.jpg", type="jpeg", quality=82)
                    await page.context.close()
            finally:
                crowd.terminate()
                crowd.wait()
            sys.stdout.write("\n".join([*stage.faults, str(INTO), ""]))
        await chromium.close()


asyncio.run(main())
