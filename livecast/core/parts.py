"""The parts of a room that only some rooms need: comments, likes, viewers, the desk, polls, gifts… Made when first needed.

Ten thousand idle rooms have none of them; one that fell quiet gives them back (`tidy`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from livecast.core.audience.attendance import Attendance
from livecast.core.audience.deeds import Deeds
from livecast.core.audience.likes import Hearts
from livecast.core.audience.presence import Audience
from livecast.core.chat.comments import Chat
from livecast.core.chat.review import Reviews
from livecast.core.commands import Redactions
from livecast.core.control import Control
from livecast.core.errors import Refusal
from livecast.core.events import BoardChanged, Command, Drawn, Json, Person, Presence, Sold, TradeEvent
from livecast.core.filter.words import Words
from livecast.core.frames import Comment, Flush, Happened, Remembered, Viewers
from livecast.core.rules import RoomRules
from livecast.core.show.polls import Polls
from livecast.core.show.shelf import Shelf
from livecast.core.show.showcase import masked
from livecast.core.show.trade import Trade
from livecast.core.staff.backstage import Backstage
from livecast.core.staff.crew import ROLES, Crew
from livecast.core.staff.desk import Desk
from livecast.core.staff.sanctions import Wide
from livecast.core.state import whole

NOTHING_WAITS: Final = (0, 0)


class Parts:
    """`chat`, `hearts`, `audience`, `desk` and so on are None until somebody asks for them by `the_…`.

    `deeds` is there while a drop asks for some.
    """

    __slots__ = (
        "_comment_ids",
        "_control",
        "_rules",
        "_words",
        "attendance",
        "audience",
        "backstage",
        "chat",
        "crew",
        "deeds",
        "desk",
        "happened",
        "hearts",
        "polls",
        "review_ms",
        "shelf",
        "staff_came",
        "trade",
        "wide",
    )

    def __init__(self, rules: RoomRules, control: Control) -> None:
        self._rules = rules
        self._control = control
        self._words: Words | None = None
        self.review_ms: int | None = None
        """How long somebody outside may take to judge a comment; None: nobody does."""
        self.wide: Wide | None = None
        """Sanctions that hold beyond this room."""
        self._comment_ids = 0  # comments so far, while `chat` is not there to count them
        self.chat: Chat | None = None
        self.hearts: Hearts | None = None
        self.audience: Audience | None = None
        self.desk: Desk | None = None
        self.trade: Trade | None = None
        self.attendance: Attendance | None = None
        self.crew: Crew | None = None
        self.deeds: Deeds | None = None
        self.backstage: Backstage | None = None
        self.polls: Polls | None = None
        self.shelf: Shelf | None = None
        self.happened: tuple[Happened, ...] = ()
        """What other services may want to hear of since the last flush."""
        self.staff_came = False
        """Staff came since the last flush, and have to be told how things stand."""

    # --- Make ---------------------------------------------------------------------------------------------------------
    def the_chat(self, epoch: str, now: int) -> Chat:
        """The comments. Chance is seeded with the epoch in which they begin."""
        if self.chat is None:
            seed = f"{epoch}{self._comment_ids}"
            self.chat = Chat(self._rules, self._control.policy, seed, now, self._comment_ids)
            self.chat.screening.words, self.chat.screening.wide = self._words, self.wide
            self.chat.screening.sanctions = None if self.desk is None else self.desk.sanctions
            self.chat.screening.tipped = None if self.trade is None else self.trade.tipped
            self.chat.staff_watch = self.backstage is not None and self.backstage.watched
            self.chat.reviews = None if self.review_ms is None else Reviews(self.review_ms)
            self._attach_deeds()
        return self.chat

    def the_hearts(self) -> Hearts:
        """The likes."""
        if self.hearts is None:
            self.hearts = Hearts(self._rules, self._control.policy)
            self._attach_deeds()
        return self.hearts

    def the_audience(self) -> Audience:
        """The viewers."""
        if self.audience is None:
            told = Viewers(**whole(self._control.told)["viewers"])
            self.audience = Audience(self._rules.tally_alone_ms, told)
        return self.audience

    def the_desk(self) -> Desk:
        """The staff's desk."""
        if self.desk is None:
            self.desk = Desk(self._rules)
            if self.chat is not None:
                self.chat.screening.sanctions = self.desk.sanctions
        return self.desk

    def the_trade(self) -> Trade:
        """What the ledger tells."""
        if self.trade is None:
            self.trade = Trade()
            if self.chat is not None:
                self.chat.screening.tipped = self.trade.tipped
        return self.trade

    def the_attendance(self) -> Attendance:
        """How long everybody has watched."""
        if self.attendance is None:
            self.attendance = Attendance()
        return self.attendance

    def the_backstage(self) -> Backstage:
        """What only staff see."""
        if self.backstage is None:
            self.backstage = Backstage(self._rules)
        return self.backstage

    def the_polls(self) -> Polls:
        """The polls."""
        if self.polls is None:
            self.polls = Polls()
        return self.polls

    def the_shelf(self) -> Shelf:
        """The taps on products."""
        if self.shelf is None:
            self.shelf = Shelf(self._rules, self._control.policy)
        return self.shelf

    def restore(
        self, private: dict[str, Json], remembered: Iterable[Remembered], recent: tuple[Comment, ...], epoch: str, now: int
    ) -> None:
        """Make those parts that a former owner left something for."""
        if private.get("mutes") or private.get("bans"):
            self.the_desk().sanctions.restore(private, now)
        answers = list(remembered)
        if private.get("slow") or recent or any(a.kind == "comment" for a in answers):
            chat = self.the_chat(epoch, now)
            chat.restore(answers, now)
            chat.screening.restore(private.get("slow", {}), recent, now)
        if held := private.get("held"):
            self.the_chat(epoch, now).held.restore(held)
        if private.get("reports") or private.get("violations") or private.get("bought") or any(a.kind == "report" for a in answers):
            self.the_backstage().restore(private.get("violations", {}), private.get("bought", {}))
            self.the_backstage().reports.restore(private.get("reports", {}), answers, now)
        if private.get("crew"):
            self.crew = Crew(private["crew"])
        if private.get("polls"):
            self.the_polls().restore(private["polls"], private.get("votes", {}))
        if private.get("taps"):
            self.the_shelf().restore(private["taps"])
        if any(a.kind == "like" for a in answers):
            self.the_hearts().restore(answers, now)
        drops = self._control.overlay.get("drops", {})
        if any(name in private for name in ("ledger", "combos", "board", "drops", "tipped")):
            self.the_trade().restore(private, drops)
        if watch := private.get("watch"):
            self.the_attendance().restore(watch, private.get("watch_seen_at", 0))
        if private.get("liked") or private.get("said"):
            self.deeds = Deeds()
            self.deeds.restore(private.get("liked", {}), private.get("said", {}))
        self.heed_drops()

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def load_rules(self, words: Words | None, wide: Wide | None) -> None:
        """From now on comments pass this filter, and these sanctions hold besides the room's own."""
        self._words, self.wide = words, wide
        if self.chat is not None:
            self.chat.screening.words, self.chat.screening.wide = words, wide

    def have_reviewed(self, deadline_ms: int) -> None:
        """From now on somebody outside judges comments."""
        self.review_ms = deadline_ms
        if self.chat is not None:
            self.chat.reviews = Reviews(deadline_ms)

    def report(self, presence: Presence, now: int) -> None:
        """A node says who watches there."""
        self.the_audience().report(presence, now)
        for person in presence.joined:
            self.note_crew(person, now)
        if presence.staff or (self.backstage is not None and self.backstage.watched):
            self._note_staff(presence)
        if self.attendance is not None or presence.joined or presence.present:
            self.the_attendance().report(presence, now)

    def note_crew(self, person: Person, now: int) -> None:
        """Somebody came, or did something."""
        if self.crew is None:
            if person.role not in ROLES:
                return
            self.crew = Crew()
        self.crew.note(person, now)

    def hear(self, event: TradeEvent | Sold | Drawn, now: int) -> bool:
        """The ledger says something; whether it is to be told with the next tick."""
        if isinstance(event, BoardChanged) and self.wide is not None:
            ranks = tuple(rank for rank in event.ranks if not self.wide.forgot(rank.person.id))
            event = msgspec.structs.replace(event, ranks=ranks)
        if isinstance(event, Sold):
            self.the_audience().sold(event.sku, now)
            if event.user:
                self.the_backstage().bought(event.user, event.sku)
            return False  # told as people who came are, once a second
        if isinstance(event, Drawn):
            return self.the_trade().show_winners(event.drop, self._winners(event), self._control)
        new = self.the_trade().receive(event, self._control, now)
        if new:
            self.heed_drops()
        return new

    def _winners(self, drawn: Drawn) -> list[Json]:
        """Winners as the policy wants them told, each by the name they were last seen under, or else by id."""
        policy = self._control.policy
        if policy.winners == "off":
            return []
        users = {user for user, _ in drawn.winners}
        names = {} if self.trade is None else self.trade.board.names(users)
        if self.backstage is not None:
            names |= self.backstage.transcript.names(users)
        lines: list[Json] = []
        for user, serial in drawn.winners:
            name = names.get(user) or user
            who = {"id": user, "name": name} if policy.winners == "names" else {"name": masked(name)}
            lines.append({"u": who, "serial": serial})
        return lines

    def heed_drops(self) -> None:
        """What the drops on show ask for is noted from now on, and what they asked for no longer is not."""
        drops = self._control.overlay.get("drops", {})
        if not drops and self.deeds is None:
            return
        deeds = self.deeds or Deeds()
        if deeds.ask(drops) or self.deeds is not None:
            self.deeds = deeds
            self._attach_deeds()

    def pass_time(self, now: int) -> None:
        """Do what was due by now."""
        if self.audience is not None:
            silent = self.audience.pass_time(now)
            if self.attendance is not None:
                for node in silent:
                    self.attendance.node_gone(node, now)
            if self.backstage is not None and silent:
                self.backstage.nodes_gone(silent)
        if self.polls is not None:
            self.polls.pass_time(self._control, now)
        if self.trade is not None and self.trade.pass_time(self._control, now):
            self.heed_drops()

    def broadcast_began(self, now: int) -> None:
        """What is counted of each user in a broadcast begins at nothing; what screens show goes with the epoch."""
        if self.trade is not None:
            self.trade.new_broadcast(self._control)
        if self.attendance is not None:
            self.attendance.new_broadcast(now)
        if self.shelf is not None:
            self.shelf.new_broadcast()
        if self.backstage is not None:
            self.backstage.new_broadcast()

    def follow(self, command: Command, now: int) -> None:
        """A command was carried out: whoever it concerns takes note."""
        policy, args = self._control.policy, command.args
        self.note_crew(command.by, now)
        if isinstance(args, Redactions):
            self.the_backstage().redact(set(args.comments), set(args.users))
        if self.polls is not None:
            if command.name == "end":
                self.polls.close_all(now)
            self.polls.show(self._control, now)
        if self.shelf is not None:
            self.shelf.policy_changed(policy)
        if self.chat is not None:
            self.chat.policy_changed(policy)
            if isinstance(args, Redactions):
                self.chat.redact(set(args.comments), set(args.users))
        if self.hearts is not None:
            self.hearts.policy_changed(policy)
        if self.trade is not None:
            self.trade.show_board(self._control)
            if isinstance(args, Redactions):
                self.trade.redact(set(args.users))

    def new_broadcast(self) -> None:
        """Totals begin at zero and the screens are empty."""
        if self.audience is not None:
            self.audience.new_broadcast()
        if self.chat is not None:
            self.chat.new_broadcast()

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def waiting(self) -> tuple[int, int]:
        """Comments and likes that the next flush will tell of."""
        if self.chat is None and self.hearts is None:
            return NOTHING_WAITS
        return 0 if self.chat is None else self.chat.waiting, 0 if self.hearts is None else self.hearts.delta

    def facts(self, users: Iterable[str], now: int) -> dict[str, Json]:
        """User -> what drops may ask of them, by the names of `drops.Facts`."""
        attendance, deeds, tipped = self.attendance, self.deeds, {} if self.trade is None else self.trade.tipped
        return {
            user: {
                "watch_s": 0 if attendance is None else attendance.watched_ms(user, now) // 1000,
                "liked": 0 if deeds is None else deeds.liked(user),
                "commented": [] if deeds is None else deeds.said(user),
                "gifted": user in tipped,
            }
            for user in users
        }

    def muted(self, user: str, now: int) -> Refusal | None:
        """Why this user may neither speak nor like, if so: muted or banned, here or beyond."""
        if self.desk is not None and (muted := self.desk.sanctions.refusal(user, now)) is not None:
            return muted
        return None if self.wide is None else self.wide.refusal(user, now)

    def about(self, user: str, now: int) -> Json:
        """What staff are told of somebody."""
        gifted = self.trade is not None and user in self.trade.tipped
        return self.the_backstage().about(user, now, attendance=self.attendance, gifted=gifted)

    def knows(self, user: str) -> bool:
        """Whether anything is remembered of a user that could be forgotten."""
        voted = self.polls is not None and bool(self.polls.votes_of(user))
        watched = self.attendance is not None and user in self.attendance
        held = self.chat is not None and any(comment.u.id == user for comment in self.chat.held)
        gave = self.trade is not None and self.trade.knows(user)
        return voted or watched or held or gave or (self.backstage is not None and self.backstage.mentions(user))

    def forget_user(self, user: str) -> None:
        """Nothing of this user stays but sanctions (a ban must not end by being forgotten) and mere figures."""
        if self.chat is not None:
            self.chat.redact(set(), {user})
        if self.trade is not None:
            self.trade.forget_user(user, self._control)
        if self.polls is not None:
            self.polls.forget_user(user)
        if self.backstage is not None:
            self.backstage.forget_user(user)
        if self.attendance is not None:
            self.attendance.forget_user(user)
        if self.crew is not None:
            self.crew.drop(user)

    def due_at(self) -> int | None:
        """When one of them has something to do by itself, whatever the tick (what `trade` has is told with a tick)."""
        times = [
            None if self.chat is None else self.chat.tally_due_at(),
            None if self.chat is None or self.chat.reviews is None else self.chat.reviews.due_at(),
            None if self.audience is None else self.audience.due_at(),
            None if self.polls is None else self.polls.due_at(self._control.overlay.get("polls", {})),
        ]
        return min((t for t in times if t is not None), default=None)

    def private(self, now: int) -> dict[str, Json]:
        """What the next owner needs of all this."""
        private: dict[str, Json] = {}
        if self.desk is not None:
            private |= self.desk.sanctions.private(now)
        if self.chat is not None and (slow := self.chat.screening.slow_times(now)):
            private["slow"] = slow
        if self.chat is not None and (held := self.chat.held.kept.told):
            private["held"] = dict(held)
        for part in (self.trade, self.attendance, self.deeds, self.backstage, self.polls, self.shelf, self.crew):
            if part is not None:
                private |= part.private()
        return private

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain(self, flush: Flush, now: int) -> None:
        """What there is besides the frame and the answers."""
        flush.happened = list(self.happened)
        self.happened = ()
        if self.chat is not None:
            self._drain_chat(self.chat, flush, now)
        if (desk := self.desk) is not None:
            flush.private |= desk.drain_private()
            flush.notices, desk.notices = desk.notices, []
        if (hearts := self.hearts) is not None and hearts.remember:
            flush.remembered += hearts.remember
            hearts.remember = []
        if self.audience is not None and self._control.broadcast:
            flush.new_users = self.audience.drain_users()
        if self.backstage is not None:
            self._drain_backstage(self.backstage, flush, now)
        for part in (self.trade, self.polls, self.shelf, self.crew):
            if part is not None:
                flush.private |= part.drain_private()
        if self.deeds is not None:
            flush.private |= self.deeds.drain_private()
            if self.deeds.idle:
                self.deeds = None
                self._attach_deeds()
        if self.attendance is not None:
            flush.private |= self.attendance.drain_private(now, others=flush.frame is not None or bool(flush.replies))
            if not self.attendance:
                self.attendance = None

    def tidy(self, now: int) -> None:
        """Let go of what time has made pointless."""
        if self.chat is not None and self.chat.fade(now):
            self._comment_ids = self.chat.ids
            self.chat = None
        if self.hearts is not None and self.hearts.fade(now):
            self.hearts = None
        if self.desk is not None and self.desk.fade(now):
            self.desk = None
            if self.chat is not None:
                self.chat.screening.sanctions = None
        if self.backstage is not None and self.backstage.fade(now):
            self.backstage = None
        if self.polls is not None and not len(self.polls) and not self.polls.private():
            self.polls = None
        if self.attendance is not None and self._control.status != "paused" and not (self._control.live or self._watched):
            self.attendance.forget()

    # --- Private ------------------------------------------------------------------------------------------------------
    def _note_staff(self, presence: Presence) -> None:
        backstage = self.the_backstage()
        if backstage.report_presence(presence):
            self.staff_came = True
        if self.chat is not None:
            self.chat.staff_watch = backstage.watched

    def _drain_chat(self, chat: Chat, flush: Flush, now: int) -> None:
        """What comments leave behind; who was blocked, and whose held comments were let go for newer ones."""
        flush.remembered, chat.remember = chat.remember, []
        if slowed := chat.screening.slowed:
            flush.private["slow"], chat.screening.slowed = slowed, {}
        for user in chat.blocked:
            self.the_backstage().violated(user)
        chat.blocked = []
        for comment in chat.let_go:
            data = {"id": comment.id, "room": self._control.room, "text": comment.text, "reason": "not looked at in time"}
            self.the_desk().notify(comment.u.id, "comment.rejected", data, comment.id.partition("-")[0], now)
        chat.let_go = []
        for comment in chat.put_aside:
            author = {"id": comment.u.id, "name": comment.u.name}
            held_one = {"id": comment.id, "u": author, "text": comment.text, "at": comment.at}
            flush.happened.append(Happened("comment.held", comment.id, now, held_one))
        chat.put_aside = []
        if held := chat.held.kept.drain():
            flush.private["held"] = held

    def _drain_backstage(self, backstage: Backstage, flush: Flush, now: int) -> None:
        flush.private |= backstage.drain_private()
        if backstage.reports.remember:
            flush.remembered += backstage.reports.remember
            backstage.reports.remember = []
        flush.happened += backstage.reports.drain_first(now)
        self.staff_came = False
        told = backstage.drain(self.chat, self._control.room)
        if told is not None:
            users = dict.fromkeys(one["u"]["id"] for one in told.told["comments"])
            told.told["users"] = {user: self.about(user, now) for user in users}
            flush.for_staff = told

    @property
    def _watched(self) -> bool:
        return self.audience is not None and self.audience.watched

    def _attach_deeds(self) -> None:
        deeds = self.deeds
        if self.chat is not None:
            self.chat.deeds = deeds if deeds is not None and deeds.keywords else None
        if self.hearts is not None:
            self.hearts.count_for(deeds if deeds is not None and deeds.counts_likes else None, self._control.policy)
