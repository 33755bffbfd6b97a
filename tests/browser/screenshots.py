"""Pictures of the pages for the documents: `make screenshots`. A real node, a simulated crowd, the system's Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.async_api import Page, async_playwright

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser.conftest import CHROMIUM, FLAGS  # noqa: E402 - tests are no package
from support.browsing import Stage  # noqa: E402
from support.node import NodeProcess  # noqa: E402

INTO = ROOT / "docs" / "pictures"
WIDE, PHONE = (1280, 800), (390, 844)
#: Who buys before we come, so that the sale is at full swing.
BUYERS = 163
#: A ground for the layer that has none.
GROUND = (
    "Object.assign(document.documentElement.style, {minHeight: '100vh', background: 'linear-gradient(160deg, #3d5a66, #1d2b33)'})"
)


def furnish(stage: Stage) -> tuple[str, str]:
    """A broadcast with something to buy, win and vote on; the ids of the sale that is open and of a draw."""
    now = int(time.time() * 1000)
    stage.call("PATCH", "", {"title": "新茶上市 · Spring tea tasting", "hosts": [{"id": "lin", "name": "林老师"}]})
    stage.call("PUT", "/notice", {"text": "包邮 · Free shipping all evening"})
    shelf = (
        ("tea", "明前龙井 250 g Longjing", 19_900, 29_900),
        ("pot", "紫砂壶 Clay teapot", 45_900, None),
        ("cup", "品茗杯 Cups, 4", 8_800, 9_900),
    )
    for order, (name, title, amount, before) in enumerate(shelf):
        listed = {"list_price": {"amount": before, "currency": "CNY"}} if before else {}
        price = {"price": {"amount": amount, "currency": "CNY"}, "url": "https://shop.example/", "order": order, **listed}
        stage.call("PUT", f"/products/{name}", {"title": title, **price})
    stage.call("PUT", "/on-air", {"product": "tea"})
    sale = stage.call("POST", "/drops", {"title": "半价券 Half price", "kind": "coupon", "stock": 500, "closes_at": now + 175_000})
    stage.call("POST", f"/drops/{sale['id']}/open")
    draw = stage.call("POST", "/drops", {"title": "紫砂壶 Clay teapot", "kind": "draw", "stock": 3, "eligibility": {"liked": 20}})
    stage.call("PATCH", f"/drops/{draw['id']}", {"opens_at": now + 120_000})
    stage.call("POST", f"/drops/{draw['id']}/announce")
    choices = ["普洱 Pu'er", "白茶 White tea", "岩茶 Rock tea"]
    poll = stage.call("POST", "/polls", {"question": "下一个看哪款？ What next?", "choices": choices})
    for n in range(BUYERS):
        stage.say(f"buyer{n}", {"t": "claim", "cid": "c", "drop": sale["id"]})
        if n % 4 == 0:
            stage.say(f"buyer{n}", {"t": "vote", "cid": "v", "poll": poll["id"], "choice": (n // 4) % 5 % 3})
    return str(sale["id"]), str(poll["id"])


def give(stage: Stage, name: str, gift: str, n: int, text: str = "") -> None:
    """A gift of somebody's, with words if it carries any. Nobody's coins end."""
    sub, words = f"giver-{name.encode().hex()[:24]}", {"text": text} if text else {}
    stage.credit(sub, 10_000)
    stage.say(sub, {"t": "gift", "cid": f"{stage.room}{time.monotonic_ns()}", "gift": gift, "n": n, **words}, name=name)


@contextlib.contextmanager
def crowded(stage: Stage) -> Iterator[None]:
    """People who talk and tap."""
    livecast = str(Path(sys.executable).with_name("livecast"))
    who = ["--viewers", "60", "--rate", "7", "--likes", "60", "--seed", "5", "--quiet"]
    crowd = subprocess.Popen([livecast, "crowd", "--url", stage.node.base, "--room", stage.room, *who])
    try:
        yield
    finally:
        crowd.terminate()
        crowd.wait()


async def keep(page: Page, name: str) -> None:
    """Take the picture."""
    await page.screenshot(path=INTO / f"{name}.jpg", type="jpeg", quality=82)


async def full_swing(stage: Stage, page: Page, sale: str) -> None:
    """Claim, vote, speak, give; others give more."""
    await page.locator(f'[data-drop="{sale}"] .primary').click()
    await page.locator(".outcome").first.wait_for()
    await page.locator(".choice").nth(1).click()
    await page.locator("#say").fill("好看！想要")
    await page.keyboard.press("Enter")
    give(stage, "何以安", "rocket", 1, "祝林老师生意兴隆，茶香满屋！")
    give(stage, "小美 Mei", "heart", 66)
    give(stage, "老陈", "rose", 99)
    await page.wait_for_timeout(400)
    give(stage, "何以安", "rocket", 4)
    await page.wait_for_timeout(900)


async def rooms(stage: Stage) -> None:
    """The room, as people see it on their screens."""
    sale, _ = furnish(stage)
    with crowded(stage):
        for name, lang, size, dark in (
            ("viewer", "en", WIDE, False),
            ("viewer-dark", "zh-CN", WIDE, True),
            ("viewer-phone", "zh-CN", PHONE, False),
            ("viewer-phone-gifts", "en", PHONE, True),
        ):
            page = await stage.watch(name, name="安娜 Ann", lang=lang, size=size, dark=dark, moves=True)
            await page.wait_for_timeout(7000)  # for comments to fill the picture
            if name.startswith("viewer-phone"):
                give(stage, "小美 Mei", "heart", 66)
                give(stage, "何以安", "rocket", 5)
                await page.wait_for_timeout(900)
            else:
                await full_swing(stage, page, sale)
            if name == "viewer-phone-gifts":
                await page.get_by_role("button", name="Gifts").click()
                await page.locator("[data-gift]").first.wait_for()
            await keep(page, name)
            await page.context.close()
        page = await stage.page(size=(1280, 720), lang="zh-CN", moves=True)
        await page.goto(f"{stage.node.base}/overlay/{stage.room}")
        await page.wait_for_timeout(3000)
        await page.evaluate(GROUND)
        give(stage, "何以安", "rocket", 5)
        await page.wait_for_timeout(900)
        await keep(page, "overlay")


async def papers(stage: Stage) -> None:
    """A receipt, and the proof of a draw."""
    page = await stage.watch("ann", name="安娜 Ann", lang="zh-CN", dark=True, size=PHONE, moves=True)
    draw = stage.call("POST", "/drops", {"title": "紫砂壶 Clay teapot", "kind": "draw", "stock": 3})
    stage.call("POST", f"/drops/{draw['id']}/announce")
    await page.locator(".drop.announced").wait_for()
    stage.call("POST", f"/drops/{draw['id']}/open")
    for n in range(40):
        stage.say(f"u{n}", {"t": "claim", "cid": "c", "drop": draw["id"]})
    await page.locator(".drop .primary").click()
    await page.locator(".outcome.entered").wait_for()
    stage.call("POST", f"/drops/{draw['id']}/close")
    await page.locator(".drop .check").click()
    await page.locator(".proof li").first.wait_for()
    await keep(page, "draw-phone")
    drop = stage.call("POST", "/drops", {"title": "Half price", "kind": "coupon", "stock": 500})
    stage.call("POST", f"/drops/{drop['id']}/open")
    for n in range(36):
        stage.say(f"u{n}", {"t": "claim", "cid": "c", "drop": drop["id"]})
    won = stage.say("ann", {"t": "claim", "cid": "c", "drop": drop["id"]})
    for name, lang, size, dark in (("receipt", "en", (760, 760), False), ("receipt-phone", "zh-CN", PHONE, True)):
        paper = await stage.page(size=size, lang=lang, dark=dark)
        await paper.goto(f"{stage.node.base}/receipt#{won['receipt']}")
        await paper.locator(".verdict.good").wait_for()
        await paper.locator("input").fill(won["code"])
        await paper.locator(".code .yes").wait_for()
        await keep(paper, name)


async def offices(stage: Stage) -> None:
    """Where one comes in, and where a seller works."""
    stage.call("PATCH", "", {"title": "新茶上市 · Spring tea tasting"})
    sale = {"kind": "coupon", "stock": 40, "reserve_s": 900}
    made = [
        stage.call("POST", "/drops", {"title": title, **sale, **more})["id"]
        for title, more in (
            ("半价券 Half price", {}),
            ("茶杯 Cups", {"stock": 12}),
            ("紫砂壶 Clay teapot", {"kind": "draw", "stock": 3, "reserve_s": None}),
        )
    ]
    for drop in made[:2]:
        stage.call("POST", f"/drops/{drop}/open")
    for n in range(18):
        stage.say(f"guest-{n}", {"t": "claim", "cid": "c", "drop": made[0]})
        stage.say(f"guest-{n}", {"t": "claim", "cid": "d", "drop": made[1]})
    for serial in range(1, 8):
        order = {"order_id": f"A-{1040 + serial}", "amount": 9_950, "currency": "CNY"}
        stage.call("POST", f"/drops/{made[0]}/claims/{serial}/confirm", order)
    stage.call("POST", f"/drops/{made[0]}/claims/9/revoke", {"reason": "ordered twice"})
    for name, lang, size, dark in (
        ("merchant", "en", WIDE, False), ("merchant-dark", "zh-CN", WIDE, True), ("merchant-phone", "zh-CN", PHONE, False),
    ):  # fmt: skip
        page = await stage.page(size=size, lang=lang, dark=dark)
        await page.goto(f"{stage.node.base}/merchant")
        await page.locator("input[type=password]").fill("lck_dev_dev")
        await page.locator("form .primary").click()
        await page.locator(f"[data-drop='{made[0]}']").wait_for()
        if name == "merchant":
            await page.locator(f"[data-drop='{made[0]}']").get_by_role("button", name="Claims").click()
            await page.locator("[data-serial='1']").wait_for()
        await keep(page, name)
    for name, lang, size, dark in (("entry", "en", WIDE, False), ("entry-phone", "zh-CN", PHONE, True)):
        page = await stage.page(size=size, lang=lang, dark=dark)
        await page.goto(stage.node.base)
        await page.locator("h1").wait_for()
        await keep(page, name)


async def main() -> None:
    """All of them."""
    INTO.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with NodeProcess() as node:
            faults = []
            for take in (rooms, papers, offices):
                stage = Stage(node, chromium)
                await take(stage)
                faults += stage.faults
            sys.stdout.write("\n".join([*faults, str(INTO), ""]))
        await chromium.close()


asyncio.run(main())
