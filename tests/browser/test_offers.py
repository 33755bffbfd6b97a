"""What is given away in a room, in a real browser against a real node: drops, draws, prizes, receipts, gifts."""

from __future__ import annotations

import re
import time

import pytest
from playwright.async_api import expect

from support.browsing import WITHIN_MS, Cable, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all files
expect.set_options(timeout=WITHIN_MS)


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


async def test_what_is_missing_is_said_before_the_click(stage: Stage) -> None:
    """Who may not claim yet reads why, sees what is done, and may as soon as all is."""
    ann = await stage.watch("ann")
    drop = stage.call(
        "POST", "/drops", {"title": "Fans", "kind": "coupon", "stock": 5, "eligibility": {"liked": 3, "commented": "tea"}}
    )
    stage.call("POST", f"/drops/{drop['id']}/open")
    await expect(ann.locator("li.missing")).to_have_text(["say “tea” in the chat", "like 3 times (now 0)"])
    await ann.locator(".drop .primary").click()
    await expect(ann.locator(".outcome")).to_have_text("Not yet:")
    for _ in range(3):
        await ann.locator(".action.like").click()
    await ann.locator("#say").fill("tea")
    await ann.keyboard.press("Enter")
    await expect(ann.locator("li.met")).to_have_text(["say “tea” in the chat", "like 3 times"], timeout=30_000)
    await ann.locator(".drop .primary").click()
    await expect(ann.locator(".outcome")).to_have_text("You won! No. 1 of 5")


async def test_a_receipt_checks_itself(stage: Stage) -> None:
    """From the card of who won to a page that says which unit it is; a code fits or not; what was changed is found."""
    ann = await stage.watch("ann")
    drop = stage.call("POST", "/drops", {"title": "Half price", "kind": "coupon", "stock": 500, "reserve_s": 600})
    stage.call("POST", f"/drops/{drop['id']}/open")
    await ann.locator(".drop .primary").click()
    code = await ann.locator(".drop code").inner_text()
    async with ann.expect_popup() as opened:
        await ann.locator(".drop .receipt").click()
    receipt = await opened.value
    await expect(receipt.locator(".verdict.good h2")).to_have_text("Unit 1 of 500")
    await expect(receipt.locator("dl")).to_contain_text(f"{stage.room}/{drop['id']}/1")
    await receipt.get_by_label("Does this code go with it?").fill(code.lower())
    await expect(receipt.locator(".code .yes")).to_be_visible()
    await receipt.get_by_label("Does this code go with it?").fill("AAAA-AAAA-AAAA")
    await expect(receipt.locator(".code .no")).to_be_visible()
    await receipt.evaluate("location.hash = location.hash.replace(/.{8}$/, 'AAAAAAAA')")
    await expect(receipt.locator(".verdict.bad")).to_contain_text("This receipt is NOT valid.")
    assert await receipt.locator("dl").count() == 0


async def test_receipts_are_checked_where_the_browser_cannot(stage: Stage) -> None:
    """Without the browser's own Ed25519 (plain HTTP in a shop's network, older ones) a library does it."""
    drop = stage.call("POST", "/drops", {"title": "Half price", "kind": "coupon", "stock": 3, "codes": "none"})
    stage.call("POST", f"/drops/{drop['id']}/open")
    won = stage.say("ann", {"t": "claim", "cid": "c", "drop": drop["id"]})
    page = await stage.page(lang="zh-CN")
    await page.add_init_script("Object.defineProperty(crypto, 'subtle', {value: undefined})")
    await page.goto(f"{stage.node.base}/receipt#{won['receipt']}")
    await expect(page.locator(".verdict.good h2")).to_have_text("第 1 份，共 3 份")
    await expect(page.locator(".verdict")).to_have_attribute("data-by", "library")
    assert await page.locator(".code").count() == 0


async def test_a_draw_is_proved_in_the_page(stage: Stage) -> None:
    """Who entered is told the outcome and can have the draw recomputed, with the commitment of before and one's own leaf."""
    ann, bo = await stage.watch("ann"), await stage.watch("bo", lang="zh-CN")
    drop = stage.call("POST", "/drops", {"title": "Teapot", "kind": "draw", "stock": 1})
    stage.call("POST", f"/drops/{drop['id']}/announce")
    await expect(ann.locator(".drop.announced")).to_be_visible()
    await expect(bo.locator(".drop.announced")).to_be_visible()
    stage.call("POST", f"/drops/{drop['id']}/open")
    for page in (ann, bo):
        await page.locator(".drop .primary").click()
        await expect(page.locator(".outcome.entered")).to_be_visible()
    stage.call("POST", f"/drops/{drop['id']}/close")
    for page in (ann, bo):
        await expect(page.locator(".drop .check")).to_be_visible()
    for page in (ann, bo):  # who is drawn learns it from the ledger, a moment after everybody sees that it is over
        await expect(page.locator(".outcome")).not_to_have_class(re.compile("entered"))
    texts = [await page.locator(".outcome").inner_text() for page in (ann, bo)]
    won = [texts[0] == "You were drawn! Congratulations.", texts[1] == "恭喜你，抽中了！"]
    assert sorted(won) == [False, True], texts
    await ann.locator(".drop .check").click()
    await expect(ann.locator(".proof .outcome")).to_have_text("The draw is as the rules say.")
    await expect(ann.locator(".proof b")).to_have_text(
        "You are among the winners." if won[0] else "You were in the pot and not drawn."
    )
    await expect(ann.locator(".proof li.met")).to_have_count(7)
    late = await stage.watch("late")
    await late.locator(".drop .check").click()
    await expect(late.locator(".proof li.unknown")).to_contain_text("kept no commitment")
    winner = ann if won[0] else bo
    await winner.keyboard.press("Escape")
    await winner.get_by_role("button", name="My prizes").or_(winner.get_by_role("button", name="我的奖品")).click()
    await expect(winner.locator(".prizes li")).to_contain_text("Teapot")
    await expect(winner.locator(".prizes .receipt")).to_have_attribute("href", re.compile("^/receipt#ey"))


