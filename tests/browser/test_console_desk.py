"""The host's console as the desk of a room: what is said, what waits, what is done about it, and what viewers see of that."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, Page, expect

from support.browsing import WITHIN_MS, Stage
from support.node import token

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all files
expect.set_options(timeout=WITHIN_MS)


def line(page: Page, text: str) -> Locator:
    """Lines of the desk with exactly this text."""
    return page.locator(".line", has=page.get_by_text(text, exact=True))


def row(page: Page, text: str) -> Locator:
    """Lines of a viewer's list with exactly this text."""
    return page.locator(".row", has=page.get_by_text(text, exact=True))


def said(stage: Stage, sub: str, text: str, cid: str = "c", **more: object) -> dict[str, object]:
    """A comment of somebody without a browser."""
    return stage.say(sub, {"t": "comment", "cid": cid, "text": text, **more})


async def press(page: Page, where: Locator, *keys: str) -> None:
    """Choose a line, let the pointer go, and press keys while the list has the focus."""
    await where.locator("time").click()
    await page.locator(".comments").focus()
    for key in keys:
        await page.keyboard.press(key)


async def test_a_comment_is_removed_for_everybody(stage: Stage) -> None:
    """By one key, pressed twice: it is gone from the viewer's screen, and struck out on the desk."""
    ann, lin = await stage.watch("ann"), await stage.run()
    said(stage, "bob", "rude words")
    await expect(row(ann, "rude words")).to_have_count(1)
    await press(lin, line(lin, "rude words"), "d")
    await expect(lin.locator(".actions .armed")).to_have_text(re.compile("Sure"))
    await expect(row(ann, "rude words")).to_have_count(1)
    await lin.keyboard.press("d")
    await expect(row(ann, "rude words")).to_have_count(0)
    await expect(line(lin, "rude words")).to_have_class(re.compile("redacted"))


async def test_a_mute_is_told_and_can_be_taken_back(stage: Stage) -> None:
    """The viewer is told, and may talk again after one key."""
    ann, lin = await stage.watch("ann"), await stage.run()
    await ann.locator("#say").fill("hello")
    await ann.keyboard.press("Enter")
    await expect(line(lin, "hello")).to_have_count(1)
    await press(lin, line(lin, "hello"), "m")
    await expect(ann.locator(".toasts")).to_contain_text("you are muted")
    await expect(lin.locator(".toasts")).to_contain_text("is muted")
    await stage.comes("/mutes", lambda said: [one["user"] for one in said["data"]] == ["ann"])
    await lin.keyboard.press("z")
    await expect(lin.locator(".toasts")).to_contain_text("Taken back")
    await stage.comes("/mutes", lambda said: said["data"] == [])


async def test_a_ban_asks_twice_and_puts_out(stage: Stage) -> None:
    """A single press does nothing but ask."""
    ann, lin = await stage.watch("ann"), await stage.run()
    said(stage, "ann", "spam")
    await press(lin, line(lin, "spam"), "b")
    await expect(lin.locator(".actions .armed")).to_be_visible()
    assert stage.call("GET", "/bans")["data"] == []
    await lin.keyboard.press("b")
    await expect(ann.get_by_role("alert")).to_contain_text("You can no longer watch this room.")


async def test_held_comments_are_shown_or_not(stage: Stage) -> None:
    """With what is known of who wrote them; by keys; the viewer sees what was let through, and nothing else."""
    lin, ann = await stage.run(), await stage.watch("ann")
    await lin.locator("#side-room").click()
    await lin.get_by_label("Hold for a moderator").fill("scam")
    await lin.locator(".part", has=lin.get_by_label("Hold for a moderator")).get_by_role("button", name="Save").click()
    await expect(lin.locator(".toasts")).to_contain_text("Saved")
    assert said(stage, "bob", "no scam at all")["verdict"] == "held"
    assert said(stage, "cid", "scam two")["verdict"] == "held"
    held = lin.locator(".todo [data-held]")
    await expect(held).to_have_count(2)
    await expect(held.first).to_contain_text("new here")
    await expect(line(lin, "no scam at all")).to_have_class(re.compile("held"))
    await lin.locator(".todo .held").focus()
    await lin.keyboard.press("a")
    await expect(row(ann, "no scam at all")).to_have_count(1)
    await expect(held).to_have_count(1)
    await expect(line(lin, "no scam at all")).not_to_have_class(re.compile("held"))
    await lin.keyboard.press("x")
    await expect(lin.locator(".todo")).to_contain_text("Nothing waits for you")
    await expect(row(ann, "scam two")).to_have_count(0)
    await stage.comes("/held", lambda said: said["data"] == [])


