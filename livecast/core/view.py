"""RoomView: what a node knows of a room that it follows, built from one snapshot and the frames after it.

Everything that viewers get on joining or resuming is answered from here. After the same frames a view says the same as the
room that made them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from livecast.core.events import Json
from livecast.core.frames import Comment, Frame, Redact, Snapshot
from livecast.core.policies import policy_dict
from livecast.core.rules import RoomRules
from livecast.core.state import advance_policy, advance_recent, advance_state, overlay_of, whole

Rewrite: TypeAlias = Callable[[object, Redact], tuple[object, int]]
Kept: TypeAlias = tuple[object, int, int]  # payload, its bytes, ts


def _as_it_is(payload: object, _redact: Redact) -> tuple[object, int]:
    """For views that keep no readable frames."""
    return payload, -1


class RoomView:
    """A room as of frame `seq` of `epoch`, and the frames before it that can still be resumed from.

    `payload` is whatever the node wants back for a frame (sealed bytes); `rewrite(payload, redact)` must give it without
    what was redacted, and its size in bytes (or -1: it is the same as before).
    """

    __slots__ = ("_frames", "_overlay", "_rewrite", "_rules", "bytes_kept", "epoch", "head_ts", "policy", "recent", "seq")

    def __init__(self, rules: RoomRules, rewrite: Rewrite = _as_it_is) -> None:
        self._rules = rules
        self._rewrite = rewrite
        self._overlay: dict[str, Json] = {}
        self._frames: list[Kept] | None = None  # the last ones, `seq` being the last of them
        self.bytes_kept = 0
        """Sum of the sizes of kept frames."""
        self.epoch = ""
        self.seq = 0
        self.head_ts = 0
        """`ts` of the last frame, 0 if none came yet."""
        self.policy: dict[str, Json] = policy_dict(rules.policy)
        """As viewers see it. Read only."""
        self.recent: tuple[Comment, ...] = ()
        """The last comments, oldest first."""

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def reset(self, snapshot: Snapshot) -> None:
        """Begin anew from `snapshot`; kept frames are gone."""
        self.epoch = snapshot.epoch
        self.seq = snapshot.seq
        self.head_ts = 0
        self._overlay = overlay_of(snapshot.state)
        usual = policy_dict(self._rules.policy)
        self.policy = usual if snapshot.policy == usual else snapshot.policy
        self.recent = tuple(snapshot.recent)
        self._frames = None
        self.bytes_kept = 0

    def apply(self, frame: Frame, payload: object, size: int) -> bool:
        """Take the next frame in. False (and nothing changed) if it is of another epoch, known already, or after a hole."""
        if frame.epoch != self.epoch or frame.seq != self.seq + 1:
            return False
        if frame.redact is not None and self._frames:
            self._redact(frame.redact)
        self.seq = frame.seq
        self.head_ts = frame.ts
        self._overlay = advance_state(self._overlay, frame)
        self.policy = advance_policy(self.policy, frame)
        self.recent = advance_recent(self.recent, frame, self._rules.recent_max)
        if self._frames is None:
            self._frames = []
        self._frames.append((payload, size, frame.ts))
        self.bytes_kept += size
        self._forget(frame.ts)
        return True

    def keep(self, frame: Frame, payload: object, size: int) -> None:
        """Keep a frame older than the snapshot for resume. Called in order, right after `reset`, ending with frame `seq`."""
        if self._frames is None:
            self._frames = []
        if frame.redact is not None:
            self._redact(frame.redact)
        self._frames.append((payload, size, frame.ts))
        self.bytes_kept += size
        self.head_ts = frame.ts
        self._forget(frame.ts)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    @property
    def state(self) -> dict[str, Json]:
        """The public state. Made on each call; its values are shared: read only."""
        return whole(self._overlay)

    @property
    def first_seq(self) -> int:
        """The oldest kept frame; `seq` + 1 if none is kept."""
        return self.seq + 1 - len(self._frames or ())

    def since(self, epoch: str, seq: int) -> list[object] | None:
        """The payloads of every frame after `seq`, in order; None if they cannot all be had (a snapshot is due then)."""
        if epoch != self.epoch or not self.first_seq - 1 <= seq <= self.seq:
            return None
        missed = self.seq - seq
        return [payload for payload, _, _ in self._frames[-missed:]] if missed and self._frames else []

    def frame(self, seq: int) -> object | None:
        """The payload of one kept frame of this epoch."""
        if not self._frames or not self.first_seq <= seq <= self.seq:
            return None
        return self._frames[seq - self.first_seq][0]

    # --- Private ------------------------------------------------------------------------------------------------------
    def trim(self, bytes_max: int) -> int:
        """Drop the oldest frames until at most `bytes_max` bytes are kept (a node short of memory); the bytes freed."""
        frames, freed, drop = self._frames or [], 0, 0
        while drop < len(frames) and self.bytes_kept - freed > bytes_max:
            freed += frames[drop][1]
            drop += 1
        if drop:
            del frames[:drop]
            self.bytes_kept -= freed
        return freed

    def _forget(self, now: int) -> None:
        """Drop frames that are both too many and too old; and however few and young, those beyond the bytes."""
        frames, rules = self._frames, self._rules
        if not frames:
            return
        drop = 0
        while len(frames) - drop > rules.log_frames_max and now - frames[drop][2] > rules.log_ms:
            self.bytes_kept -= frames[drop][1]
            drop += 1
        if drop:
            del frames[:drop]
        if self.bytes_kept > rules.log_bytes_max:
            self.trim(rules.log_bytes_max)

    def _redact(self, redact: Redact) -> None:
        frames = self._frames or []
        for i, (payload, size, ts) in enumerate(frames):
            rewritten, new_size = self._rewrite(payload, redact)
            if new_size >= 0:
                frames[i] = (rewritten, new_size, ts)
                self.bytes_kept += new_size - size
