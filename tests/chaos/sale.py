"""A flash sale with something going wrong in the middle, from opening the drop to the last line of the books."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from chaos.crowd import Crowd, Felt, felt, moment, report
from support.bookkeeper import Bookkeeper
from support.checker import Books, check
from support.hooks import Receiver
from support.journal import Asked
from support.node import NodeProcess

ROOM = "sale"
USERS, STOCK = int(os.environ.get("CHAOS_USERS", "5000")), 500
"""Fewer people on a small machine: `make chaos` with CHAOS_USERS=1000."""


class Outcome(NamedTuple):
    """How a sale went: how the fault was felt, what was asked, what the books say, and what is wrong with that."""

    felt: Felt
    asked: Sequence[Asked]
    books: Books
    violations: list[str]


async def audited(*where: str) -> str:
    """What `livecast audit` says about the ledger there (`--data-dir D` or `--ledger URL`): "" if the books agree."""
    command = str(Path(sys.executable).with_name("livecast"))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(command, "audit", *where, stdout=pipe, stderr=pipe)
    said, complaint = await process.communicate()
    return "" if process.returncode == 0 else f"exit {process.returncode}: {(said + complaint).decode()}"


async def delivered(merchant: Receiver, wanted: int) -> list[dict[str, Any]]:
    """Claims of all events that came, each event once; waits a while until so many are there."""

    def heard() -> list[dict[str, Any]]:
        events = {payload["id"]: payload for payload in merchant.payloads}
        return [claim for event in events.values() for claim in event["data"]["claims"]]

    with suppress(AssertionError):  # who is missing is for the checker to say
        await merchant.until(lambda: len(heard()) >= wanted, "all claims", within_s=60)
    return heard()


async def sell(
    nodes: NodeProcess | Sequence[NodeProcess],
    directory: Path,
    fault: Callable[[Crowd], Awaitable[None]],
    *,
    name: str,
    ledger: str = "",
    users: int = USERS,
    stock: int = STOCK,
    over_s: float = 8.0,
    seed: int = 1,
) -> Outcome:
    """Open, let a fifth be sold, let `fault` happen, wait until everybody is answered, ask all again, read all books."""
    nodes = [nodes] if isinstance(nodes, NodeProcess) else nodes
    bases = [node.base for node in nodes]
    async with Bookkeeper(bases, ROOM, directory) as keeper, Receiver(lambda _n: 200) as merchant:
        await keeper.call("POST", "/v1/webhooks", {"url": merchant.url, "events": ["claim.granted"]})
        drop = await keeper.open_drop(stock)
        async with Crowd(bases, ROOM, drop, directory, users=users, seed=seed, over_s=over_s) as crowd:
            crowd.go()
            await crowd.until(lambda: crowd.counts["won"] >= stock // 5, "the first winners")
            began = moment()
            await fault(crowd)
            await crowd.finish()
        asked = await keeper.settle()
        where = ("--ledger", ledger) if ledger else ("--data-dir", str(nodes[0].data))
        books = await keeper.books(drop, asked, lambda: audited(*where))
        books.delivered = await delivered(merchant, len(books.claims))
        outcome = Outcome(felt(asked, began), asked, books, check(asked, books))
        report(name, crowd, outcome.felt)
        return outcome