async def test_reports_come_and_are_settled(stage: Stage) -> None:
    """With the viewers' words; removing the comment takes the report along."""
    lin = await stage.run()
    comment = said(stage, "bob", "buy my pills")["id"]
    stage.say("ann", {"t": "report", "cid": "r", "comment": comment, "reason": "advertising"})
    stage.say("ann", {"t": "report", "cid": "r2", "user": "eve", "reason": "rude"})
    await lin.locator("#todo-reports").click()
    report = lin.locator("[data-report]", has_text="buy my pills")
    await expect(report).to_contain_text("advertising")
    await report.get_by_role("button", name="Remove").click()
    await report.get_by_role("button", name="Sure?").click()
    await expect(report).to_have_count(0)
    await lin.locator("[data-report]", has_text="rude").get_by_role("button", name="Dismiss").click()
    await expect(lin.locator(".todo")).to_contain_text("Nobody reported anything")
    await stage.comes("/reports", lambda said: said["data"] == [])


async def test_a_question_of_many_is_answered_once(stage: Stage) -> None:
    """Merged with the number of askers, most first; who asked is told, everybody sees the answer, and it is off the list."""
    lin, ann = await stage.run(), await stage.watch("ann")
    await ann.locator("#say").fill("多少钱？")
    await ann.keyboard.press("Enter")
    said(stage, "dan", "is it warm?")
    for user in ("bob", "cid"):
        said(stage, user, "主播，这个多少钱")
    first = lin.locator("[data-question]").first
    await expect(first).to_contain_text("3 ask")
    await expect(first).to_contain_text("多少钱")
    await first.get_by_role("button", name="Answer", exact=True).click()
    await first.get_by_label("Your answer").fill("19.90")
    await first.get_by_role("button", name="Tell 3").click()
    await expect(ann.locator(".toasts")).to_contain_text("19.90")
    await expect(row(ann, "19.90")).to_contain_text("Host")
    await expect(lin.locator("[data-question]")).to_have_count(1)
    await lin.locator("[data-question]").get_by_role("button", name="Dismiss").click()
    await expect(lin.locator("[data-question]")).to_have_count(0)


async def test_panic_and_the_way_back(stage: Stage) -> None:
    """Asked once more, then silence and clean screens; one click and the mode from before is back."""
    ann, lin = await stage.watch("ann"), await stage.run()
    said(stage, "bob", "raid")
    await expect(row(ann, "raid")).to_have_count(1)
    await lin.get_by_role("button", name="Panic").click()
    await lin.get_by_role("button", name="Cancel").click()
    await expect(row(ann, "raid")).to_have_count(1)
    await lin.get_by_role("button", name="Panic").click()
    await lin.get_by_role("button", name="Silence and clear").click()
    await expect(row(ann, "raid")).to_have_count(0)
    await expect(lin.locator(".alerts")).to_contain_text("Only staff can comment")
    await ann.locator("#say").fill("hello?")
    await ann.keyboard.press("Enter")
    await expect(row(ann, "hello?")).to_contain_text("not allowed now")
    await lin.get_by_role("button", name="Let viewers talk again").click()
    await expect(lin.locator(".alerts")).not_to_contain_text("Only staff")
    assert said(stage, "cid", "back again")["verdict"] == "shown"


async def test_who_somebody_is(stage: Stage) -> None:
    """New here, earlier violations, what they said and what stands against them; and all of it can be changed from there."""
    lin = await stage.run()
    said(stage, "bob", "first words")
    said(stage, "bob", "second words", "c2")
    await line(lin, "second words").locator(".name").click()
    card = lin.locator("[data-person=bob]")
    await expect(card).to_contain_text("first words")
    await card.get_by_role("button", name="Mute 1 h").click()
    await expect(card).to_contain_text("muted until")
    await expect(card).to_contain_text("1 violation")
    await card.get_by_role("button", name="Unmute").click()
    await expect(card).not_to_contain_text("muted until")
    await card.get_by_role("button", name="Remove everything").click()
    await card.get_by_role("button", name="Sure?").click()
    await expect(card.locator(".rows")).not_to_contain_text("first words")
    await card.get_by_role("button", name="Make a moderator").click()
    await expect(card).to_contain_text("Moderator")
    await stage.comes("/moderators", lambda said: [one["id"] for one in said["data"]] == ["bob"])


