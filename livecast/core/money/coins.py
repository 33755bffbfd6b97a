"""Coins and gifts: what is asked of the ledger and what it answers.

Amounts are integers in coins, within 53 bits. Ids named `tx` are chosen by whoever asks and make a repeat harmless: the same
`tx` again gets the first answer again; with another content it is a `conflict`. A `Refusal` changed nothing and, unless it is
a `conflict`, is not remembered: time can change it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from livecast.core.errors import Refusal

AMOUNT_MAX: Final = 2**53 - 1
"""Bound of every amount, balance and total: what a client in JavaScript can still count."""
DAY_MS: Final = 24 * 3600 * 1000
TX_KEEP_MS: Final = 7 * 24 * 3600 * 1000
"""How long the answers to movements and gifts are given again. A client that was offline for a week asks no more."""
GIFT_KEEP_MS: Final = 90 * 24 * 3600 * 1000
"""How long a gift can be found and reversed: card payments are charged back for some 90 days. In the ledger's stream it stays."""


_OF_HOST: Final = "host:"


def viewer_tx(user: str, cid: str) -> str:
    """The id of a viewer's gift: (user, cid). A user id is not empty and has no slash."""
    return f"{user}/{cid}"


def service_tx(key: str, tx: str) -> str:
    """The id of a service's gift: (API key, tx). It never meets a viewer's."""
    return f"/{key}/{tx}"


def service_of(tx: str) -> tuple[str, str]:
    """The API key and the `tx` that `service_tx` made an id of; ("", the id) of a viewer's gift."""
    if not tx.startswith("/"):
        return "", tx
    _, key, chosen = tx.split("/", 2)
    return key, chosen


class Movement(Struct, frozen=True):
    """Coins into (`amount` > 0) or out of a wallet. `counter` names the other side of the booking, say `key:shop`.

    `tx` is unique within the user's movements. `spent_at` (Unix ms) says of a refund when its coins were spent: they count against
    the spending limits of that day and month no more.
    """

    user: str
    tx: str
    amount: int
    counter: str
    memo: str = ""
    spent_at: int = 0


class Moved(Struct, frozen=True, gc=False):
    """A movement or a gift's debit was booked: the balance behind it, and its number among the wallet's bookings."""

    tx: str
    balance: int
    number: int
    at: int


class Wallet(Struct, frozen=True):
    """A balance and how many bookings led to it. One that was never touched has none."""

    user: str
    balance: int
    bookings: int


class Booking(Struct, frozen=True):
    """One line of a wallet's statement: the sum of all `amount`s up to it is `balance`. `number` counts from 1."""

    number: int
    at: int
    amount: int
    balance: int
    counter: str
    tx: str
    memo: str = ""


class SpendLimits(Struct, frozen=True):
    """Bounds on what a user gives: coins per gift, per day and per month of UTC. None: no bound."""

    per_gift: int | None = None
    per_day: int | None = None
    per_month: int | None = None


class Gift(Struct, frozen=True, gc=False):
    """`n` times `gift` from `user` to a host of a room (`to`; empty: to the room itself), worth `value` in all.

    `tx` is one of `viewer_tx` and `service_tx`. `body` is a digest of what the giver asked for, without the id. `about` is
    handed on unread: what the room shows of the giver, a paid comment's text. `paid` "elsewhere": no wallet is touched.
    """

    tx: str
    user: str
    room: str
    broadcast: str
    gift: str
    n: int
    value: int
    body: int = 0
    to: str = ""
    paid: Literal["wallet", "elsewhere"] = "wallet"
    about: bytes = b""


class GiftRecord(Struct, frozen=True, gc=False):
    """A gift as the room's side keeps it. `total` is what its user has given in the broadcast once it was booked."""

    gift: Gift
    at: int
    total: int
    reversed_at: int | None = None
    reason: str = ""


UNCOUNTED: Final = "uncounted"
"""Beside counts by host: there were gifts before anybody counted so."""

PendingKind: TypeAlias = Literal["commit", "refund"]


