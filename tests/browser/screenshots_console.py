"""Pictures of the host's console for the documents: `make screenshots`. A real node, a crowd that talks, asks, gives and claims."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser.conftest import CHROMIUM, FLAGS  # noqa: E402 - tests are no package
from support.browsing import Stage  # noqa: E402
from support.node import DEV_KEY, NodeProcess  # noqa: E402

INTO = ROOT / "docs" / "pictures"
WIDE, PHONE = (1440, 900), (390, 844)
#: For the charts to have something to show.
GOES_ON_S = 120
NAMES = ("安娜 Ann", "小北", "Mila", "阿杰", "Tomás", "桃子", "Ravi", "林夕", "Zoë", "大橘")
QUESTIONS = (
    "这个多少钱？",
    "主播，这个多少钱啊",
    "请问多少钱",
    "有没有小包装？",
    "有没有小包装的",
    "Do you ship to Japan?",
    "几号发货？",
)
HELD = ("加微信便宜", "同款代购 加微信 abc123")


def furnish(stage: Stage) -> tuple[str, str]:
    """A broadcast with something of everything; the ids of the sale and the poll."""
    now = int(time.time() * 1000)
    stage.call(
        "PATCH",
        "",
        {"title": "新茶上市 · Spring tea tasting", "hosts": [{"id": "lin", "name": "林老师"}], "policy": {"board": "values"}},
    )
    for id_, title, amount, sku in (
        ("tea", "明前龙井 250 g · Longjing", 19_900, "TEA-250"),
        ("white", "安吉白茶 100 g · White tea", 12_900, "WHITE-100"),
        ("pot", "紫砂壶 · Clay teapot", 68_000, "POT-1"),
    ):
        price, before = {"amount": amount, "currency": "CNY"}, {"amount": amount + 8000, "currency": "CNY"}
        stage.call("PUT", f"/products/{id_}", {"title": title, "price": price, "list_price": before, "sku": sku})
    stage.call("PUT", "/on-air", {"product": "tea"})
    sale = stage.call(
        "POST", "/drops", {"title": "半价券 · Half price", "kind": "coupon", "stock": 200, "closes_at": now + 1_800_000}
    )
    stage.call("POST", f"/drops/{sale['id']}/open")
    draw = {"title": "紫砂壶抽奖 · Clay teapot", "kind": "draw", "stock": 3, "opens_at": now + 600_000}
    stage.call("POST", f"/drops/{stage.call('POST', '/drops', draw)['id']}/announce")
    stage.call("POST", "/drops", {"title": "明早再来 · Early birds", "kind": "coupon", "stock": 50})
    poll = stage.call(
        "POST", "/polls", {"question": "下一个看哪款？ What next?", "choices": ["普洱 Pu'er", "白茶 White tea", "红茶 Black tea"]}
    )
    stage.call("PUT", "/notice", {"text": "今晚 21:00 抽紫砂壶 · Teapot draw at nine"})
    stage.call("PUT", "/moderators/mo", {"name": "Mo"})
    return str(sale["id"]), str(poll["id"])


def hold(stage: Stage, *words: str) -> None:
    """Comments with these wait for a moderator."""
    body = json.dumps({"hold": words}).encode()
    headers = {**DEV_KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{stage.node.base}/v1/filters/room:{stage.room}", body, headers, method="PUT")
    urllib.request.urlopen(request).close()


async def live(stage: Stage, sale: str, poll: str) -> None:
    """People who do more than talk, until cancelled."""
    chance, numbers = random.Random(7), itertools.count()  # the same picture each time

    async def say(sub: str, name: str, message: dict[str, object]) -> None:
        with contextlib.suppress(AssertionError, OSError):  # too fast, sold out: as in life
            await asyncio.to_thread(stage.say, sub, {"cid": f"p{next(numbers)}", **message}, name=name)

    for n in itertools.count():
        who = chance.randrange(len(NAMES))
        sub, name = f"p{who}", NAMES[who]
        if n % 3 == 0:
            await say(f"c{n}", f"c{n}", {"t": "claim", "drop": sale})
            await say(f"c{n}", f"c{n}", {"t": "vote", "poll": poll, "choice": chance.choice((0, 1, 1, 1, 2))})
        if n % 8 == 0:
            await say(
                sub, name, {"t": "gift", "gift": chance.choice(("rose", "heart", "heart", "rocket")), "n": chance.randint(1, 3)}
            )
        if n % 6 == 0:
            await say(sub, name, {"t": "tap", "target": chance.choice(("tea", "tea", "pot")), "n": 3})
        if n % 5 == 0:
            await say(f"q{n % 40}", f"q{n % 40}", {"t": "comment", "text": QUESTIONS[n // 5 % len(QUESTIONS)]})
        if n in {60, 90}:
            await say(f"s{n}", "福利代购", {"t": "comment", "text": HELD[n // 90]})
        if n == 100:
            said = await asyncio.to_thread(stage.say, "s3", {"t": "comment", "cid": "s3", "text": "这个牌子是假货"}, name="路人甲")
            await say("p1", NAMES[1], {"t": "report", "comment": said.get("id"), "reason": "造谣"})
        await asyncio.sleep(0.25)


async def open_console(stage: Stage, *, lang: str, size: tuple[int, int], dark: bool) -> Page:
    """The console of the host."""
    return await stage.run("lin", name="林老师 Lin", lang=lang, size=size, dark=dark)


async def shoot(page: Page, name: str) -> None:
    """Keep what is seen, of a node that is well: on a busy machine it may have to catch its breath."""
    await page.locator(".health.ok").wait_for(timeout=120_000, state="attached")
    await page.screenshot(path=INTO / f"{name}.jpg", type="jpeg", quality=82)


async def pictures(chromium: Browser, stage: Stage) -> None:
    """All of them, of consoles that were open from the beginning."""
    desk = await open_console(stage, lang="en", size=WIDE, dark=False)
    night = await open_console(stage, lang="zh-CN", size=WIDE, dark=True)
    phone = await open_console(stage, lang="zh-CN", size=PHONE, dark=False)
    figures = await open_console(stage, lang="en", size=PHONE, dark=True)
    await desk.wait_for_timeout(GOES_ON_S * 1000)
    for page in (desk, figures):
        if page is figures:
            await page.locator("nav.views button").nth(2).click()
        await page.get_by_role("button", name="5 min", exact=True).click()
    await desk.locator(".line time").nth(-9).click()
    await desk.mouse.move(700, 20)
    await desk.wait_for_timeout(1500)
    await shoot(desk, "console")
    await shoot(figures, "console-phone-figures")
    await night.locator("#side-drops").click()
    await night.locator("#todo-reports").click()
    await night.wait_for_timeout(1500)
    await shoot(night, "console-dark")
    await phone.locator(".line time").nth(-5).click()
    await shoot(phone, "console-phone")
    for context in chromium.contexts:
        await context.close()


async def main() -> None:
    """A broadcast, and the pictures of it."""
    INTO.mkdir(exist_ok=True)
    livecast = str(Path(sys.executable).with_name("livecast"))
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with NodeProcess() as node:
            stage = Stage(node, chromium)
            sale, poll = furnish(stage)
            hold(stage, "加微信", "代购")
            people = [livecast, "crowd", "--url", node.base, "--room", stage.room, "--viewers", "60", "--seed", "5", "--quiet"]
            crowd = subprocess.Popen(people)  # noqa: ASYNC220 - it lives as long as we do
            life = asyncio.create_task(live(stage, sale, poll))
            try:
                await pictures(chromium, stage)
            finally:
                life.cancel()
                crowd.terminate()
                crowd.wait()
            sys.stdout.write("\n".join([*stage.faults, str(INTO), ""]))
        await chromium.close()


asyncio.run(main())
