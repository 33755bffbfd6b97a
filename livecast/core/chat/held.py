"""Comments that wait for a moderator: put aside whole, so that an approved one can be shown as it was meant.

They are part of every commit: a change of owner loses none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Json
from livecast.core.frames import Comment
from livecast.core.state import unquoted
from livecast.core.tools.kept import Kept

HELD_MAX: Final = 200
"""Comments waiting at once; beyond it the oldest are let go (and their authors told), as nobody looked at them."""


class Held:
    """Id -> comment, the oldest first. `kept` is what the next owner goes on from."""

    __slots__ = ("_comments", "kept")

    def __init__(self) -> None:
        self._comments: dict[str, Comment] = {}
        self.kept = Kept()

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def put(self, comment: Comment) -> Comment | None:
        """Put one aside; the one that is let go for it, if there are too many."""
        gone = None
        if len(self._comments) >= HELD_MAX:
            gone = self.take(next(iter(self._comments)))
        self._set(comment)
        return gone

    def take(self, comment_id: str) -> Comment:
        """A moderator decided about this one: it waits no longer. Raises `InvalidChange` (`not_found`)."""
        comment = self._comments.pop(comment_id, None)
        if comment is None:
            raise InvalidChange(Refusal("not_found", "No such comment is held (any more)."))
        self.kept.drop(comment_id)
        return comment

    def redact(self, ids: set[str], users: set[str]) -> None:
        """These comments and everything of these users are off the screens: nobody approves them, nothing quotes them."""
        for comment in list(self._comments.values()):
            if comment.id in ids or comment.u.id in users:
                self.take(comment.id)
            elif (rest := unquoted(comment, ids, users)) is not comment:
                self._set(rest)

    def clear(self) -> None:
        """A new broadcast: nobody waits."""
        self._comments = {}
        self.kept.clear()

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self._comments)

    def __iter__(self) -> Iterator[Comment]:
        return iter(self._comments.values())

    def restore(self, kept: dict[str, Json]) -> None:
        """Go on where a former owner stopped."""
        self.kept = Kept(kept)
        comments = (msgspec.convert(stored[0], Comment) for stored in kept.values())
        self._comments = {c.id: c for c in sorted(comments, key=lambda c: (c.at, len(c.id), c.id))}

    # --- Private ------------------------------------------------------------------------------------------------------
    def _set(self, comment: Comment) -> None:
        self._comments[comment.id] = comment
        # An array around it: a merge patch replaces arrays whole, and would take nulls out of a map that a client sent.
        self.kept.put(comment.id, [msgspec.to_builtins(comment)])
