"""What viewers ask: the same question of many people as one line, until the staff say that it is answered.

Heard while staff watch, from comments that were shown, merged or sampled. Whether a text asks something, and whether two ask the
same, is told by its look alone: good enough to put those first that many ask, and nothing is lost by it, as every comment is still
a comment. Open questions are lost with the room's owner; they are asked again soon enough.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct, field

from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Json
from livecast.core.text import merge_key
from livecast.core.tools.numerals import base36

OPEN_MAX: Final = 100
"""Questions at once: more than anybody answers in a broadcast. Beyond it the one
that fewest ask goes, of those the oldest: whoever floods the room with questions pushes out nobody's but their own."""
ASKERS_MAX: Final = 2_000
"""People told apart per question, who are told when it is answered; beyond it its number stays. 20 MB for all at the worst."""
KEPT_MS: Final = 30 * 60_000
"""What nobody has asked for half an hour is not waited for any more."""
CHARS_MIN: Final = 2
"""A lone question mark asks nothing that could be answered."""

_MARK: Final = re.compile(r"[?\uff1f\u061f][\s!\uff01?\uff1f~\uff5e.\u2026]*$")
# Words that ask where nobody types the mark. Chinese ones stand anywhere, English ones begin the sentence.
_CHINESE: Final = re.compile(
    "吗|么$|呢$|多少|多大|多长|多久|多重|几(?:点|号|个|块|天|种|折|码|件|包|瓶)|怎么|怎样|咋|什么|啥|哪|为何|"
    "能不能|可不可以|会不会|是不是|有没有|要不要|好不好|行不行|值不值|对不对"
)
_ENGLISH: Final = re.compile(
    r"(?:how|what|when|where|which|who|why|can|could|is|are|do|does|did|will|would|any|has|have) (?:\S+ )*\S+", re.IGNORECASE
)
# What people put around the same question: whom they address, and how they end it.
_BEFORE: Final = re.compile(
    r"^(?:请问|问一下|想问|主播|老板|老师|姐姐?|哥哥?|亲|你好|您好|那|这个|那个|这款|那款|它|这|hi|hello|hey|please|so|and)[\s,，:：!！~]*"
)
_AFTER: Final = re.compile(r"[\s啊呀呢吗嘛么哦哈捏吧的了]+$")

UNKNOWN: Final = Refusal("not_found", "This question is not open (any more).")


class Question(Struct):
    """One line: as it was asked first, the last comment that asked it (empty: none was shown), who asks, since when (Unix ms)."""

    id: str
    text: str
    comment: str
    at: int
    last_at: int
    askers: dict[str, None] = field(default_factory=dict)

    def tell(self) -> dict[str, Json]:
        """As staff see it."""
        told: dict[str, Json] = {"id": self.id, "text": self.text, "n": len(self.askers), "at": self.at, "last_at": self.last_at}
        return {**told, "comment": self.comment} if self.comment else told


def asks(text: str) -> bool:
    """Whether a clean text looks like a question."""
    if len(text) < CHARS_MIN:
        return False
    return _MARK.search(text) is not None or _CHINESE.search(text) is not None or _ENGLISH.match(text) is not None


def question_key(text: str) -> str:
    """Under which equal questions meet: the merge key, without what is put around them."""
    key = merge_key(text)
    while (shorter := _BEFORE.sub("", key, count=1)) != key and shorter:
        key = shorter
    bare = _AFTER.sub("", key)
    return (bare if len(bare) >= CHARS_MIN else key).replace(" ", "") if not key.isascii() else key


class Questions:
    """The open questions of one room, by key."""

    __slots__ = ("_ids", "_lines")

    def __init__(self) -> None:
        self._lines: dict[str, Question] = {}
        self._ids = 0

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def hear(self, text: str, user: str, comment: str, at: int) -> None:
        """Somebody said something; `comment` is its id if viewers see it."""
        if not asks(text):
            return
        key = question_key(text)
        line = self._lines.get(key)
        if line is None:
            self._ids += 1
            line = Question(f"q{base36(at)}-{self._ids}", text, comment, at, at)
            if len(self._lines) >= OPEN_MAX:
                del self._lines[min(self._lines, key=lambda key: (len(self._lines[key].askers), self._lines[key].last_at))]
            self._lines[key] = line
        line.last_at = max(line.last_at, at)
        line.comment = comment or line.comment
        if len(line.askers) < ASKERS_MAX:
            line.askers[user] = None

    def answered(self, question: str) -> Question:
        """It is answered, and leaves. Raises `InvalidChange`."""
        for key, line in self._lines.items():
            if line.id == question:
                return self._lines.pop(key)
        raise InvalidChange(UNKNOWN)

    def redact(self, ids: set[str], users: set[str]) -> None:
        """These comments, and what `users` said, are off the screens. What others asked too is still a question."""
        for key, line in list(self._lines.items()):
            for user in users:
                line.askers.pop(user, None)
            gone = line.comment in ids
            if not line.askers or (gone and len(line.askers) == 1):
                del self._lines[key]
            elif gone:
                line.comment = ""

    def fade(self, now: int) -> bool:
        """Forget what nobody asks any more; True if nothing is left."""
        for key, line in list(self._lines.items()):
            if line.last_at + KEPT_MS <= now:
                del self._lines[key]
        return not self._lines

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def listed(self) -> list[Json]:
        """What most people ask first; of two with the same number, what was asked first."""
        return [line.tell() for line in sorted(self._lines.values(), key=lambda line: (-len(line.askers), line.at))]

    def mentions(self, user: str) -> bool:
        """Whether this user asked one of them."""
        return any(user in line.askers for line in self._lines.values())