async def test_taps_and_gifts(stage: Stage) -> None:
    """Taps count for everybody; quick gifts run on as one combo, and coins are gone."""
    giver = f"giver-{stage.room}"  # whose coins nobody else spends
    ann, bo = await stage.watch(giver, name="ann"), await stage.watch("bo")
    for _ in range(7):
        await ann.locator(".action.like").click()
    await expect(bo.locator(".action.like .likes")).to_have_text("7")
    await ann.get_by_role("button", name="Gifts").click()
    await ann.locator("[data-gift=heart]").evaluate("button => { for (let i = 0; i < 3; i++) button.click() }")
    banner = bo.locator(".banner")
    await expect(banner).to_contain_text("ann sent Heart")
    await expect(banner.locator(".n")).to_have_text("×3")
    await expect(ann.locator(".balance")).to_have_text("9,970 coins")
    await expect(bo.get_by_role("button", name="Top givers")).to_be_visible()


async def test_a_gift_with_words(stage: Stage) -> None:
    """A dear gift carries a comment that stays above the list; cheap ones cannot, and say so by being out of reach."""
    ann, bo = await stage.watch(f"giver-{stage.room}", name="ann"), await stage.watch("bo", moves=True)
    await ann.get_by_role("button", name="Gifts").click()
    await ann.get_by_label("With a message").fill("生日快乐！")
    await expect(ann.locator("[data-gift=rose]")).to_be_disabled()
    await ann.locator("[data-gift=rocket]").click()
    await expect(bo.locator(".pinned")).to_contain_text("生日快乐！")
    await expect(bo.locator(".pinned .coins")).to_have_text("Rocket · 1,000")
    await expect(bo.locator(".row.paid")).to_contain_text("生日快乐！")
    await expect(bo.locator(".fly.paid")).to_have_text("生日快乐！")


async def test_the_shelf(stage: Stage) -> None:
    """Products in their order, the one on air marked; looking at one is counted; a link that is none is no link."""
    ann = await stage.watch("ann")
    price, before = {"amount": 19_900, "currency": "CNY"}, {"amount": 29_900, "currency": "CNY"}
    stage.call(
        "PUT", "/products/a", {"title": "Tea", "price": price, "list_price": before, "url": f"{stage.node.base}/docs", "order": 2}
    )
    stage.call("PUT", "/products/b", {"title": "Pot", "price": price, "order": 1})
    stage.call("PUT", "/on-air", {"product": "a"})
    await expect(ann.locator(".product h2")).to_have_text("Tea")
    await ann.get_by_role("button", name="Products").click()
    await expect(ann.locator(".shelf li")).to_have_count(2)
    await expect(ann.locator(".shelf li").nth(1)).to_contain_text("CN¥199.00")
    async with ann.expect_popup():
        await ann.locator(".shelf a").click()
    await stage.comes("/products", lambda said: [one["taps"] for one in said["data"] if one["id"] == "a"] == [1])


async def test_a_poll(stage: Stage) -> None:
    """One vote each, and the figures behind it."""
    ann = await stage.watch("ann")
    stage.call("POST", "/polls", {"question": "Which?", "choices": ["Red", "Blue"]})
    await ann.get_by_role("button", name="Blue").click()
    await expect(ann.locator(".choice.chosen")).to_contain_text("100 %")


async def test_more_than_one_each_and_what_lapses(stage: Stage) -> None:
    """Who may have two is offered the second; a reservation that lapsed is no prize any more, and may be had again."""
    ann = await stage.watch("ann")
    drop = stage.call("POST", "/drops", {"title": "Two each", "kind": "coupon", "stock": 5, "per_user": 2, "reserve_s": 600})
    stage.call("POST", f"/drops/{drop['id']}/open")
    await ann.locator(".drop .primary").click()
    await expect(ann.locator(".outcome")).to_have_text("You won! No. 1 of 5")
    await ann.locator(".drop .primary").click()
    await expect(ann.locator(".outcome")).to_have_text("You won! No. 2 of 5")
    await expect(ann.locator(".drop .primary")).to_have_count(0)
    stage.call("POST", f"/drops/{drop['id']}/claims/2/release")
    await ann.get_by_role("button", name="My prizes").click()
    await expect(ann.locator(".prizes li.released")).to_have_count(1)
    await ann.keyboard.press("Escape")
    await expect(ann.locator(".outcome")).to_have_text("You won! No. 1 of 5")
    await expect(ann.locator(".drop .primary")).to_be_enabled()
