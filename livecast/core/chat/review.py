"""Comments that somebody outside judges before they are shown: asked about, waited for, let go on in the order they were said in.

Rules for whoever edits this file:
- Nothing here waits: whoever drives the room asks outside, and says what came of it; without an answer in time the room's policy
  decides. Other people's comments never wait.
- What a user says later waits behind what of theirs is being judged, so that nobody's words change their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from livecast.core.chat.screening import Pending
from livecast.core.events import Reviewed
from livecast.core.text import clean, merge_key

WAITING_MAX: Final = 2_000
"""Comments of one room being judged at once: with an answer in 200 ms, 10,000 a second. Beyond it the policy decides at once."""

Action = Literal["allow", "deny", "hold", "edit"]


class ReviewAsked(Struct, frozen=True):
    """One comment to be judged. `ticket` tells it apart in its room; `due_at` (Unix ms) is when the policy decides instead."""

    ticket: int
    cid: str
    user: str
    name: str
    role: str
    level: int
    text: str
    at: int
    due_at: int


class _Waiting(Struct):
    """A comment on its way: `action` once it is judged. `due_at` is None where it only waits behind another one."""

    pending: Pending
    ticket: int
    due_at: int | None
    action: Action | None = None


class Reviews:
    """The comments of one room that are being judged, or wait behind one. `deadline_ms` is how long the answer may take."""

    __slots__ = ("_asked", "_by_ticket", "_by_user", "_tickets", "deadline_ms")

    def __init__(self, deadline_ms: int) -> None:
        self.deadline_ms = deadline_ms
        self._tickets = 0
        self._by_ticket: dict[int, _Waiting] = {}  # in the order of their deadlines
        self._by_user: dict[str, list[_Waiting]] = {}
        self._asked: list[ReviewAsked] = []

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def take(self, pending: Pending, now: int, fallback: Action) -> list[tuple[Pending, Action]]:
        """A comment is to be judged. What may go on at once, and how: nothing, or itself where too many are being judged."""
        self._tickets += 1
        full = len(self._by_ticket) >= WAITING_MAX
        waiting = _Waiting(pending, self._tickets, None if full else now + self.deadline_ms, fallback if full else None)
        self._by_user.setdefault(pending.user, []).append(waiting)
        if full:
            return self._go_on(pending.user)
        self._by_ticket[self._tickets] = waiting
        said, person = pending.said, pending.said.person
        due_at = now + self.deadline_ms
        self._asked.append(
            ReviewAsked(self._tickets, said.cid, person.id, person.name, person.role, person.level, pending.text, now, due_at)
        )
        return []

    def behind(self, pending: Pending) -> bool:
        """Let a comment that needs no judging wait behind what of its author's is being judged; False: nothing is."""
        queue = self._by_user.get(pending.user)
        if not queue:
            return False
        self._tickets += 1
        queue.append(_Waiting(pending, self._tickets, None, "allow"))
        return True

    def judged(self, answer: Reviewed, max_chars: int, fallback: Action) -> list[tuple[Pending, Action]]:
        """An answer: what may go on now, in order, and how. An answer that is too late changes nothing.

        An edit that leaves nothing, or more than may be said, denies. `none` leaves it to the policy (`fallback`).
        """
        waiting = self._by_ticket.pop(answer.ticket, None)
        if waiting is None:
            return []
        action, text = fallback if answer.action == "none" else answer.action, answer.text
        if action == "edit":
            edited = clean(text)
            if edited and len(edited) <= max_chars:
                waiting.pending.text = edited
                waiting.pending.key = waiting.pending.key and merge_key(edited)
            else:
                action = "deny"
        waiting.action = action
        return self._go_on(waiting.pending.user)

    def pass_time(self, now: int, fallback: Action) -> list[tuple[Pending, Action]]:
        """The policy decides what was not answered in time."""
        late: list[_Waiting] = []
        for waiting in self._by_ticket.values():
            if waiting.due_at is None or waiting.due_at > now:
                break
            late.append(waiting)
        for waiting in late:
            del self._by_ticket[waiting.ticket]
            waiting.action = fallback
        users = dict.fromkeys(waiting.pending.user for waiting in late)
        return [one for user in users for one in self._go_on(user)]

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def due_at(self) -> int | None:
        """When the policy decides about the next one."""
        return next((waiting.due_at for waiting in self._by_ticket.values()), None)

    def __len__(self) -> int:
        return len(self._by_ticket)

    def pendings(self) -> Iterable[Pending]:
        """All that wait."""
        return (waiting.pending for queue in self._by_user.values() for waiting in queue)

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain_asked(self) -> list[ReviewAsked]:
        """What is to be asked outside since the last call."""
        asked, self._asked = self._asked, []
        return asked

    # --- Private ------------------------------------------------------------------------------------------------------
    def _go_on(self, user: str) -> list[tuple[Pending, Action]]:
        queue = self._by_user[user]
        ready = 0
        while ready < len(queue) and queue[ready].action is not None:
            ready += 1
        gone, self._by_user[user] = queue[:ready], queue[ready:]
        if not self._by_user[user]:
            del self._by_user[user]
        return [(waiting.pending, waiting.action) for waiting in gone if waiting.action is not None]
