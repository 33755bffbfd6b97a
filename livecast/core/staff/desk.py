"""The staff's desk: commands carried out, sanctions imposed, events and redactions put into the next frame.

What concerns the room itself is done by `Control`; here is the rest.
"""

from __future__ import annotations

from typing import Any, Final

from livecast.core import commands as c
from livecast.core.chat.forms import check_size
from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Answer, Ask, Command, Done, Json, Notice
from livecast.core.frames import Custom, Redact
from livecast.core.rules import RoomRules
from livecast.core.staff.sanctions import Book, Sanction, Sanctions, impose, lift, standing
from livecast.core.tools.numerals import base36

EVENT_BYTES_MAX: Final = 4096
"""`data` of a platform's event, as JSON: it goes to every viewer."""
REDACTIONS_MAX: Final = 1000
"""Comments and users taken off the screens in one frame; more wait for the next."""
PAGE_MAX: Final = 200
PAGE: Final = 50
"""Entries of a list per call, at most and usually."""


class Desk:
    """What staff did in one room since the last flush, and the sanctions in force."""

    __slots__ = ("_ids", "_private", "_redacted_comments", "_redacted_users", "_rules", "events", "notices", "sanctions")

    def __init__(self, rules: RoomRules) -> None:
        self._rules = rules
        self._ids = 0
        self._private: dict[str, Json] = {}
        self._redacted_comments: dict[str, None] = {}
        self._redacted_users: dict[str, None] = {}
        self.sanctions = Sanctions()
        self.events: list[Custom] = []
        self.notices: list[tuple[str, Notice]] = []

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def carry_out(self, command: Command, epoch: str, now: int) -> Json:
        """Do it, and return its answer. Raises `InvalidChange`, having changed nothing."""
        args: Any = command.args
        match command.name:
            case "emit":
                return self._emit(command, args, epoch, now)
            case "mute" | "ban":
                return self._impose(command, args, epoch, now)
            case "unmute" | "unban":
                return self._lift(command, args, epoch, now)
            case "redact":
                return self._redact(args, now)
            case _:
                raise InvalidChange(Refusal("invalid", f"There is no command {command.name}."))

    def _emit(self, command: Command, args: c.Emit, epoch: str, now: int) -> Json:
        check_size(args.data, "data", EVENT_BYTES_MAX)
        if len(self.events) + len(self.notices) >= self._rules.events_per_frame_max:
            raise InvalidChange(Refusal("overloaded", retry_after_ms=self._rules.tick_max_ms))
        event_id = self._next_id(epoch)
        told = {"id": event_id, "type": args.type, "at": now, "data": args.data}
        if args.to is not None:
            self.notices.append((args.to, Notice(event_id, args.type, now, args.data)))
            return {**told, "to": args.to}
        person = None if command.by.role == "service" else command.by
        self.events.append(Custom(event_id, args.type, now, args.data, person))
        return told

    def _impose(self, command: Command, args: c.Mute | c.Ban, epoch: str, now: int) -> Json:
        name, book, kind, _ = self._book(command.name)
        until = 0 if args.for_s is None else now + args.for_s * 1000
        sanction = Sanction(now, until, command.by.id, args.reason)
        self._private = merge_kept(self._private, {name: {args.user: impose(book, args.user, sanction)}})
        self.notify(args.user, kind, {"until": until or None, "reason": args.reason}, epoch, now)
        return sanction.tell(args.user)

    def _lift(self, command: Command, args: c.Unmute | c.Unban, epoch: str, now: int) -> Json:
        name, book, _, kind = self._book(command.name.removeprefix("un"))
        sanction = lift(book, args.user, now)
        self._private = merge_kept(self._private, {name: {args.user: None}})
        self.notify(args.user, kind, {}, epoch, now)
        return sanction.tell(args.user)

    def _book(self, name: str) -> tuple[str, Book, str, str]:
        if name == "mute":
            return "mutes", self.sanctions.mutes, "muted", "unmuted"
        return "bans", self.sanctions.bans, "banned", "unbanned"

    def notify(self, user: str, kind: str, data: Json, epoch: str, now: int) -> None:
        """Tell one user something with the next flush."""
        self.notices.append((user, Notice(self._next_id(epoch), kind, now, data)))

    def _redact(self, args: c.Redactions, now: int) -> Json:
        if not args.comments and not args.users:
            raise InvalidChange(Refusal("invalid", "Name comments or users.", field="comments"))
        waiting = len(self._redacted_comments) + len(self._redacted_users)
        if waiting + len(args.comments) + len(args.users) > REDACTIONS_MAX:
            raise InvalidChange(Refusal("overloaded", retry_after_ms=self._rules.tick_max_ms))
        self._redacted_comments.update(dict.fromkeys(args.comments))
        self._redacted_users.update(dict.fromkeys(args.users))
        return {"comments": list(args.comments), "users": list(args.users), "reason": args.reason, "at": now}

    def _next_id(self, epoch: str) -> str:
        self._ids += 1
        return f"{epoch}-e{base36(self._ids)}"

    def redact_all(self, comments: list[str]) -> None:
        """Take all of these off the screens, however many frames it takes."""
        self._redacted_comments.update(dict.fromkeys(comments))

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain_redact(self) -> Redact | None:
        """What goes off the screens with the next frame."""
        if not self._redacted_comments and not self._redacted_users:
            return None
        now, later = list(self._redacted_comments)[:REDACTIONS_MAX], list(self._redacted_comments)[REDACTIONS_MAX:]
        redact = Redact(tuple(now), tuple(self._redacted_users))
        self._redacted_comments, self._redacted_users = dict.fromkeys(later), {}
        return redact

    @property
    def redacting(self) -> bool:
        """Whether more is to go off the screens than one frame could say."""
        return bool(self._redacted_comments)

    def drain_private(self) -> dict[str, Json]:
        """The patch for the owner's private part, `{}` if there is none."""
        private, self._private = self._private, {}
        return private

    def fade(self, now: int) -> bool:
        """Forget sanctions that are over; True if nothing is left."""
        waiting = self.events or self.notices or self._private or self._redacted_comments or self._redacted_users
        return self.sanctions.fade(now) and not waiting and not self._ids