class Pending(Struct, frozen=True, gc=False):
    """A gift half way between two shards, which a crash may have left there.

    `commit`: debited, not yet known to be on the room's side. `refund`: reversed, not yet known to be back in the wallet.
    It lies in `shard`, where it is cleared once the other half is done.
    """

    kind: PendingKind
    shard: int
    gift: Gift
    since: int


class Rank(Struct, frozen=True):
    """A line of a leaderboard."""

    user: str
    value: int


class HostGifts(Struct, frozen=True):
    """Gifts to one host: how many stand, and how many were reversed, with their coins."""

    gifts: int = 0
    reversed: int = 0
    reversed_value: int = 0


class Takings(Struct, frozen=True):
    """What a room earned: gifts and coins in all, coins by host (`""`: to the room itself). Reversed gifts are taken off.

    `by_host` has everybody to whom there ever was one. None: some were booked by a version that did not count so.
    """

    gifts: int = 0
    value: int = 0
    hosts: dict[str, int] = {}
    by_host: dict[str, HostGifts] | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether there was never a gift, as far as is known."""
        return not (self.gifts or self.hosts or self.by_host)


def counted_by_host(gifts: int, counts: Mapping[str, int]) -> dict[str, HostGifts] | None:
    """Gifts by host, of counts by name: `g:HOST` that stand, `r:HOST` that were reversed, `v:HOST` their coins. None if there were
    others (`UNCOUNTED`), or these do not make up all `gifts`.
    """
    if counts.get(UNCOUNTED) or sum(n for name, n in counts.items() if name.startswith("g:")) != gifts:
        return None
    hosts = {name[2:] for name, n in counts.items() if n and name.startswith(("g:", "r:", "v:"))}
    return {host: HostGifts(*(counts.get(f"{what}:{host}", 0) for what in "grv")) for host in hosts}


def refund_of(gift: Gift, spent_at: int = 0) -> Movement:
    """The movement that gives a reversed gift's coins back."""
    return Movement(gift.user, f"refund:{gift.tx}", gift.value, account_of(gift), "gift reversed", spent_at)


def account_of(gift: Gift) -> str:
    """Counter-account of a gift's debit: the host's or the room's earnings."""
    return f"{_OF_HOST}{gift.room}/{gift.to}"


def account_as_told(counter: str, name_of: Callable[[str], str]) -> str:
    """A counter-account under the name by which its host goes; any other one as it is."""
    room, slash, host = counter.partition("/")
    return f"{room}/{name_of(host)}" if slash and counter.startswith(_OF_HOST) else counter


def objection_to_gift(gift: Gift, limits: SpendLimits, spent_day: int, spent_month: int) -> Refusal | None:
    """Why a gift is over a spending limit, if it is; `field` names the limit."""
    over = (
        ("per_gift", limits.per_gift, gift.value),
        ("per_day", limits.per_day, spent_day + gift.value),
        ("per_month", limits.per_month, spent_month + gift.value),
    )
    field = next((name for name, limit, spent in over if limit is not None and spent > limit), None)
    return None if field is None else Refusal("spend_limit", field=field)


def limit_ends_in(field: str | None, now: int) -> int:
    """After how many ms a spending limit that was reached lets gifts through again. That of one gift stands: a day is a guess."""
    day = day_of(now) + 1
    while field == "per_month" and month_of(day * DAY_MS) == month_of(now):
        day += 1
    return day * DAY_MS - now if field in {"per_day", "per_month"} else DAY_MS


def day_of(now: int) -> int:
    """The day of a Unix time in ms, UTC, as a number that grows: days since 1970-01-01."""
    return now // DAY_MS


def month_of(now: int) -> int:
    """The month of a Unix time in ms, UTC, as a number that grows: 12 × year + month - 1.

    The calendar's arithmetic counts years from March, so that the leap day is a year's last; an era is 400 years of 146,097
    days (Fliegel and Van Flandern's idea, in the form that starts at 0000-03-01).
    """
    era, day_of_era = divmod(day_of(now) + 719_468, 146_097)
    year = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    return 12 * (era * 400 + year) + month_from_march + 2
