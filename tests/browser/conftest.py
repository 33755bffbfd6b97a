"""What the browser tests of a process share: one Chromium of the system, one node with rooms of each test's own.

No page may break its own policy, throw, or log an error: `Stage` writes down what does, and every test ends by looking at it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from livecast.web import build
from support.browsing import Cable, Stage
from support.node import NodeProcess

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
#: A page in a container: no sandbox of its own, no GPU, and no shared memory to speak of; no process for a page that may come.
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-features=SpareRendererForSitePerProcess"]


def _missing(why: str) -> None:
    if os.environ.get("LIVECAST_WEB") == "require":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def pages() -> None:
    """Chromium is here, and the pages are built."""
    if CHROMIUM is None:
        _missing("no Chromium here (Debian: apt install chromium fonts-noto-cjk)")
    try:
        build.prepare(dev=True)
    except build.Unavailable as why:
        _missing(str(why))


@pytest.fixture(scope="session")
def node(pages: None) -> Iterator[NodeProcess]:  # noqa: ARG001 - must be there first
    """A node for all of them: its rooms are the tests' own, its people are not."""
    with NodeProcess() as process:
        yield process


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(pages: None) -> AsyncIterator[Browser]:  # noqa: ARG001 - must be there first
    """A Chromium for all of them; each page has a context of its own, with nothing of any other's."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(node: NodeProcess, browser: Browser) -> AsyncIterator[Stage]:
    """A live room of the test's own."""
    one = Stage(node, browser)
    yield one
    for context in browser.contexts:
        await context.close()
    assert one.faults == []


@pytest_asyncio.fixture(loop_scope="session")
async def cable(node: NodeProcess) -> AsyncIterator[Cable]:
    """A way to the node that can be cut."""
    one = Cable(node)
    await one.plug()
    yield one
    await one.cut()