def answer(ask: Ask, sanctions: Sanctions, now: int) -> Answer:
    """What staff or a user (`me`) may know of mutes and bans."""
    match ask.what:
        case "me":
            user = ask.by.id
            mute, ban = standing(sanctions.mutes, user, now), standing(sanctions.bans, user, now)
            return Done(
                {
                    "muted": mute is not None,
                    "muted_until": (mute.until or None) if mute else None,
                    "banned": ban is not None,
                    "banned_until": (ban.until or None) if ban else None,
                }
            )
        case "mutes" | "bans":
            book = sanctions.mutes if ask.what == "mutes" else sanctions.bans
            return Done(_page(book, ask.args, now))
        case _:
            return Refusal("invalid", f"There is no question {ask.what}.")


def _page(book: Book, args: dict[str, Json], now: int) -> Json:
    """`{data, next_cursor}` in order of user id; `args` may have `limit` and `cursor` (the last id of the page before)."""
    limit = min(max(int(args.get("limit") or PAGE), 1), PAGE_MAX)
    cursor = str(args.get("cursor") or "")
    users = sorted(user for user, sanction in book.items() if user > cursor and not sanction.over(now))
    data = [book[user].tell(user) for user in users[:limit]]
    return {"data": data, "next_cursor": users[limit - 1] if len(users) > limit else None}


def merge_kept(patch: dict[str, Json], later: dict[str, Json]) -> dict[str, Json]:
    """Two private patches as one. Members of books are arrays or null, so the later one simply wins."""
    return {**patch, **{name: {**patch.get(name, {}), **book} for name, book in later.items()}}
