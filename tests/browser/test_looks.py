"""How the pages look and what they let through: small screens, axe-core, hostile texts, the layer for streaming software."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from livecast.web import build
from support.browsing import WITHIN_MS, Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser for the file
expect.set_options(timeout=WITHIN_MS)

#: What strangers may call themselves, say, sell and ask: a hundred ways to be more than text, one a line.
HOSTILE = (Path(__file__).parent.parent / "support" / "hostile.txt").read_text(encoding="utf-8").splitlines()
#: What of it came alive: elements that are not ours, attributes that run, anything that ran.
ALIVE = """() => [
  window.owned,
  ({}).owned,
  ...[...document.querySelectorAll('iframe, object, embed, form:not(.composer), base, math, template, marquee, audio, body style')],
  ...[...document.querySelectorAll('#page *')].filter(e => [...e.attributes].some(
    a => /^(on|srcdoc$)/.test(a.name) || /^\\s*(javascript|data|vbscript):/i.test(a.value))),
].filter(Boolean).map(e => e.outerHTML ?? e)"""
#: The first pixel of a picture, as red, green, blue and how far it covers.
PIXEL = """async (png) => {
  const bytes = Uint8Array.from(atob(png), c => c.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes], {type: 'image/png'}));
  const paint = new OffscreenCanvas(8, 8).getContext('2d');
  paint.drawImage(picture, 0, 0);
  return [...paint.getImageData(0, 0, 1, 1).data];
}"""


async def test_strangers_texts_are_texts(stage: Stage) -> None:
    """Names, comments, titles, choices, notices, words with gifts: shown letter by letter, and nothing of it does anything."""
    stage.call("PUT", "", {"title": HOSTILE[0], "hosts": [{"id": "h", "name": HOSTILE[1]}], "policy": {"chat_budget_per_s": 1000}})
    stage.call("PUT", "/notice", {"text": HOSTILE[6]})
    elsewhere = {"url": "https://elsewhere.example/", "image": "https://elsewhere.example/x.png"}
    for n, text in enumerate(HOSTILE[:20]):
        stage.call("PUT", f"/products/p{n}", {"title": text, "price": {"amount": 1, "currency": "CNY"}, "order": n, **elsewhere})
    stage.call("PUT", "/on-air", {"product": "p1"})
    stage.call("POST", "/polls", {"question": HOSTILE[2], "choices": HOSTILE[3:13]})
    for text in HOSTILE[7:10]:
        drop = stage.call("POST", "/drops", {"title": text, "kind": "coupon", "stock": 1})
        stage.call("POST", f"/drops/{drop['id']}/open")
    ann = await stage.watch("ann", name=HOSTILE[2])
    asked: list[str] = []
    ann.on("request", lambda request: asked.append(request.url))
    said = [
        asyncio.to_thread(stage.say, f"u{n}", {"t": "comment", "cid": "c", "text": text}, name=text)
        for n, text in enumerate(HOSTILE)
    ]
    await asyncio.gather(*said)
    for n, text in enumerate(HOSTILE[:6]):
        stage.say(f"u{n}", {"t": "gift", "cid": stage.room, "gift": "rocket", "n": 1, "text": text}, name=text)
    await expect(ann.locator(".row:not(.paid)")).to_have_count(len(HOSTILE))
    assert sorted(await ann.locator(".row:not(.paid) .text").all_text_contents()) == sorted(HOSTILE)
    await expect(ann.locator(".pinned").first).to_be_visible()
    await expect(ann.locator("h1")).to_have_text(HOSTILE[0])
    await expect(ann.locator(".notice")).to_contain_text(HOSTILE[6])
    await expect(ann.locator(".drop h2")).to_have_text(HOSTILE[7:10])
    await expect(ann.locator(".choice span")).to_have_text(HOSTILE[3:13])
    assert await ann.evaluate(ALIVE) == []
    await ann.get_by_role("button", name="Products").click()
    await expect(ann.locator(".shelf li b[dir]")).to_have_text(HOSTILE[:20])
    assert await ann.locator(".shelf img").count() == 0
    assert await ann.evaluate(ALIVE) == []
    await ann.goto(f"{stage.node.base}/overlay/{stage.room}?max=40")
    await expect(ann.locator(".comments li").last).to_be_visible()
    assert await ann.evaluate(ALIVE) == []
    await ann.goto(f"{stage.node.base}/receipt")
    for text in HOSTILE:
        await ann.evaluate("text => { location.hash = text }", text)
    await expect(ann.locator(".verdict.bad")).to_contain_text("NOT valid")
    assert await ann.evaluate(ALIVE) == []
    assert [url for url in asked if not url.startswith((stage.node.base, stage.node.ws))] == []


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
    """axe-core finds nothing serious, on any page and in its panels."""
    drop = stage.call("POST", "/drops", {"title": "Half price", "kind": "coupon", "stock": 5, "eligibility": {"liked": 1}})
    stage.call("POST", f"/drops/{drop['id']}/open")
    stage.call("POST", "/polls", {"question": "Which?", "choices": ["Red", "Blue"]})
    stage.call("PUT", "/notice", {"text": "Welcome"})
    stage.call("PUT", "/products/p", {"title": "Tea", "price": {"amount": 1, "currency": "CNY"}, "url": "https://shop.example/"})
    stage.call("PUT", "/on-air", {"product": "p"})
    stage.call("POST", "/comments", {"text": "from the staff"})
    ann = await stage.watch("ann", dark=dark)
    stage.say("bo", {"t": "comment", "cid": "c", "text": "hello"})
    stage.say("bo", {"t": "gift", "cid": stage.room, "gift": "rocket", "n": 1, "text": "for you"})
    await ann.locator("#say").fill("mine")
    await ann.keyboard.press("Enter")
    await expect(ann.locator(".row.mine")).to_have_count(1)
    await ann.get_by_role("button", name="Colour and place").click()
    await ann.locator(".action.like").click()
    await expect(ann.locator("li.met")).to_have_count(1, timeout=30_000)
    await ann.locator(".drop .primary").click()
    await ann.locator(".outcome").wait_for()
    receipt = await ann.locator(".drop .receipt").get_attribute("href")
    assert await serious(ann) == []
    for panel in range(4):
        await ann.locator(".action").nth(panel).click()
        await ann.locator("dialog").wait_for()
        assert await serious(ann) == []
        await ann.keyboard.press("Escape")
    for path, sign in (
        ("/", "form"),
        (f"{receipt}", ".verdict"),
        ("/receipt", "textarea"),
        (f"/overlay/{stage.room}", ".comments li"),
    ):
        await ann.goto(f"{stage.node.base}{path}")
        await ann.locator(sign).first.wait_for()
        assert await serious(ann) == [], path


async def serious(page: Page) -> list[object]:
    """What axe-core holds against a page as it is now."""
    await page.evaluate((build.MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8") + ";0")
    found: list[object] = await page.evaluate(
        "axe.run().then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact))"
        ".map(v => [v.id, ...v.nodes.map(n => n.html)]))"
    )
    return found


async def test_a_layer_for_streaming_software(stage: Stage) -> None:
    """Comments, banners and the drop on nothing: transparent where nothing is; its address says how it looks."""
    drop = stage.call("POST", "/drops", {"title": "半价券", "kind": "coupon", "stock": 5})
    stage.call("POST", f"/drops/{drop['id']}/open")
    page = await stage.page(size=(640, 360), dark=True, lang="zh-CN")
    await page.goto(f"{stage.node.base}/overlay/{stage.room}?size=30&color=ffd76a&max=2&keep=0&side=right")
    await expect(page.locator(".drop")).to_contain_text("剩余 5 / 5")
    for n in range(3):
        stage.say(f"u{n}", {"t": "comment", "cid": "c", "text": f"comment {n}"})
    stage.say("bo", {"t": "gift", "cid": stage.room, "gift": "rocket", "n": 2})
    await expect(page.locator(".comments li")).to_contain_text(["comment 1", "comment 2"])
    await expect(page.locator(".banners .n")).to_have_text("×2")
    await expect(page.locator(".comments li").first).to_have_css("font-size", "30px")
    await expect(page.locator(".comments li").first).to_have_css("color", "rgb(255, 215, 106)")
    empty = await page.screenshot(omit_background=True, clip={"x": 2, "y": 180, "width": 8, "height": 8}, type="png")
    await page.goto(f"{stage.node.base}/")  # a layer may load no pictures
    assert await page.evaluate(PIXEL, base64.b64encode(empty).decode()) == [0] * 4
    await page.goto(f"{stage.node.base}/overlay/{stage.room}?show=comments,nonsense&size=x&color=red;&box=1e9")
    await expect(page.locator(".comments li")).to_have_count(3)
    assert await page.locator(".drop, .banners").count() == 0
    await expect(page.locator(".comments li").first).to_have_css("color", "rgb(255, 255, 255)")
