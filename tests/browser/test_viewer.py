"""A room as people see it, in a real browser against a real node."""

from __future__ import annotations

import re
import time

import pytest
from playwright.async_api import Locator, Page, expect

from livecast.web import build
from support.browsing import WITHIN_MS, Cable, Stage
from support.node import NodeProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser for the file
expect.set_options(timeout=WITHIN_MS)

#: Comments said while nobody hears; a welcome has the last 20.
MISSED = 24

HOSTILE = (
    "<script>window.owned=1</script>",
    "<img src=x onerror=window.owned=1>",
    '"><svg onload=window.owned=1>',
    "javascript:window.owned=1",
    "{{constructor.constructor('window.owned=1')()}}",
    "<b>bold</b> &amp; &lt;",
    "</textarea><iframe srcdoc='<script>parent.owned=1</script>'>",
    "<style>*{display:none}</style>",
)


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
    ann = await stage.watch("ann")
    for n in range(10):
        stage.say(f"u{n}", {"t": "comment", "cid": f"c{n}", "text": "666666"})
    numbers = rows(ann, "666666").locator(".n")
    await expect(numbers.first).to_have_text(re.compile(r"×\d+"))
    assert await rows(ann, "666666").count() < 5
    await expect(ann.locator(".fly b").first).to_have_text(re.compile(r"×\d+"))


async def test_taps_and_gifts(stage: Stage) -> None:
    """Taps count for everybody; quick gifts run on as one combo, and coins are gone."""
    ann, bo = await stage.watch("ann"), await stage.watch("bo")
    for _ in range(7):
        await ann.locator(".action.like").click()
    await expect(bo.locator(".action.like .likes")).to_have_text("7")
    await ann.get_by_role("button", name="Gifts").click()
    await ann.locator("[data-gift=heart]").evaluate("button => { for (let i = 0; i < 3; i++) button.click() }")
    banner = bo.locator(".banner")
    await expect(banner).to_contain_text("ann sent Heart")
    await expect(banner.locator(".n")).to_have_text("×3")
    await expect(ann.locator(".balance")).to_have_text("9,970 coins")


async def test_a_drop_is_won_by_one_and_lost_by_the_other(stage: Stage) -> None:
    """Both click; who won is told the code, and finds it among the prizes; who lost is told so."""
    ann, bo = await stage.watch("ann"), await stage.watch("bo")
    drop = stage.call("POST", "/drops", {"title": "Half price", "kind": "coupon", "stock": 1})
    soon = int(time.time() * 1000) + 60_000
    stage.call("PATCH", f"/drops/{drop['id']}", {"opens_at": soon})
    stage.call("POST", f"/drops/{drop['id']}/announce")
    await expect(ann.locator(".drop .countdown b")).to_have_text(re.compile(r"00:\d\d|01:00"))
    await expect(ann.locator(".drop .primary")).to_be_disabled()
    stage.call("POST", f"/drops/{drop['id']}/open")
    await ann.locator(".drop .primary").click()
    await expect(ann.locator(".outcome")).to_have_text("You won! No. 1 of 1")
    code = await ann.locator(".drop code").inner_text()
    assert re.fullmatch(r"[0-9A-Z-]{6,}", code)
    await expect(bo.locator(".drop")).to_contain_text("Sold out")
    assert stage.say("bo", {"t": "claim", "cid": "lost", "drop": drop["id"]})["verdict"] == "sold_out"
    await ann.get_by_role("button", name="My prizes").click()
    await expect(ann.locator(".prizes code")).to_have_text(code)


async def test_who_is_too_late_is_told(stage: Stage, cable: Cable) -> None:
    """A click while the network is away: the last unit goes to somebody else, and the click is answered when it is back."""
    ann = await stage.watch("ann", base=cable.base)
    drop = stage.call("POST", "/drops", {"title": "One", "kind": "coupon", "stock": 1})
    stage.call("POST", f"/drops/{drop['id']}/open")
    button = ann.locator(".drop .primary")
    await expect(button).to_be_enabled()
    await cable.cut()
    await button.click()
    assert stage.say("bo", {"t": "claim", "cid": "first", "drop": drop["id"]})["verdict"] == "won"
    await cable.plug()
    await expect(ann.locator(".outcome")).to_have_text("Sold out. Maybe next time!", timeout=40_000)


