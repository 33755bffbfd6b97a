"""The story of a ledger whose replica is frozen while people click, and whose primary is then lost for good."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from chaos.replicas import Pair, pair
from chaos.sale import audited
from support.bookkeeper import Bookkeeper
from support.checker import check
from support.journal import Answer, Journal, fate_of
from support.node import NodeProcess
from support.outside import Outsider

ROOM = "sale"


class Told(NamedTuple):
    """What people were told while the replica was frozen, and what the checker says in the end."""

    frozen: list[Answer | None]
    violations: list[str]


async def fail_over(directory: Path, package: Path | None = None) -> Told:
    """`package`: a directory with another `livecast` in it, to be run instead of ours."""
    env = {"LIVECAST_LEDGER__REPLICAS": "1"} | ({"PYTHONPATH": str(package)} if package else {})
    with pair() as both, NodeProcess("--ledger", both.url, env=env) as node:
        async with Bookkeeper(node.base, ROOM, directory) as keeper:
            drop = await keeper.open_drop(50)
            with Journal(directory / "people.journal") as journal:
                await _click(keeper, journal, drop, "before")
                both.replica.freeze()
                frozen = await _click_in_vain(node, keeper, journal, drop)
                _lose(both, node)
            asked = await keeper.settle()
            return Told(frozen, check(asked, await keeper.books(drop, asked, lambda: audited("--ledger", both.url))))


def _lose(both: Pair, node: NodeProcess) -> None:
    """Only the replica's disk is left, as it was when it froze, and a node that is started anew goes on with it alone."""
    node.kill()
    both.fail_over()
    node._env["LIVECAST_LEDGER__REPLICAS"] = "0"
    node.start()


async def _click(keeper: Bookkeeper, journal: Journal, drop: str, user: str) -> Answer | None:
    """One claim, noted."""
    n = journal.ask("claim", user, "c", {"drop": drop})
    answer = await keeper.ask("claim", user, "c", {"drop": drop})
    journal.told(n, answer)
    return answer


async def _click_in_vain(node: NodeProcess, keeper: Bookkeeper, journal: Journal, drop: str) -> list[Answer | None]:
    """Ten people on sockets; then each again over HTTP, three times."""
    users = [f"u{n}" for n in range(10)]
    answers: list[Answer | None] = []

    async def on_socket(user: str) -> None:
        async with Outsider(node, ROOM, user, codec="json") as person:
            n = journal.ask("claim", user, "c", {"drop": drop})
            answer = await person.ask(t="claim", cid="c", drop=drop)
            journal.told(n, answer)
            answers.append(answer)

    await asyncio.gather(*(on_socket(user) for user in users))
    for _ in range(3):
        answers += await asyncio.gather(*(_click(keeper, journal, drop, user) for user in users))
    assert answers
    return answers


def in_doubt(answers: list[Answer | None]) -> bool:
    """Whether nobody was told anything that may turn out wrong."""
    return all(fate_of(answer) == "unknown" for answer in answers)
