"""Whoever is banned beyond single rooms, or put out by name, leaves every room of this node at once."""

from __future__ import annotations

from collections.abc import Sequence

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

    def _put_out(self, user: str, scopes: Sequence[str], reason: str, until: int | None) -> None:
        """Close every connection of a user in the rooms of these scopes."""
        for hub in self._node.views.hubs():
            if hub.has(user) and any(covers(scope, hub.room, hub.merchant or "") for scope in scopes):
                hub.kick(user, reason, until)
