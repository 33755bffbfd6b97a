"""Polls: one vote for each user, counted at once, told with the frame.

Who voted for what is remembered for a week after a poll's end, so that a repeat of a vote hears what the first one heard, and
is part of every commit: a new owner counts from there. The figures are never stored; they follow from the votes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from livecast.core import commands as c
from livecast.core.control import Control
from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Command, Json, Voted
from livecast.core.text import clean
from livecast.core.tools.kept import Kept
from livecast.core.tools.numerals import base36

STAYS_MS: Final = 600_000
"""An ended poll is on show for so long: what came of it is talked about. As long as an ended drop."""
REMEMBERED_MS: Final = 7 * 24 * 3_600_000
"""Votes are known so long after the end: a client that was offline for days still hears that its vote counted."""
OPEN_MAX: Final = 10
"""Polls open at once: each costs every viewer a few lines on joining, and nobody answers ten questions."""
POLLS_MAX: Final = 200
"""Polls remembered with their votes; beyond it the one that ended first is forgotten."""
VOTERS_MAX: Final = 200_000
"""Votes remembered, all polls together; beyond it ended polls are forgotten, the oldest first, and then votes are refused. As
many as there are watchers whose time is kept."""

UNKNOWN_POLL: Final = Refusal("unknown_poll")
CLOSED: Final = Refusal("conflict", "This poll is closed.", field="poll")
NO_SUCH_CHOICE: Final = Refusal("invalid", "The poll has no such choice.", field="choice")
CONFLICT: Final = Refusal("conflict")
ALREADY_VOTED: Final = Refusal("already_voted")
FULL: Final = Refusal("overloaded", retry_after_ms=60_000)


class Poll(Struct):
    """One question. `votes`: user -> (choice, digest of the vote's cid). `ended_at` (Unix ms): None while it is open."""

    id: str
    question: str
    choices: tuple[str, ...]
    results: str
    at: int
    closes_at: int | None
    votes: dict[str, tuple[int, int]]
    counts: list[int]
    ended_at: int | None = None
    broadcast: str = ""

    def view(self, *, staff: bool = False) -> dict[str, Json]:
        """As viewers see it; staff see the figures whatever `results` says."""
        told = staff or self.results == "live" or self.ended_at is not None
        counts = self.counts if told else [0] * len(self.choices)
        view: dict[str, Json] = {
            "id": self.id,
            "question": self.question,
            "choices": [{"text": text, "votes": n} for text, n in zip(self.choices, counts, strict=True)],
            "state": "open" if self.ended_at is None else "closed",
            "results": self.results,
        }
        return view if self.closes_at is None else {**view, "closes_at": self.closes_at}

    def tell(self) -> dict[str, Json]:
        """As the control plane sees it."""
        return {
            **self.view(staff=True),
            "voters": len(self.votes),
            "at": self.at,
            "ended_at": self.ended_at,
            "broadcast": self.broadcast,
        }


class Polls:
    """The polls of one room. Feed it with `open`, `close`, `vote` and `pass_time`; what changed goes into `control` by `show`."""

    __slots__ = ("_changed", "_kept", "_kept_votes", "_polls", "_voters")

    def __init__(self) -> None:
        self._polls: dict[str, Poll] = {}  # in order of their making
        self._voters = 0
        self._changed = False
        self._kept = Kept()
        self._kept_votes: dict[str, Kept] = {}

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def open(self, args: c.OpenPoll, control: Control, now: int) -> Json:
        """Ask a question from now on."""
        question = clean(args.question)
        choices = tuple(clean(choice if isinstance(choice, str) else choice.text) for choice in args.choices)
        if not question:
            raise InvalidChange(Refusal("invalid", "Nothing is left of this text.", field="question"))
        if not all(choices) or len(set(choices)) < len(choices):
            raise InvalidChange(Refusal("invalid", "Choices are texts, each another one.", field="choices"))
        if args.closes_at is not None and args.duration_s is not None:
            raise InvalidChange(Refusal("invalid", "Either `closes_at` or `duration_s`.", field="duration_s"))
        closes_at = args.closes_at if args.duration_s is None else now + args.duration_s * 1000
        if closes_at is not None and closes_at <= now:
            raise InvalidChange(Refusal("invalid", "That is over already.", field="closes_at"))
        if control.status not in {"live", "paused"}:
            raise InvalidChange(Refusal("room_not_live"))
        if sum(poll.ended_at is None for poll in self._polls.values()) >= OPEN_MAX:
            raise InvalidChange(Refusal("conflict", f"{OPEN_MAX} polls are open already: close one first."))
        number = now
        while (poll_id := f"p{base36(number)}") in self._polls:
            number += 1  # two within a millisecond
        poll = Poll(poll_id, question, choices, args.results, now, closes_at, {}, [0] * len(choices), broadcast=control.broadcast)
        self._polls[poll_id] = poll
        self._keep(poll)
        self._make_room()
        return poll.tell()

    def close(self, poll_id: str, now: int) -> Json:
        """No more votes. Closing what is closed changes nothing."""
        poll = self._polls.get(poll_id)
        if poll is None:
            raise InvalidChange(UNKNOWN_POLL)
        if poll.ended_at is None:
            poll.ended_at = now
            self._keep(poll)
        return poll.tell()

    def close_all(self, now: int) -> None:
        """The broadcast is over."""
        for poll in self._polls.values():
            if poll.ended_at is None:
                self.close(poll.id, now)

    def vote(self, voted: Voted) -> Refusal | None:  # noqa: PLR0911 - a chain of checks, each with its own refusal
        """Count a vote, once; None: it counts (or did already)."""
        poll, user = self._polls.get(voted.poll), voted.person.id
        if poll is None:
            return UNKNOWN_POLL
        before = poll.votes.get(user)
        if before is not None:
            choice, digest = before
            if choice == voted.choice:
                return None
            return CONFLICT if digest == voted.digest else ALREADY_VOTED
        if any(voted.digest == vote[1] for other in self._polls.values() if (vote := other.votes.get(user)) is not None):
            return CONFLICT
        if poll.ended_at is not None:
            return CLOSED
        if not 0 <= voted.choice < len(poll.choices):
            return NO_SUCH_CHOICE
        if self._voters >= VOTERS_MAX:
            self._forget_ended()
            if self._voters >= VOTERS_MAX:
                return FULL
        poll.votes[user] = (voted.choice, voted.digest)
        poll.counts[voted.choice] += 1
        self._voters += 1
        self._kept_votes.setdefault(poll.id, Kept()).put(user, [voted.choice, voted.digest])
        self._changed |= poll.results == "live"
        return None

    def pass_time(self, control: Control, now: int) -> None:
        """Close what is to be closed, take off what has been on show for long enough, forget what nobody asks for any more."""
        for poll in list(self._polls.values()):
            if poll.ended_at is None:
                if poll.closes_at is not None and poll.closes_at <= now:
                    self.close(poll.id, poll.closes_at)
            elif poll.ended_at + REMEMBERED_MS <= now:
                self._forget(poll.id)
            elif poll.ended_at + STAYS_MS <= now and poll.id in control.overlay.get("polls", {}):
                self._changed = True
        self.show(control, now)

    def forget_user(self, user: str) -> None:
        """Nothing links this user to what they voted for any more; the figures stay."""
        for poll in self._polls.values():
            if poll.votes.pop(user, None) is not None:
                self._voters -= 1
                self._kept_votes[poll.id].drop(user)
                self._keep(poll)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def due_at(self, now_shown: dict[str, Json]) -> int | None:
        """When the next one closes or leaves the screens; `now_shown` is what the state says of them."""
        times = [poll.closes_at for poll in self._polls.values() if poll.ended_at is None and poll.closes_at is not None]
        times += [p.ended_at + STAYS_MS for p in self._polls.values() if p.ended_at is not None and p.id in now_shown]
        return min(times, default=None)

    def tell(self, poll_id: str) -> Json:
        """One poll for staff, or None."""
        poll = self._polls.get(poll_id)
        return None if poll is None else poll.tell()

    def listed(self) -> list[Json]:
        """All that are remembered, the newest first."""
        return [poll.tell() for poll in reversed(self._polls.values())]

    def votes_of(self, user: str) -> list[Json]:
        """What a user has voted for."""
        return [{"poll": poll.id, "choice": vote[0]} for poll in self._polls.values() if (vote := poll.votes.get(user)) is not None]

    def __len__(self) -> int:
        return len(self._polls)

    # --- Drain --------------------------------------------------------------------------------------------------------
    def show(self, control: Control, now: int) -> None:
        """Put what changed into the state."""
        if not self._changed:
            return
        self._changed = False
        on_show = [p for p in self._polls.values() if p.ended_at is None or p.ended_at + STAYS_MS > now]
        control.show("polls", {poll.id: poll.view() for poll in on_show})

    def drain_private(self) -> dict[str, Json]:
        """The patch for the next commit."""
        patch: dict[str, Json] = {}
        if polls := self._kept.drain():
            patch["polls"] = polls
        votes: dict[str, Json] = {}
        for poll_id, kept in list(self._kept_votes.items()):
            if poll_id not in self._polls:
                votes[poll_id] = None
                del self._kept_votes[poll_id]
            elif change := kept.drain():
                votes[poll_id] = change
        return {**patch, "votes": votes} if votes else patch

    def private(self) -> dict[str, Json]:
        """What the next owner needs, as of the last commit."""
        votes = {poll_id: dict(kept.told) for poll_id, kept in self._kept_votes.items() if kept.told}
        return ({"polls": dict(self._kept.told)} if self._kept.told else {}) | ({"votes": votes} if votes else {})

    def restore(self, polls: dict[str, Json], votes: dict[str, Json]) -> None:
        """Go on where a former owner stopped."""
        self._kept = Kept(polls)
        for poll_id, (question, choices, results, at, closes_at, ended_at, broadcast, forgotten) in polls.items():
            cast = {user: (choice, digest) for user, (choice, digest) in votes.get(poll_id, {}).items()}
            counts = list(forgotten)
            for choice, _ in cast.values():
                counts[choice] += 1
            self._polls[poll_id] = Poll(
                poll_id, question, tuple(choices), results, at, closes_at, cast, counts, ended_at, broadcast
            )
            self._kept_votes[poll_id] = Kept(votes.get(poll_id, {}))
            self._voters += len(cast)
        self._polls = dict(sorted(self._polls.items(), key=lambda item: item[1].at))

    # --- Private ------------------------------------------------------------------------------------------------------
    def _keep(self, poll: Poll) -> None:
        """Store the poll. Votes whose users were erased are stored as mere numbers, as nothing else knows of them."""
        known = [0] * len(poll.choices)
        for choice, _ in poll.votes.values():
            known[choice] += 1
        forgotten = [n - k for n, k in zip(poll.counts, known, strict=True)]
        kept = [poll.question, list(poll.choices), poll.results, poll.at, poll.closes_at, poll.ended_at, poll.broadcast, forgotten]
        self._kept.put(poll.id, kept)
        self._changed = True

    def _make_room(self) -> None:
        while len(self._polls) > POLLS_MAX and self._forget_ended():
            pass

    def _forget_ended(self) -> bool:
        """Forget the poll that ended first; False if none has."""
        ended = [(poll.ended_at, poll.id) for poll in self._polls.values() if poll.ended_at is not None]
        if ended:
            self._forget(min(ended)[1])
        return bool(ended)

    def _forget(self, poll_id: str) -> None:
        self._voters -= len(self._polls.pop(poll_id).votes)
        self._kept.drop(poll_id)
        self._changed = True


def carry_out(polls: Polls, command: Command, control: Control, now: int) -> Json:
    """Do what staff ask for."""
    return DEEDS[command.name](polls, command.args, control, now)


DEEDS: Final[dict[str, Callable[[Polls, Any, Control, int], Json]]] = {
    "open_poll": lambda polls, args, control, now: polls.open(args, control, now),
    "close_poll": lambda polls, args, _control, now: polls.close(args.poll, now),
}
