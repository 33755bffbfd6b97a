"""What staff have a room do and what they ask it: from the name of a command or question to the part that knows.

Methods raise `InvalidChange` and then have changed nothing. What concerns the room's own object is done by `Control`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from livecast.core import commands as c
from livecast.core.control import Control
from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import NOBODY, Answer, Ask, Command, Done, Json, Origin, Person
from livecast.core.frames import Happened, StaffAct
from livecast.core.parts import Parts
from livecast.core.show import polls, shelf
from livecast.core.staff.desk import answer as answer_of_desk
from livecast.core.staff.sanctions import Sanctions
from livecast.core.text import clean

MODERATORS_MAX: Final = 50
"""Moderators appointed in one room: everybody downloads the list on joining."""
PAGE: Final = 50
PAGE_MAX: Final = 200
FACTS_USERS_MAX: Final = 500
"""Users asked about in one question: as many as claims are decided at once."""
ACT_BYTES_MAX: Final = 2048
"""Arguments kept with a line of the staff's log, as JSON; of larger ones the names of what was given."""
UNLOGGED: Final = frozenset({"ensure", "emit"})
"""Not the deed of a person: rooms that come to be by themselves, and events that a platform's service sends by the thousand."""
NO_SANCTIONS: Final = Sanctions()
NO_MODERATOR: Final = Refusal("not_found", "This user is no moderator of the room.")
ABOVE_MODERATORS: Final = frozenset({"host", "merchant", "service"})
"""Roles that may silence and put out a room's own staff."""


def act_of(command: Command, now: int) -> StaffAct | None:
    """The line that a command leaves in the staff's log; None: none."""
    if command.name in UNLOGGED:
        return None
    args = msgspec.to_builtins(command.args)
    reason = str(args.pop("reason", "") or "")
    if isinstance(command.args, c.ForgetUser):
        args = {}  # that somebody was forgotten is kept, and not who
    if len(msgspec.json.encode(args)) > ACT_BYTES_MAX:
        args = {"given": sorted(args)}
    by = command.by
    if isinstance(command.args, c.NoteAct):
        return StaffAct(now, by.id, by.name, by.role, command.args.action, command.args.args, reason)
    return StaffAct(now, by.id, by.name, by.role, command.name, args, reason)


# --- Commands ---------------------------------------------------------------------------------------------------------
def carry_out(parts: Parts, control: Control, command: Command, epoch: str, now: int) -> tuple[Json, bool]:
    """Do it: (its answer, whether something was made by it)."""
    name, args = command.name, command.args
    if name in polls.DEEDS:
        return polls.carry_out(parts.the_polls(), command, control, now), name == "open_poll"
    if name in shelf.SHELVED:
        done = shelf.carry_out(control, command)
        if name == "delete_product" and parts.shelf is not None:
            parts.shelf.removed(args.id)  # type: ignore[attr-defined] # as its name says
        return done
    if name in TAGGED and command.if_tags is not None:
        shelf.check_tag(_moderator(control, args.user), command.if_tags)  # type: ignore[attr-defined] # all of one moderator
    if name in DEEDS:
        is_new = name == "appoint" and _moderator(control, args.user) is None  # type: ignore[attr-defined] # as above
        return DEEDS[name](parts, control, args, epoch, now), is_new
    if name in {"mute", "ban"}:
        _check_above(parts, control, command, now)
    told = parts.the_desk().carry_out(command, epoch, now)
    if name in {"mute", "ban"}:
        parts.the_backstage().violated(args.user)  # type: ignore[attr-defined] # as its name says
        if name == "ban":
            parts.happened += (Happened("user.banned", f"{told['user']}-{now}", now, told),)
    return told, False


def _check_above(parts: Parts, control: Control, command: Command, now: int) -> None:
    """Moderators keep viewers civil; whom the room has as host or moderator, only those above them silence or put out."""
    user = command.args.user  # type: ignore[attr-defined] # a mute or a ban
    if command.by.role not in ABOVE_MODERATORS and _is_staff(parts, control, user, now):
        raise InvalidChange(Refusal("forbidden", "Moderators neither mute nor ban hosts and moderators of the room."))


def _is_staff(parts: Parts, control: Control, user: str, now: int) -> bool:
    """Whether the room lists this user as host or moderator, or has seen them with a staff token lately."""
    listed = (*control.overlay.get("hosts", ()), *_moderators(control))
    return any(one["id"] == user for one in listed) or (parts.crew is not None and parts.crew.has(user, now))


