"""What the control plane changes in a room: its title and hosts, its broadcast, policy, custom state and notice.

A change takes effect at once and is told with the next frame, as the difference between what viewers were told and what is
true now. Methods raise `InvalidChange` and then have changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import intern
from typing import Any, Final, TypeAlias

import msgspec

from livecast.core import commands as c
from livecast.core.chat.forms import check_link, check_size
from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Json
from livecast.core.policies import policy_dict, policy_from
from livecast.core.rules import Policy, RoomRules
from livecast.core.state import DEFAULTS, overlay_of, whole
from livecast.core.text import clean, clean_name
from livecast.core.tools.numerals import base36
from livecast.core.tools.patch import check_plain, diff, merge
from livecast.core.tools.tolerance import members, tolerant

PRIVATE: Final = ("created_at", "rev", "merchant", "last_began_at", "totals_of", "ending", "starts_by_itself_at")
"""What only the next owner needs, by name. As plain values it weighs half as much as by name, in each of thousands of rooms."""
_Private: TypeAlias = tuple[Json, Json, Json, Json, Json, Json, Json]
NOTHING_TOLD: Final[_Private] = (None, None, None, None, None, None, None)


class Control:
    """The settings and the broadcast of one room.

    `overlay` is the public state as it is (see `state.py`), `policy` the policy as it is; `told` and `told_policy` are what
    frames have said of them. `starts_by_itself_at` is when a scheduled broadcast begins without being asked, or None.
    """

    __slots__ = (
        "_rules",
        "_told_private",
        "created_at",
        "ending",
        "last_began_at",
        "live",
        "merchant",
        "overlay",
        "policy",
        "renewing",
        "rev",
        "room",
        "starts_by_itself_at",
        "told",
        "told_policy",
        "totals_of",
    )

    def __init__(self, room: str, rules: RoomRules, now: int) -> None:
        self.room = room
        self._rules = rules
        self.created_at = now
        self.rev = 0
        self.merchant = ""
        self.overlay: dict[str, Json] = {}
        self.told: dict[str, Json] = self.overlay
        self.policy: Policy = rules.policy
        self.told_policy: Policy = rules.policy
        self.live = False
        self.renewing = False
        """A broadcast has begun that no epoch belongs to yet."""
        self.starts_by_itself_at: int | None = None
        self.last_began_at = 0
        self.ending: Json = None
        """What is kept of a wish to end the broadcast that did not come true yet (see `ending.py`)."""
        self.totals_of = ""
        """The broadcast that likes and users are counted for."""
        self._told_private: _Private = NOTHING_TOLD

    # --- Feed: the room itself ----------------------------------------------------------------------------------------
    def put_room(self, args: c.PutRoom, now: int) -> None:
        """Replace what the room says about itself."""
        policy = policy_from(args.policy, {}, self._rules.policy, "policy")
        custom = self._custom_from(args.custom, {}, "custom")
        self._set(title=clean(args.title), hosts=_hosts_as_shown(args.hosts), custom=custom)
        self.merchant = intern(args.merchant)
        self.policy = policy
        self._schedule(args.starts_at, now)
        self._changed()

    def patch_room(self, args: c.PatchRoom, now: int) -> None:
        """Merge into what the room says about itself."""
        policy, custom = self.policy, self.overlay.get("custom", {})
        if args.policy is not msgspec.UNSET:
            kept = {} if args.policy is None else policy_dict(policy)
            policy = policy_from(args.policy or {}, kept, self._rules.policy, "policy")
        if args.custom is not msgspec.UNSET:
            custom = self._custom_from(args.custom or {}, custom if args.custom is not None else {}, "custom")
        self.policy = policy
        self._set(custom=custom)
        if args.title is not msgspec.UNSET:
            self._set(title=clean(args.title or ""))
        if args.hosts is not msgspec.UNSET:
            self._set(hosts=_hosts_as_shown(args.hosts or ()))
        if args.merchant is not msgspec.UNSET:
            self.merchant = intern(args.merchant or "")
        if args.starts_at is not msgspec.UNSET:
            self._schedule(args.starts_at, now)
        self._changed()

    def set_policy(self, args: c.SetPolicy, _now: int) -> None:
        """Merge into the policy."""
        self.policy = policy_from(args.patch, policy_dict(self.policy), self._rules.policy, "")
        self._changed()

    def set_custom(self, args: c.SetCustom, _now: int) -> None:
        """Merge into the platform's own state."""
        self._set(custom=self._custom_from(args.patch, self.overlay.get("custom", {}), ""))
        self._changed()

    def set_notice(self, args: c.SetNotice, now: int) -> None:
        """Pin a line on top of the room."""
        text = clean(args.text)
        if not text:
            raise InvalidChange(Refusal("invalid", "Nothing is left of this text.", field="text"))
        if args.until is not None and args.until <= now:
            raise InvalidChange(Refusal("invalid", "That is over already.", field="until"))
        self._set(notice={"text": text} if args.until is None else {"text": text, "until": args.until})
        self._changed()

    def clear_notice(self, _args: c.ClearNotice, _now: int) -> None:
        """Take the pinned line away."""
        if "notice" in self.overlay:
            self._unset("notice")
            self._changed()

    # --- Feed: the broadcast ------------------------------------------------------------------------------------------
    def start(self, args: c.Start, now: int) -> None:
        """Begin a broadcast now, or (`starts_at` to come) schedule it."""
        if self.status in ("live", "paused"):
            raise InvalidChange(Refusal("conflict", "A broadcast is on already."))
        if args.title is not None:
            self._set(title=clean(args.title))
        if args.test:
            self._set(test=True)
        else:
            self._unset("test")
        if args.starts_at is not None and args.starts_at > now:
            self._set(status="scheduled")
            self._unset("ended_at", "redirect", "started_at")
            self._schedule(args.starts_at, now)
            self._changed()
        else:
            self.begin(now)

    def begin(self, now: int) -> None:
        """A new broadcast is on."""
        # Broadcasts of a room are told apart by when they began, even two within a millisecond.
        self.last_began_at = max(now, self.last_began_at + 1)
        self._set(broadcast=f"b{base36(self.last_began_at)}", status="live", started_at=now)
        self._unset("starts_at", "ended_at", "redirect")
        self.starts_by_itself_at = None
        self.renewing = True
        self._changed()

    def pause(self, _args: c.Pause, _now: int) -> None:
        """Interrupt the broadcast."""
        self._step("live", "paused")

    def resume(self, _args: c.Resume, _now: int) -> None:
        """Go on with it."""
        self._step("paused", "live")

    def end(self, args: c.End, now: int) -> None:
        """The broadcast is over (one that is only scheduled is called off)."""
        self.check_end(args)
        if self.status == "scheduled":
            self._schedule(None, now)
        self._set(status="ended", ended_at=now)
        if args.redirect:
            self._set(redirect=args.redirect)
        self._schedule(self.overlay.get("starts_at"), now)
        self._changed()

    def check_end(self, args: c.End) -> None:
        """Whether `end` may be asked for like this."""
        if self.status == "ended" or (self.status == "scheduled" and self.starts_by_itself_at is None):
            raise InvalidChange(Refusal("conflict", "No broadcast is on."))
        check_link(args.redirect, "redirect")

    def pass_time(self, now: int) -> None:
        """Do what was due by now: a scheduled start, the end of a notice."""
        if self.starts_by_itself_at is not None and now >= self.starts_by_itself_at:
            self.begin(now)
        notice = self.overlay.get("notice")
        if notice is not None and "until" in notice and now >= notice["until"]:
            self._unset("notice")
            self._changed()

    # --- Ask ----------------------------------------------------------------------------------------------------------
    @property
    def status(self) -> str:
        """`scheduled`, `live`, `paused` or `ended`."""
        return str(self.overlay.get("status", DEFAULTS["status"]))

    @property
    def broadcast(self) -> str:
        """The id of the broadcast, empty before the first."""
        return str(self.overlay.get("broadcast", ""))

    def due_at(self) -> int | None:
        """When something happens by itself, or None."""
        notice = self.overlay.get("notice")
        until = None if notice is None else notice.get("until")
        times = [t for t in (self.starts_by_itself_at, until) if t is not None]
        return min(times) if times else None

    def tell(self) -> dict[str, Json]:
        """The room as the control plane sees it."""
        state = whole(self.overlay)
        return {
            "id": self.room,
            "title": state["title"],
            "merchant": self.merchant,
            "hosts": state["hosts"],
            "moderators": state.get("moderators", []),
            "status": state["status"],
            "broadcast": state["broadcast"],
            "test": bool(state.get("test")),
            "starts_at": state.get("starts_at"),
            "started_at": state.get("started_at"),
            "ended_at": state.get("ended_at"),
            "policy": policy_dict(self.policy),
            "custom": state["custom"],
            "notice": state["notice"],
            "created_at": self.created_at,
            "rev": self.rev,
        }

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain_state(self) -> dict[str, Json]:
        """The patch that viewers must be told, `{}` if there is none."""
        patch = diff(whole(self.told), whole(self.overlay)) if self.overlay is not self.told else {}
        self.told = self.overlay
        if self.policy is not self.told_policy:
            if changed := diff(policy_dict(self.told_policy), policy_dict(self.policy)):
                patch["policy"] = changed
            self.told_policy = self.policy
        return patch

    def drain_private(self) -> dict[str, Json]:
        """The patch for the owner's private part, `{}` if there is none."""
        told, now = self._told_private, self._private_now()
        self._told_private = now
        return {} if now == told else diff(_named(told), _named(now))

    def private(self) -> dict[str, Json]:
        """What only the next owner needs."""
        return _named(self._private_now())

    def show(self, name: str, value: Json) -> None:
        """Another part of the room has this to say in the state (`drops`, `board`…). None takes an optional member away."""
        if value is None and name not in DEFAULTS:
            self._unset(name)
        else:
            self._set(**{name: value})

    def told_in_frame(self, name: str, value: Json) -> None:
        """A frame says `likes` or `viewers` in its own part: that is true, and told."""
        untouched = self.overlay is self.told
        self.told = {**self.told, name: value}
        self.overlay = self.told if untouched else {**self.overlay, name: value}

    def zero_totals(self) -> None:
        """The broadcast that was told of is a new one: from now on its own likes and users are counted."""
        viewers = {**DEFAULTS["viewers"], **self.told.get("viewers", {}), "total": 0}
        zeroed = {"likes": 0, "viewers": viewers}
        untouched = self.overlay is self.told
        self.told = overlay_of({**self.told, **zeroed})
        self.overlay = self.told if untouched else overlay_of({**self.overlay, **zeroed})
        self.totals_of = str(self.told.get("broadcast", ""))

    def restore(self, state: dict[str, Json], policy: dict[str, Json], private: dict[str, Json], now: int) -> None:
        """Go on where a former owner stopped. Who watches is not known until the nodes report again."""
        viewers = {**DEFAULTS["viewers"], "total": state.get("viewers", {}).get("total", 0)}
        self.overlay = self.told = overlay_of({**state, "viewers": viewers})
        self.totals_of = private.get("totals_of", self.broadcast)
        try:
            self.policy = self.told_policy = tolerant(policy, Policy)
        except msgspec.ValidationError:  # a value that a later version knows: the other members stay, this one is as configured
            self.policy = self.told_policy = members(policy, self._rules.policy)
        if self.policy == self._rules.policy:
            self.policy = self.told_policy = self._rules.policy  # the shared object
        self.live = self.status == "live"
        self.created_at = private.get("created_at", now)
        self.rev = private.get("rev", 0)
        self.merchant = intern(private.get("merchant", ""))  # one string for all rooms of a merchant
        self.last_began_at = private.get("last_began_at", 0)
        self.starts_by_itself_at = private.get("starts_by_itself_at")
        self.ending = private.get("ending")
        self._told_private = self._private_now()

    # --- Private ------------------------------------------------------------------------------------------------------
    def _private_now(self) -> _Private:
        return (
            self.created_at,
            self.rev,
            self.merchant,
            self.last_began_at,
            self.totals_of,
            self.ending,
            self.starts_by_itself_at,
        )

    def _set(self, **members: Json) -> None:
        self.overlay = overlay_of({**self.overlay, **members})

    def _unset(self, *names: str) -> None:
        self.overlay = {k: v for k, v in self.overlay.items() if k not in names}

    def _changed(self) -> None:
        self.rev += 1
        self.live = self.status == "live"

    def _step(self, before: str, after: str) -> None:
        if self.status != before:
            raise InvalidChange(Refusal("conflict", f"The broadcast is {self.status}, not {before}."))
        self._set(status=after)
        self._changed()

    def _schedule(self, starts_at: int | None, now: int) -> None:
        """Say when the next broadcast begins. It begins by itself unless that is past or one is on now."""
        if starts_at is None:
            self._unset("starts_at")
        else:
            self._set(starts_at=starts_at)
        waits = starts_at is not None and starts_at > now and self.status not in ("live", "paused")
        self.starts_by_itself_at = starts_at if waits else None

    def _custom_from(self, patch: dict[str, Json], current: dict[str, Json], field: str) -> dict[str, Json]:
        check_plain(patch, field or "custom")
        custom: dict[str, Json] = merge(current, patch)
        check_size(custom, field or "custom", self._rules.custom_bytes_max)
        return custom


def _named(private: _Private) -> dict[str, Json]:
    return {name: value for name, value in zip(PRIVATE, private, strict=True) if value is not None}


def _hosts_as_shown(hosts: tuple[c.Host, ...]) -> list[Json]:
    """Hosts as viewers see everybody: each once, as named last; with a name, their id if they have none, and nothing in it that
    screens should not do.
    """
    shown = ((host.id, clean_name(host.name) or host.id, clean(host.avatar)) for host in {host.id: host for host in hosts}.values())
    return [{"id": id_, "name": name, "avatar": avatar} if avatar else {"id": id_, "name": name} for id_, name, avatar in shown]


CHANGES: Final[dict[str, Callable[[Control, Any, int], None]]] = {
    "put_room": Control.put_room,
    "patch_room": Control.patch_room,
    "start": Control.start,
    "pause": Control.pause,
    "resume": Control.resume,
    "end": Control.end,
    "policy": Control.set_policy,
    "custom": Control.set_custom,
    "notice": Control.set_notice,
    "clear_notice": Control.clear_notice,
    "ensure": lambda control, _args, now: control.begin(now),
}
"""The commands that change the room's own object, which is their answer."""
