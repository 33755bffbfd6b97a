"""A flash sale with something going wrong in the middle, from opening the drop to the last line of the books."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from chaos.crowd import Crowd, Felt, felt, moment, report
from livecast.adapters.redis_ledger import RedisLedger
from livecast.adapters.redis_ledger_calls import LedgerServer
from livecast.core.audit import Difference
from livecast.ledger import audit
from livecast.ops import valkey_socket
from support.bookkeeper import Bookkeeper
from support.checker import Books, check
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


async def audited(url: str) -> str:
    """What the service's own auditor says about the ledger there: "" or the first difference."""
    server = LedgerServer(url, durability="external")
    ledger = RedisLedger(server)
    try:
        await audit(ledger)
    except Difference as difference:
        return str(difference)
    finally:
        await ledger.close()
        await server.close()
    return ""


def embedded_ledger(node: NodeProcess) -> str:
    """Where the ledger of a node that stands alone listens."""
    return valkey_socket.url(valkey_socket.socket_path((node.data / "ledger").resolve()))


async def sell(
    node: NodeProcess,
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
    async with Bookkeeper(node.base, ROOM, directory) as keeper:
        drop = await keeper.open_drop(stock)
        async with Crowd(node.base, ROOM, drop, directory, users=users, seed=seed, over_s=over_s) as crowd:
            crowd.go()
            await crowd.until(lambda: crowd.counts["won"] >= stock // 5, "the first winners")
            began = moment()
            await fault(crowd)
            await crowd.finish()
        asked = await keeper.settle()
        books = await keeper.books(drop, asked, lambda: audited(ledger or embedded_ledger(node)))
        outcome = Outcome(felt(asked, began), asked, books, check(asked, books))
        report(name, crowd, outcome.felt)
        return outcome
