"""Which shards this process owns, where several share the rooms' store: who is there, who gives, who takes.

Rules for whoever edits this file:
- What holds is the token in a shard's fence, and nothing else. All that is decided here may be wrong for a while: two nodes may
  think that a shard is theirs, and only one of them is heard.
- A token is put in place of the very one that was judged: of nobody, of a node that is dead, of one that gave the shard up or has
  forgotten it. Whoever slept in between finds another token there, and takes nothing.
- The sign of life waits for nothing but the store. What takes time (flushing rooms, taking shards) is another task's.
- Whoever could not show a sign for so long that others must think it dead thinks so as well, until it has asked.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Final, Protocol

from msgspec import Meta, Struct
from msgspec.structs import replace

from livecast import __version__
from livecast.core.events import Notice
from livecast.core.nodes.formats import FORMAT, versions
from livecast.core.nodes.membership import FREE, UNCLAIMED_BEATS, Beat, Membership, bits_of, holder_of, token_of
from livecast.core.nodes.placement import SHARDS, deal
from livecast.facts import Observer, ShardsHeld, ShardsMoved, Trouble, VersionsSeen, fault_of
from livecast.ports import Bus, Clock, Roster, StoreError
from livecast.shard.shards import Shards

GIVE_MAX: Final = 16
"""Shards given in one go: the rooms of all of them fall silent until the last is flushed, some ten milliseconds."""
TAKE_MAX: Final = 64
"""Shards taken in one go: so many rooms may be loaded by their viewers at once."""
RETRY_S: Final = 0.1
"""Before what could not be done is tried again, if no sign of life comes first."""
START_SLACK_S: Final = 2.0
"""How much longer than it takes to know a dead node a start waits for its shards: a node is ready when its rooms are."""
CHANGED_HANDS: Final = "shards"
"""The kind of the notice between nodes that tells which shards have a new owner, and which are free. It goes to no user."""


class NodeRules(Struct, frozen=True, forbid_unknown_fields=True):
    """What this process is called among others on the same stores, and when one is taken for dead."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,40}$")] = ""
    """A name for logs; each start adds some letters of its own, so that nobody is taken for its predecessor. Empty: only these."""
    heartbeat_ms: Annotated[int, Meta(ge=50, le=10_000)] = 500
    """How often it shows a sign of life and looks at those of others: one round trip to the rooms' store."""
    dead_after_ms: Annotated[int, Meta(ge=200, le=60_000)] = 3_000
    """A node whose sign stays unchanged for so long has lost its shards to the others; at least four heartbeats. Shorter, and a
    pause of the machine moves rooms about; longer, and viewers of a dead node's rooms wait longer."""


class Tenant(Protocol):
    """What runs for each shard, where it is owned. Calls neither block nor raise."""

    def own(self, shards: Collection[int]) -> None:
        """These are ours from now on."""

    def disown(self, shards: Collection[int]) -> None:
        """These are not ours any more: begin nothing new for them."""


