"""Whoever is banned beyond single rooms, or put out by name, leaves every room of this node at once."""

from __future__ import annotations

from collections.abc import Sequence

from livecast.core.events import Notice
from livecast.edge.node import Node
from livecast.house import Rule
from livecast.shard.house import House, covers


class Doorman:
    """Keeps a node to the rules of the house."""

    def __init__(self, node: Node, house: House) -> None:
        self._node = node
        node.house = house
        house.listeners.append(self._rule_changed)
        house.on_put_out.append(self._put_out)

    def _rule_changed(self, rule: Rule) -> None:
        """A ban is in force: those inside go. (Those outside are asked about at the door.)"""
        if rule.kind == "ban":
            for hub in self._node.views.hubs():
                if hub.has(rule.user) and hub.banned(rule.user):
                    standing = None if self._node.house is None else self._node.house.standing("ban", rule.user, rule.scope)
                    hub.kick(rule.user, until=None if standing is None else standing[1].until or None)

        if rule.kind == "mute":
            self._tell_muted(rule)

    def _tell_muted(self, rule: Rule) -> None:
        """As a room tells whom it mutes itself: at most once on every connection of theirs that it holds for."""
        node = self._node
        for hub in node.views.hubs():
            if node.house is None or not hub.has(rule.user) or not covers(rule.scope, hub.room, hub.merchant or ""):
                continue
            found, now = node.house.standing("mute", rule.user, rule.scope), node.clock()
            data = {} if found is None else {"until": found[1].until or None, "reason": found[1].reason}
            kind = "unmuted" if found is None else "muted"
            hub.notify(rule.user, Notice(f"{node.id}-{kind}-{now}", kind, now, data))

    def _put_out(self, user: str, scopes: Sequence[str], reason: str, until: int | None) -> None:
        """Close every connection of a user in the rooms of these scopes."""
        for hub in self._node.views.hubs():
            if hub.has(user) and any(covers(scope, hub.room, hub.merchant or "") for scope in scopes):
                hub.kick(user, reason, until)
