"""The public state of a room: its shape, what a room starts with, and how a frame changes it.

A state is kept as an *overlay*, the members that differ from `DEFAULTS`: ten thousand idle rooms share the rest. Overlays
and their values are never changed in place. `whole` makes the full state; nobody may change what it returns.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET

from livecast.core.events import Json
from livecast.core.frames import Comment, Frame, Quote, Redact
from livecast.core.tools.patch import merge

DEFAULTS: Final[dict[str, Json]] = {
    "broadcast": "",
    "title": "",
    "status": "scheduled",
    "hosts": [],
    "likes": 0,
    "viewers": {"connections": 0, "users": 0, "total": 0},
    "products": {},
    "on_air": None,
    "notice": None,
    "board": [],
    "drops": {},
    "polls": {},
    "gifts": {"rev": 0, "url": "/v1/gifts"},
    "custom": {},
}
"""A room before its first broadcast. `starts_at`, `started_at`, `ended_at` and `redirect` are there when they mean something.

A patch takes `notice` and `on_air` away with null, as every merge patch does; the whole state says null for them.
"""


def whole(overlay: dict[str, Json]) -> dict[str, Json]:
    """The full state. Its values are shared: read only."""
    return {**DEFAULTS, **overlay}


def overlay_of(state: dict[str, Json]) -> dict[str, Json]:
    """The members of a full state that say something."""
    return {name: value for name, value in state.items() if name not in DEFAULTS or value != DEFAULTS[name]}


def advance_state(overlay: dict[str, Json], frame: Frame) -> dict[str, Json]:
    """The overlay after a frame."""
    if frame.state is not UNSET and frame.state:
        overlay = merge(overlay, {k: v for k, v in frame.state.items() if k != "policy"})
    if frame.likes is not None:
        overlay = {**overlay, "likes": frame.likes.total}
    if frame.viewers is not None:
        overlay = {**overlay, "viewers": msgspec.to_builtins(frame.viewers)}
    return overlay


def advance_policy(policy: dict[str, Json], frame: Frame) -> dict[str, Json]:
    """The policy after a frame."""
    if frame.state is UNSET or not frame.state or "policy" not in frame.state:
        return policy
    changed: dict[str, Json] = merge(policy, frame.state["policy"])
    return changed


def advance_recent(recent: tuple[Comment, ...], frame: Frame, recent_max: int) -> tuple[Comment, ...]:
    """The last comments after a frame, oldest first: new ones, larger numbers, less what was redacted."""
    if frame.comments:
        recent = (recent + frame.comments)[-recent_max:] if recent_max else ()
    if frame.merges:
        grown = {m.id: m.n for m in frame.merges}
        recent = tuple(msgspec.structs.replace(c, n=grown[c.id]) if c.id in grown else c for c in recent)
    if frame.redact is not None:
        ids, users = set(frame.redact.comments), set(frame.redact.users)
        recent = tuple(unquoted(c, ids, users) for c in recent if c.id not in ids and c.u.id not in users)
    return recent


def redact_frame(frame: Frame, redact: Redact) -> Frame:
    """The frame as it is replayed after a redaction: comments reduced to `{id, redacted}`, whoever was named no longer named.

    The same object if nothing in it is concerned.
    """
    ids, users = set(redact.comments), set(redact.users)

    def gone(c: Comment) -> bool:
        return not c.redacted and (c.id in ids or c.u.id in users)

    if not any(gone(c) or quotes(c.reply_to, ids, users) for c in frame.comments):
        return frame
    comments = tuple(Comment(c.id, redacted=True) if gone(c) else unquoted(c, ids, users) for c in frame.comments)
    return msgspec.structs.replace(frame, comments=comments)


def quotes(quote: Quote | None, ids: set[str], users: set[str]) -> bool:
    """Whether a reply repeats words of one of these comments, or of one of these users."""
    return quote is not None and (quote.id in ids or _id_of(quote.u) in users)


def unquoted(comment: Comment, ids: set[str], users: set[str]) -> Comment:
    """The comment without what it repeats of them; the same object if it repeats nothing."""
    return msgspec.structs.replace(comment, reply_to=None) if quotes(comment.reply_to, ids, users) else comment


def _id_of(person: Json) -> str:
    return str(person.get("id", "")) if isinstance(person, dict) else str(person.id)
