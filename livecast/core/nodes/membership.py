"""Who is there: nodes show signs of life, and each watches the others' by its own clock.

A sign is a number that changes. Nobody compares clocks and nothing expires by itself: a node is dead to another one that has seen
its sign unchanged for so long, while it could look. Whoever could not look knows nothing and starts watching anew.

Pure: `now_s` is the watcher's monotonic clock, handed in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from livecast.core.nodes.placement import SHARDS

FREE: Final = "free"
"""What stands in place of a token where a shard was given up in order: whoever it is dealt to may take it."""
BLIND_SHARE: Final = 0.5
"""Without a look for this part of the time that makes a node dead, silence says nothing: it may have been ours."""
FORGET_S: Final = 60.0
"""A node dead for so long is no longer kept in the store. Should it wake, it shows a new sign."""
UNCLAIMED_BEATS: Final = 2
"""A holder that lives, and in so many signs after its token was seen does not say that it owns the shard, has lost it: its
store came back without the last second."""


class Beat(Struct, frozen=True, omit_defaults=True):
    """A node's sign of life. `owns` is a bit for each shard that it owns; `leaving`: it wants none any more; `format`: the newest
    format of what is stored that it can read (`core.nodes.formats`).
    """

    count: int
    owns: bytes = b""
    leaving: bool = False
    version: str = ""
    format: int = 1


def bits_of(shards: Iterable[int]) -> bytes:
    """Shards as a bit each, shard 0 being the lowest of the first byte."""
    return sum(1 << shard for shard in set(shards)).to_bytes(SHARDS // 8, "little")


def shards_in(bits: bytes) -> frozenset[int]:
    """The shards whose bits are set; bits beyond all shards are none."""
    number = int.from_bytes(bits, "little")
    return frozenset(shard for shard in range(SHARDS) if number >> shard & 1)


def token_of(node: str, chance: str) -> str:
    """A fence token: 128 random bits that never come again, and who holds it."""
    return f"{node}.{chance}"


def holder_of(token: str) -> str:
    """The node that a token is of; "" if the shard is nobody's."""
    return "" if token in {"", FREE} else token.rpartition(".")[0]


class _Peer:
    __slots__ = ("beat", "changed_at_s", "dead", "owns", "proven")

    def __init__(self, beat: Beat | None, now_s: float) -> None:
        self.beat = beat
        """None: it was heard of as a holder, and never seen."""
        self.changed_at_s = now_s
        self.dead = False
        self.proven = False
        """It has shown another sign than the first one we saw, which may be left over from a life long ago."""
        self.owns = shards_in(beat.owns) if beat is not None else frozenset()


class Membership:
    """The nodes as one of them sees them. `dead_after_s` of an unchanged sign make a node dead."""

    def __init__(self, me: str, dead_after_s: float) -> None:
        self._me = me
        self._dead_after_s = dead_after_s
        self._peers: dict[str, _Peer] = {}
        self._looked_at_s: float | None = None

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def look(self, beats: Mapping[str, Beat], now_s: float) -> list[str]:
        """Take in all signs as they are now. Gives the nodes that died or left since the last look."""
        blind = self._looked_at_s is None or now_s - self._looked_at_s > self._dead_after_s * BLIND_SHARE
        self._looked_at_s = now_s
        for name, beat in beats.items():
            if name != self._me:
                self._take(name, beat, now_s)
        gone: list[str] = []
        for name, peer in list(self._peers.items()):
            there = name in beats
            if blind and not peer.dead:
                peer.changed_at_s = now_s
            if not there and peer.beat is not None and peer.beat.leaving and not peer.dead:
                peer.dead = True  # it said good-bye
                gone.append(name)
            elif not peer.dead and now_s - peer.changed_at_s >= self._dead_after_s:
                peer.dead = True
                gone.append(name)
            elif peer.dead and not there and now_s - peer.changed_at_s > FORGET_S:
                del self._peers[name]
        return gone

    def suspect(self, name: str, now_s: float) -> None:
        """Somebody holds a shard of whom no sign was ever seen: watch for one from now on."""
        if name not in self._peers and name != self._me:
            self._peers[name] = _Peer(None, now_s)

    def leaves(self, name: str) -> None:
        """A node said, by another way than its sign, that it leaves."""
        peer = self._peers.get(name)
        if peer is not None and peer.beat is not None:
            peer.beat = replace(peer.beat, leaving=True)

    def _take(self, name: str, beat: Beat, now_s: float) -> None:
        peer = self._peers.get(name)
        if peer is None:
            self._peers[name] = _Peer(beat, now_s)
        elif peer.beat is None or peer.beat.count != beat.count:
            if peer.beat is None or peer.beat.owns != beat.owns:
                peer.owns = shards_in(beat.owns)
            peer.beat, peer.changed_at_s, peer.dead, peer.proven = beat, now_s, False, True

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def present(self, *, myself: bool = True) -> list[str]:
        """The nodes that shards are dealt to: those that live and do not leave."""
        others = [name for name, peer in self._peers.items() if not peer.dead and peer.beat is not None and not peer.beat.leaving]
        return sorted([*others, self._me] if myself else others)

    def living(self) -> list[Beat]:
        """The last signs of all others that live, also of those that leave."""
        return [peer.beat for peer in self._peers.values() if not peer.dead and peer.beat is not None]

    def is_dead(self, name: str) -> bool:
        """Whether this node was watched for long enough without a sign."""
        peer = self._peers.get(name)
        return peer is not None and peer.dead

    def count(self, name: str) -> int | None:
        """The last sign's number; None: none was ever seen."""
        peer = self._peers.get(name)
        return None if peer is None or peer.beat is None else peer.beat.count

    def claims(self, name: str, shard: int) -> bool:
        """Whether a node says that it owns a shard."""
        peer = self._peers.get(name)
        return peer is not None and shard in peer.owns

    def claimed(self, shards: Collection[int], *, proven: bool = False) -> set[int]:
        """Those of `shards` that others who live, or (`proven`) were seen to live, say they own."""
        living = [peer for peer in self._peers.values() if not peer.dead and (peer.proven or not proven)]
        return {shard for peer in living for shard in peer.owns if shard in shards}

    def garbage(self, beats: Mapping[str, Beat], now_s: float) -> dict[str, Beat]:
        """Signs of nodes dead for so long that they need not be kept."""
        return {
            name: beats[name]
            for name, peer in self._peers.items()
            if peer.dead and name in beats and now_s - peer.changed_at_s > FORGET_S
        }
