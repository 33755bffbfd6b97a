"""What users did that a drop on show asks for: how often they liked, and whether they said its keyword.

Counted only while some drop asks, from its announcement on: it is told what to do, and then done. At other times nothing is
kept and nothing costs anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from livecast.core.events import Json
from livecast.core.money.drops import ASKING
from livecast.core.text import clean, merge_key
from livecast.core.tools.kept import Kept

DOERS_MAX: Final = 200_000
"""Users whose likes, and for each keyword users whose words, are noted. Those who come later have not done it. About 30 MB each."""


class Deeds:
    """The likes and keywords of one room that its drops ask for.

    `keywords`: keyword -> what a comment's merge key must contain. `counts_likes`: whether likes are asked for.
    """

    __slots__ = ("_liked", "_said", "counts_likes", "kept_likes", "kept_words", "keywords")

    def __init__(self) -> None:
        self.counts_likes = False
        self.keywords: dict[str, str] = {}
        self._liked: dict[str, int] = {}
        self._said: dict[str, set[str]] = {}
        self.kept_likes = Kept()
        self.kept_words: dict[str, Kept] = {}

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def ask(self, drops: Mapping[str, Json]) -> bool:
        """These drops are on show: note from now on what they ask for, forget what none asks for; whether that is anything."""
        asked = [drop.get("eligibility", {}) for drop in drops.values() if drop.get("state") in ASKING]
        self.counts_likes = any("liked" in rules for rules in asked)
        if not self.counts_likes and self._liked:
            self._liked = {}
            self.kept_likes.clear()
        self.keywords = {word: merge_key(clean(word)) for rules in asked if (word := rules.get("commented"))}
        for word in self._said.keys() - self.keywords.keys():
            del self._said[word]
            self.kept_words[word].clear()
        for word in self.keywords.keys() - self._said.keys():
            self._said[word] = set()
            self.kept_words.setdefault(word, Kept())
        return self.counts_likes or bool(self.keywords)

    def like(self, user: str, counted: int) -> None:
        """Taps that counted."""
        before = self._liked.get(user)
        if before is None and len(self._liked) >= DOERS_MAX:
            return
        self._liked[user] = total = (before or 0) + counted
        self.kept_likes.put(user, total)

    def say(self, user: str, key: str) -> None:
        """A comment that was accepted, by its merge key."""
        for word, needle in self.keywords.items():
            if needle in key and user not in (said := self._said[word]) and len(said) < DOERS_MAX:
                said.add(user)
                self.kept_words[word].put(user, 1)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def liked(self, user: str) -> int:
        """How often a user liked since it was asked for."""
        return self._liked.get(user, 0)

    def said(self, user: str) -> list[str]:
        """The keywords that a user has said."""
        return [word for word, users in self._said.items() if user in users]

    @property
    def idle(self) -> bool:
        """Whether nothing is asked for and nothing is left to store."""
        return not (self.counts_likes or self.keywords or self.kept_likes.told or self.kept_words)

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain_private(self) -> dict[str, Json]:
        """The patch for the next commit."""
        patch: dict[str, Json] = {}
        if liked := self.kept_likes.drain():
            patch["liked"] = liked if self.counts_likes else None
        words: dict[str, Json] = {}
        for word, kept in list(self.kept_words.items()):
            if word not in self.keywords:
                words[word] = None
                del self.kept_words[word]
            elif change := kept.drain():
                words[word] = change
        return {**patch, "said": words} if words else patch

    def private(self) -> dict[str, Json]:
        """What the next owner needs, as of the last commit."""
        words = {word: dict(kept.told) for word, kept in self.kept_words.items() if kept.told}
        return ({"liked": dict(self.kept_likes.told)} if self.kept_likes.told else {}) | ({"said": words} if words else {})

    def restore(self, liked: Mapping[str, int], said: Mapping[str, Iterable[str]]) -> None:
        """Go on where a former owner stopped; `ask` comes next."""
        self._liked = dict(liked)
        self.kept_likes = Kept(liked)
        self._said = {word: set(users) for word, users in said.items()}
        self.kept_words = {word: Kept(dict.fromkeys(users, 1)) for word, users in said.items()}
