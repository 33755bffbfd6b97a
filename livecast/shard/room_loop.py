"""One room meeting time: inbox → room → flush → commit → publish.

Rules for whoever edits this file:
- Receiving never waits for a commit; at most one commit of a room is under way.
- Nobody hears of anything before its commit is acknowledged: then the replies go first, the frame after them.
- A commit without an answer is repeated until there is one (`journal`). A refused one ends this loop, unless nobody else has
  taken over: then the store lost something, and the room goes on from memory.
- An idle room has no timer and no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from livecast.core.errors import Refusal
from livecast.core.events import Answer, Command, Event, LedgerEvent, Notice, Origin, Reply, Reviewed
from livecast.core.frames import Flush, Frame
from livecast.core.room import Room
from livecast.facts import CommitRefused, Flushed, Trouble, fault_of
from livecast.ports import Commit, Fenced, OutOfOrder, Published, StoreError
from livecast.shard.answers import Answers
from livecast.shard.house import House, scopes_of
from livecast.shard.journal import Journal, until_answered
from livecast.shard.restoring import restored
from livecast.shard.surroundings import Surroundings
from livecast.shard.tick import LATE_SHARE, Stretch
from livecast.wire import records

RECEIVE_MAX: Final = 500
"""Events fed to a room before other work of the process gets its turn: about 5 ms."""
COMMIT_WAIT_MS: Final = 1000
"""With a commit unanswered for longer the inbox is left to fill (and to say `overloaded`): the room would only pile it up."""
GIFTS_WAITING_MAX: Final = 5_000
"""With more gifts to tell than five frames hold the ledger is read on later: there they wait as well."""
MERCHANT: Final = "merchant"
"""The kind of the notice to all nodes that tells whose a room is from now on. It goes to no user."""
CREATING: Final = frozenset({"put_room", "ensure"})
"""Commands that may be the first ones a room ever hears."""


class RoomLoop:
    """Drives one room from its first event to the day its owner lets it go.

    `token` is the fence of its shard; `ended(room, stepped_down)` is called once when the loop has no more use: the room does
    not exist, or another owner holds it. `regain(room, former token)` gives a new token if nobody else has taken the shard.
    """

    __slots__ = (
        "_answers",
        "_around",
        "_due",
        "_ended",
        "_inbox",
        "_journal",
        "_over",
        "_receiving",
        "_regain",
        "_reloading",
        "_renewal_due",
        "_room",
        "_stretch",
        "_task",
        "_timer",
        "last_heard_at",
        "name",
    )

    def __init__(
        self,
        name: str,
        token: str,
        around: Surroundings,
        ended: Callable[[str, bool], None],
        regain: Callable[[str, str], Awaitable[str | None]],
    ) -> None:
        self.name = name
        self.last_heard_at = around.clock()
        self._journal = Journal(name, token, around.log, around.rules)
        self._answers = Answers(around.bus, name)
        self._around = around
        self._ended = ended
        self._regain = regain
        self._room: Room | None = None
        self._inbox: list[Event] = []
        self._receiving = False
        self._over = False
        self._due = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stretch: Stretch | None = None
        self._reloading: set[asyncio.Task[None]] | None = None
        self._renewal_due = False
        self._task: asyncio.Task[None] | None = asyncio.get_running_loop().create_task(self._wake(), name=f"wake {name}")

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def offer(self, events: Sequence[Event]) -> None:
        """Take events in; what the inbox has no room for is answered `overloaded`, never dropped in silence."""
        room_left = self._around.rules.inbox_max - len(self._inbox)
        if len(events) > room_left:
            self._answers.refuse(events[max(room_left, 0) :], Refusal("overloaded", retry_after_ms=self._around.rules.tick_max_ms))
            events = events[: max(room_left, 0)]
        self._inbox.extend(events)
        if not self._receiving and self._room is not None:
            self._receive()

    def _receive(self) -> None:
        self._receiving = False
        room, now = self._room, self._around.clock()
        if room is None or self._over or self._stalled(now):
            return
        self.last_heard_at = now
        inbox, receive = self._inbox, room.receive
        replies: list[tuple[Origin, str | None, Answer]] = []
        batch = inbox[:RECEIVE_MAX]
        del inbox[:RECEIVE_MAX]
        for event in batch:
            try:
                answer = receive(event, now)
            except Exception as e:  # noqa: BLE001 - a fault met by one event must not silence the room for all others
                answer = self._fault("an event was not understood by its room", e)
            if answer is not None:
                replies.append((event.origin, event.cid, answer))  # type: ignore[union-attr] # Presence and EdgeRefused get no answer
        if replies:
            self._answers.send(replies)
        if self._around.reviewer is not None and (asked := room.drain_reviews()):
            about = {"room": self.name, "epoch": room.epoch, "broadcast": room.broadcast, "merchant": room.merchant}
            self._around.reviewer.ask(about, asked, self._reviewed)
        if inbox:
            self._receiving = True
            asyncio.get_running_loop().call_soon(self._receive)
        self._arm(now)
        if self._journal.number == 0 and self._task is None:
            self._vanish()  # the command that would have made the room was refused

    def _reviewed(self, answer: Reviewed) -> None:
        if not self._over:
            self.offer([answer])

    def _stalled(self, now: int) -> bool:
        since = self._journal.unanswered_since
        return since is not None and now - since > COMMIT_WAIT_MS

    # --- The flush clock ----------------------------------------------------------------------------------------------
    def change_catalogue(self, rev: int) -> None:
        """There are other gifts from now on."""
        self._around = replace(self._around, catalogue_rev=rev)
        if self._room is not None:
            now = self._around.clock()
            self._room.change_catalogue(rev, now)
            self._arm(now)

    def _arm(self, now: int) -> None:
        """Flush now, later, or (nothing to say, or a commit under way) not at all."""
        if self._room is None or self._over or self._task is not None:
            return
        due = self._room.next_flush_at()
        if self._timer is not None:
            if due is not None and due == self._due:
                return
            self._timer.cancel()
            self._timer = None
        if due is None:
            return
        self._due = due
        if due <= now:
            self._flush(now)
        else:
            self._timer = asyncio.get_running_loop().call_later((due - now) / 1000, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        # A timer may wake a fraction of a millisecond early; the room is asked about the moment it named.
        self._flush(max(self._around.clock(), self._due))

    def _flush(self, now: int) -> None:
        room = self._room
        if room is None or self._over or self._task is not None:
            return
        late_ms = max(0, now - self._due)
        room.tick_stretch(self._stretched(late_ms, room.policy.tick_ms))
        try:
            flush = room.flush(now)
            commit = self._journal.next(room, flush, _encoded(flush), now) if flush is not None else None
            near, far = self._answers.parted(flush.replies) if flush is not None else ({}, ())
        except Exception as e:  # noqa: BLE001 - the room's memory cannot be trusted any more: it starts again from its log
            self._give_up(self._fault("a room could not flush", e))
            return
        if flush is None or commit is None:
            self._arm(now)
            return
        if far:
            commit = msgspec.structs.replace(commit, replies=far)
        settling = self._settle(room, flush, commit, near, late_ms)
        self._task = asyncio.get_running_loop().create_task(settling, name=f"commit {self.name}")

    def _stretched(self, late_ms: int, tick_ms: int) -> int:
        if self._stretch is None:
            if late_ms <= tick_ms * LATE_SHARE:
                return 0
            self._stretch = Stretch(self._around.rules.tick_max_ms)
        stretched = self._stretch.note(late_ms, tick_ms)
        if not stretched:
            self._stretch = None
        return stretched

    # --- Commit and publish -------------------------------------------------------------------------------------------
    async def _settle(self, room: Room, flush: Flush, commit: Commit, near: dict[str, list[Reply]], late_ms: int) -> None:
        around, frame = self._around, commit.frame
        try:
            took_ms = await self._journal.write(room, commit, around.clock, around.observer)
            self._answers.tell(near)
            if frame is not None:
                around.bus.publish(Published(self.name, commit.epoch, commit.seq, frame=frame))
            self._answers.notify(flush)
            self._say(commit)
            if around.watch is not None and flush.happened:
                around.watch.happened(self.name, flush.happened)
            if "merchant" in flush.private:
                self.reload_rules()
                whose = Notice("", MERCHANT, around.clock(), {"merchant": room.merchant})
                around.bus.notify(self.name, "", whose)
            if around.watch is not None and flush.frame is not None and _ends(flush.frame):
                around.watch.ended(self.name)
            if around.watch is not None and room.ending:
                around.watch.ending(self.name)
            around.observer.observe(Flushed(self.name, late_ms, took_ms, len(frame or b""), _verdicts(flush), len(self._inbox)))
            if flush.renew or self._renewal_due:
                await self._begin_epoch(room)
        except (Fenced, OutOfOrder) as e:
            around.observer.observe(CommitRefused(self.name, "fenced" if isinstance(e, Fenced) else "out_of_order"))
            if not await self._regained(room, flush, e):
                self._step_down(e)
                return
        except Exception as e:  # noqa: BLE001 - as above: nobody was told anything that is not in the log
            self._give_up(self._fault("a commit failed", e))
            return
        finally:
            self._task = None
        self._go_on()

    def _go_on(self) -> None:
        """With what has come meanwhile, now that nothing is under way."""
        if self._inbox and not self._receiving:
            self._receiving = True
            asyncio.get_running_loop().call_soon(self._receive)
        self._arm(self._around.clock())

    def renew(self) -> None:
        """The store is served by another process than before: begin a new epoch, once nothing is under way.

        It may have lost the last of what was committed, and would show it to whoever joins. With the next commit that would be
        noticed by its number; a room in which nothing happens would stay behind what its viewers saw.
        """
        if self._room is None or self._over:
            return  # it begins one anyway when it is loaded
        self._renewal_due = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._renew(self._room), name=f"renew {self.name}")

    async def _renew(self, room: Room) -> None:
        try:
            await self._begin_epoch(room)
        except (Fenced, OutOfOrder) as e:
            if not await self._regained(room, None, e):
                self._step_down(e)
                return
        except Exception as e:  # noqa: BLE001 - as above
            self._give_up(self._fault("a new epoch could not be begun", e))
            return
        finally:
            self._task = None
        self._go_on()

    async def _regained(self, room: Room, flush: Flush | None, why: Exception) -> bool:
        """Whether the room goes on although its log refused a commit: the store lost the end of it, and nobody else has taken over.

        A store that died without having written everything, or lost its disk, comes back with an older log or none. What this
        owner has in memory is then the newest there is: it is written whole, in a new epoch, and what was owed is answered.
        """
        try:
            token = await self._regain(self.name, self._journal.token)
            if token is None:
                return False
            self._journal.token = token
            advice = f"the room goes on from this process's memory in a new epoch; look at the rooms store's disk ({why})"
            self._around.observer.observe(Trouble("the log had lost its end", self.name, advice, "error"))
            await self._begin_epoch(room, owed=flush)
        except StoreError:
            return False
        return True

    async def _begin_epoch(self, room: Room, epoch: str = "", owed: Flush | None = None) -> None:
        """Commit the room as it is under a new epoch, then tell all who follow it to start from there.

        `owed` is a flush that could not be committed by itself: the room's state has it, its answers go out with this.
        """
        around = self._around
        self._renewal_due = False
        commit = self._journal.begin(room, epoch or around.new_epoch(), owed, around.clock())
        await self._journal.write(room, commit, around.clock, around.observer)
        if owed is not None:
            self._answers.send(owed.replies)
            self._answers.notify(owed)
        self._say(commit)
        around.bus.publish(Published(self.name, commit.epoch, commit.seq, snapshot=commit.snapshot))

    def _say(self, commit: Commit) -> None:
        if self._around.watch is not None and commit.summary is not None:
            self._around.watch.say(self.name, commit.summary)

    # --- Coming and going ---------------------------------------------------------------------------------------------
    async def _wake(self) -> None:
        """Load the room, begin a new epoch, and take in what has waited; or find that there is no such room."""
        around = self._around
        try:
            stored = await until_answered(lambda: around.log.load(self.name), "room not loaded", self.name, around.observer)
            if stored is not None:
                room = restored(self.name, stored, around.new_epoch(), around.rules, around.clock())
                await self._begin_epoch(room, room.epoch)
            elif (created := self._create()) is not None:
                room = created
            else:
                self._task = None
                self._vanish()
                return
        except (Fenced, OutOfOrder) as e:
            self._task = None
            self._step_down(e)
            return
        except Exception as e:  # noqa: BLE001 - a record that cannot be read: say so, and try again when somebody asks again
            self._task = None
            self._give_up(self._fault("a room could not be loaded", e))
            return
        if around.reviewer is not None and around.reviewer.covers(self.name):
            room.have_reviewed(around.reviewer.rules.deadline_ms)
        if around.house is not None:
            room.load_rules(*await around.house.rules_for(self.name, room.merchant))
        self._task = None
        self._room = room
        if around.catalogue_rev is not None:
            room.note_catalogue(around.catalogue_rev)
        if around.watch is not None:
            room.sells = True
            around.watch.awake(self.name)
            if room.ending:
                around.watch.ending(self.name)
            if room.state["status"] == "ended":
                around.watch.ended(self.name)
        self._receiving = True
        self._receive()
        self._arm(around.clock())

    def _create(self) -> Room | None:
        """A new room, if that is what the first command asks for; what came before it finds no room."""
        while self._inbox:
            first = self._inbox[0]
            if isinstance(first, Command) and first.name in CREATING:
                return Room.create(self.name, self._around.new_epoch(), self._around.rules, self._around.clock())
            self._answers.refuse([self._inbox.pop(0)], Refusal("unknown_room"))
        return None

    async def drain(self) -> None:
        """Take in what waits, flush it, and commit it with a snapshot: the next owner starts from there."""
        if self._task is not None:
            await asyncio.wait({self._task})
        while self._room is not None and not self._over:
            self._receive()
            now = self._around.clock()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._journal.snapshot_is_due()
            self._due = now
            if self._task is None:
                self._flush(now)
            if self._task is None and not self._inbox:
                break
            if self._task is not None:
                await asyncio.wait({self._task})
        self.close()

    @property
    def scopes(self) -> list[str]:
        """Where it lies, for rules that hold beyond rooms."""
        return scopes_of(self.name, "" if self._room is None else self._room.merchant)

    def reload_rules(self) -> None:
        """What holds beyond the room has changed for it."""
        house, room = self._around.house, self._room
        if house is None or room is None:
            return
        if house.knows_filters(self.name, room.merchant):
            room.load_rules(*house.rules_known(self.name, room.merchant))
        else:
            loading = self._load_rules(room, house)
            task = asyncio.get_running_loop().create_task(loading, name=f"rules {self.name}")
            reloading = self._reloading = self._reloading or set()
            reloading.add(task)
            task.add_done_callback(reloading.discard)

    async def _load_rules(self, room: Room, house: House) -> None:
        room.load_rules(*await house.rules_for(self.name, room.merchant))

    def tidy(self, now: int) -> None:
        """Let go of what a room that went quiet keeps for a busy one."""
        if self._room is not None:
            self._room.tidy(now)

    def close(self) -> None:
        """Stop at once; what is not committed is not promised."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    @property
    def active(self) -> bool:
        """Whether anything of it is under way: a timer, a commit, an inbox."""
        return self._timer is not None or self._task is not None or bool(self._inbox)

    @property
    def heard(self) -> tuple[int, str] | None:
        """Up to which ledger position it has heard of gifts, and its broadcast; None: it is not loaded."""
        return None if self._room is None or self._over else (self._room.ledger_position, self._room.broadcast)

    def feed(self, events: Sequence[LedgerEvent]) -> bool:
        """Take what the ledger says, all of it or (False) nothing: none of it may be refused like a viewer's."""
        if self._room is None or self._over or self._room.gifts_waiting > GIFTS_WAITING_MAX:
            return False
        if len(self._inbox) + len(events) > self._around.rules.inbox_max:
            return False
        self.offer(events)
        return True

    @property
    def watched(self) -> bool:
        """Whether anybody looks at it."""
        return self._room is not None and self._room.watched

    def _fault(self, what: str, error: Exception) -> Refusal:
        """Report a programming fault with where it happened; what its askers are told."""
        self._around.observer.observe(fault_of(what, self.name, error))
        return Refusal("unavailable", retry_after_ms=1000)

    def make_way(self) -> None:
        """The shard was lost, and with it this room: stop at once."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self._end(Refusal("unavailable", retry_after_ms=1000), stepped_down=False)

    def _vanish(self) -> None:
        """There is no such room."""
        self._end(Refusal("unknown_room"), stepped_down=False)

    def _give_up(self, refusal: Refusal) -> None:
        """Forget the room; the next event loads it anew, as a new owner would."""
        self._end(refusal, stepped_down=False)

    def _step_down(self, why: Exception) -> None:
        advice = f"another process owns this room now, or the log moved on without us ({why})"
        self._around.observer.observe(Trouble("stepped down", self.name, advice, "error"))
        self._end(Refusal("unavailable", retry_after_ms=1000), stepped_down=True)

    def _end(self, refusal: Refusal, *, stepped_down: bool) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._inbox = self._inbox, []
        self._answers.refuse(waiting, refusal)
        self._ended(self.name, stepped_down)


def _encoded(flush: Flush) -> bytes | None:
    return records.encode_frame(flush.frame) if flush.frame is not None else None


def _ends(frame: Frame) -> bool:
    """Whether the frame tells the end of the broadcast."""
    return bool(frame.state) and frame.state.get("status") == "ended"  # type: ignore[union-attr] # UNSET is false


def _verdicts(flush: Flush) -> dict[str, int]:
    tally = flush.frame.tally if isinstance(flush.frame, Frame) else None
    if tally is None:
        return {}
    shown = {"shown": tally.shown, "merged": tally.merged, "sampled": tally.sampled, "held": tally.held}
    return {k: v for k, v in (shown | tally.rejected).items() if v}