def _judge_held(parts: Parts, control: Control, args: c.JudgeHeld, epoch: str, now: int) -> Json:
    if parts.chat is None:
        raise InvalidChange(Refusal("not_found", "No such comment is held (any more)."))
    approved = args.action == "approve"
    author = next((held.u.id for held in parts.chat.held if held.id == args.id), None)
    if approved and author is not None and parts.muted(author, now) is not None:
        # Nothing of them is shown any more, and whoever decides may not know of it.
        raise InvalidChange(Refusal("conflict", "Its author is muted or banned: reject it, or take that back first."))
    comment = parts.chat.held.take(args.id)
    if approved:
        parts.chat.late.append(comment)
    else:
        parts.the_backstage().violated(comment.u.id)
    data = {"id": comment.id, "room": control.room, "text": comment.text}
    if args.reason and not approved:
        data["reason"] = args.reason
    parts.the_desk().notify(comment.u.id, "comment.approved" if approved else "comment.rejected", data, epoch, now)
    return {"id": comment.id, "action": args.action, "comment": msgspec.to_builtins(comment), "at": now}


def _settle_report(parts: Parts, _control: Control, args: c.SettleReport, _epoch: str, _now: int) -> Json:
    return parts.the_backstage().reports.settle(args.id)


def _answer_question(parts: Parts, control: Control, args: c.AnswerQuestion, epoch: str, now: int) -> Json:
    question = parts.the_backstage().questions.answered(args.id)
    text = clean(args.text)
    data = {"id": question.id, "room": control.room, "question": question.text}
    if text:
        data["text"] = text
    told = [] if args.quiet else list(question.askers)
    for user in told:
        parts.the_desk().notify(user, "question.answered", data, epoch, now)
    return {**question.tell(), "answer": text, "told": len(told), "answered_at": now}


def _appoint(_parts: Parts, control: Control, args: c.Appoint, _epoch: str, _now: int) -> Json:
    known = [m for m in _moderators(control) if m["id"] != args.user]
    if len(known) >= MODERATORS_MAX:
        raise InvalidChange(Refusal("conflict", f"At most {MODERATORS_MAX} moderators in one room."))
    moderator = {"id": args.user, "name": args.name} if args.name else {"id": args.user}
    control.show("moderators", [*known, moderator])
    return moderator


def _dismiss(parts: Parts, control: Control, args: c.Dismiss, _epoch: str, _now: int) -> Json:
    known = _moderators(control)
    gone = _moderator(control, args.user)
    if gone is None:
        raise InvalidChange(NO_MODERATOR)
    rest = [m for m in known if m is not gone]
    if parts.crew is not None:
        parts.crew.drop(args.user)
    control.show("moderators", rest or None)
    return gone


def _panic(parts: Parts, control: Control, args: c.Panic, _epoch: str, now: int) -> Json:
    control.set_policy(c.SetPolicy({"mode": "staff"}), now)
    shown = parts.the_backstage().transcript.on_screens()
    parts.the_desk().redact_all(shown)
    if parts.chat is not None:
        parts.chat.clean_screen()
        parts.chat.redact(set(shown), set())
    return {"mode": "staff", "redacted": len(shown), "reason": args.reason, "at": now}


def _forget_user(parts: Parts, control: Control, args: c.ForgetUser, epoch: str, now: int) -> Json:
    user = args.user
    known = parts.knows(user)
    if known:
        parts.the_desk().carry_out(_redaction_of(user), epoch, now)
        parts.forget_user(user)
        if any(m["id"] == user for m in _moderators(control)):
            _dismiss(parts, control, c.Dismiss(user), epoch, now)
    return {"user": user, "known": known}


def _redaction_of(user: str) -> Command:
    return Command(Origin("", 0), NOBODY, "redact", c.Redactions(users=(user,)))


def _moderators(control: Control) -> list[Json]:
    return list(control.overlay.get("moderators") or [])


def _moderator(control: Control, user: str) -> Json | None:
    return next((m for m in _moderators(control) if m["id"] == user), None)


TAGGED: Final = frozenset({"appoint", "dismiss"})
"""What is about a thing with a tag of its own (`shelf.tag_of`), beside what is about a product."""
DEEDS: Final[dict[str, Any]] = {
    "judge_held": _judge_held,
    "settle_report": _settle_report,
    "answer_question": _answer_question,
    "appoint": _appoint,
    "dismiss": _dismiss,
    "panic": _panic,
    "note_act": lambda _parts, _control, args, _epoch, now: {"action": args.action, "at": now},
    "forget_user": _forget_user,
}


