"""A flash sale while a store fails over, that of the rooms or the ledger: Sentinels promote a replica, a cluster elects one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from chaos.crowd import Crowd
from chaos.sale import ROOM, sell
from livecast.core.placement import shard_of
from support.checker import Broken
from support.node import NodeProcess
from support.stores import Clustered, Guarded, Server, scratch

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]

Form: TypeAlias = Guarded | Clustered
USERS = min(int(os.environ.get("CHAOS_USERS", "2000")), 2000)
"""Fewer than elsewhere: beside them twelve servers and three Sentinels share two cores."""


class Both:
    """Rooms and ledger in one form, and a node on them."""

    def __init__(self, form: type[Form], directory: Path) -> None:
        self.rooms: Form = form(directory / "rooms", fsync="everysec", replicas=1)
        self.ledger: Form = form(directory / "ledger", fsync="always", replicas=1)

    def start(self) -> None:
        self.rooms.start()
        self.ledger.start()

    def stop(self) -> None:
        self.rooms.stop()
        self.ledger.stop()


def primary_of(form: Form) -> Server | None:
    """Who has the shard of the sale's room."""
    if isinstance(form, Guarded):
        return form.primary
    said = next(each.command("CLUSTER", "KEYSLOT", f"{{s{shard_of(ROOM)}}}") for each in form.servers if each.lives)
    return form.owner(int(said[1:]))


@pytest.fixture(params=[Guarded, Clustered], ids=["sentinels", "cluster"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    """Stores of their own for each test."""
    with scratch() as directory:
        made = Both(request.param, directory)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.mark.parametrize("how", ["kill", "freeze"])
@pytest.mark.parametrize("role", ["rooms", "ledger"])
async def test_a_sale_goes_on(both: Both, role: str, how: str, tmp_path: Path) -> None:
    """The primary of the sale's shard goes in the middle of it, and comes back behind its successor. Nothing that was acknowledged
    is lost, sold twice or changed; whoever waited gets an answer.
    """
    form: Form = getattr(both, role)
    urls = ("--redis", both.rooms.url, "--ledger", both.ledger.url)
    with NodeProcess(*urls, env={"LIVECAST_LEDGER__REPLICAS": "1"}) as node:

        async def fault(_crowd: Crowd) -> None:
            former = await asyncio.to_thread(primary_of, form)
            assert former is not None
            getattr(former, how)()
            async with asyncio.timeout(60):
                while await asyncio.to_thread(primary_of, form) in {former, None}:  # noqa: ASYNC110 - other processes' state
                    await asyncio.sleep(0.05)
            if how == "freeze":
                await asyncio.sleep(1)  # so that it wakes up into a world that has gone on
                former.thaw()
            else:
                former.start()

        name = f"{role}: {how} under {'Sentinels' if isinstance(form, Guarded) else 'a cluster'}"
        outcome = await sell(node, tmp_path, fault, name=name, ledger=both.ledger.url, users=USERS)
        if outcome.violations:
            raise Broken(outcome.violations)
        assert len(outcome.books.claims) == min(500, USERS)
