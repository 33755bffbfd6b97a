"""Every bound of a room: its unit, where the number comes from, what breaks if it doubles.

`Policy` is what an operator or host may change per room while it is live (it travels to viewers in `welcome.policy`
and `state.policy`). `RoomRules` is what a deployment fixes for all its rooms in `[room]` of the configuration.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

UserId = Annotated[str, Meta(pattern=r"^[\x21-\x2e\x30-\x7e]{1,128}\Z")]  # printable ASCII without space and `/`
Cid = Annotated[str, Meta(min_length=1, max_length=64)]


class Styles(Struct, frozen=True, forbid_unknown_fields=True):
    """Which comment styles a viewer may use."""

    color: bool = True
    modes: tuple[Literal["scroll", "top", "bottom"], ...] = ("scroll", "top", "bottom")


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """What a room lets its viewers do. Public: clients read it to shape their own behaviour."""

    tick_ms: Annotated[int, Meta(ge=50, le=1000)] = 200
    """A busy room speaks every so often. 5 frames/s reads as live; halving it doubles the cost of fan-out. Above a second the
    answers, which go out with the frames, would come close to the 2 s after which a caller is told `unavailable`."""
    keepalive_ms: Annotated[int, Meta(ge=5000, le=300_000)] = 40_000
    """A client that heard nothing for so long sends `ping`. Above the server's 25 s ping, below common 60 s proxy timeouts."""
    comment_max_chars: Annotated[int, Meta(ge=1, le=1000)] = 200
    """Code points after cleaning. Also bounds the cost of the word filter and the size of a frame."""
    slow_mode_s: Annotated[int, Meta(ge=0, le=120)] = 0
    """Seconds a viewer waits between two accepted comments; 0 is off."""
    mode: Literal["all", "level", "staff"] = "all"
    """Who may comment: everyone, viewers from `min_level` on, or staff alone."""
    min_level: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """The level from which viewers may comment with mode `level`."""
    chat_budget_per_s: Annotated[int, Meta(ge=0, le=1000)] = 40
    """Comments shown per second. 40 fills a screen of flying comments; above it nobody reads any of them."""
    like_max_per_s: Annotated[int, Meta(ge=1, le=1000)] = 20
    """Taps counted per user and second: two thumbs manage about 15."""
    anonymous: Literal["off", "read", "like"] = "read"
    """What a viewer without a token may do."""
    styles: Styles = field(default_factory=Styles)
    """Which colours and places on the screen viewers may choose for a comment."""
    board: Literal["off", "names", "values"] = "names"
    """What the public leaderboard shows."""
    users: Literal["ids", "aliases"] = "ids"
    """What viewers see of each other's ids: the ids, or an alias for each that means nothing outside of this room."""
    winners: Literal["off", "masked", "names"] = "off"
    """What viewers are told of who won a draw: nothing, masked names (`王**`), or names."""
    review: Literal["off", "allow", "deny", "hold"] = "allow"
    """Where comments are judged by somebody outside: what becomes of one that is not judged in time; `off`: they are not asked."""


class RoomRules(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds that hold for every room of a deployment. Times in milliseconds unless the name says otherwise."""

    policy: Policy = field(default_factory=Policy)
    """What a new room starts with."""

    tick_max_ms: Annotated[int, Meta(ge=200, le=1500)] = 1000
    """An overloaded process stretches ticks up to this before it leaves anything out."""
    inbox_max: Annotated[int, Meta(ge=16)] = 20_000
    """Events waiting for a room; more are answered `overloaded`. About half a second of what one core can decide."""

    gcra_burst: Annotated[int, Meta(ge=1)] = 3
    """Comments a user may send at once, then one per `gcra_interval_ms`."""
    gcra_interval_ms: Annotated[int, Meta(ge=1)] = 1000
    """Time between two comments of a user in the long run. One a second is faster than anybody types."""
    repeated_text_ms: Annotated[int, Meta(ge=0)] = 30_000
    """The same user may not say the same (by merge key) within this time. 0 is off."""

    merge_min_users: Annotated[int, Meta(ge=2)] = 3
    """From so many distinct users on, equal comments become one line with a number. Two is a coincidence."""
    merge_idle_ms: Annotated[int, Meta(ge=0)] = 5000
    """An anchor that nobody repeats for longer than this closes (inclusive: exactly this long still merges)."""
    merge_life_ms: Annotated[int, Meta(ge=0)] = 15_000
    """An anchor closes at this age: by then its line has left the screen."""

    reserved_share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """Part of the budget that lane 3 cannot take from lanes 1 and 2."""
    lane_level_min: Annotated[int, Meta(ge=1)] = 1
    """`level` from which a viewer's comments ride in lane 2. Badges do the same."""

    like_burst: Annotated[int, Meta(ge=1)] = 100
    """Taps a user may have saved up: five seconds of them, so that a batching client loses none."""

    cid_memory_ms: Annotated[int, Meta(ge=0)] = 600_000
    """How long a comment's or like's verdict is repeated for the same `cid`."""
    cid_memory_per_user: Annotated[int, Meta(ge=1)] = 256
    """The last so many verdicts of one user: a clicker forgets only his own."""
    cid_memory_max: Annotated[int, Meta(ge=1)] = 500_000
    """Verdicts remembered per room: about 250 MB at the worst. Where half of it fills up within the time (400 comments/s over
    ten minutes), those who were quiet the longest are forgotten early."""

    recent_max: Annotated[int, Meta(ge=0, le=200)] = 20
    """Comments in `welcome.recent`."""
    log_frames_max: Annotated[int, Meta(ge=1)] = 600
    """Frames kept for resume: two minutes at the busiest tick rate."""
    log_ms: Annotated[int, Meta(ge=1000)] = 180_000
    """Frames are kept for at least this long where fewer than `log_frames_max` fill it."""
    log_bytes_max: Annotated[int, Meta(ge=65_536)] = 1_048_576
    """Bytes of frames kept per room, whatever the other two say."""
    snapshot_frames: Annotated[int, Meta(ge=1)] = 200
    """The owner writes a snapshot at least every so many commits, which bounds what a new owner replays."""
    snapshot_ms: Annotated[int, Meta(ge=1000)] = 30_000
    """... or at least so often while anything changed."""

    tally_alone_ms: Annotated[int, Meta(ge=0)] = 1000
    """A tally with nothing else to say, and the viewer count, cause a frame at most so often."""
    custom_bytes_max: Annotated[int, Meta(ge=0)] = 16_384
    """Size of `state.custom`, as JSON. Every viewer downloads it on joining."""
    end_grace_ms: Annotated[int, Meta(ge=0)] = 60_000
    """Time between the last frame of a broadcast and `bye` 4010."""
    events_per_frame_max: Annotated[int, Meta(ge=1)] = 200
    """Platform events per frame; more are answered `overloaded`."""
