"""What a `RoomView` says after frames, as data for views in other languages: `tests/wire/vectors/view.json`.

`python tests/support/view_vectors.py` writes the file anew; the tests hold it against the view.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from livecast.core.frames import Comment, Frame, Snapshot
from livecast.core.policies import policy_dict
from livecast.core.rules import RoomRules
from livecast.core.state import DEFAULTS
from livecast.core.view import RoomView

FILE = Path(__file__).parent.parent / "wire" / "vectors" / "view.json"
RECENT_MAX = 4
RULES = RoomRules(recent_max=RECENT_MAX)
ANN = {"id": "ann", "name": "Ann"}
BO = {"id": "bo", "name": "波", "level": 3}


def comment(number: int, u: dict[str, Any] = ANN, **more: Any) -> dict[str, Any]:
    """The comment `c-NUMBER`."""
    return {"id": f"c-{number}", "u": u, "text": f"text {number}", "at": 1000 + number, **more}


def quoting(number: int, of: int, u: dict[str, Any]) -> dict[str, Any]:
    """The comment `c-NUMBER` by Bo, a reply to the comment `c-OF` by `u`."""
    return comment(number, BO, reply_to={"id": f"c-{of}", "u": u, "text": f"text {of}"})


#: Name -> (state, recent comments, parts of the frames in order; a part `_epoch` or `_seq` makes a frame that does not fit).
STORIES: dict[str, tuple[dict[str, Any], list[Any], list[dict[str, Any]]]] = {
    "an empty frame": ({}, [], [{}]),
    "comments, up to as many as are remembered": ({}, [comment(0)], [{"comments": [comment(n)]} for n in range(1, 6)]),
    "numbers grow, also of what is not remembered": (
        {},
        [comment(1), comment(2)],
        [
            {"merges": [{"id": "c-2", "n": 7}, {"id": "c-0", "n": 3}]},
            {"comments": [comment(3, n=3)], "merges": [{"id": "c-3", "n": 4}]},
        ],
    ),
    "likes and viewers": (
        {"likes": 5},
        [],
        [{"likes": {"delta": 2, "total": 7}}, {"viewers": {"connections": 3, "users": 2, "total": 9}}],
    ),
    "a comment is taken away, and out of replies": (
        {},
        [comment(1), quoting(2, 1, ANN), comment(3, BO)],
        [{"redact": {"comments": ["c-1"]}}],
    ),
    "a user is taken away, and out of replies": (
        {},
        [comment(1), quoting(2, 1, ANN), comment(3, BO)],
        [{"redact": {"users": ["ann"]}}, {"comments": [comment(4)], "redact": {"users": ["bo"]}}],
    ),
    "a replayed comment that was redacted": ({}, [comment(1)], [{"comments": [{"id": "c-2", "redacted": True}]}]),
    "the state is patched": (
        {"title": "Tea", "drops": {"d1": {"id": "d1", "left": 5, "state": "open"}}},
        [],
        [
            {"state": {"drops": {"d1": {"left": 4}, "d2": {"id": "d2", "left": 1}}}},
            {"state": {"drops": {"d1": None}, "notice": {"text": "soon"}, "on_air": "p1"}},
            {"state": {"notice": None, "on_air": None, "custom": {"a": {"b": 1}}}},
            {"state": {"custom": {"a": {"b": None, "c": [1, None, {"d": None}]}}, "hosts": [{"id": "h", "name": "H"}]}},
            {"state": {"drops": None, "title": "", "started_at": 12}},
        ],
    ),
    "the policy is patched and is no part of the state": (
        {},
        [],
        [
            {"state": {"policy": {"slow_mode_s": 5}}},
            {"state": {"status": "live", "policy": {"mode": "staff", "styles": {"color": False}}}},
        ],
    ),
    "a key like any other": ({}, [], [{"state": {"custom": {"__proto__": {"x": 1}, "constructor": {"y": 2}}}}]),
    "frames that do not fit change nothing": (
        {"likes": 1},
        [],
        [
            {"_seq": 7, "likes": {"delta": 9, "total": 9}},
            {"_epoch": "f", "likes": {"delta": 9, "total": 9}},
            {"likes": {"delta": 1, "total": 2}},
        ],
    ),
}  # fmt: skip


def rows() -> list[dict[str, Any]]:
    """Every story with what the view says after each frame."""
    found = []
    for name, (state, recent, parts) in STORIES.items():
        snapshot: dict[str, Any] = {
            "epoch": "e",
            "seq": 2,
            "state": {**DEFAULTS, **state},
            "policy": policy_dict(RULES.policy),
            "recent": recent,
        }
        view = RoomView(RULES)
        comments = tuple(msgspec.convert(recent, list[Comment]))
        view.reset(Snapshot("e", 2, snapshot["state"], snapshot["policy"], comments))
        frames, then = [], []
        for part in parts:
            shown = {key: value for key, value in part.items() if not key.startswith("_")}
            frame = {"t": "frame", "epoch": part.get("_epoch", "e"), "seq": part.get("_seq", view.seq + 1), "ts": 5, **shown}
            taken = view.apply(msgspec.convert(frame, Frame), None, 0)
            frames.append(frame)
            said = {"taken": taken, "seq": view.seq, "state": view.state, "policy": view.policy, "recent": view.recent}
            then.append(json.loads(msgspec.json.encode(said)))
        found.append({"name": name, "recent_max": RECENT_MAX, "snapshot": snapshot, "frames": frames, "then": then})
    return found


if __name__ == "__main__":
    FILE.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows()) + "\n]\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
