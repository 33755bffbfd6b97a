"""Settings that a running node takes over when it is told to read them again, and how; all others hold at the next start.

What can change is what is looked up when it is needed. What cannot is what something was built with: sockets and stores, deadlines
by which things already stand in line, and what rooms, webhooks, the review and the archive keep to, of which one and the same
room would have two versions.
"""

from __future__ import annotations

from typing import Final

import msgspec

from livecast.core.money.coins import SpendLimits
from livecast.core.money.gifts import catalogue_rev
from livecast.edge.access.auth import Authenticator
from livecast.edge.access.jwks import Jwks
from livecast.edge.money.money import MoneyRules
from livecast.edge.node import Node
from livecast.edge.rules import EdgeRules
from livecast.facts import Observer
from livecast.ops import logs
from livecast.ops.configuration.layers import KeyPath
from livecast.ops.configuration.settings import SECTIONS, Settings, keys_of
from livecast.ops.observers import LogObserver
from livecast.ops.revoking import Revoking
from livecast.ports import Clock
from livecast.shard.shards import Shards

#: Bounds of the edge that something was built with.
BUILT_IN: Final = frozenset(
    {
        "dev",
        "header_deadline_ms",
        "head_bytes_max",
        "http_idle_ms",
        "auth_deadline_ms",
        "answer_deadline_ms",
        "close_deadline_ms",
        "ping_ms",
        "sweep_ms",
        "send_buffer_bytes",
        "media",
    }
)
CLAIMS: Final = ("claims_per_user_per_s", "claims_per_user_burst", "claims_per_address_per_s")

#: What is taken over at once.
LIVE: Final[frozenset[KeyPath]] = frozenset(
    [
        *(("server", each.name) for each in msgspec.structs.fields(EdgeRules) if each.name not in BUILT_IN),
        *((section, key) for section in ("auth", "gifts", "log") for key in keys_of(section)),
        *(("ledger", key) for key in CLAIMS),
    ]
)


def differences(old: Settings, new: Settings) -> tuple[list[KeyPath], list[KeyPath]]:
    """Keys whose values are others now: those that are taken over at once, and those that wait for a start."""
    changed = [
        (section, key) for section in SECTIONS for key in keys_of(section) if old.value(section, key) != new.value(section, key)
    ]
    return [path for path in changed if path in LIVE], [path for path in changed if path not in LIVE]


def money_rules(settings: Settings) -> MoneyRules:
    """What a deployment fixes about money."""
    limits, ledger = settings.gifts.limits, settings.ledger
    return MoneyRules(
        catalogue=settings.gifts.catalogue,
        limits=SpendLimits(limits.per_gift, limits.per_day, limits.per_month),
        claims_per_user_per_s=ledger.claims_per_user_per_s,
        claims_per_user_burst=ledger.claims_per_user_burst,
        claims_per_address_per_s=ledger.claims_per_address_per_s,
    )


def authenticator(settings: Settings, clock: Clock, observer: Observer) -> Authenticator:
    """Who believes tokens."""
    jwks = Jwks(settings.auth.jwks_url, clock, observer) if settings.auth.jwks_url else None
    return Authenticator(settings.auth.jwt_secrets, jwks, clock_leeway_ms=settings.edge.clock_leeway_ms)


class Reloading:
    """A running node's settings."""

    def __init__(self, settings: Settings, *, node: Node, shards: Shards, revoking: Revoking, log: LogObserver) -> None:
        self.settings = settings
        """What is in force."""
        self._node = node
        self._shards = shards
        self._revoking = revoking
        self._log = log

    def take_over(self, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Keep to `new` as far as a running node can: the keys that are taken over, and those that wait for a start."""
        old, node = self.settings, self._node
        live, waits = differences(old, new)
        changed = {section for section, _ in live}
        edge = msgspec.structs.replace(new.edge, **{key: getattr(old.edge, key) for key in BUILT_IN})
        if edge != old.edge:
            node.keep_to(edge)
        if "auth" in changed or old.edge.clock_leeway_ms != new.edge.clock_leeway_ms:
            node.authenticator = authenticator(new, node.clock, node.observer)
            self._revoking.configure(new.auth.api_keys)
        if node.money is not None and ("gifts" in changed or "ledger" in changed):
            node.money.keep_to(money_rules(new))
            self._shards.tell_catalogue(catalogue_rev(new.gifts.catalogue))
        if "log" in changed:
            logs.configure(new.log.format, new.log.level)
            self._log.at(new.log.level)
        # Those that wait are compared with what is in force as often as the settings are read, so they are told each time.
        ledger = msgspec.structs.replace(old.ledger, **{key: getattr(new.ledger, key) for key in CLAIMS})
        self.settings = msgspec.structs.replace(old, edge=edge, auth=new.auth, gifts=new.gifts, log=new.log, ledger=ledger)
        return tuple(f"{section}.{key}" for section, key in live), tuple(f"{section}.{key}" for section, key in waits)