# --- Questions --------------------------------------------------------------------------------------------------------
def answer(parts: Parts, control: Control, ask: Ask, now: int) -> Answer:
    """What staff, or a user about himself, may know."""
    if (question := QUESTIONS.get(ask.what)) is not None:
        return question(parts, control, ask, now)
    if (listing := LISTS.get(ask.what)) is not None:
        return Done(_page(listing(parts, control, now), ask.args))
    answered = answer_of_desk(ask, NO_SANCTIONS if parts.desk is None else parts.desk.sanctions, now)
    if ask.what == "bans" and isinstance(answered, Done):
        return Done({**answered.value, "merchant": control.merchant})  # nodes ask for what keeps people out
    if ask.what == "me" and isinstance(answered, Done):
        return Done({**answered.value, "votes": [] if parts.polls is None else parts.polls.votes_of(ask.by.id)})
    return answered


def _facts(parts: Parts, _control: Control, ask: Ask, now: int) -> Answer:
    users = ask.args.get("users")
    if not isinstance(users, list | tuple) or len(users) > FACTS_USERS_MAX:
        return Refusal("invalid", f"A list of at most {FACTS_USERS_MAX} users.", field="users")
    return Done({"at": now, "users": parts.facts(map(str, users), now)})


def _comments(parts: Parts, _control: Control, ask: Ask, _now: int) -> Answer:
    return Done({"data": [], "next_cursor": None} if parts.backstage is None else parts.backstage.transcript.page(ask.args))


def _user(parts: Parts, _control: Control, ask: Ask, now: int) -> Answer:
    user = str(ask.args.get("user"))
    sanctions = NO_SANCTIONS if parts.desk is None else parts.desk.sanctions
    against = answer_of_desk(Ask(ask.origin, Person(user, user), "me"), sanctions, now)
    if not isinstance(against, Done):
        return against
    return Done({"user": user, **parts.about(user, now), **against.value})


def _poll(parts: Parts, _control: Control, ask: Ask, _now: int) -> Answer:
    told = None if parts.polls is None else parts.polls.tell(str(ask.args.get("poll")))
    return polls.UNKNOWN_POLL if told is None else Done(told)


def _product(_parts: Parts, control: Control, ask: Ask, _now: int) -> Answer:
    told = shelf.one(control, str(ask.args.get("product")))
    return shelf.NOT_FOUND if told is None else Done(told)


def _held(parts: Parts, _control: Control, now: int) -> list[Json]:
    held = [] if parts.chat is None else [msgspec.to_builtins(comment) for comment in parts.chat.held]
    return [{**comment, "about": parts.about(comment["u"]["id"], now)} for comment in held]


QUESTIONS: Final[dict[str, Callable[[Parts, Control, Ask, int], Answer]]] = {
    "room": lambda _parts, control, _ask, _now: Done(control.tell()),
    "facts": _facts,
    "staff": lambda parts, control, ask, now: Done(_is_staff(parts, control, str(ask.args.get("user")), now)),
    "comments": _comments,
    "poll": _poll,
    "product": _product,
    "moderator": lambda _parts, control, ask, _now: (
        NO_MODERATOR if (found := _moderator(control, str(ask.args.get("user")))) is None else Done(found)
    ),
    "user": _user,
}
LISTS: Final[dict[str, Callable[[Parts, Control, int], list[Json]]]] = {
    "held": _held,
    "reports": lambda parts, _control, _now: [] if parts.backstage is None else parts.backstage.reports.listed(),
    "questions": lambda parts, _control, _now: [] if parts.backstage is None else parts.backstage.questions.listed(),
    "moderators": lambda _parts, control, _now: _moderators(control),
    "polls": lambda parts, _control, _now: [] if parts.polls is None else parts.polls.listed(),
    "products": lambda parts, control, _now: shelf.listed(control, {} if parts.shelf is None else parts.shelf.taps),
}
"""Questions answered with a page of things that have an id."""


def _page(told: list[Json], args: dict[str, Json]) -> Json:
    """`{data, next_cursor}`: those behind the one whose id is `cursor`, at most `limit`."""
    limit = min(max(int(args.get("limit") or PAGE), 1), PAGE_MAX)
    cursor = str(args.get("cursor") or "")
    ids = [one["id"] for one in told]
    start = ids.index(cursor) + 1 if cursor in ids else 0 if not cursor else len(told)
    page = told[start : start + limit]
    return {"data": page, "next_cursor": page[-1]["id"] if start + limit < len(told) else None}
