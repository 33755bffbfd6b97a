"""What a room says at one moment: each of its parts is asked what it has to tell, and all of that is one frame.

Asking drains them: what is told once is not told again, and counts as told from then on (`Control.told`).
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET

from livecast.core.chat.comments import NOTHING, Replies
from livecast.core.control import Control
from livecast.core.events import Json
from livecast.core.frames import Custom, Frame, Likes, Redact, Viewers
from livecast.core.parts import Parts
from livecast.core.show.trade import Told

NO_GIFTS: Final = Told()


def compose(  # noqa: PLR0917 - what is said, where it will stand, and when
    parts: Parts, control: Control, epoch: str, seq: int, replies: Replies, now: int, *, known: bool, before: tuple[int, int] | None
) -> Frame | None:
    """The frame `epoch`:`seq` at `now` (Unix ms), or None if there is nothing to say. Answers that are due with it join `replies`.

    `known`: somebody outside may know of this room; to others its state is not told as a change, but with the first snapshot.
    `before`: a new broadcast has begun, and of what waits only the first so many comments and likes belong to the one before it;
    the rest, and all gifts, are told in its own epoch. None: all of it is told.
    """
    chat, desk = parts.chat, parts.desk
    first_comments, first_likes = (None, None) if before is None else before
    told = _drain_trade(parts, control, gifts_wait=before is not None)
    decided = NOTHING if chat is None else chat.decide(now, epoch, seq, replies, first_comments)
    liked = _drain_likes(parts, control, first_likes)
    changed = control.drain_state()
    state = changed if known else {}
    viewers, activity = _drain_viewers(parts, control, now)
    events: tuple[Custom, ...] = ()
    redact: Redact | None = None
    if desk is not None:
        events, desk.events = tuple(desk.events), []
        redact = desk.drain_redact()
    comments = decided.comments
    if chat is not None and chat.late:
        comments = (*chat.drain_late(now), *comments)
    if told.paid:
        paid = parts.the_chat(epoch, now).show_paid(told.paid, epoch, now, only_staff=control.policy.mode == "staff")
        comments = tuple(sorted((*comments, *paid), key=lambda comment: comment.at))
    said = comments or decided.merges or liked or told.combos or state or viewers or activity or events or redact
    tally = None if chat is None else chat.drain_tally(now, alone=not said)
    if not said and tally is None:
        return None
    return Frame(
        epoch=epoch,
        seq=seq,
        ts=now,
        comments=comments,
        merges=decided.merges,
        likes=liked,
        gifts=told.combos,
        viewers=viewers,
        activity=activity,
        events=events,
        state=state or UNSET,
        redact=redact,
        tally=tally,
    )


def _drain_trade(parts: Parts, control: Control, *, gifts_wait: bool) -> Told:
    """What came of gifts. Those that wait while a new broadcast begins are told in its epoch: whoever paid for a text shall
    not see it wiped off at once.
    """
    if parts.trade is None:
        return NO_GIFTS
    return parts.trade.drain(control, 0) if gifts_wait else parts.trade.drain(control)


def _drain_likes(parts: Parts, control: Control, only: int | None) -> Likes | None:
    hearts = parts.hearts
    if hearts is None or not hearts.delta:
        return None
    delta = hearts.delta if only is None else only
    if not delta:
        return None
    hearts.delta -= delta
    likes = Likes(delta, control.told.get("likes", 0) + delta)
    control.told_in_frame("likes", likes.total)
    return likes


def _drain_viewers(parts: Parts, control: Control, now: int) -> tuple[Viewers | None, Json]:
    if parts.audience is None:
        return None, None
    viewers, activity = parts.audience.drain(now, ids_hidden=control.policy.users == "aliases")
    if viewers is not None:
        control.told_in_frame("viewers", msgspec.to_builtins(viewers))
    return viewers, activity
