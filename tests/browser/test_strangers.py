"""What strangers write is text on every page: a hundred ways to be more than that, and nothing of it does anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.browsing import WITHIN_MS, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all files
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
#: Each of them as what stands behind the # of an address, one after the other.
HASHES = "async texts => { for (const text of texts) { location.hash = text; await new Promise(shown => setTimeout(shown, 10)) } }"


async def test_strangers_texts_are_texts(stage: Stage) -> None:
    """Names, comments, titles, choices, notices, words with gifts, reports, receipts: letter by letter, for viewers and staff."""
    furnish(stage)
    ann = await stage.watch("ann", name=HOSTILE[2], moves=True)
    lin = await stage.run()
    asked: list[str] = []
    for page in (ann, lin):
        page.on("request", lambda request: asked.append(request.url))
    said = [
        asyncio.to_thread(stage.say, f"u{n}", {"t": "comment", "cid": "c", "text": text}, name=text)
        for n, text in enumerate(HOSTILE)
    ]
    await asyncio.gather(*said)
    for n, text in enumerate(HOSTILE[:6]):
        await asyncio.to_thread(
            stage.say, f"u{n}", {"t": "gift", "cid": stage.room, "gift": "rocket", "n": 1, "text": text}, name=text
        )
    await viewers_see_texts(ann)
    await staff_see_texts(stage, lin)
    await ann.goto(f"{stage.node.base}/overlay/{stage.room}?max=40")
    await expect(ann.locator(".comments li").last).to_be_visible()
    assert await ann.evaluate(ALIVE) == []
    await ann.goto(f"{stage.node.base}/receipt")
    await ann.evaluate(HASHES, HOSTILE)
    await expect(ann.locator(".verdict.bad")).to_contain_text("NOT valid")
    assert await ann.evaluate(ALIVE) == []
    assert [url for url in asked if not url.startswith((stage.node.base, stage.node.ws))] == []


def furnish(stage: Stage) -> None:
    """A room whose host, shelf, drops, poll and notice are hostile."""
    stage.call("PUT", "", {"title": HOSTILE[0], "hosts": [{"id": "h", "name": HOSTILE[1]}], "policy": {"chat_budget_per_s": 1000}})
    stage.call("PUT", "/notice", {"text": HOSTILE[6]})
    elsewhere = {"url": "https://elsewhere.example/", "image": "https://elsewhere.example/x.png"}
    for n, text in enumerate(HOSTILE[:20]):
        ware = {"title": text, "price": {"amount": 1, "currency": "CNY"}, "order": n, "sku": text[:64], **elsewhere}
        stage.call("PUT", f"/products/p{n}", ware)
    stage.call("PUT", "/on-air", {"product": "p1"})
    stage.call("POST", "/polls", {"question": HOSTILE[2], "choices": HOSTILE[3:13]})
    for text in HOSTILE[7:10]:
        drop = stage.call("POST", "/drops", {"title": text, "kind": "coupon", "stock": 1})
        stage.call("POST", f"/drops/{drop['id']}/open")


async def viewers_see_texts(ann: Page) -> None:
    """In the list, above it, over the picture, on the cards and in the panels."""
    await expect(ann.locator(".row:not(.paid)")).to_have_count(len(HOSTILE))
    assert sorted(await ann.locator(".row:not(.paid) .text").all_text_contents()) == sorted(HOSTILE)
    await expect(ann.locator(".pinned").first).to_be_visible()
    await expect(ann.locator(".fly").first).to_be_attached()
    await expect(ann.locator("h1")).to_have_text(HOSTILE[0])
    await expect(ann.locator(".notice")).to_contain_text(HOSTILE[6])
    await expect(ann.locator(".drop h2")).to_have_text(HOSTILE[7:10])
    await expect(ann.locator(".choice span")).to_have_text(HOSTILE[3:13])
    assert await ann.evaluate(ALIVE) == []
    await ann.get_by_role("button", name="Products").click()
    await expect(ann.locator(".shelf li b[dir]")).to_have_text(HOSTILE[:20])
    assert await ann.locator(".shelf img").count() == 0
    assert await ann.evaluate(ALIVE) == []


async def staff_see_texts(stage: Stage, lin: Page) -> None:
    """On the desk, in what waits, about a person, and in every part of the side."""
    comment = stage.say("bob", {"t": "comment", "cid": "c", "text": f"{HOSTILE[7]} ?"}, name=HOSTILE[8])
    stage.say("ann", {"t": "report", "cid": "r", "comment": comment["id"], "reason": HOSTILE[9]})
    await expect(lin.locator(f"[data-id='{comment['id']}'] .text")).to_have_text(f"{HOSTILE[7]} ?")
    await expect(lin.locator("[data-question]", has_text=HOSTILE[7])).to_have_count(1)
    await lin.locator("#todo-reports").click()
    await expect(lin.locator("[data-report]")).to_contain_text(HOSTILE[9])
    await lin.locator("[data-report] .name").click()
    await expect(lin.get_by_role("dialog")).to_contain_text(HOSTILE[7])
    await lin.keyboard.press("Escape")
    await expect(lin.locator(".alerts")).to_contain_text(HOSTILE[6])
    for side, title in (("shelf", HOSTILE[0]), ("drops", HOSTILE[9]), ("polls", HOSTILE[2])):
        await lin.locator(f"#side-{side}").click()
        await expect(lin.locator("#side .card header b").filter(has_text=title).first).to_have_text(title)
    await lin.locator("#side-room").click()
    await expect(lin.locator("h1")).to_have_text(HOSTILE[0])
    assert await lin.evaluate("[window.owned, ({}).owned]") == [None, None]
    assert await lin.locator("main :is(script, iframe, object, embed), .line :is(img, svg:not(.icon-picture), style)").count() == 0
