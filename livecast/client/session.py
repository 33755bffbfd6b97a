"""A client's side of the conversation, without I/O: bytes in, bytes out, time as an argument.

A `Session` outlives its connections. It knows what was asked and not yet answered, where in the room's frames it is, when to
ping, when to send collected taps, and when a connection is no good any more (`broken`). The shell (`livecast.client.client`)
moves bytes and sleeps. All times are seconds of one monotonic clock.

    connected → receive… / to_send / tick at next_timer → disconnected → connected…
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from livecast.client.errors import ClientError, Closed, GaveUp
from livecast.client.messages import (
    Ack,
    Answer,
    Bye,
    CodecName,
    Desk,
    Error,
    Event,
    Mark,
    Pong,
    Reader,
    UnreadableError,
    Welcome,
    You,
    encoder,
)
from livecast.core.events import Notice
from livecast.core.frames import Frame, Snapshot
from livecast.core.rules import RoomRules
from livecast.core.view import RoomView

#: Codes after which the same cid is asked again: not done, or outcome unknown.
ASK_AGAIN: Final = frozenset({"unavailable", "overloaded"})
REPEAT_AFTER_S: Final = 5.0  # the server answers within 2 s or says `unavailable`; silence means that an answer was lost
RETRY_BASE_S: Final = 0.25  # first pause after `unavailable` when the server names none; doubles up to RETRY_MAX_S
RETRY_MAX_S: Final = 5.0
KEEPALIVE_S: Final = 40.0  # until the policy says otherwise
SILENCE_S: Final = 10.0  # a ping unanswered for so long, or a connection without a welcome: it is dead
BEHIND_S: Final = 2.0  # a pong ahead of us may only be ahead of frames under way; after this they are lost
TAPS_EVERY_S: Final = 0.25  # taps are collected for so long; four messages a second at the most
TAPS_PER_MESSAGE: Final = 100
TAPS_KEPT: Final = 300  # while there is no connection: the newest hundreds are dropped rather than sent as a flood
PENDING_MAX: Final = 1000  # questions without an answer; more is a caller that does not wait
RENEW_SHARE: Final = 0.25  # a token is renewed with a quarter of its life left, but not more than RENEW_MAX_S before its end
RENEW_MAX_S: Final = 60.0

#: Client views keep no frames to replay: they are nobody's source.
VIEW_RULES: Final = RoomRules(log_frames_max=1, log_ms=1000, log_bytes_max=65_536, recent_max=50)

Settle = Callable[[Answer | ClientError], None]


class _Asked:
    """Something asked and not finally answered yet."""

    __slots__ = ("again_at_s", "deadline_s", "message", "refusals", "settle")

    def __init__(self, message: dict[str, Any], settle: Settle, deadline_s: float) -> None:
        self.message = message
        self.settle = settle
        self.deadline_s = deadline_s
        self.again_at_s = 0.0  # when to send it (again); 0: at the next chance
        self.refusals = 0


class Session:
    """One client in one room. `light`: follow only the numbers of frames (no view, no `Frame` events)."""

    def __init__(
        self, codec: CodecName = "msgpack", *, light: bool = False, rules: RoomRules = VIEW_RULES, rng: random.Random
    ) -> None:
        self._reader = Reader(codec, light=light)
        self._encode = encoder(codec)
        self._rng = rng
        self.view = RoomView(rules) if not light else None
        self.you: You | None = None
        self.policy: dict[str, Any] = {}
        self.epoch = ""
        self.seq = 0
        self.bye: Bye | None = None
        """The server's farewell on the present or last connection."""
        self.broken = ""
        """Why the connection should be dropped and made anew; empty while it is good."""
        self.open = False
        """Welcomed on the present connection."""
        self.renew_at_s: float | None = None
        """When to send a fresh token."""
        self.taps_dropped = 0
        self._asked: dict[str, _Asked] = {}
        self._asked_due_s = float("inf")  # no question has to be sent or given up before this
        self._events: list[Event] = []
        self._out: list[bytes | str] = []
        self._taps = 0
        self._taps_at_s: float | None = None
        self._heard_s = 0.0
        self._pinged_s: float | None = None
        self._behind: tuple[str, int, float] | None = None
        self._keepalive_s = KEEPALIVE_S
        self._connected = False

    # --- Feed ---------------------------------------------------------------------------------------------------------

    @property
    def since(self) -> str | None:
        """Where to resume: `EPOCH:SEQ`, None before the first welcome."""
        return f"{self.epoch}:{self.seq}" if self.epoch else None

    def connected(self, now_s: float) -> None:
        """A connection is there; a welcome should follow."""
        self._connected, self.open = True, False
        self.bye, self.broken = None, ""
        self._out.clear()
        self._heard_s, self._pinged_s, self._behind = now_s, None, None

    def disconnected(self) -> None:
        """The connection is gone. What was asked stays asked."""
        self._connected = self.open = False
        self._out.clear()
        self._pinged_s = self._behind = None
        self.renew_at_s = None

    def receive(self, data: bytes, now_s: float) -> None:
        """One WebSocket message from the server."""
        self._heard_s, self._pinged_s = now_s, None
        try:
            message = self._reader.read(data)
        except UnreadableError as error:
            self.broken = str(error)
            return
        match message:
            case Mark() | Frame():
                self._frame(message, data)
            case Ack():
                self._ack(message, now_s)
            case Error():
                self._error(message, now_s)
            case Welcome():
                self._welcome(message, now_s)
            case Pong():
                if (message.epoch, message.seq) != (self.epoch, self.seq) and (
                    message.epoch != self.epoch or message.seq > self.seq
                ):
                    self._behind = (message.epoch, message.seq, now_s + BEHIND_S)
            case Bye():
                self.bye = message
                self._events.append(message)
            case Notice() | Desk():
                self._events.append(message)
            case None:
                pass

    # --- Ask ----------------------------------------------------------------------------------------------------------

    def ask(self, message: dict[str, Any], settle: Settle, deadline_s: float) -> None:
        """Send `message` (it has a `cid`) until it has a final answer; `settle` is called once, with it or with `GaveUp`."""
        if len(self._asked) >= PENDING_MAX:
            settle(GaveUp(message["cid"]))
            return
        self._asked[message["cid"]] = _Asked(message, settle, deadline_s)
        self._asked_due_s = 0.0 if self.open else min(self._asked_due_s, deadline_s)

    def forget(self, cid: str) -> None:
        """Nobody waits for this answer any more."""
        self._asked.pop(cid, None)

    def tell(self, message: dict[str, Any]) -> None:
        """Send something that has no answer, if there is a connection; otherwise it is lost."""
        if self.open:
            self._out.append(self._encode(message))

    def tap(self, n: int, now_s: float) -> None:
        """Collect `n` likes."""
        kept = min(self._taps + n, TAPS_KEPT)
        self.taps_dropped += self._taps + n - kept
        self._taps = kept
        if self._taps_at_s is None:
            self._taps_at_s = now_s + TAPS_EVERY_S

    def flush_taps(self) -> None:
        """Send collected likes now."""
        while self.open and self._taps:
            n = min(self._taps, TAPS_PER_MESSAGE)
            self._taps -= n
            self._out.append(self._encode({"t": "like", "n": n}))
        self._taps_at_s = None

    def close(self) -> None:
        """Everything still asked is answered with `Closed`."""
        asked, self._asked = self._asked, {}
        for each in asked.values():
            each.settle(Closed("the client was closed"))

    @property
    def waiting(self) -> int:
        """How much is asked and not answered."""
        return len(self._asked)

    # --- Drain --------------------------------------------------------------------------------------------------------

    def to_send(self, now_s: float) -> list[bytes | str]:
        """What goes out now."""
        if self.open and now_s >= self._asked_due_s:
            for asked in self._asked.values():
                if asked.again_at_s <= now_s:
                    asked.again_at_s = now_s + REPEAT_AFTER_S
                    self._out.append(self._encode(asked.message))
            self._plan()
        out, self._out = self._out, []
        return out

    def events(self) -> list[Event]:
        """What happened since the last call, in order."""
        out, self._events = self._events, []
        return out

    def next_timer_s(self) -> float:
        """When to call `tick` and `to_send` next, if nothing else happens. Never too late; sometimes for nothing."""
        times = [self._asked_due_s]
        if self.open and self._taps_at_s is not None:
            times.append(self._taps_at_s)
        if self._connected:
            times.append(self._patience_s())
            if self._behind is not None:
                times.append(self._behind[2])
        return min(times, default=float("inf"))

    def tick(self, now_s: float) -> None:
        """Let time pass: give up what took too long, ping, notice a dead or lagging connection, send taps."""
        if now_s >= self._asked_due_s:
            for cid in [cid for cid, asked in self._asked.items() if asked.deadline_s <= now_s]:
                self._asked.pop(cid).settle(GaveUp(cid))
            self._plan()
        if not self._connected:
            return
        if now_s >= self._patience_s():
            if self.open and self._pinged_s is None:
                self._pinged_s = now_s
                self._out.append(self._encode({"t": "ping"}))
            else:
                self.broken = "the server is silent"
        if self._behind is not None and now_s >= self._behind[2]:
            self.broken = "frames were lost on the way"
        if self._taps_at_s is not None and now_s >= self._taps_at_s:
            self.flush_taps()

    # --- Private ------------------------------------------------------------------------------------------------------

    def _patience_s(self) -> float:
        """When the silence is too long: to be broken by a ping, or after one to be taken as the end."""
        if not self.open:
            return self._heard_s + SILENCE_S
        return self._heard_s + self._keepalive_s if self._pinged_s is None else self._pinged_s + SILENCE_S

    def _plan(self) -> None:
        """When to look at the questions again. Without a connection they can only be given up."""
        self._asked_due_s = min(
            (min(asked.deadline_s, asked.again_at_s) if self.open else asked.deadline_s for asked in self._asked.values()),
            default=float("inf"),
        )

    def _welcome(self, welcome: Welcome, now_s: float) -> None:
        first = not self.open
        self.open = True
        self._behind = None
        self.epoch, self.seq, self.policy = welcome.epoch, welcome.seq, welcome.policy
        self._keepalive_s = max(1.0, welcome.policy.get("keepalive_ms", KEEPALIVE_S * 1000) / 1000)
        if self.view is not None:
            recent = tuple(self.view.recent) if welcome.recovered else welcome.recent
            self.view.reset(Snapshot(welcome.epoch, welcome.seq, welcome.state, welcome.policy, recent))
        if welcome.you is not None:
            self._are(welcome.you, welcome.now, now_s)
        if first:  # a new connection: what is not answered is asked again
            for asked in self._asked.values():
                asked.again_at_s = 0.0
            if self._asked:
                self._asked_due_s = 0.0
            if self._taps:
                self._taps_at_s = now_s
        self._events.append(welcome)

    def _are(self, you: You, server_ms: int, now_s: float) -> None:
        self.you = you
        self._clock_ms = server_ms - now_s * 1000
        if you.expires_at is None:
            self.renew_at_s = None
        else:
            left_s = max(0.0, (you.expires_at - server_ms) / 1000)
            self.renew_at_s = now_s + left_s - min(RENEW_MAX_S, left_s * RENEW_SHARE)

    def _frame(self, frame: Frame | Mark, data: bytes) -> None:
        if not self.open or (frame.epoch == self.epoch and frame.seq <= self.seq):
            return  # an old one again
        if frame.epoch != self.epoch or frame.seq != self.seq + 1:
            self.broken = f"frame {frame.epoch}:{frame.seq} after {self.since}"
            return
        if isinstance(frame, Frame):
            if self.view is not None and not self.view.apply(frame, data, len(data)):
                self.broken = f"the view does not take frame {frame.epoch}:{frame.seq}"
                return
            if isinstance(frame.state, dict) and self.view is not None:
                self.policy = self.view.policy
                self._keepalive_s = max(1.0, self.policy.get("keepalive_ms", KEEPALIVE_S * 1000) / 1000)
            self._events.append(frame)
        self.seq = frame.seq
        if self._behind is not None and self._behind[:2] <= (self.epoch, self.seq):
            self._behind = None

    def _ack(self, ack: Ack, now_s: float) -> None:
        if ack.you is not None:
            self._are(ack.you, round(self._clock_ms + now_s * 1000), now_s)
        self._settle(Answer(ack.cid, ack.verdict, ack=ack))

    def _error(self, error: Error, now_s: float) -> None:
        asked = self._asked.get(error.cid or "")
        if asked is None:
            self._events.append(error)
        elif error.code in ASK_AGAIN:
            asked.refusals += 1
            if error.retry_after_ms:  # not before it was told, and not all who were told the same at once
                pause_s = error.retry_after_ms / 1000 * (1 + 0.5 * self._rng.random())
            else:
                pause_s = min(RETRY_MAX_S, RETRY_BASE_S * 2**asked.refusals) * (0.5 + self._rng.random())
            asked.again_at_s = now_s + pause_s
            self._asked_due_s = min(self._asked_due_s, asked.again_at_s)
        else:
            self._settle(Answer(error.cid or "", error.code, refused=error))

    def _settle(self, answer: Answer) -> None:
        asked = self._asked.pop(answer.cid, None)
        if asked is not None:
            asked.settle(answer)
        self._events.append(answer)
