"""Whether and when to come back after a connection ended: a table and full jitter, without I/O.

Full jitter (a random moment between now and a bound that doubles) spreads a whole audience over the interval; see M. Brooker,
"Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import random
from typing import Final

from msgspec import Struct

from livecast.client.messages import Bye

FIRST_S: Final = 3.0  # bound of the first pause: an audience of thousands comes back over three seconds
LAST_S: Final = 30.0  # bound of any later one

#: Close codes after which coming back as the same client is pointless, unless the `bye` says otherwise.
FINAL: Final = frozenset({4002, 4003, 4010, 4400, 4401, 4403, 4404, 1002, 1003, 1007, 1009, 1010})
TOKEN_EXPIRED: Final = 4001
NOT_AUTHENTICATED: Final = 4401
TOO_SLOW: Final = 4008
WORDS: Final[dict[int, str]] = {
    1006: "the connection was lost",
    4000: "the server is going away",
    4001: "the token expired",
    4002: "the server took offence at what was sent",
    4003: "banned or kicked",
    4008: "too slow to follow",
    4010: "the broadcast ended",
    4400: "bad request",
    4401: "not authenticated",
    4403: "not allowed in this room",
    4404: "no such room",
    4429: "too many connections",
    4503: "the server is busy",
}


class Again(Struct, frozen=True):
    """Come back after `delay_s`, with a fresh token if `fresh`."""

    delay_s: float
    fresh: bool = False


class Stop(Struct, frozen=True):
    """Do not come back."""

    code: int
    reason: str


def after(code: int, bye: Bye | None, attempt: int, rng: random.Random, *, can_renew: bool) -> Again | Stop:
    """What to do after a close with `code` (1006: none), the `attempt`-th in a row without a good connection in between.

    `can_renew`: there is a source of fresh tokens, which turns an expired or refused token into a single new try.
    """
    reason = (bye.reason if bye else "") or WORDS.get(code, "closed")
    if code in (TOKEN_EXPIRED, NOT_AUTHENTICATED):
        if can_renew and (code == TOKEN_EXPIRED or attempt == 0):
            return Again(pause_s(attempt, rng) if attempt else 0.0, fresh=True)
        return Stop(code, reason)
    if (not bye.reconnect) if bye is not None else (code in FINAL):
        return Stop(code, reason)
    if bye is not None and bye.retry_after_ms is not None:  # never sooner than told; later if it goes on and on
        return Again(max(bye.retry_after_ms / 1000, pause_s(attempt, rng) if attempt else 0.0))
    # Too slow: nothing is wrong with the server, only do not come back in step with others.
    return Again(rng.random() if code == TOO_SLOW and attempt == 0 else pause_s(attempt, rng))


def after_handshake(status: int, retry_after: str | None, attempt: int, rng: random.Random) -> Again | Stop:
    """What to do after an HTTP `status` in place of the upgrade."""
    if status == 429 or status >= 500:
        named_s = float(retry_after) if retry_after is not None and retry_after.isdigit() else 0.0
        return Again(named_s + pause_s(attempt, rng))
    return Stop(status, "the server answered the handshake with HTTP")


def pause_s(attempt: int, rng: random.Random) -> float:
    """Full jitter below 3, 6, 12, 24, 30, 30… seconds."""
    return rng.random() * min(LAST_S, FIRST_S * float(2 ** min(attempt, 10)))
