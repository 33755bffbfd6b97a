"""The comments that were shown lately, for staff who look something up, and for taking everything off the screens at once.

Kept in the owner's memory alone: after a change of owner it begins again with what the room's log still has. Older comments are
in the archive.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from livecast.core.events import Json
from livecast.core.frames import Comment, Frame
from livecast.core.state import quotes, unquoted

COMMENTS_MAX: Final = 8000
"""As many as a busy room shows in the three minutes for which frames are replayed. About 4 MB; beyond it the oldest go."""
KEPT_MS: Final = 3_600_000
"""In a quiet room an hour."""
PAGE_MAX: Final = 200
PAGE: Final = 50
"""Comments per page, at most and usually."""


class Transcript:
    """Id -> comment, the oldest first; a redacted one as `{id, at, redacted}`. Also how many each user has here."""

    __slots__ = ("_by_user", "_comments")

    def __init__(self) -> None:
        self._comments: dict[str, Comment] = {}
        self._by_user: dict[str, int] = {}

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def take(self, frame: Frame) -> None:
        """What a frame shows, raises and redacts."""
        for comment in frame.comments:
            if not comment.redacted:
                self._comments[comment.id] = comment
                self._by_user[comment.u.id] = self._by_user.get(comment.u.id, 0) + 1
        for merge in frame.merges:
            if (known := self._comments.get(merge.id)) is not None and not known.redacted:
                self._comments[merge.id] = msgspec.structs.replace(known, n=merge.n)
        if frame.redact is not None:
            self.redact(set(frame.redact.comments), set(frame.redact.users))
        while len(self._comments) > COMMENTS_MAX:
            self._drop(next(iter(self._comments)))

    def redact(self, ids: set[str], users: set[str]) -> None:
        """These are off the screens."""
        named = [i for i in ids if i in self._comments]
        if users:
            named += [c.id for c in self._comments.values() if c.u.id in users]
        for comment_id in named:
            comment = self._comments[comment_id]
            self._leaves(comment)
            self._comments[comment_id] = Comment(comment_id, at=comment.at, redacted=True)
        for comment in [c for c in self._comments.values() if quotes(c.reply_to, ids, users)]:
            self._comments[comment.id] = unquoted(comment, ids, users)

    def fade(self, now: int) -> bool:
        """Forget what is due; True if nothing is left."""
        for comment in list(self._comments.values()):
            if comment.at + KEPT_MS > now:
                break
            self._drop(comment.id)
        return not self._comments

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def get(self, comment_id: str) -> Comment | None:
        """One comment, unless it was redacted."""
        comment = self._comments.get(comment_id)
        return None if comment is None or comment.redacted else comment

    def said_by(self, user: str) -> int:
        """How many comments of a user are here."""
        return self._by_user.get(user, 0)

    def names(self, users: Collection[str]) -> dict[str, str]:
        """Under which names these of them last said something."""
        return {c.u.id: c.u.name for c in self._comments.values() if c.u.id in users and c.u.name}

    def on_screens(self) -> list[str]:
        """The ids of all that were not redacted, the newest first."""
        return [c.id for c in reversed(self._comments.values()) if not c.redacted]

    def page(self, args: dict[str, Json]) -> Json:
        """`{data, next_cursor, begins}`, the newest first: before `before` (an id, or Unix ms), of `user`, with `q` in the text.

        `begins`: (at, id) of the oldest one here, whether asked for or not; what is looked for before that is looked for elsewhere.
        """
        limit = min(max(int(args.get("limit") or PAGE), 1), PAGE_MAX)
        user, needle, before = args.get("user"), str(args.get("q") or "").casefold(), str(args.get("before") or "")
        found: list[Comment] = []
        until = int(before) if before.isascii() and before.isdecimal() else None  # ids of comments have a hyphen
        if before and until is None and before not in self._comments:
            return {"data": [], "next_cursor": None}  # what stood before it was forgotten with it
        started = not before or until is not None
        for comment in reversed(self._comments.values()):
            if not started:
                started = comment.id == before
            elif until is not None and comment.at >= until:
                continue
            elif (not user or comment.u.id == user) and (not needle or needle in comment.text.casefold()):
                found.append(comment)
                if len(found) > limit:
                    break
        page = found[:limit]
        told = [msgspec.to_builtins(c) if not c.redacted else {"id": c.id, "at": c.at, "redacted": True} for c in page]
        oldest = next(iter(self._comments.values()), None)
        begins = None if oldest is None else [oldest.at, oldest.id]
        return {"data": told, "next_cursor": page[-1].id if len(found) > limit else None, "begins": begins}

    # --- Private ------------------------------------------------------------------------------------------------------
    def _leaves(self, comment: Comment) -> None:
        if comment.redacted:
            return
        rest = self._by_user.get(comment.u.id, 0) - 1
        if rest > 0:
            self._by_user[comment.u.id] = rest
        else:
            self._by_user.pop(comment.u.id, None)

    def _drop(self, comment_id: str) -> None:
        self._leaves(self._comments.pop(comment_id))
