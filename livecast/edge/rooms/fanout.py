"""Handing one frame to many sockets: the same bytes object to all, no waiting, the loop gets its turn in between.

Frames of a room are handed out one after the other, each to the sockets that were there when it was applied: so every
socket sees them in order, however many turns of the loop a large room takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from livecast.edge.viewers.outbox import LAGGING
from livecast.ports import FannedOut
from livecast.wire.codec import JSON, MSGPACK, Codec
from livecast.wire.sealing import Sealed

if TYPE_CHECKING:
    from livecast.edge.rooms.hub import RoomHub
    from livecast.edge.viewers.websocket import ViewerSocket

#: (codec, deflate): the forms in which a frame goes to sockets. A socket's `variant` is an index into this.
VARIANTS: Final[tuple[tuple[Codec, bool], ...]] = ((MSGPACK, False), (MSGPACK, True), (JSON, False), (JSON, True))

HOT_FRAMES: Final = 32
"""Frames whose JSON and compressed forms are kept ready: six seconds of a busy room, for those who resume or read files.
Older ones are made again when asked for."""


class FanOut:
    """What of one room is still to be handed out."""

    __slots__ = ("_hot", "_hub", "_jobs", "_scheduled", "sent_seq")

    def __init__(self, hub: RoomHub) -> None:
        self._hub = hub
        # Short lists: an empty deque has 600 bytes, and most rooms are quiet.
        self._jobs: list[Iterator[None]] = []
        self._hot: list[Sealed] = []
        self._scheduled = False
        self.sent_seq = hub.view.seq
        """The last frame that went to everybody: a `pong` must not speak of one that is still on its way."""

    def frame(self, sealed: Sealed, seq: int) -> None:
        """Hand out a frame, the first slice at once unless another frame is still under way."""
        groups = [(variant, list(sockets)) for variant, sockets in enumerate(self._hub.sockets()) if sockets]
        self.keep_warm(sealed)
        if groups:
            self._start(self._write(sealed, seq, groups))
        elif not self._jobs:
            self.sent_seq = seq

    def renew(self) -> None:
        """Forget what is under way; give everybody a welcome instead."""
        self._jobs.clear()
        self._hot.clear()
        self.sent_seq = 0
        self._start(self._welcome_all())

    def form(self, sealed: Sealed, variant: int) -> bytes:
        """A frame as sockets of this variant get it, kept for the next who asks."""
        if sealed not in self._hot:
            self.keep_warm(sealed)
        codec, deflate = VARIANTS[variant]
        return sealed.ws(codec, deflate=deflate)

    def keep_warm(self, sealed: Sealed) -> None:
        """Keep this frame's forms for a while, and let those of the coldest go."""
        self._hot.append(sealed)
        if len(self._hot) > HOT_FRAMES:
            self._hot.pop(0).drop_caches()

    def _start(self, job: Iterator[None]) -> None:
        self._jobs.append(job)
        if not self._scheduled:
            self._turn()

    def _turn(self) -> None:
        """One slice of the first job."""
        self._scheduled = False
        if self._jobs:
            job = self._jobs[0]
            try:
                next(job)
            except StopIteration:
                self._jobs.pop(0)
            except Exception as e:  # noqa: BLE001 - a fault with one frame must not silence the room
                self._jobs.pop(0)
                self._hub.node.trouble("a frame was not handed out to everybody", self._hub.room, e)
        if self._jobs and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _write(self, sealed: Sealed, seq: int, groups: list[tuple[int, list[ViewerSocket]]]) -> Iterator[None]:
        """One frame to those who were there; yields after each slice."""
        node, time = self._hub.node, asyncio.get_running_loop().time
        began, turn_left = time(), node.rules.fanout_slice
        deliveries, wire_bytes, skipped = 0, 0, 0
        for variant, sockets in groups:
            codec, deflate = VARIANTS[variant]
            data = sealed.ws(codec, deflate=deflate)
            at = 0
            while at < len(sockets):
                some = sockets[at : at + turn_left]
                left_out = _hand_out(some, sealed, data, seq)
                sent = len(some) - left_out
                deliveries, wire_bytes, skipped = deliveries + sent, wire_bytes + sent * len(data), skipped + left_out
                at, turn_left = at + len(some), turn_left - len(some)
                if not turn_left:
                    turn_left = node.rules.fanout_slice
                    yield
        self.sent_seq = seq
        node.observer.observe(FannedOut(self._hub.room, deliveries, wire_bytes, skipped, (time() - began) * 1000))

    def _welcome_all(self) -> Iterator[None]:
        budget = self._hub.node.rules.fanout_slice
        for socket in [socket for sockets in self._hub.sockets() for socket in sockets]:
            try:
                socket.welcome_again("epoch")
            except Exception as fault:  # noqa: BLE001 - as in `_hand_out`
                socket.write_failed(fault)
            budget -= 1
            if budget == 0:
                budget = self._hub.node.rules.fanout_slice
                yield
        self.sent_seq = self._hub.view.seq


def _hand_out(sockets: list[ViewerSocket], sealed: Sealed, data: bytes, seq: int) -> int:
    """Write to each of these; how many were left out. All of fan-out's time is spent in this loop, most of it in the kernel.

    Straight to the descriptor, past the transport: that may be done because one who does not lag has nothing unsent there (of
    the first byte that stays behind the transport tells, see `ViewerSocket.pause_writing`), and it saves half of what Python
    does per viewer.
    """
    left_out, size = 0, len(data)
    for socket in sockets:
        try:
            if socket.after < seq:
                if (acks := socket.acks) is None:
                    if (taken := socket.sock.send(data)) != size:
                        socket.transport.write(data[taken:])
                else:
                    socket.acks = None
                    acks.append(data)
                    socket.transport.write(b"".join(acks))
            elif socket.after == LAGGING and not socket.offer(sealed, data, seq):
                left_out += 1
        except OSError:  # the kernel's buffer is full, or the connection broke: the transport knows what is to be done
            socket.write(data)
        except Exception as fault:  # noqa: BLE001 - one viewer's fault must not keep the others' frame
            socket.write_failed(fault)
    return left_out
