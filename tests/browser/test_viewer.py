"""A room as people see it, in a real browser against a real node."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Locator, Page, expect

from livecast.web import build
from support.browsing import WITHIN_MS, Stage
from support.node import NodeProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all files
expect.set_options(timeout=WITHIN_MS)


def rows(page: Page, text: str) -> Locator:
    """Lines of the list with exactly this text."""
    return page.locator(".row", has=page.get_by_text(text, exact=True))


async def write(page: Page, text: str) -> None:
    """Type it and press Enter."""
    await page.locator("#say").fill(text)
    await page.keyboard.press("Enter")


async def test_people_talk(stage: Stage) -> None:
    """Somebody says something and sees it at once; the other hears it, answers, and both see whom it answers."""
    ann, bo = await stage.watch("ann", name="安娜"), await stage.watch("bo", lang="zh-CN")
    await write(ann, "这个多少钱？")
    await expect(rows(ann, "这个多少钱？")).to_have_class(re.compile("mine"))
    heard = rows(bo, "这个多少钱？")
    await expect(heard).to_contain_text("安娜")
    await heard.hover()
    await heard.get_by_role("button").click()
    await bo.get_by_role("button", name="回复").click()
    await write(bo, "二十")
    await expect(rows(ann, "二十").locator(".quote")).to_contain_text("安娜: 这个多少钱？")
    await expect(rows(ann, "二十")).to_have_class(re.compile("called"))


async def test_same_words_become_one_line(stage: Stage) -> None:
    """Ten people say the same: lines whose numbers grow, over the picture too, and never ten lines."""
    ann = await stage.watch("ann", moves=True)
    same = [asyncio.to_thread(stage.say, f"u{n}", {"t": "comment", "cid": f"c{n}", "text": "666666"}) for n in range(10)]
    saying = asyncio.gather(*same)  # at once: a slow machine would not be done with them before they no longer count as the same
    await expect(ann.locator(".fly b").first).to_have_text(re.compile(r"×\d+"))  # what flies is gone after some seconds
    await saying
    await expect(rows(ann, "666666").locator(".n").first).to_have_text(re.compile(r"×\d+"))
    assert await rows(ann, "666666").count() < 5


async def test_people_are_called_by_name(stage: Stage) -> None:
    """An @ offers those who spoke; who is called sees it. Colour and place go along."""
    ann, bo = await stage.watch("ann"), await stage.watch("bo", name="王小明", moves=True)
    await write(bo, "在吗")
    await expect(rows(ann, "在吗")).to_have_count(1)
    await ann.locator("#say").fill("看看 @王")
    await ann.get_by_role("group", name="Mention").get_by_role("button", name="@王小明").click()
    await ann.get_by_role("button", name="Colour and place").click()
    await ann.get_by_role("button", name="Colour 2").click()
    await ann.get_by_role("button", name="Top").click()
    await ann.locator("#say").press("End")
    await ann.keyboard.type("这件")
    await ann.keyboard.press("Enter")
    called = rows(bo, "看看 @王小明 这件")
    await expect(called).to_have_class(re.compile("called"))
    await expect(bo.locator(".fly", has_text="看看 @王小明 这件")).to_have_css("color", "rgb(255, 215, 106)")


async def test_flying_comments_as_one_likes_them(stage: Stage) -> None:
    """Off, fewer, fainter; remembered for next time."""
    ann = await stage.watch("ann", moves=True)
    await ann.get_by_role("button", name="Settings").click()
    await ann.get_by_label("How many").select_option("low")
    await ann.get_by_label("Opacity").fill("0.4")
    await expect(ann.locator(".flying")).to_have_css("opacity", "0.4")
    await ann.get_by_label("Flying comments").uncheck()
    await ann.keyboard.press("Escape")
    stage.say("bo", {"t": "comment", "cid": "c", "text": "not in the air"})
    await expect(rows(ann, "not in the air")).to_have_count(1)
    assert await ann.locator(".fly").count() == 0
    await ann.reload()
    await ann.get_by_role("button", name="Settings").click()
    await expect(ann.get_by_label("How many")).to_have_value("low")
    await expect(ann.get_by_label("Flying comments")).not_to_be_checked()


async def test_who_came_is_said_in_a_word(stage: Stage) -> None:
    """Over the picture, and once for all of a tick."""
    ann = await stage.watch("ann")
    await stage.watch("bo", name="小明")
    await expect(ann.locator(".news")).to_contain_text("小明 joined")


async def test_what_is_redacted_is_gone(stage: Stage) -> None:
    """Off the list at once."""
    ann = await stage.watch("ann")
    said = stage.say("bo", {"t": "comment", "cid": "c", "text": "rude"})
    await expect(rows(ann, "rude")).to_have_count(1)
    stage.call("POST", "/redactions", {"comments": [said["id"]]})
    await expect(rows(ann, "rude")).to_have_count(0)


async def test_reporting(stage: Stage) -> None:
    """By keyboard alone."""
    ann = await stage.watch("ann")
    stage.say("bo", {"t": "comment", "cid": "c", "text": "buy my pills"})
    await expect(rows(ann, "buy my pills")).to_have_count(1)
    await ann.locator("#say").focus()
    await ann.keyboard.press("Shift+Tab")
    await expect(ann.get_by_role("log")).to_be_focused()  # one stop for all comments
    await ann.keyboard.press("ArrowUp")
    await expect(rows(ann, "buy my pills").get_by_role("button")).to_be_focused()
    await ann.keyboard.press("Enter")
    await ann.keyboard.press("Tab")
    await ann.get_by_role("button", name="Report", exact=True).focus()
    await ann.keyboard.press("Enter")
    await ann.get_by_role("button", name="Advertising").focus()
    await ann.keyboard.press("Enter")
    await expect(ann.locator(".toasts")).to_contain_text("Thank you")
    await expect(ann.get_by_role("dialog")).to_have_count(0)


async def test_guests_watch(stage: Stage) -> None:
    """Without a token: read-only, with a word on how to join in; in development one click signs in."""
    guest = await stage.watch(lang="zh-CN")
    await expect(guest.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(guest.locator(".signin")).to_contain_text("你正以游客身份观看")
    await expect(guest.locator("#say")).to_have_count(0)
    await guest.get_by_role("button", name="以测试观众身份加入").click()
    await write(guest, "我来了")
    await expect(rows(guest, "我来了")).to_have_class(re.compile("mine"))
    assert "token" not in guest.url


async def test_the_entry_leads_into_a_room(stage: Stage, node: NodeProcess) -> None:
    """In development: a name, a click, and one is in."""
    page = await stage.watch()
    await page.goto(f"{node.base}/")
    await page.get_by_label("Room").fill(stage.room)
    await page.get_by_label("Your name").fill("Zoë")
    await page.get_by_role("button", name="Watch as a viewer").click()
    await write(page, "hello")
    await expect(rows(page, "hello")).to_contain_text("Zoë")


async def test_ten_lines_make_a_page(stage: Stage) -> None:
    """The page of the SDK's README, as it stands there but for the address and the room."""
    readme = (build.WEB / "client" / "README.md").read_text(encoding="utf-8")
    written = re.search(r"```html\n(.*?)```", readme, re.DOTALL)
    assert written
    assert len(written[1].splitlines()) <= 10
    html = written[1].replace("http://127.0.0.1:8080", stage.node.base).replace("'demo'", repr(stage.room))
    page = await stage.page()
    await page.route("**/live.html", lambda route: route.fulfill(body=html, content_type="text/html"))
    await page.goto(f"{stage.node.base}/live.html")
    for n in range(WITHIN_MS // 250):  # until it is connected: it shows what it hears, and nothing else
        stage.say(f"u{n}", {"t": "comment", "cid": "c", "text": f"hello {n}"})
        if await page.locator("li").count():
            break
        await page.wait_for_timeout(250)
    await expect(page.locator("li").first).to_have_text(re.compile(r"^u\d+: hello \d+$"))
