"""The people in front of the staff: what is known of one of them, and what they all ask."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from livecast.core.commands import AnswerQuestion
from livecast.edge.api.backstage import Page
from livecast.edge.api.messages import sentences_on
from livecast.edge.http.calls import Call, Outcome, Route, change, listed, question, whole
from livecast.edge.rooms.named import user_named


class Known(Struct, omit_defaults=True):
    """What the room knows of a user: as beside held comments, and what stands against them, from beyond the room too.

    Times are Unix ms; an end of null: until it is taken back.
    """

    user: str
    new: bool
    watched_s: int
    violations: int
    gifted: bool
    muted: bool
    muted_until: int | None
    banned: bool
    banned_until: int | None
    orders: int = 0
    bought: list[str] = []


class Question(Struct, omit_defaults=True):
    """What `n` viewers ask, as it was asked first. `comment`: the last one on the screens that asks it."""

    id: str
    text: str
    n: int
    at: int
    last_at: int
    comment: str = ""


class QuestionPage(Struct):
    """A page of open questions, what most people ask first."""

    data: list[Question]
    next_cursor: str | None


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """What everybody who asked is told; without words, that it was answered. `quiet`: off the list, and nobody is told."""

    text: Annotated[str, Meta(max_length=500)] = ""
    quiet: bool = False


class Answered(Question):
    """A question that is off the list, the words that went to those who asked, and to how many."""

    answer: str = ""
    told: int = 0
    answered_at: int = 0


async def get_user(call: Call) -> Outcome:
    """Somebody of whom nothing is known is new."""
    user = await user_named(call, call.path("user"))
    known: dict[str, Any] = await question(call, "user", user=user)
    return Outcome(await sentences_on(call, user, known))


async def get_questions(call: Call) -> Outcome:
    """What most people ask first."""
    return await listed(call, "questions")


async def post_answer(call: Call) -> Outcome:
    """The question, and how many were told."""
    body: Answer = call.body
    return whole(await change(call, "answer_question", AnswerQuestion(body.text, body.quiet, call.path("question"))))


_ROOM: Final = "/v1/rooms/{room}"
_SCOPES: Final = ("chat:moderate",)
ROUTES: Final = (
    Route("GET", f"{_ROOM}/users/{{user}}", get_user, _SCOPES, "What the room knows of a user.", answer=Known),
    Route("GET", f"{_ROOM}/questions", get_questions, _SCOPES, "List what viewers ask, merged, by the number of askers.",
          query=Page, answer=QuestionPage),
    Route("POST", f"{_ROOM}/questions/{{question}}/answer", post_answer, _SCOPES,
          "A question is answered: everybody who asked it is told.", body=Answer, answer=Answered),
)  # fmt: skip
