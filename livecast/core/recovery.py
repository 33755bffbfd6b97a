"""A stored room becomes one snapshot again: the last one written, and every commit after it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from livecast.core.events import Json
from livecast.core.frames import Frame, Snapshot
from livecast.core.rules import RoomRules
from livecast.core.tools.patch import merge
from livecast.core.view import RoomView


def recover(snapshot: Snapshot, entries: Iterable[tuple[Frame | None, dict[str, Json] | None]], rules: RoomRules) -> Snapshot:
    """`snapshot` after the frames and private patches of all later commits, in their order.

    Raises `ValueError` if a frame does not follow on what came before: such a log lost something it must not lose.
    """
    view = RoomView(rules)
    view.reset(snapshot)
    private = snapshot.private
    for frame, patch in entries:
        if frame is not None and not view.apply(frame, None, 0):
            raise ValueError(f"frame {frame.epoch}:{frame.seq} does not follow on {view.epoch}:{view.seq}")
        if patch:
            private = merge(private, patch)
    return msgspec.structs.replace(
        snapshot, seq=view.seq, state=view.state, policy=view.policy, recent=view.recent, private=private
    )