async def test_what_is_missing_is_said(stage: Stage) -> None:
    """Who may not claim yet reads why."""
    ann = await stage.watch("ann")
    drop = stage.call("POST", "/drops", {"title": "Fans", "kind": "coupon", "stock": 5, "eligibility": {"liked": 3}})
    stage.call("POST", f"/drops/{drop['id']}/open")
    await ann.locator(".drop .primary").click()
    await expect(ann.locator("li.missing")).to_have_text("like 3 times (now 0)")


async def test_a_poll(stage: Stage) -> None:
    """One vote each, and the figures behind it."""
    ann = await stage.watch("ann")
    stage.call("POST", "/polls", {"question": "Which?", "choices": ["Red", "Blue"]})
    await ann.get_by_role("button", name="Blue").click()
    await expect(ann.locator(".choice.chosen")).to_contain_text("100 %")


async def test_a_cut_network_leaves_no_gap(stage: Stage, cable: Cable) -> None:
    """Ten seconds without a network: the page says so, and has everything afterwards, in order and once.

    More is said meanwhile than a snapshot holds, so it can only come from frames that were missed.
    """
    ann = await stage.watch("ann", base=cable.base)
    stage.say("bo", {"t": "comment", "cid": "before", "text": "before"})
    await expect(rows(ann, "before")).to_have_count(1)
    await cable.cut()
    began = time.monotonic()
    for n in range(MISSED):
        stage.say(f"u{n}", {"t": "comment", "cid": f"c{n}", "text": f"meanwhile {n}"})
    await expect(ann.locator(".connection")).to_contain_text("Connection lost")
    await ann.wait_for_timeout(max(0, 10_000 - (time.monotonic() - began) * 1000))  # the length of the cut is the point
    assert await ann.locator(".row").count() == 1
    await cable.plug()
    stage.say("bo", {"t": "comment", "cid": "after", "text": "after"})
    await expect(rows(ann, "after")).to_have_count(1, timeout=40_000)
    assert await ann.locator(".row .text").all_inner_texts() == ["before", *(f"meanwhile {n}" for n in range(MISSED)), "after"]


async def test_a_ban_ends_it(stage: Stage) -> None:
    """Who is banned while watching is told, and is not let in again."""
    ann = await stage.watch("ann")
    stage.call("POST", "/bans", {"user": "ann"})
    await expect(ann.get_by_role("alert")).to_contain_text("You can no longer watch this room.")
    await ann.reload()
    await expect(ann.get_by_role("alert")).to_be_visible()


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
    more = rows(ann, "buy my pills").get_by_role("button")
    await more.focus()
    await ann.keyboard.press("Enter")
    await ann.keyboard.press("Tab")
    await ann.get_by_role("button", name="Report", exact=True).focus()
    await ann.keyboard.press("Enter")
    await ann.get_by_role("button", name="Advertising").focus()
    await ann.keyboard.press("Enter")
    await expect(ann.locator(".toasts")).to_contain_text("Thank you")
    await expect(ann.get_by_role("dialog")).to_have_count(0)


async def test_strangers_texts_are_texts(stage: Stage) -> None:
    """Whatever is said, called, sold or asked is shown letter by letter and does nothing."""
    stage.call("PUT", "", {"title": HOSTILE[0], "hosts": [{"id": "h", "name": HOSTILE[1]}]})
    ann = await stage.watch("ann", name=HOSTILE[2])
    product = {"title": HOSTILE[1], "price": {"amount": 100, "currency": "CNY"}, "image": "https://elsewhere.example/x.png"}
    stage.call("PUT", "/products/p1", product)
    stage.call("PUT", "/on-air", {"product": "p1"})
    stage.call("POST", "/polls", {"question": HOSTILE[2], "choices": [HOSTILE[0], HOSTILE[5]]})
    drop = stage.call("POST", "/drops", {"title": HOSTILE[6], "kind": "coupon", "stock": 1})
    stage.call("POST", f"/drops/{drop['id']}/open")
    stage.call("PUT", "/notice", {"text": HOSTILE[7]})
    for n, text in enumerate(HOSTILE):
        stage.say(f"<i>{n}</i>".replace("/", "!"), {"t": "comment", "cid": "c", "text": text})
    for text in HOSTILE:
        await expect(rows(ann, text)).to_have_count(1)
    await expect(ann.locator("h1")).to_have_text(HOSTILE[0])
    await expect(ann.locator(".drop h2")).to_have_text(HOSTILE[6])
    await expect(ann.locator(".notice")).to_contain_text(HOSTILE[7])
    assert await ann.evaluate("window.owned") is None
    assert await ann.locator("iframe, .row img, .row script, .row b:not(.n)").count() == 0


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


