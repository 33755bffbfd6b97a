"""How the pages look: small screens, axe-core, the layer for streaming software."""

from __future__ import annotations

import base64

import pytest
from playwright.async_api import expect

from support.browsing import WITHIN_MS, Stage, serious

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all files
expect.set_options(timeout=WITHIN_MS)

#: The first pixel of a picture, as red, green, blue and how far it covers.
PIXEL = """async (png) => {
  const bytes = Uint8Array.from(atob(png), c => c.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes], {type: 'image/png'}));
  const paint = new OffscreenCanvas(8, 8).getContext('2d');
  paint.drawImage(picture, 0, 0);
  return [...paint.getImageData(0, 0, 1, 1).data];
}"""


async def test_a_telephone(stage: Stage) -> None:
    """Nothing hangs over the edge, and all that matters can be reached, in both languages."""
    title = "A rather long title of a flash sale, 很长的标题 " * 2
    ann = await stage.watch("ann", size=(360, 640), dark=True)
    stage.call("PUT", "/products/p", {"title": "Tea", "price": {"amount": 1, "currency": "CNY"}})
    stage.call("PUT", "/on-air", {"product": "p"})
    await expect(ann.locator(".card.product")).to_be_in_viewport()
    drop = stage.call("POST", "/drops", {"title": title, "kind": "coupon", "stock": 9})
    stage.call("POST", f"/drops/{drop['id']}/open")
    await expect(ann.locator(".drop .primary")).to_be_in_viewport(ratio=1)  # although something else was there before
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


async def test_nothing_is_in_the_way_of_those_who_see_or_move_otherwise(stage: Stage) -> None:
    """axe-core finds nothing serious, on any page and in its panels."""
    drop = stage.call("POST", "/drops", {"title": "Half price", "kind": "coupon", "stock": 5, "eligibility": {"liked": 1}})
    stage.call("POST", f"/drops/{drop['id']}/open")
    stage.call("POST", "/polls", {"question": "Which?", "choices": ["Red", "Blue"]})
    stage.call("PUT", "/notice", {"text": "Welcome"})
    stage.call("PUT", "/products/p", {"title": "Tea", "price": {"amount": 1, "currency": "CNY"}, "url": "https://shop.example/"})
    stage.call("PUT", "/on-air", {"product": "p"})
    stage.call("POST", "/comments", {"text": "from the staff"})
    ann = await stage.watch("ann")
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
        assert await serious(ann, "dialog") == []
        await ann.keyboard.press("Escape")
    for path, sign in (
        ("/", "form"),
        (f"{receipt}", ".verdict"),
        ("/receipt", "textarea"),
        (f"/overlay/{stage.room}?keep=0", ".comments li"),  # however long ago they were said
    ):
        await ann.goto(f"{stage.node.base}{path}")
        await ann.locator(sign).first.wait_for()
        assert await serious(ann) == [], path


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
