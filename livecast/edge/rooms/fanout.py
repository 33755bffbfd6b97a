"""Handing one frame to many sockets: the same bytes object to all, no waiting, the loop gets its turn in between.

Frames of a room are handed out one after the other, each to the sockets that were there when it was applied: so every
socket sees them in order, however many turns of the loop a large room takes. Those that come while one is still on its way
wait, and leave together in one write per viewer: most of what a viewer costs is the write, so a node that has fallen behind
catches up instead of falling behind further.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from livecast.edge.viewers.outbox import LAGGING
from livecast.facts import FannedOut
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
TOGETHER_BYTES: Final = 16_384
"""Frames that waited leave together up to about this size: a quarter of what a healthy socket takes at once."""


class FanOut:
    """What of one room is still to be handed out."""

    __slots__ = ("_hot", "_hub", "_job", "_scheduled", "_waiting", "sent_seq")

    def __init__(self, hub: RoomHub) -> None:
        self._hub = hub
        # Short lists: an empty deque has 600 bytes, and most rooms are quiet.
        self._waiting: list[Sealed] = []
        self._hot: list[Sealed] = []
        self._job: Iterator[None] | None = None
        """What is on its way; it yields after each slice."""
        self._scheduled = False
        self.sent_seq = hub.view.seq
        """The last frame that went to everybody: a `pong` must not speak of one that is still on its way."""

    def frame(self, sealed: Sealed, seq: int) -> None:
        """Hand out a frame, the first slice at once unless another frame is still under way."""
        self.keep_warm(sealed)
        if self._job is not None or any(self._hub.sockets()):
            self._waiting.append(sealed)
            self._start()
        else:
            self.sent_seq = seq

    def renew(self) -> None:
        """Forget what is under way; give everybody a welcome instead."""
        self._waiting.clear()
        self._hot.clear()
        self.sent_seq = 0
        self._job = self._welcome_all()
        self._start()

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

    def _start(self) -> None:
        if not self._scheduled:
            self._turn()

    def _turn(self) -> None:
        """One slice of what is on its way, or the first of what waits."""
        self._scheduled = False
        if self._job is None and self._waiting:
            self._job = self._write(self._take())
        if (job := self._job) is not None:
            try:
                next(job)
            except StopIteration:
                self._over(job)
            except Exception as e:  # noqa: BLE001 - a fault with one frame must not silence the room
                self._over(job)
                self._hub.node.trouble("a frame was not handed out to everybody", self._hub.room, e)
        if (self._job is not None or self._waiting) and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _over(self, job: Iterator[None]) -> None:
        if self._job is job:  # and not what a viewer's fault led to meanwhile
            self._job = None

    def _take(self) -> list[Sealed]:
        """Of the frames that wait those that leave together, at least one."""
        count = size = 0
        for sealed in self._waiting:
            size += len(sealed.msgpack)
            if count and size > TOGETHER_BYTES:
                break
            count += 1
        some, self._waiting = self._waiting[:count], self._waiting[count:]
        return some

    def _write(self, frames: list[Sealed]) -> Iterator[None]:
        """These frames to those who were there when they came; yields after each slice."""
        node, time = self._hub.node, asyncio.get_running_loop().time
        began, turn_left = time(), node.rules.fanout_slice
        deliveries, wire_bytes, skipped = 0, 0, 0
        for variant, sockets in [(variant, list(sockets)) for variant, sockets in enumerate(self._hub.sockets()) if sockets]:
            codec, deflate = VARIANTS[variant]
            forms = [sealed.ws(codec, deflate=deflate) for sealed in frames]
            data = forms[0] if len(forms) == 1 else b"".join(forms)
            at = 0
            while at < len(sockets):
                some = sockets[at : at + turn_left]
                left_out = _hand_out(some, frames, forms, data)
                sent = len(some) * len(frames) - left_out
                deliveries, wire_bytes, skipped = (
                    deliveries + sent,
                    wire_bytes + sent * len(data) // len(frames),
                    skipped + left_out,
                )
                at, turn_left = at + len(some), turn_left - len(some)
                if not turn_left:
                    turn_left = node.rules.fanout_slice
                    yield
        self.sent_seq = frames[-1].seq
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


def _hand_out(sockets: list[ViewerSocket], frames: list[Sealed], forms: list[bytes], data: bytes) -> int:
    """Write `frames` to each of these; how many frames were left out. `forms`: each as these sockets get it; `data`: all of them.

    All of fan-out's time is spent in this loop, most of it in the kernel. Straight to the descriptor, past the transport: that
    may be done because one who does not lag has nothing unsent there (of the first byte that stays behind the transport tells,
    see `ViewerSocket.pause_writing`), and it saves half of what Python does per viewer.
    """
    left_out, size, first = 0, len(data), frames[0].seq
    for socket in sockets:
        try:
            if socket.after < first:
                if (acks := socket.acks) is None:
                    if (taken := socket.sock.send(data)) != size:
                        socket.transport.write(data[taken:])
                else:
                    socket.acks = None
                    acks.append(data)
                    socket.transport.write(b"".join(acks))
            else:
                left_out += _hand_some(socket, frames, forms)
        except OSError:  # the kernel's buffer is full, or the connection broke: the transport knows what is to be done
            socket.write(data)
        except Exception as fault:  # noqa: BLE001 - one viewer's fault must not keep the others' frame
            socket.write_failed(fault)
    return left_out


def _hand_some(socket: ViewerSocket, frames: list[Sealed], forms: list[bytes]) -> int:
    """To one who lags what they can take, to one who came in between what came since; how many were left out."""
    left_out = 0
    try:
        for sealed, form in zip(frames, forms, strict=True):
            if socket.after == LAGGING:
                left_out += not socket.offer(sealed, form, sealed.seq)
            elif socket.after < sealed.seq:
                socket.send(form)
    except Exception as fault:  # noqa: BLE001 - as above
        socket.write_failed(fault)
    return left_out
