"""The parts of a room that only some rooms need: comments, likes, viewers, the desk. Made when first needed.

Ten thousand idle rooms have none of them; one that fell quiet gives them back (`tidy`).
"""

from __future__ import annotations

from collections.abc import Iterable

from livecast.core.commands import Redactions
from livecast.core.comments import Chat
from livecast.core.control import Control
from livecast.core.desk import Desk
from livecast.core.events import Command, Comment, Flush, Json, Remembered, Viewers
from livecast.core.likes import Hearts
from livecast.core.moderation import Words
from livecast.core.presence import Audience
from livecast.core.rules import RoomRules
from livecast.core.state import whole


class Parts:
    """`chat`, `hearts`, `audience` and `desk` are None until somebody asks for them by `the_…`."""

    __slots__ = ("_comment_ids", "_control", "_rules", "_words", "audience", "chat", "desk", "hearts")

    def __init__(self, rules: RoomRules, control: Control) -> None:
        self._rules = rules
        self._control = control
        self._words: Words | None = None
        self._comment_ids = 0  # comments so far, while `chat` is not there to count them
        self.chat: Chat | None = None
        self.hearts: Hearts | None = None
        self.audience: Audience | None = None
        self.desk: Desk | None = None

    # --- Make ---------------------------------------------------------------------------------------------------------
    def the_chat(self, epoch: str, now: int) -> Chat:
        """The comments. Chance is seeded with the epoch in which they begin."""
        if self.chat is None:
            seed = f"{epoch}{self._comment_ids}"
            self.chat = Chat(self._rules, self._control.policy, seed, now, self._comment_ids)
            self.chat.screening.words = self._words
            self.chat.screening.sanctions = None if self.desk is None else self.desk.sanctions
        return self.chat

    def the_hearts(self) -> Hearts:
        """The likes."""
        if self.hearts is None:
            self.hearts = Hearts(self._rules, self._control.policy)
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
        if any(a.kind == "like" for a in answers):
            self.the_hearts().restore(answers, now)

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def load_words(self, words: Words | None) -> None:
        """From now on comments pass this filter."""
        self._words = words
        if self.chat is not None:
            self.chat.screening.words = words

    def follow(self, command: Command) -> None:
        """A command was carried out: whoever it concerns takes note."""
        policy = self._control.policy
        if self.chat is not None:
            self.chat.policy_changed(policy)
            if isinstance(command.args, Redactions):
                self.chat.redact(set(command.args.comments), set(command.args.users))
        if self.hearts is not None:
            self.hearts.policy_changed(policy)

    def new_broadcast(self) -> None:
        """Totals begin at zero and the screens are empty."""
        if self.audience is not None:
            self.audience.new_broadcast()
        if self.chat is not None:
            self.chat.new_broadcast()

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def waiting(self) -> tuple[int, int]:
        """Comments and likes that the next flush will tell of."""
        return 0 if self.chat is None else self.chat.waiting, 0 if self.hearts is None else self.hearts.delta

    def private(self, now: int) -> dict[str, Json]:
        """What the next owner needs of all this."""
        private: dict[str, Json] = {}
        if self.desk is not None:
            private |= self.desk.sanctions.private(now)
        if self.chat is not None and (slow := self.chat.screening.slow_times(now)):
            private["slow"] = slow
        return private

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain(self, flush: Flush) -> None:
        """What there is besides the frame and the answers."""
        if (desk := self.desk) is not None:
            flush.private |= desk.drain_private()
            flush.notices, desk.notices = desk.notices, []
        if (chat := self.chat) is not None:
            flush.remembered, chat.remember = chat.remember, []
            if slowed := chat.screening.slowed:
                flush.private["slow"], chat.screening.slowed = slowed, {}
        if (hearts := self.hearts) is not None and hearts.remember:
            flush.remembered += hearts.remember
            hearts.remember = []
        if self.audience is not None and self._control.broadcast:
            flush.new_users = self.audience.drain_users()

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
