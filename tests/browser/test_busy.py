"""A page in a room as busy as it gets: 40 comments, 200 taps and 5 gifts a second.

The short run is part of every test run, on machines with other things to do: it finds what is lost, and what is wrong by far. The
long one (`make chaos`) holds the page against its figures, and wants a machine of its own; `make chaos ARGS="-k busy"`.
"""

from __future__ import annotations

import sys

import pytest
from playwright.async_api import CDPSession, expect

from support.browsing import WITHIN_MS, Stage, until
from support.bustle import bustle

pytestmark = pytest.mark.asyncio(loop_scope="session")  # one browser for all files
expect.set_options(timeout=WITHIN_MS)

#: Every comment that was ever in the list, tasks of the main thread that were too long, and pictures drawn.
NOTE = """
window.noted = {lines: new Set(), long: [], pictures: 0};
new PerformanceObserver(tasks => noted.long.push(...tasks.getEntries().map(task => task.duration))).observe({type: 'longtask'});
const picture = () => { noted.pictures += 1; requestAnimationFrame(picture); };
requestAnimationFrame(picture);
addEventListener('DOMContentLoaded', () => new MutationObserver(changes => {
  for (const {addedNodes} of changes) for (const row of addedNodes) if (row.dataset?.id) noted.lines.add(row.dataset.id);
}).observe(document.body, {childList: true, subtree: true}));
"""


async def heap(cdp: CDPSession) -> tuple[float, int]:
    """What the page holds after a collection: MiB of objects, nodes of its documents."""
    await cdp.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in (await cdp.send("Performance.getMetrics"))["metrics"]}
    return metrics["JSHeapUsedSize"] / 2**20, int(metrics["Nodes"])


@pytest.mark.parametrize("for_s", [4, pytest.param(60, marks=[pytest.mark.chaos, pytest.mark.timeout(300)])])
async def test_the_page_keeps_up(stage: Stage, for_s: int) -> None:
    """No comment is missing in the list, taps and gifts are all counted, memory stays flat, and the main thread is free."""
    stage.call("PATCH", "/policy", {"chat_budget_per_s": 200})
    drop = stage.call("POST", "/drops", {"title": "Half price", "kind": "coupon", "stock": 500})
    stage.call("POST", f"/drops/{drop['id']}/open")
    page = await stage.page(moves=True)
    await page.add_init_script(NOTE)
    await page.goto(f"{stage.node.base}/r/{stage.room}")
    await page.locator(".status.live").wait_for()
    cdp = await page.context.new_cdp_session(page)
    await cdp.send("Performance.enable")
    async with bustle(stage.node.base, stage.room) as people:
        await people.go(2)  # what is made once is made
        await page.evaluate("Object.assign(noted, {long: [], pictures: 0})")
        (before, nodes_before), began = await heap(cdp), await page.evaluate("performance.now()")
        await people.go(for_s)
        took_s = (await page.evaluate("performance.now()") - began) / 1000
        pictures, long = await page.evaluate("[noted.pictures, noted.long]")
        await page.wait_for_timeout(2500)  # hearts go, and most banners
        after, nodes_after = await heap(cdp)
        shown = set(people.shown)
    await until(page, f"noted.lines.size >= {len(shown)}")
    missing = shown - set(await page.evaluate("[...noted.lines]"))
    per_s = pictures / took_s
    sys.stdout.write(
        f"{len(shown)} comments in {for_s + 2} s, {len(missing)} missing; {per_s:.0f} pictures/s; "
        f"longest tasks {sorted(map(round, long))[-5:]} ms; "
        f"heap {before:.1f} -> {after:.1f} MiB, nodes {nodes_before} -> {nodes_after}\n"
    )
    assert len(shown) > 30 * for_s
    assert not missing
    assert await page.locator(".row").count() <= 150
    assert after < before + 4
    assert nodes_after < nodes_before + 1500
    if for_s < 60:
        return  # a figure about time says nothing on a machine with other things to do
    assert max(long, default=0) <= 100
    assert per_s > 55
