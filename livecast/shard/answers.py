"""What a room answers, on its way to who asked: by the node that they are connected to, after the commit or along with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from livecast.core.errors import Refusal
from livecast.core.events import Answer, Ask, Command, Done, Event, Liked, Origin, Reply, Reported, Said, Voted
from livecast.core.frames import TO_STAFF, Flush
from livecast.ports import Bus

Owed = Sequence[tuple[Origin, str | None, Answer]]
"""Answers, each with where its question came from and under which `cid`."""


class Answers:
    """The answers of one room."""

    __slots__ = ("_bus", "_room")

    def __init__(self, bus: Bus, room: str) -> None:
        self._bus = bus
        self._room = room

    def send(self, owed: Owed) -> None:
        """At once, each node's together."""
        self.tell(_by_node(owed))

    def tell(self, by_node: Mapping[str, Sequence[Reply]]) -> None:
        """What is sorted by nodes already."""
        for node, batch in by_node.items():
            self._bus.reply(node, batch)

    def parted(self, owed: Owed) -> tuple[dict[str, list[Reply]], tuple[tuple[str, tuple[Reply, ...]], ...]]:
        """Answers by node: those to be told after the commit, and those that go with it.

        Whoever has a viewer's socket follows the room, so that answer goes with the frame to nodes elsewhere: by itself it would
        come after it. What was asked over HTTP may come from a node that does not follow, and has no frame to come before.
        """
        near, far = _by_node(owed), []
        for node, batch in list(near.items()):
            if not self._bus.here(self._room, node):
                far.append((node, tuple(reply for reply in batch if _goes_with_the_frame(reply))))
                near[node] = [reply for reply in batch if not _goes_with_the_frame(reply)]
        return {node: batch for node, batch in near.items() if batch}, tuple((node, batch) for node, batch in far if batch)

    def refuse(self, events: Iterable[Event], refusal: Refusal) -> None:
        """All who wait for an answer get this one; who only taps and gave no `cid` waits for none."""
        waiting = [e for e in events if isinstance(e, Said | Liked | Voted | Reported | Command | Ask)]
        self.send([(e.origin, e.cid, refusal) for e in waiting if e.cid is not None or not isinstance(e, Liked)])

    def notify(self, flush: Flush) -> None:
        """What single users, and the staff, are told besides the frame."""
        for user, notice in flush.notices:
            self._bus.notify(self._room, user, notice)
        if flush.for_staff is not None:
            for node in flush.for_staff.nodes:
                self._bus.reply(node, [Reply(TO_STAFF, None, Done(flush.for_staff.told))])


def _goes_with_the_frame(reply: Reply) -> bool:
    return reply.asker > 0 and not isinstance(reply.answer, Done)


def _by_node(owed: Owed) -> dict[str, list[Reply]]:
    by_node: dict[str, list[Reply]] = {}
    for origin, cid, answer in owed:
        by_node.setdefault(origin.node, []).append(Reply(origin.asker, cid, answer))
    return by_node
