"""Handing one frame to many sockets: the same bytes object to all, no waiting, the loop gets its turn in between.

Frames of a room are handed out one after the other, each to the sockets that were there when it was applied: so every
socket sees them in order, however many turns of the loop a large room takes. Those that come while one is still on its way
wait, and leave together in one write per viewer: most of what a viewer costs is the write, so a node that has fallen behind
catches up instead of falling behind further.

Where it does not, what waits is bounded: once the oldest frame of it is no longer kept for those who come back, or waited too
long, it is left out, and everybody is told the room as it is (`welcome`, reason `skipped`) as a slow socket is. A node that
cannot even do that in time gives its viewers one welcome after the other: late, never silently incomplete, in bounded memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import repeat
from socket import SocketType
from typing import TYPE_CHECKING, Final

from livecast.edge.rooms.crowd import BUSY_SHARE, Crowd
from livecast.edge.rooms.roster import Roster, Rosters
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
LATE_S: Final = 10.0
"""Frames that waited longer for their turn are left out: fifty ticks of a busy room. Nobody talks with what is older; a loop that
was held up, or frames that were read again after a hole in hundreds, take a tenth of it."""
_SEND: Final = SocketType.send


class FanOut:
    """What of one room is still to be handed out."""

    __slots__ = (
        "_began", "_behind", "_crowd", "_hot", "_hub", "_job", "_newest", "_rosters", "_scheduled", "_waiting", "sent_seq",
    )  # fmt: skip

    def __init__(self, hub: RoomHub) -> None:
        self._hub = hub
        # Short lists: an empty deque has 600 bytes, and most rooms are quiet.
        self._waiting: list[tuple[Sealed, float]] = []
        """Frames, and since when (time of the loop) each waits."""
        self._behind = False
        """Frames were left out: what is due next is a welcome for everybody."""
        self._hot: list[Sealed] = []
        self._job: Iterator[None] | None = None
        """What is on its way; it yields after each slice."""
        self._scheduled = False
        self._rosters: Rosters | None = None
        """None again after each `shuffled`."""
        self._crowd: Crowd | None = None
        """There while handing out takes most of the time."""
        self._began = 0.0
        """When the last frames began to leave (time of the loop)."""
        self._newest = hub.view.seq
        """No socket has an `after` above this, but those that are looked at anyway."""
        self.sent_seq = hub.view.seq
        """The last frame that went to everybody: a `pong` must not speak of one that is still on its way."""

    def frame(self, sealed: Sealed, seq: int) -> None:
        """Hand out a frame, the first slice at once unless another frame is still under way."""
        self.keep_warm(sealed)
        if self._job is not None or any(self._hub.sockets()):
            now = asyncio.get_running_loop().time()
            if self._waiting and self._too_far_behind(now):
                self._leave_out()
            self._waiting.append((sealed, now))
            self._start()
        else:
            self.sent_seq = seq

    def renew(self) -> None:
        """Forget what is under way; give everybody a welcome instead."""
        self._waiting.clear()
        self._behind = False
        self._hot.clear()
        self.shuffled()
        self.sent_seq = 0
        self._job = self._welcome_all("epoch")
        self._start()

    def shuffled(self) -> None:
        """Somebody came, went, began or ceased to lag, or was told the room anew: rosters of before hold no more."""
        self._rosters = None
        self._newest = self._hub.view.seq

    def takes_along(self, viewer: ViewerSocket) -> bool:
        """`viewer` has acks to be written from now on. True: they will leave with a frame, very soon; see `Crowd`."""
        if self._rosters is not None:
            self._rosters.note(viewer)
        return self._crowd is not None and self._crowd.takes(viewer, under_way=self._job is not None)

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

    def _too_far_behind(self, now: float) -> bool:
        """Whether the oldest frame that waits has waited too long, or is kept for nobody else any more."""
        oldest, since = self._waiting[0]
        return now - since > LATE_S or oldest.seq < self._hub.view.first_seq

    def _leave_out(self) -> None:
        """What waits will reach nobody: everybody is welcomed anew, as soon as what is under way has been handed out."""
        self._behind = True
        skipped = len(self._waiting) * sum(map(len, self._hub.sockets()))
        self._waiting.clear()
        self._hub.node.observer.observe(FannedOut(self._hub.room, 0, 0, skipped, 0.0))

    def _start(self) -> None:
        if not self._scheduled:
            self._turn()

    def _turn(self) -> None:
        """One slice of what is on its way, or the first of what waits."""
        self._scheduled = False
        if self._job is None and self._behind:
            self._behind = False
            self._waiting.clear()  # the welcomes have it
            self._job = self._welcome_all("skipped")
        elif self._job is None and self._waiting:
            self._job = self._write(self._take())
        if (job := self._job) is not None:
            try:
                next(job)
            except StopIteration:
                self._over(job)
            except Exception as e:  # noqa: BLE001 - a fault with one frame must not silence the room
                self._over(job)
                self._hub.node.trouble("a frame was not handed out to everybody", self._hub.room, e)
        if (self._job is not None or self._waiting or self._behind) and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _over(self, job: Iterator[None]) -> None:
        if self._job is job:  # and not what a viewer's fault led to meanwhile
            self._job = None

    def _take(self) -> list[Sealed]:
        """Of the frames that wait those that leave together, at least one."""
        count = size = 0
        for sealed, _ in self._waiting:
            size += len(sealed.msgpack)
            if count and size > TOGETHER_BYTES:
                break
            count += 1
        some, self._waiting = self._waiting[:count], self._waiting[count:]
        return [sealed for sealed, _ in some]

    def _write(self, frames: list[Sealed]) -> Iterator[None]:
        """These frames to those who were there when they came; yields after each slice."""
        node, time = self._hub.node, asyncio.get_running_loop().time
        began, turn_left = time(), node.rules.fanout_slice
        deliveries, wire_bytes, skipped = 0, 0, 0
        pace_s, self._began = began - self._began, began
        rosters = self._roll()
        for variant, roster in rosters.by_variant.items():
            forms = [self.form(sealed, variant) for sealed in frames]
            data = forms[0] if len(forms) == 1 else b"".join(forms)
            at, everybody = 0, len(roster.viewers)
            while at < everybody:
                end = min(at + turn_left, roster.alike if at < roster.alike else everybody)
                known = frames[0].seq > self._newest and self._rosters is rosters and rosters.hold()
                if at >= roster.alike and known:
                    left_out = _hand_out_alike(roster, at, end, data)
                else:
                    left_out = _hand_out(roster.viewers[at:end], frames, forms, data)
                sent = (end - at) * len(frames) - left_out
                deliveries, wire_bytes, skipped = (
                    deliveries + sent,
                    wire_bytes + sent * len(data) // len(frames),
                    skipped + left_out,
                )
                at, turn_left = end, turn_left - (end - at)
                if not turn_left:
                    turn_left = node.rules.fanout_slice
                    yield
        self.sent_seq = frames[-1].seq
        took_s = time() - began
        self._look_at_pace(took_s, pace_s)
        node.observer.observe(FannedOut(self._hub.room, deliveries, wire_bytes, skipped, took_s * 1000))

    def _roll(self) -> Rosters:
        """The rosters there are, if nobody has acks but those that they look at; else others."""
        rosters = self._rosters
        if rosters is None or not rosters.hold():
            waiting = self._hub.node.unsent.viewers
            with_acks = waiting if self._crowd is None else [*self._crowd.held, *waiting]
            rosters = self._rosters = Rosters(self._hub.sockets(), with_acks, rosters)
        return rosters

    def _look_at_pace(self, took_s: float, pace_s: float) -> None:
        """Frames were handed out in so long, so long after those before them: is this room busy with that?"""
        if took_s > BUSY_SHARE * pace_s:
            if self._crowd is None:
                self._crowd = Crowd(self._hub.node.unsent)
            self._crowd.frame_went(self._began, pace_s)
        elif self._crowd is not None:
            self._crowd.let_go()
            self._crowd = None

    def _welcome_all(self, reason: str) -> Iterator[None]:
        """Tell everybody the room anew; yields after each slice. What comes meanwhile waits behind it."""
        budget, seq = self._hub.node.rules.fanout_slice, self._hub.view.seq
        for socket in [socket for sockets in self._hub.sockets() for socket in sockets]:
            if reason == "skipped" and seq <= socket.after < LAGGING:
                continue  # came when nothing was left out any more
            try:
                socket.welcome_again(reason)
            except Exception as fault:  # noqa: BLE001 - as in `_hand_out`
                socket.write_failed(fault)
            budget -= 1
            if budget == 0:
                budget = self._hub.node.rules.fanout_slice
                yield
        self.sent_seq = seq


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
                    acks.append(data)
                    socket.flush_acks()
            else:
                left_out += _hand_some(socket, frames, forms)
        except OSError:  # the kernel's buffer is full, or the connection broke: the transport knows what is to be done
            socket.write(data)
        except Exception as fault:  # noqa: BLE001 - one viewer's fault must not keep the others' frame
            socket.write_failed(fault)
    return left_out


def _hand_out_alike(roster: Roster, begin: int, end: int, data: bytes) -> int:
    """`_hand_out` to those of a roster who are alike, from `begin` on up to `end`, without a step of Python for each.

    Nobody is left out. A viewer is touched only if something is the matter with their descriptor.
    """
    lines, taken, size = roster.lines[begin:end], list[int](), len(data)
    left = iter(lines)
    while len(taken) < len(lines):
        try:
            taken.extend(map(_SEND, left, repeat(data)))  # what it took before one raised, it keeps
        except OSError:  # as above
            roster.viewers[begin + len(taken)].write(data)
            taken.append(size)
        except Exception as fault:  # noqa: BLE001 - as above
            roster.viewers[begin + len(taken)].write_failed(fault)
            taken.append(size)
    if taken.count(size) != len(taken):
        for at, sent in enumerate(taken, begin):
            if sent != size:
                roster.viewers[at].write(data[sent:])
    return 0


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