async def test_a_telephone(stage: Stage) -> None:
    """Nothing hangs over the edge, and all that matters can be reached, in both languages."""
    title = "A rather long title of a flash sale, 很长的标题 " * 2
    drop = stage.call("POST", "/drops", {"title": title, "kind": "coupon", "stock": 9})
    stage.call("POST", f"/drops/{drop['id']}/open")
    ann = await stage.watch("ann", size=(360, 640), dark=True)
    stage.say("bo", {"t": "comment", "cid": "c", "text": "long" * 40})
    await expect(ann.locator(".row")).to_have_count(1)
    for _ in range(2):
        assert await ann.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [360, 640]
        for wanted in (".stage", ".drop .primary", ".row", "#say", ".action.like"):
            box = await ann.locator(wanted).first.bounding_box()
            assert box, wanted
            assert box["x"] >= 0, wanted
            assert box["x"] + box["width"] <= 360, wanted
            assert box["y"] + box["height"] <= 640, wanted
        await ann.get_by_role("button", name="Settings").or_(ann.get_by_role("button", name="设置")).click()
        await ann.get_by_role("button", name="中文").or_(ann.get_by_role("button", name="English")).click()
    await expect(ann.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_nothing_is_in_the_way_of_those_who_see_or_move_otherwise(stage: Stage, dark: bool) -> None:
    """axe-core finds nothing serious, on the page and in its panels."""
    drop = stage.call("POST", "/drops", {"title": "Half price", "kind": "coupon", "stock": 5})
    stage.call("POST", f"/drops/{drop['id']}/open")
    stage.call("POST", "/polls", {"question": "Which?", "choices": ["Red", "Blue"]})
    stage.call("PUT", "/notice", {"text": "Welcome"})
    stage.call("POST", "/comments", {"text": "from the staff"})
    ann = await stage.watch("ann", dark=dark)
    stage.say("bo", {"t": "comment", "cid": "c", "text": "hello"})
    await write(ann, "mine")
    await expect(rows(ann, "mine")).to_have_class(re.compile("mine"))
    await ann.locator(".drop .primary").click()
    await ann.locator(".outcome").wait_for()
    assert await serious(ann) == []
    for panel in range(3):
        await ann.locator(".action").nth(panel).click()
        await ann.locator("dialog").wait_for()
        assert await serious(ann) == []
        await ann.keyboard.press("Escape")
    await ann.goto(f"{stage.node.base}/")
    await ann.get_by_label("Room").wait_for()
    assert await serious(ann) == []


async def serious(page: Page) -> list[object]:
    """What axe-core holds against a page as it is now."""
    await page.evaluate((build.MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8") + ";0")
    found: list[object] = await page.evaluate(
        "axe.run().then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact))"
        ".map(v => [v.id, ...v.nodes.map(n => n.html)]))"
    )
    return found


async def test_the_entry_leads_into_a_room(stage: Stage, node: NodeProcess) -> None:
    """In development: a name, a click, and one is in."""
    page = await stage.watch()
    await page.goto(f"{node.base}/")
    await page.get_by_label("Room").fill(stage.room)
    await page.get_by_label("Your name").fill("Zoë")
    await page.get_by_role("button", name="Watch as a viewer").click()
    await write(page, "hello")
    await expect(rows(page, "hello")).to_contain_text("Zoë")
