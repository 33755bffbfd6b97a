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
    test: bool = False
    """A rehearsal: marked everywhere, and counted for nothing that outlives it."""


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


Scope = Literal["room", "merchant", "platform"]


class Mute(Struct, frozen=True, forbid_unknown_fields=True):
    """A muted user watches but neither comments nor likes. `for_s` absent: until taken back.

    With scope `merchant` it holds in all rooms of the room's merchant, with `platform` everywhere.
    """

    user: UserId
    for_s: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None
    reason: Reason = ""
    scope: Scope = "room"


class Unmute(Struct, frozen=True, forbid_unknown_fields=True):
    """Take a mute back."""

    user: UserId


class Ban(Struct, frozen=True, forbid_unknown_fields=True):
    """A banned user is put out (4003) and not let in again. `for_s` absent: until taken back.

    With scope `merchant` it holds in all rooms of the room's merchant, with `platform` everywhere.
    """

    user: UserId
    for_s: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None
    reason: Reason = ""
    scope: Scope = "room"


class Unban(Struct, frozen=True, forbid_unknown_fields=True):
    """Take a ban back."""

    user: UserId


class Redactions(Struct, frozen=True, forbid_unknown_fields=True):
    """Take comments, or everything of users, off every screen and out of what is replayed."""

    comments: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=200)] = ()
    users: Annotated[tuple[UserId, ...], Meta(max_length=50)] = ()
    reason: Reason = ""


class JudgeHeld(Struct, frozen=True, forbid_unknown_fields=True):
    """Let a held comment be shown, or not. `id` stands in the path."""

    action: Literal["approve", "reject"]
    reason: Reason = ""
    id: str = ""


class SettleReport(Struct, frozen=True, forbid_unknown_fields=True):
    """A report was looked at: it leaves the list. What is to be done about it is asked for by itself."""

    id: str
    reason: Reason = ""


class AnswerQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """A question is answered, and everybody who asked it is told so, with the words if there are any. `id` stands in the path."""

    text: Annotated[str, Meta(max_length=500)] = ""
    quiet: bool = False
    """Take it off the list and tell nobody."""
    id: str = ""


class Appoint(Struct, frozen=True, forbid_unknown_fields=True):
    """Make a user a moderator of this room."""

    user: UserId
    name: Annotated[str, Meta(max_length=64)] = ""
    reason: Reason = ""


class Dismiss(Struct, frozen=True, forbid_unknown_fields=True):
    """The user moderates this room no longer."""

    user: UserId
    reason: Reason = ""


class Panic(Struct, frozen=True, forbid_unknown_fields=True):
    """Only staff may comment, and every comment that is on a screen or would be replayed is taken off."""

    reason: Reason = ""


class NoteAct(Struct, frozen=True, forbid_unknown_fields=True):
    """Something that staff of this room did beyond it, for its log."""

    action: Annotated[str, Meta(max_length=64)]
    args: dict[str, Any]
    reason: Reason = ""


class ForgetUser(Struct, frozen=True, forbid_unknown_fields=True):
    """Take everything of a user's off the screens, and out of what the room remembers of people."""

    user: UserId
    reason: Reason = ""


class PollChoice(Struct, frozen=True, forbid_unknown_fields=True):
    """A choice written as an object."""

    text: Annotated[str, Meta(min_length=1, max_length=100)]


class OpenPoll(Struct, frozen=True, forbid_unknown_fields=True):
    """A question and its choices. It closes at `closes_at` (Unix ms), or after `duration_s`, or by hand, or with the broadcast."""

    question: Annotated[str, Meta(min_length=1, max_length=200)]
    choices: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=100)] | PollChoice, ...], Meta(min_length=2, max_length=10)
    ]
    results: Literal["live", "after_close"] = "live"
    closes_at: TimeMs | None = None
    duration_s: Annotated[int, Meta(ge=1, le=86_400)] | None = None


class ClosePoll(Struct, frozen=True, forbid_unknown_fields=True):
    """No more votes. `poll` stands in the path."""

    poll: str


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in the smallest unit of a currency (ISO 4217)."""

    amount: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    currency: Annotated[str, Meta(pattern=r"^[A-Za-z]{3}\Z")]


ProductId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}\Z")]
Link = Annotated[str, Meta(max_length=512)]


class PutProduct(Struct, frozen=True, forbid_unknown_fields=True):
    """A product on the shelf. `id` stands in the path; without `order` it comes last."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    price: Price
    list_price: Price | None = None
    image: Link | None = None
    url: Link | None = None
    sku: Annotated[str, Meta(max_length=64)] | None = None
    status: Annotated[str, Meta(min_length=1, max_length=32)] = "available"
    order: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] | None = None
    id: ProductId = ""


class PatchProduct(Struct, frozen=True, forbid_unknown_fields=True):
    """RFC 7396 patch of a product; the outcome must be a valid `PutProduct`."""

    id: ProductId
    patch: dict[str, Any]


class DeleteProduct(Struct, frozen=True, forbid_unknown_fields=True):
    """Take it off the shelf."""

    id: ProductId


class OnAir(Struct, frozen=True, forbid_unknown_fields=True):
    """Show this product's card; null: none."""

    product: ProductId | None = None


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
    "judge_held": JudgeHeld,
    "settle_report": SettleReport,
    "answer_question": AnswerQuestion,
    "appoint": Appoint,
    "dismiss": Dismiss,
    "panic": Panic,
    "note_act": NoteAct,
    "forget_user": ForgetUser,
    "open_poll": OpenPoll,
    "close_poll": ClosePoll,
    "put_product": PutProduct,
    "patch_product": PatchProduct,
    "delete_product": DeleteProduct,
    "on_air": OnAir,
    "ensure": Ensure,
}
