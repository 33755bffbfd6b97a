"""What the control plane may ask of a room: one struct per command, decoded straight from the body of the HTTP call.

Field bounds are stated here and nowhere else; the OpenAPI document is made from these structs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from livecast.core.rules import UserId

Title = Annotated[str, Meta(max_length=200)]
TimeMs = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Reason = Annotated[str, Meta(max_length=200)]


class Host(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A host as viewers see them."""

    id: UserId
    name: Annotated[str, Meta(max_length=64)] = ""
    avatar: Annotated[str, Meta(max_length=512)] = ""


class PutRoom(Struct, frozen=True, forbid_unknown_fields=True):
    """Create a room or replace what it says about itself.

    `policy` and `custom` replace too: what is absent falls back to the default.
    """

    title: Title = ""
    merchant: Annotated[str, Meta(max_length=64)] = ""
    hosts: Annotated[tuple[Host, ...], Meta(max_length=20)] = ()
    starts_at: TimeMs | None = None
    policy: dict[str, Any] = {}
    custom: dict[str, Any] = {}


class PatchRoom(Struct, frozen=True, forbid_unknown_fields=True):
    """Merge into what the room says about itself (RFC 7396): an absent field stays, a null falls back to the default."""

    title: Title | UnsetType | None = UNSET
    merchant: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET
    hosts: Annotated[tuple[Host, ...], Meta(max_length=20)] | UnsetType | None = UNSET
    starts_at: TimeMs | UnsetType | None = UNSET
    policy: dict[str, Any] | UnsetType | None = UNSET
    custom: dict[str, Any] | UnsetType | None = UNSET


class Start(Struct, frozen=True, forbid_unknown_fields=True):
    """A new broadcast: totals at zero, a new epoch. With `starts_at` in the future it is scheduled and starts by itself."""

    title: Title | None = None
    starts_at: TimeMs | None = None


class Pause(Struct, frozen=True, forbid_unknown_fields=True):
    """Comments and likes are refused with `room_not_live` until `resume`."""


class Resume(Struct, frozen=True, forbid_unknown_fields=True):
    """The paused broadcast goes on."""


class End(Struct, frozen=True, forbid_unknown_fields=True):
    """The broadcast is over: a last frame, a minute of grace, then `bye` 4010. `redirect` tells clients where to go on."""

    redirect: Annotated[str, Meta(max_length=512)] | None = None


class SetPolicy(Struct, frozen=True):
    """RFC 7396 patch of the policy; the outcome must be a valid `Policy`."""

    patch: dict[str, Any]


class SetCustom(Struct, frozen=True):
    """RFC 7396 patch of `state.custom`, at most `custom_bytes_max` afterwards."""

    patch: dict[str, Any]


class SetNotice(Struct, frozen=True, forbid_unknown_fields=True):
    """The line pinned on top of the room, until `until` (Unix ms) if given."""

    text: Annotated[str, Meta(min_length=1, max_length=500)]
    until: TimeMs | None = None


class ClearNotice(Struct, frozen=True, forbid_unknown_fields=True):
    """Take the pinned line away."""


class Emit(Struct, frozen=True, forbid_unknown_fields=True):
    """A platform's own event, to all viewers (a frame's `events`) or to one user (`to`: a notice).

    `data` is at most 4 KiB of JSON.
    """

    type: Annotated[str, Meta(pattern=r"^x\.[A-Za-z0-9_.-]{1,62}\Z")]
    data: Any = None
    to: UserId | None = None


class Mute(Struct, frozen=True, forbid_unknown_fields=True):
    """A muted user watches but neither comments nor likes. `for_s` absent: until taken back."""

    user: UserId
    for_s: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None
    reason: Reason = ""


class Unmute(Struct, frozen=True, forbid_unknown_fields=True):
    """Take a mute back."""

    user: UserId


class Ban(Struct, frozen=True, forbid_unknown_fields=True):
    """A banned user is put out of the room (4003) and not let in again. `for_s` absent: until taken back."""

    user: UserId
    for_s: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None
    reason: Reason = ""
    scope: Literal["room"] = "room"


class Unban(Struct, frozen=True, forbid_unknown_fields=True):
    """Take a ban back."""

    user: UserId


class Redactions(Struct, frozen=True, forbid_unknown_fields=True):
    """Take comments, or everything of users, off every screen and out of what is replayed."""

    comments: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=200)] = ()
    users: Annotated[tuple[UserId, ...], Meta(max_length=50)] = ()
    reason: Reason = ""


class Ensure(Struct, frozen=True):
    """Make and start the room unless it exists (`--dev`: rooms come to be on first join)."""


#: name -> arguments. The name is what `Command.name` and the log's entries say.
COMMANDS: dict[str, type[Struct]] = {
    "put_room": PutRoom,
    "patch_room": PatchRoom,
    "start": Start,
    "pause": Pause,
    "resume": Resume,
    "end": End,
    "policy": SetPolicy,
    "custom": SetCustom,
    "notice": SetNotice,
    "clear_notice": ClearNotice,
    "emit": Emit,
    "mute": Mute,
    "unmute": Unmute,
    "ban": Ban,
    "unban": Unban,
    "redact": Redactions,
    "ensure": Ensure,
}
