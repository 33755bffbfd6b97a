"""Calls of the ledger's scripts: batched, safe before they are answered, and watched for a store that lost something.

All keys of a shard carry its hash tag. `lua/ledger/prelude.lua` says what every script begins with; the files of the scripts
say which keys they keep. Reads use the same names.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from importlib import resources
from typing import Any, Final, Literal, TypeAlias

from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection

from livecast.adapters.redis.lane import Lane
from livecast.adapters.redis.node import Met, Node, NotFit
from livecast.adapters.redis.server import Argument, Command, RedisServer, Script, pack
from livecast.core.errors import Refusal
from livecast.core.nodes.placement import shard_of
from livecast.ledger import LedgerClosed
from livecast.ports import StoreError

Durability: TypeAlias = Literal["always", "external", "none"]

DEADLINE_S: Final = 0.8
"""Bound of every call from when it was asked, waiting behind others included: an `unavailable` has to come within 1 s."""
WAITAOF_MS: Final = 50
"""A replica asked before it has synced says so and would speak up by itself only once a second: it is asked again. (An idle
Valkey looks at such time-outs every 100 ms. Asked together with the writes, a replica is always too early; asked once their
answers are here, it is nearly always done.)"""
BATCH_MS: Final = 5
"""Calls made within this share a round trip, and an fsync; one that finds nothing under way leaves at once. With 1 ms a gift at
2,000 a second cost the node 1.1 times as much, and on a busy machine its giver was answered no sooner."""

CALLS_MAX: Final = 48
"""Calls per pipeline of what somebody waits for: a debit has some 600 bytes, and a server reads 16 KB of a connection before it
syncs and answers. 256 of them took ten syncs one after the other; over connections side by side they share them."""
IN_FLIGHT_MAX: Final = 8
"""Such pipelines under way, of a process's 16 connections. 24 calls in four let 3,600 gifts a second through instead of 5,500."""


class LedgerScript(Script):
    """A script of `lua/ledger/`: the prelude, the parts that the operation uses, and the operation, as one source."""

    def __init__(self, name: str, *parts: str, prelude: bool = True) -> None:
        super().__init__(f"ledger/{name}.lua", keys=3)
        folder = resources.files("livecast.adapters.redis").joinpath("lua", "ledger")
        before = [folder.joinpath(f"{part}.lua").read_bytes() for part in (*(("prelude",) if prelude else ()), *parts)]
        self.source = b"\n".join([*before, self.source])
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()


class LedgerServer(RedisServer):
    """The ledger's store. With `durability` "always" a connection is used only once its server has shown that it syncs every
    write before it answers; "external" trusts a managed store that hides this; "none" is for development.

    With `replicas` R an exchange is over once WAITAOF, on each connection that wrote, has the word of its server and of R
    replicas that it is on disk. It vouches only for what this connection wrote: an exchange that must be safe has to write.
    """

    def __init__(self, url: str, *, durability: Durability = "always", replicas: int = 0, deadline_s: float = DEADLINE_S) -> None:
        self.durability = durability
        self.replicas = replicas
        self.held = ""
        """Why nothing may reach it yet; empty: nothing speaks against it."""
        super().__init__(url, deadline_s=deadline_s)

    async def exchange(self, commands: Sequence[Command], *, follow: bool = True) -> list[Any]:
        """As any server's. Raises `LedgerClosed` while it is held."""
        if self.held:
            raise LedgerClosed(self.held)
        return await super().exchange(commands, follow=follow)

    @property
    def _vouches(self) -> bool:
        return self.replicas > 0

    async def _make_safe(self, connection: AbstractConnection) -> None:
        """Ask until all that were required have it. The deadline is the caller's."""
        question = pack([("WAITAOF", 1, self.replicas, WAITAOF_MS)])
        local = on_replicas = 0
        try:
            while local < 1 or on_replicas < self.replicas:
                await connection.send_packed_command(question)
                local, on_replicas = await connection.read_response()
        except redis_errors.ResponseError as error:
            # It was made a replica, or told not to write any more, after it took this: whether anybody else has it is not known.
            connection.mark_for_reconnect()  # type: ignore[no-untyped-call]  # it has none
            raise redis_errors.ConnectionError(f"nobody vouches for what was written: {error}") from error

    async def _meet(self, node: Node, connection: AbstractConnection, met: Met) -> None:
        await super()._meet(node, connection, met)
        if self.durability == "always":
            await _look_at_durability(connection)