async def test_who_hides_behind_an_alias(stage: Stage) -> None:
    """Where viewers see no ids they talk, answer and know their own words as ever; staff are told who it is."""
    stage.call("PATCH", "/policy", {"users": "aliases"})
    lin, ann, bob = await stage.run(), await stage.watch("ann", name="Ann"), await stage.watch("bob", name="Bob")
    await bob.locator("#say").fill("guess who")
    await bob.keyboard.press("Enter")
    await expect(row(bob, "guess who")).to_have_class(re.compile("mine"))
    heard = row(ann, "guess who")
    await heard.hover()
    await heard.get_by_role("button").click()
    await ann.get_by_role("button", name="Reply").click()
    await ann.locator("#say").fill("Bob?")
    await ann.keyboard.press("Enter")
    await expect(row(bob, "Bob?")).to_have_class(re.compile("called"))
    stage.say("bob", {"t": "gift", "cid": f"g-{stage.room}", "gift": "heart", "n": 2}, name="Bob")
    await line(lin, "guess who").locator(".name").click()
    card = lin.get_by_role("dialog")
    await expect(card.locator("code")).to_have_text("bob")
    await card.get_by_role("button", name="Make a moderator").click()
    await expect(card.locator(".mark.moderator")).to_be_visible()
    await stage.comes("/moderators", lambda said: [one["id"] for one in said["data"]] == ["bob"])
    await lin.keyboard.press("Escape")
    await expect(lin.locator(".givers")).to_contain_text("Bob20 coins")


async def test_the_host_talks_replies_and_pins(stage: Stage) -> None:
    """By keys alone."""
    ann, lin = await stage.watch("ann"), await stage.run()
    said(stage, "bob", "is it new?")
    await expect(line(lin, "is it new?")).to_have_count(1)
    await lin.locator(".comments").focus()
    await lin.keyboard.press("ArrowUp")
    await expect(lin.locator("[aria-live=polite]", has_text="is it new?")).to_have_count(1)
    await lin.keyboard.press("p")
    await expect(ann.locator(".notice")).to_contain_text("bob: is it new?")
    await lin.keyboard.press("r")
    await expect(lin.locator("#say")).to_be_focused()
    await lin.keyboard.type("yes")
    await lin.keyboard.press("Enter")
    await expect(row(ann, "yes").locator(".quote")).to_contain_text("is it new?")
    await lin.locator(".alerts").get_by_role("button", name="Remove").click()
    await expect(ann.locator(".notice")).to_have_count(0)


async def test_the_list_stands_still_while_it_is_read(stage: Stage) -> None:
    """Under the pointer nothing moves, and what came is counted; it goes on when the pointer leaves."""
    lin = await stage.run()
    said(stage, "bob", "before")
    await line(lin, "before").hover()
    await expect(lin.locator(".newer")).to_be_visible()
    said(stage, "cid", "meanwhile")
    await expect(lin.locator(".newer")).to_contain_text("1 newer")
    await expect(line(lin, "meanwhile")).to_have_count(0)
    await lin.locator("h1").hover()
    await expect(line(lin, "meanwhile")).to_have_count(1)
    await expect(lin.locator(".newer")).to_have_count(0)


async def test_filters(stage: Stage) -> None:
    """By what became of them, by whom, by words."""
    lin = await stage.run()
    for n, text in enumerate(("red one", "blue one", "green one")):
        said(stage, f"u{n}", text)
    stage.call("POST", "/comments", {"text": "from the staff"})
    await expect(lin.locator(".line")).to_have_count(4)
    await lin.get_by_label("Search comments").fill("BLUE")
    await expect(lin.locator(".line .text")).to_have_text(["blue one"])
    await lin.get_by_label("Search comments").fill("")
    await lin.get_by_label("Whose comments").select_option("0")
    await expect(lin.locator(".line .text")).to_have_text(["from the staff"])
    await lin.get_by_label("Whose comments").select_option("all")
    await lin.get_by_role("button", name="Shown", exact=True).click()
    await expect(lin.locator(".line")).to_have_count(0)
    await expect(lin.locator(".comments")).to_contain_text("No comment fits the filter")


async def test_moderators_keep_it_civil_and_no_more(stage: Stage) -> None:
    """They have the desk, and neither the broadcast nor the shelf."""
    mo = await stage.run("mo", role="moderator")
    said(stage, "bob", "hm")
    await expect(line(mo, "hm")).to_have_count(1)
    await expect(mo.get_by_role("button", name="Panic")).to_be_visible()
    await expect(mo.get_by_role("button", name="End", exact=True)).to_have_count(0)
    await mo.locator("#side-drops").click()
    await expect(mo.get_by_role("button", name="New drop")).to_have_count(0)


async def test_nobody_else_gets_in(stage: Stage) -> None:
    """Without a token, with a viewer's, and with a bad one: a word on how, and nothing of the room."""
    page = await stage.page()
    await page.goto(f"{stage.node.base}/host/{stage.room}")
    await expect(page.locator(".outside")).to_contain_text("for the staff of the room")
    await page.get_by_role("button", name="Open as a test host").click()
    await expect(page.locator(".console")).to_be_visible()
    eve = await stage.page()
    await eve.goto(f"{stage.node.base}/host/{stage.room}#token=nonsense")
    await expect(eve.locator(".outside")).to_contain_text("expired")
    viewer = await stage.page()
    await viewer.goto(f"{stage.node.base}/host/{stage.room}#token={token('eve', name='Eve')}")
    await expect(viewer.locator(".outside")).to_contain_text("signed in as Eve")
    assert "token" not in viewer.url