class Ownership:
    """One node's part in dealing the shards. `start` begins, `leave` gives everything up in order.

    `on_gone`: told of each other node that died or left; it neither blocks nor raises.
    """

    def __init__(
        self,
        *,
        me: str,
        shards: Shards,
        roster: Roster,
        bus: Bus,
        clock: Clock,
        observer: Observer,
        rules: NodeRules | None = None,
        tenants: Iterable[Tenant] = (),
        on_gone: Callable[[], None] = lambda: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._me = me
        self._shards = shards
        self._roster = roster
        self._bus = bus
        self._clock = clock
        self._observer = observer
        self._rules = rules or NodeRules()
        self._tenants = tuple(tenants)
        self._on_gone = on_gone
        self._monotonic_s = monotonic_s
        self._dead_after_s = self._rules.dead_after_ms / 1000
        self._members = Membership(me, self._dead_after_s)
        self._beat = Beat(0, version=__version__, format=FORMAT)
        self._trusted_until_s = float("-inf")
        self._leaving = False
        self._to_verify: set[int] = set()
        """Shards of ours that may be somebody else's."""
        self._seen: dict[int, tuple[str, int | None]] = {}
        """Of shards that we want and somebody else holds: the token, and its holder's sign when we saw it first."""
        self._hinted = False
        """Somebody said to have let go of shards."""
        self._giving = False
        self._told: ShardsHeld | None = None
        self._versions: dict[str, int] = {}
        self._present: list[str] = []
        self._ours: frozenset[int] = frozenset()
        self._move = asyncio.Event()
        self._poked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # --- Begin and end ------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Be there, and own what is ours. Waits until all of it is owned or has a living owner, but not for ever.

        Raises `StoreError` if the store does not answer.
        """
        self._shards.on_lost = self._lost
        self._shards.trusted = self._is_trusted
        await self._bus.attach(f"shards-{self._me}", _no_replies, self._on_notice)
        await self._shards.start(())
        await self._look()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._show_signs(), name="signs of life"),
            loop.create_task(self._keep_moving(), name="deal shards"),
        ]
        end_s = self._monotonic_s() + self._dead_after_s + START_SLACK_S
        while not self._settled(proven=True) and self._monotonic_s() < end_s:  # noqa: ASYNC110 - others bring it about as well
            await asyncio.sleep(RETRY_S / 2)

    async def leave(self) -> None:
        """Give everything up, and be gone. Others take it at once."""
        self._leaving = True
        with suppress(StoreError):
            await self._look()  # says so
        self._move.set()
        while self._shards.tokens or self._giving:  # noqa: ASYNC110 - many steps bring it about, and it happens once
            await asyncio.sleep(RETRY_S / 10)
        await self.stop()
        last = replace(self._beat, count=self._beat.count + 1, owns=b"", leaving=True)  # behind any that was still on its way
        with suppress(StoreError):
            await self._roster.beat(self._me, last)
            await self._roster.forget(self._me, last)

    async def stop(self) -> None:
        """No more signs. What is still owned is taken by others once they see that."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._shards.drain()

    # --- Signs of life ------------------------------------------------------------------------------------------------
    async def _show_signs(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rules.heartbeat_ms / 1000):
                    await self._poked.wait()
            self._poked.clear()
            try:
                await self._look()
            except StoreError as fault:
                advice = f"nobody takes or gives shards until the rooms' store answers; rooms wait for it as well ({fault})"
                self._observer.observe(Trouble("no sign of life could be shown", self._me, advice))
            except Exception as fault:  # noqa: BLE001 - without signs of life this node would lose all that it owns
                self._observer.observe(fault_of("showing signs of life failed", self._me, fault))

    async def _look(self) -> None:
        """Show a sign and see the others'. Raises `StoreError`."""
        began_s = self._monotonic_s()
        owned = self._shards.tokens
        asleep = bool(owned) and began_s >= self._trusted_until_s
        self._beat = Beat(self._beat.count + 1, bits_of(owned), self._leaving, __version__, FORMAT)
        beats = await self._roster.beat(self._me, self._beat)
        for name in self._members.look(beats, self._monotonic_s()):
            self._gone(name)
        if asleep:  # others may have taken everything: what is still ours, the fences say
            self._to_verify.update(owned)
        else:
            self._trusted_until_s = began_s + self._dead_after_s
        self._to_verify |= self._members.claimed(owned.keys())
        self._tell()
        if self._hinted or self._to_verify or not self._settled() or owned.keys() - self._wanted():
            self._hinted = False
            self._move.set()
        for name, beat in self._members.garbage(beats, self._monotonic_s()).items():
            await self._roster.forget(name, beat)

    def _is_trusted(self) -> bool:
        return self._monotonic_s() < self._trusted_until_s

    def _gone(self, name: str) -> None:
        self._shards.forget_node(name)
        died = self._members.count(name) is not None
        if died:
            self._on_gone()
            advice = "its shards go to those that are left; its viewers come back to them"
            self._observer.observe(Trouble("a node is gone", name, advice, "info"))

    def _tell(self) -> None:
        owned = set(self._shards.tokens)
        ownerless = SHARDS - len(owned) - len(self._members.claimed(set(range(SHARDS)) - owned))
        told = ShardsHeld(len(owned), len(self._members.present(myself=not self._leaving)), ownerless)
        if told != self._told:
            self._told = told
            self._observer.observe(told)
        there = versions([self._beat, *self._members.living()])
        if there != self._versions:
            if len(there) > 1 or len(self._versions) > 1:
                said = ", ".join(f"{count} of {version}" for version, count in there.items())
                advice = "as while they are upgraded" if len(there) > 1 else "the upgrade is through"
                self._observer.observe(Trouble("versions of the nodes on these stores", said, advice, "info"))
            self._versions = there
            self._observer.observe(VersionsSeen(there))

    # --- What is whose ------------------------------------------------------------------------------------------------
    def _wanted(self) -> frozenset[int]:
        """The shards that are dealt to us."""
        present = self._members.present(myself=not self._leaving)
        if present != self._present:
            self._present = present
            self._ours = frozenset(shard for shard, node in deal(present).items() if node == self._me)
        return self._ours

    def _settled(self, *, proven: bool = False) -> bool:
        """Whether what is ours is owned, by us or for now by somebody who lives (`proven`: and was seen to)."""
        missing = self._wanted() - self._shards.tokens.keys()
        return missing <= self._members.claimed(missing, proven=proven)

    async def _keep_moving(self) -> None:
        while True:
            await self._move.wait()
            self._move.clear()
            try:
                await self._verify()
                await self._give()
                await self._take()
            except StoreError:
                await asyncio.sleep(RETRY_S)  # whoever shows signs of life says that the store does not answer
            except Exception as fault:  # noqa: BLE001 - a fault of ours in one step must not leave the shards lying for good
                self._observer.observe(fault_of("dealing shards failed", self._me, fault))
                await asyncio.sleep(RETRY_S)

    async def _verify(self) -> None:
        """After a sleep, or when somebody else says to own what we own: what the fences say holds."""
        doubted = {shard: token for shard, token in self._shards.tokens.items() if shard in self._to_verify}
        began_s = self._monotonic_s()
        found = await self._roster.tokens(doubted)
        self._to_verify -= found.keys()
        self._to_verify &= self._shards.tokens.keys()
        lost = [shard for shard, token in found.items() if token != self._shards.tokens.get(shard) == doubted[shard]]
        for shard in lost:
            self._shards.lose(shard)
        if lost:
            advice = "no sign of life came through for too long: look at what held this process, or its way to the store, up"
            self._observer.observe(Trouble(f"others have taken {len(lost)} shards", self._me, advice))
        if not self._to_verify:
            self._trusted_until_s = max(self._trusted_until_s, began_s + self._rules.heartbeat_ms / 1000)

    async def _give(self) -> None:
        """Let go, in order, of what is dealt to others."""
        total = 0
        while surplus := sorted(self._shards.tokens.keys() - self._wanted()):
            began = self._clock()
            some = surplus[:GIVE_MAX]
            self._giving = True
            try:
                given = await self._shards.give(some)
                self._disown(given)
                await self._until_released(given)
            finally:
                self._giving = False
            self._notify(free=list(given))
            self._observer.observe(ShardsMoved("given", len(given), self._clock() - began))
            total += len(given)
        if total:
            self._observer.observe(Trouble(f"gave {total} shards up in order", self._me, "others own them from here on", "info"))

    async def _until_released(self, given: Mapping[int, str]) -> None:
        while True:
            with suppress(StoreError):
                await self._roster.swap({shard: (token, FREE) for shard, token in given.items()})
                return  # where another token stands somebody else has it already
            await asyncio.sleep(RETRY_S)

    async def _take(self) -> None:
        """Take what is ours and nobody's, or of somebody who is dead or has forgotten it."""
        missing = self._wanted() - self._shards.tokens.keys()
        for shard in self._seen.keys() - missing:
            del self._seen[shard]
        if not missing:
            return
        began = self._clock()
        tokens = await self._roster.tokens(missing)
        total = 0
        over = {shard for shard, token in tokens.items() if holder_of(token) not in {"", self._me}}
        ripe = [shard for shard, token in tokens.items() if self._may_take(shard, token)]
        for some in (ripe[n : n + TAKE_MAX] for n in range(0, len(ripe), TAKE_MAX)):
            new = {shard: token_of(self._me, secrets.token_hex(16)) for shard in some}
            taken = await self._roster.swap({shard: (tokens[shard], token) for shard, token in new.items()})
            await self._begin({shard: token for shard, token in new.items() if shard in taken})
            total += len(taken - over)
            for how, count in (("taken", len(taken - over)), ("taken_over", len(taken & over))):
                if count:
                    self._observer.observe(ShardsMoved(how, count, self._clock() - began))
        if total:
            self._observer.observe(
                Trouble(f"took {total} free shards", self._me, "they were nobody's, or given up in order", "info")
            )
        if silent := {holder_of(tokens[shard]) for shard in ripe if shard in over}:
            advice = "their owner had fallen silent: look at why; their viewers are welcomed to a new epoch"
            self._observer.observe(Trouble(f"took {len(over & set(ripe))} shards over", ", ".join(sorted(silent)), advice))

    def _may_take(self, shard: int, token: str) -> bool:
        holder = holder_of(token)
        if holder in {"", self._me} or self._members.is_dead(holder):
            return True
        self._members.suspect(holder, self._monotonic_s())
        count, claimed = self._members.count(holder), self._members.claims(holder, shard)
        known = self._seen.get(shard)
        if claimed or known is None or known[0] != token or known[1] is None:
            self._seen[shard] = (token, count)
            return False
        return count is not None and count >= known[1] + UNCLAIMED_BEATS

    async def _begin(self, tokens: Mapping[int, str]) -> None:
        """Own what was taken: first whoever works for a shard, then its rooms, then everybody hears of it."""
        if not tokens:
            return
        for tenant in self._tenants:
            tenant.own(tokens.keys())
        failed = await self._shards.own(tokens)
        self._disown(failed)
        self._notify(taken=[shard for shard in tokens if shard not in failed])
        self._poked.set()  # say so

    def _disown(self, shards: Collection[int]) -> None:
        for tenant in self._tenants if shards else ():
            tenant.disown(shards)

    def _lost(self, shard: int) -> None:
        self._disown([shard])
        self._observer.observe(ShardsMoved("lost", 1))
        self._move.set()

    # --- Between nodes ------------------------------------------------------------------------------------------------
    def _notify(self, taken: Sequence[int] = (), free: Sequence[int] = ()) -> None:
        data = {"from": self._me, "taken": list(taken), "free": list(free), "leaving": self._leaving}
        self._bus.notify("", "", Notice("", CHANGED_HANDS, self._clock(), data))

    def _on_notice(self, _room: str, _user: str, notice: Notice) -> None:
        """Another node let go of shards: perhaps some of them are ours."""
        if notice.kind == CHANGED_HANDS and notice.data["from"] != self._me and notice.data["free"]:
            if notice.data["leaving"]:
                self._members.leaves(notice.data["from"])
            self._move.set()
            self._hinted = True  # ... or will be, once we see why they were let go of
            self._poked.set()


def _no_replies(_replies: object) -> None:
    """Nobody is asked anything from here."""
