"""Polls: ask, close, read."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from livecast.core.commands import ClosePoll, OpenPoll
from livecast.edge.http import cursors
from livecast.edge.http.calls import Call, Outcome, Route, change, listed, question, whole


class Choice(Struct):
    """A choice, and who voted for it."""

    text: str
    votes: int


class Poll(Struct, omit_defaults=True):
    """A poll as staff see it: with its figures, whatever viewers are told of them. Times in Unix ms."""

    id: str
    question: str
    choices: list[Choice]
    state: Literal["open", "closed"]
    results: Literal["live", "after_close"]
    voters: int
    at: int
    broadcast: str
    closes_at: int | None = None
    ended_at: int | None = None


class PollPage(Struct):
    """A page of polls, the newest first; those of the last week."""

    data: list[Poll]
    next_cursor: str | None


class ListPolls(Struct, frozen=True):
    """Which page. The cursor is opaque: hand back what `next_cursor` said."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


async def post_poll(call: Call) -> Outcome:
    """201 with the poll."""
    return whole(await change(call, "open_poll", call.body))


async def close_poll(call: Call) -> Outcome:
    """The poll with its result."""
    return whole(await change(call, "close_poll", ClosePoll(call.path("poll"))))


async def get_polls(call: Call) -> Outcome:
    """The newest first."""
    return await listed(call, "polls")


async def get_poll(call: Call) -> Outcome:
    """One, with its figures."""
    return Outcome(await question(call, "poll", poll=call.path("poll")))


_POLLS: Final = "/v1/rooms/{room}/polls"
ROUTES: Final = (
    Route("POST", _POLLS, post_poll, ("rooms:write",), "Ask the viewers a question.", body=OpenPoll, answer=Poll, statuses=(201,)),
    Route("GET", _POLLS, get_polls, ("rooms:read",), "List the polls of the last week, with their figures.",
          query=ListPolls, answer=PollPage),
    Route("GET", f"{_POLLS}/{{poll}}", get_poll, ("rooms:read",), "Read a poll with its figures.", answer=Poll),
    Route("POST", f"{_POLLS}/{{poll}}/close", close_poll, ("rooms:write",), "Take no more votes, and tell the result.",
          answer=Poll),
)  # fmt: skip
