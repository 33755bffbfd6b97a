"""A cluster: which node has which slot, and commands sent to the nodes of their keys.

Commands for one node go over one connection, so that WAITAOF vouches for what that connection wrote; nodes are asked side by
side, and one that does not answer spoils nothing but what was meant for it. redis-py's own cluster client does neither (it takes
a connection per command, and none is to be had when its pool is empty), and it repeats what failed by itself, which money must
not be. From redis-py are the connections, pools, errors and the arithmetic of slots.

The map of slots is asked of several nodes at once, and what most of them say is believed: one that was cut off from the others
still tells the old story. It is asked anew whenever a node sends us on or fails us, and every few seconds, because a subscriber
hears of nothing.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from redis import exceptions as redis_errors
from redis.crc import key_slot

from livecast.adapters.redis.address import Address, Place
from livecast.adapters.redis.node import Argument, Command, Habits, Node, blocking_pool
from livecast.ports import StoreError, Unavailable

ASK_S: Final = 0.3
"""How long a node may take to say who has which slot."""
ASKED_MAX: Final = 7
"""Nodes asked at once: more would not make the answer better."""
AGAIN_S: Final = 0.1
"""Pause between two questions while nodes fail. A fail-over takes some seconds, and is noticed a tenth later."""
WATCH_S: Final = 2.0
REDIRECTS_MAX: Final = 3
"""Times one command is sent on. Once does it, unless a slot moves twice in a moment."""
TAGS_MAX: Final = 4096
"""Hash tags whose slot is remembered: 256 shards and a few more. Keys of idempotency have none, and come and go."""

Slots: TypeAlias = tuple[tuple[int, int, Place], ...]
"""First slot, last slot, and where its primary is; sorted."""


class ClusterWay:
    """Every key is at the primary of its slot. `moved` are called when any slot is somewhere else than before."""

    def __init__(self, address: Address, habits: Habits) -> None:
        self.moved: list[Callable[[], None]] = []
        self._address = address
        self._habits = habits
        self._nodes: dict[str, Node] = {}
        self._slots: Slots = ()
        self._firsts: list[int] = []
        self._corrected: dict[int, str] = {}
        """Slots that a node said are somewhere else than the map has them, until there is a new map."""
        self._slot_of: dict[str, int] = {}
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")
        self._fault: StoreError = Unavailable("no node of the cluster answers")
        """Why there was no answer the last time."""
        self._watcher: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    # --- Who has what -------------------------------------------------------------------------------------------------
    def route(self, key: str) -> str:
        """The name of the node that has a key; "" while that is not known."""
        slot = self._slot(key)
        if slot in self._corrected:
            return self._corrected[slot]
        n = bisect_right(self._firsts, slot) - 1
        if n < 0 or slot > self._slots[n][1]:
            return ""
        return _name(self._slots[n][2])

    def node(self, name: str) -> Node:
        """A node by its name."""
        found = self._nodes.get(name)
        if found is None:
            host, _, port = name.rpartition(":")
            where = {"host": host, "port": int(port)}
            pool = blocking_pool(self._address, self._habits.connections_max, **where)
            found = self._nodes[name] = Node(name, pool, self._habits, blocking_pool(self._address, 1, **where))
        return found

    async def primaries(self) -> list[Node]:
        """All nodes that have slots. Raises `Unavailable`."""
        await self._know()
        return [self.node(name) for name in dict.fromkeys(_name(place) for _, _, place in self._slots)]

    def watch(self) -> None:
        """Begin to ask whether slots are still where they were, once."""
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._watch())

    def distrust(self) -> None:
        """Something speaks against the map: ask soon."""
        if not self._closed and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())

    # --- Commands -----------------------------------------------------------------------------------------------------
    async def exchange(self, commands: Sequence[Command], *, safe: bool = True, follow: bool = True) -> list[Any]:
        """Answers to all commands, in their order; those of a node that fails have `Unavailable` for an answer, each.

        Raises it if all were for that node. `follow` false: what a node sends on is not sent on, but `Unavailable`.
        """
        if not self._slots or self._closed:
            await self._know()
        answers: list[Any] = [None] * len(commands)
        wanted = _parted(commands, self.route) or {_name(self._slots[0][2]): list(range(len(commands)))}
        for again in range(REDIRECTS_MAX):
            await self._ask_nodes(commands, wanted, answers, safe=safe)
            if not any(isinstance(answer, redis_errors.MovedError) for answer in answers):
                return answers
            if not follow or again == REDIRECTS_MAX - 1:
                break
            self._correct(answers)
            wanted = _parted(commands, self.route, only=answers)
        self.distrust()
        return [Unavailable("the slot has moved") if isinstance(each, redis_errors.MovedError) else each for each in answers]

    async def close(self) -> None:
        """Let all connections go. Calls under way raise `Unavailable`."""
        self._closed = True
        for task in (self._watcher, self._asking):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*self._leaving, *(node.close() for node in self._nodes.values()), return_exceptions=True)

    # --- Private ------------------------------------------------------------------------------------------------------
    def _slot(self, key: str) -> int:
        end = key.find("}")
        if end < 0 or key[0] != "{":
            return key_slot(key.encode())
        tag = key[1:end]
        slot = self._slot_of.get(tag)
        if slot is None:
            if len(self._slot_of) >= TAGS_MAX:
                self._slot_of.clear()
            slot = self._slot_of[tag] = key_slot(key.encode())
        return slot

    async def _ask_nodes(
        self, commands: Sequence[Command], wanted: dict[str, list[int]], answers: list[Any], *, safe: bool
    ) -> None:
        """Put the answers where they belong."""
        if len(wanted) == 1:
            ((name, which),) = wanted.items()
            found = await self._ask_node(name, [commands[n] for n in which], safe=safe)
            for n, answer in zip(which, found, strict=True):
                answers[n] = answer
            return
        asked = [self._ask_node(name, [commands[n] for n in which], safe=safe) for name, which in wanted.items()]
        for which, outcome in zip(wanted.values(), await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, StoreError):
                raise outcome
            for k, n in enumerate(which):
                answers[n] = type(outcome)(*outcome.args) if isinstance(outcome, StoreError) else outcome[k]

    async def _ask_node(self, name: str, commands: Sequence[Command], *, safe: bool) -> list[Any]:
        if not name:
            self.distrust()
            raise Unavailable("no node of the cluster has these slots now")
        try:
            answers = await self.node(name).exchange(commands, safe=safe)
        except (Unavailable, asyncio.CancelledError):  # gone, or frozen and given up: somebody else may have its slots by now
            self.distrust()
            raise
        if any(isinstance(answer, Unavailable) for answer in answers):
            self.distrust()
        return answers

    def _correct(self, answers: Sequence[Any]) -> None:
        """Believe a node that says where a slot is, until there is a new map."""
        for answer in answers:
            if isinstance(answer, redis_errors.MovedError) and answer.host:
                self._corrected[answer.slot_id] = _name((answer.host, answer.port))
        self.distrust()
        self._tell_moved()

    async def _know(self) -> None:
        """Wait for the first map."""
        if self._closed:
            raise Unavailable("the connection to the store is closed")
        if not self._slots:
            self.distrust()
            if self._asking is not None:
                await asyncio.shield(self._asking)
            if not self._slots:
                raise type(self._fault)(*self._fault.args)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            self.distrust()

    async def _ask_all(self) -> None:
        """Ask nodes for the map, and take what most of them say."""
        wait_s = self._asked_at + AGAIN_S - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._asked_at = asyncio.get_running_loop().time()
        known = [_name(place) for _, _, place in self._slots]
        seeds = [_name(place) for place in self._address.places]
        names = list(dict.fromkeys([*known, *seeds]))[:ASKED_MAX]
        asked = [asyncio.create_task(self._ask_for_map(name)) for name in names]
        votes: Counter[Slots] = Counter()
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    votes[await answer] += 1
                except StoreError as error:
                    self._fault = error
                if votes and 2 * votes.most_common(1)[0][1] > len(asked):
                    break
        finally:
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if votes:
            self._take(votes.most_common(1)[0][0])

    async def _ask_for_map(self, name: str) -> Slots:
        try:
            async with asyncio.timeout(ASK_S):
                answer = await self.node(name).ask("CLUSTER", "SLOTS")
        except TimeoutError:
            raise Unavailable(f"{name} does not answer") from None
        if not answer:
            raise Unavailable(f"{name} knows of no slots")
        asked_host = name.rpartition(":")[0]
        return tuple(sorted((first, last, (_text(node[0]) or asked_host, int(node[1]))) for first, last, node, *_ in answer))

    def _take(self, slots: Slots) -> None:
        self._corrected.clear()
        if slots == self._slots:
            return
        self._slots, self._firsts = slots, [first for first, _, _ in slots]
        self._tell_moved()
        wanted = {_name(place) for _, _, place in slots} | {_name(place) for place in self._address.places}
        for name in [name for name in self._nodes if name not in wanted]:  # replicas, former primaries, and what is gone for good
            task = asyncio.get_running_loop().create_task(self._nodes.pop(name).let_go())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def _tell_moved(self) -> None:
        for tell in self.moved:
            tell()


def _parted(commands: Sequence[Command], route: Callable[[str], str], only: Sequence[Any] | None = None) -> dict[str, list[int]]:
    """Which commands (by number) go to which node. What lies between MULTI and EXEC stays together; SCRIPT LOAD goes to all.

    Nothing, if none of them has a key: anybody will do. `only`: a block of which an answer there is a `MovedError` is wanted
    again, and nothing else is.
    """
    parts: dict[str, list[int]] = {}
    for_all: list[int] = []
    for block in _blocks(commands):
        if only is not None and not any(isinstance(only[n], redis_errors.MovedError) for n in block):
            continue
        key = next((key for n in block if (key := key_of(commands[n])) is not None), None)
        if key is None:
            for_all += block
        else:
            parts.setdefault(route(key), []).extend(block)
    return {name: [*for_all, *which] for name, which in parts.items()} if for_all else parts


def _blocks(commands: Sequence[Command]) -> Iterator[range]:
    first = 0
    inside = False
    for n, command in enumerate(commands):
        if command[0] == "MULTI":
            first, inside = n, True
        elif command[0] == "EXEC" and inside:
            inside = False
            yield range(first, n + 1)
        elif not inside:
            yield range(n, n + 1)


_KEYLESS: Final = frozenset({"MULTI", "EXEC", "SCRIPT", "CONFIG", "DBSIZE", "INFO", "PING", "TIME"})


def key_of(command: Command) -> str | None:
    """The key (or sharded channel) that decides where a command goes, of those that livecast uses; None: it has none."""
    name = command[0]
    if name in _KEYLESS:
        return None
    if name == "EVALSHA":
        return _text(command[3])
    return _text(command[1]) if len(command) > 1 else None


def _text(word: Argument | None) -> str:
    return word.decode() if isinstance(word, bytes) else str(word or "")


def _name(place: Place) -> str:
    return f"{place[0]}:{place[1]}"
