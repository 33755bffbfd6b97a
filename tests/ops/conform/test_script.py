"""The scripted room: our client walks through it without a fault, and each kind of carelessness is noticed where it shows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from livecast.client.session import Session
from livecast.ops.conform import script
from livecast.ops.conform.example import Example
from livecast.ops.conform.grade import grade_of
from livecast.ops.conform.stage import Stage

QUICK = (script.arrive, script.follow)


class Hasty(random.Random):
    """Draws the shortest of all pauses."""

    def random(self) -> float:
        """Always."""
        return 0.01


async def walk(make: Callable[[str], Example], *steps: script.Step, patience_s: float = 10.0) -> tuple[Stage, bool]:
    """Lead a client through these steps: the stage, and whether they were walked to the end."""
    stage = Stage("", patience_s=patience_s)
    runner = web.AppRunner(stage.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stage.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = asyncio.create_task(make(stage.url).run())
    try:
        return stage, await script.walk(stage, steps or script.STEPS)
    finally:
        client.cancel()
        await asyncio.wait({client})
        await runner.cleanup()


def ours(url: str, codec: str = "msgpack") -> Example:
    """Our client, as it is."""
    return Example(url, "t", codec=codec, rng=Hasty())


async def test_our_client_does_all_of_it() -> None:
    """Every step, in JSON."""
    stage, whole = await walk(lambda url: ours(url, "json"))
    assert [(check.step, check.what, check.why) for check in stage.checks if not check.right] == []
    assert grade_of(stage.checks, whole=whole) == "A"
    assert {check.step for check in stage.checks} == {step.__name__.replace("_", " ") for step in script.STEPS}


async def test_and_in_messagepack() -> None:
    """The shorter half of it."""
    stage, whole = await walk(ours, *script.STEPS[:8])
    assert grade_of(stage.checks, whole=whole) == "A"


def altered(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], Example]:
    """Our client, but what it shows is changed."""

    class Altered(Example):
        def shows(self, step: str) -> dict[str, Any]:
            shown = super().shows(step)
            change(shown)
            return shown

    return lambda url: Altered(url, "t", rng=Hasty())


@pytest.mark.parametrize(
    ("step", "change", "says"),
    [
        (script.merge, lambda shown: [said.update(n=1) for said in shown["comments"]], "is said by 1, should be 21"),
        (script.redact, lambda shown: shown["comments"].append({"id": "c8", "text": "buy"}), "'c8' should not be there"),
        (script.follow, lambda shown: shown["comments"].append(shown["comments"][0]), "'c1' is there 2 times"),
        (script.follow, lambda shown: shown["comments"].reverse(), "in the order"),
        (script.follow, lambda shown: shown.update(likes=107), "likes: shows 107, should show 110"),
        (script.patch, lambda shown: shown["custom"].update(stale=True), "custom: shows"),
        (script.patch, lambda shown: shown.update(notice="Two for one"), "notice: shows"),
        (script.combos, lambda shown: shown["gifts"].append({"combo": "g1", "n": 6, "done": True}), "gifts: shows"),
    ],
)
async def test_what_is_shown_wrong_is_seen(step: script.Step, change: Callable[[dict[str, Any]], Any], says: str) -> None:
    """And named, with what should be there."""
    stage, _ = await walk(altered(change), script.arrive, step)
    assert says in " ".join(check.why for check in stage.checks if not check.right)


async def test_a_client_that_forgets_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """It resumes nowhere."""
    monkeypatch.setattr(Session, "since", None)
    stage, _ = await walk(ours, script.arrive, script.snapshot)
    assert next(check.why for check in stage.checks if not check.right).startswith("since=None, should be EPOCH001:")


async def test_a_client_that_pays_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks again under another cid."""

    class Spender(Example):
        async def _do(self, data: dict[str, Any]) -> None:
            if data["do"] == "gift":
                for _ in range(2):
                    await self.client.gift(data["gift"], data["n"])
            else:
                await super()._do(data)

    monkeypatch.setattr("livecast.client.session.ASK_AGAIN", frozenset())
    stage, _ = await walk(lambda url: Spender(url, "t", rng=Hasty()), script.arrive, script.in_doubt)
    assert "it asks again under the same cid" in [check.what for check in stage.checks if not check.right]


async def test_a_client_that_leaves() -> None:
    """The walk breaks off and says where."""

    class Silent(Example):
        def take(self, event: Any) -> None:
            """Do nothing at all."""

    stage, whole = await walk(lambda url: Silent(url, "t", rng=Hasty()), *QUICK, patience_s=0.3)
    assert not whole
    assert grade_of(stage.checks, whole=whole) == "F"
    assert stage.checks[-1].why == "the client did not report what it shows within 0.3 s"