DURABLE: Final = ((b"appendonly", b"yes"), (b"appendfsync", b"always"), (b"no-appendfsync-on-rewrite", b"no"))
"""What a server has to show. With the last at yes it syncs nothing while it rewrites its file, and acknowledges all the same."""


async def _look_at_durability(connection: AbstractConnection) -> None:
    """Of whichever server this connection has reached: after a fail-over it is another one."""
    await connection.send_packed_command(pack([("CONFIG", "GET", *(name for name, _ in DURABLE))]))
    try:
        answer = await connection.read_response()
    except redis_errors.ResponseError as error:
        raise NotFit(
            f"the ledger's server does not tell whether it keeps what it acknowledges ({error}): "
            'set [ledger] durability = "external" if its operator vouches for that',
            LedgerClosed,
        ) from error
    shown = dict(zip(answer[::2], answer[1::2], strict=True))
    for name, wanted in DURABLE:
        if shown.get(name) != wanted:
            raise NotFit(
                f"the ledger's server runs with {name.decode()} {shown.get(name, b'unknown').decode()}: what it acknowledges "
                f"could be lost, so money is closed. Set {name.decode()} {wanted.decode()} there",
                LedgerClosed,
            )


class LedgerCalls:
    """Runs operations and reads of shards: batched, and as safe as the server was told to make them.

    Calls raise `Unavailable`: in doubt. `LedgerClosed`: not done.
    """

    def __init__(self, server: LedgerServer) -> None:
        self._server = server
        self._seen: defaultdict[int, int] = defaultdict(int)
        self._moved: set[int] = set()
        # Two lanes: a claim batch takes some 10 ms, and givers should not wait for the answers of those before them; nor behind the
        # booking of others' gifts, which together with their own debits is more than the server reads before it syncs.
        at = partial(_place_of, server) if server.address.form == "cluster" else None
        self._lane = Lane(
            self._execute,
            gap_ms=BATCH_MS,
            deadline_s=server.deadline_s,
            eager=True,
            calls_max=CALLS_MAX,
            in_flight_max=IN_FLIGHT_MAX,
            place_of=at,
        )
        self._bulk = Lane(self._execute, gap_ms=BATCH_MS, deadline_s=server.deadline_s, eager=True, place_of=at)
        # What looks after many shards asks for all of them in one turn: together that costs a third of the round trips alone.
        self._pictures = Lane(self._take_pictures, gap_ms=0, deadline_s=server.deadline_s, place_of=at)

    async def operate(self, script: LedgerScript, shard: int, now: int, *arguments: Argument, bulk: bool = False) -> list[Any]:
        """Run an operation; what it answered behind the position. Raises `LedgerClosed` if the shard is closed."""
        tag = f"{{s{shard}}}:"
        head = (f"{tag}barrier", f"{tag}closed", f"{tag}ledger", self._seen[shard], now, tag)
        position, *answer = await (self._bulk if bulk else self._lane).call(script, *head, *arguments)
        self._saw(shard, position)
        if answer[0] == b"CLOSED":
            raise LedgerClosed(behind(int(answer[1]), int(answer[2])))
        return list(answer)

    async def operate_all(
        self, script: LedgerScript, now: int, asked: Sequence[tuple[int, Sequence[Argument]]]
    ) -> list[list[Any] | StoreError]:
        """The same for many: a shard and arguments each. What of one could not be found out is its answer; nothing is raised."""
        calls, answers = list[Sequence[Any]](), list[list[Any] | StoreError]()
        for shard, arguments in asked:
            tag = f"{{s{shard}}}:"
            calls.append((script, f"{tag}barrier", f"{tag}closed", f"{tag}ledger", self._seen[shard], now, tag, *arguments))
        for (shard, _), answer in zip(asked, await self._lane.call_all(calls), strict=True):
            if isinstance(answer, StoreError):
                answers.append(answer)
                continue
            position, *known = answer
            self._saw(shard, position)
            answers.append(LedgerClosed(behind(int(known[1]), int(known[2]))) if known[0] == b"CLOSED" else known)
        return answers

    async def read(self, shard: int, *commands: Command) -> list[Any]:
        """One moment's picture of a shard, of nothing that is not safe."""
        barrier = f"{{s{shard}}}:barrier"
        first = ("INCR", barrier) if self._server.replicas else ("GET", barrier)
        seen = self._seen[shard]  # before it is sent: what is seen meanwhile may come after this picture
        position: bytes | int | None
        found: list[Any]
        position, *found = await self._pictures.call(("MULTI",), first, *commands, ("EXEC",))
        for answer in found:
            if isinstance(answer, Exception):
                raise StoreError(str(answer))
        if int(position or 0) < seen:
            await self.expect(shard, seen)
        return found

    async def _take_pictures(self, blocks: Sequence[Sequence[Any]]) -> list[Any]:
        """Several transactions in one exchange: what the last command of each says, or the first that failed."""
        answers = iter(await self._server.exchange([command for block in blocks for command in block]))
        taken: list[Any] = []
        for block in blocks:
            said = [next(answers) for _ in block]
            taken.append(next((answer for answer in said if isinstance(answer, Exception)), said[-1]))
        return taken

    async def expect(self, shard: int, position: int) -> None:
        """The shard was at `position`: if it is not any more, it is closed now."""
        self._seen[shard] = max(self._seen[shard], position)
        try:
            await self.operate(EXPECT, shard, 0)
        except LedgerClosed:
            return

    async def confirm(self, shard: int, now: int, step: int) -> None:
        """Open a closed shard again."""
        tag = f"{{s{shard}}}:"
        position, _ = await self._lane.call(CONFIRM, f"{tag}barrier", f"{tag}closed", f"{tag}ledger", step, now)
        self._saw(shard, position)

    async def close(self) -> None:
        """Calls under way raise `Unavailable`."""
        await self._lane.close()
        await self._bulk.close()
        await self._pictures.close()

    def moved(self) -> set[int]:
        """Shards that answered an operation since this was last asked: nothing else moves a position, and each does."""
        moved, self._moved = self._moved, set()
        return moved

    def _saw(self, shard: int, position: int) -> None:
        """A store for development may lose what it said."""
        self._moved.add(shard)
        if self._server.durability != "none":
            self._seen[shard] = max(self._seen[shard], position)

    async def _execute(self, calls: Sequence[Command]) -> list[Any]:
        """Run calls (a script, then its keys and arguments) in one round trip, one more for those the server does not know."""
        return await self._server.run_scripts([(call[0], call[1:]) for call in calls])  # type: ignore[misc]  # the first is the script


def _place_of(server: LedgerServer, call: Sequence[Any]) -> str:
    """Where a call belongs: a script with its keys behind it, or a transaction whose first command has the barrier."""
    return server.route(call[1] if isinstance(call[1], str) else call[1][1])


def behind(seen: int, stood: int) -> str:
    """Why a shard is closed."""
    return (
        f"position {seen} was seen, but the ledger stood at {stood}: what is missing may have been acknowledged. Look where it is, "
        "then `livecast ledger confirm`"
    )


def refusal(answer: Sequence[Any]) -> Refusal:
    """The refusal in a script's answer: "REFUSED", code, field, sentence and wait_ms as far as they are there."""
    code, detail, *wait_ms = answer[1:]
    text = detail.decode()
    is_field = text.isidentifier()
    return Refusal(
        code.decode(),
        message="" if is_field else text,
        retry_after_ms=wait_ms[0] or None if wait_ms else None,
        field=text if is_field else None,
    )


def place(user_or_room: str) -> tuple[int, str]:
    """The shard of a user or a room, and its tag."""
    shard = shard_of(user_or_room)
    return shard, f"{{s{shard}}}:"


EXPECT: Final = LedgerScript("expect")
CONFIRM: Final = LedgerScript("confirm", prelude=False)
