"""Everything that has value, as the rest of the edge uses it: `node.money`, or None on a node without a ledger.

What the HTTP API calls:

- reads go to `money.ledger` itself (`livecast.ledger.Ledger`); `StoreError` from it is a 503 already;
- drops, units, orders and wallets are changed with `money.ledger` too, and each change is followed by `money.ring(place)`, so
  that the shard's owner reads on at once: frames, notices and webhooks follow from the entries, not from the call;
- gifts of services: `give_elsewhere`, `reverse`; codes and receipts: `coder`, `receipts`; one's own: `mine`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from livecast.core.errors import Refusal
from livecast.core.money import GiftRecord
from livecast.core.units import Unit
from livecast.edge.identity import Identity
from livecast.ledger import Ledger
from livecast.wire.messages import Ack, ClaimAck, ClaimMessage, GiftMessage

if TYPE_CHECKING:
    from livecast.edge.hub import RoomHub

MoneyAnswer: TypeAlias = Ack | ClaimAck | Refusal
"""What becomes of a claim or a gift."""
CodeOf: TypeAlias = Callable[[Unit], str]
"""The code of a unit, "" where the drop has none: generated ones follow from the serial and are not in the ledger."""


class MoneyDesk(Protocol):
    """What `node.money` offers. Everything that asks the ledger may raise `StoreError` (then: outcome unknown, ask again)."""

    ledger: Ledger

    def ring(self, place: str) -> None:
        """The ledger of a room's or a user's shard has a new entry: its owner shall read on. Never waits, never fails."""

    async def enter(self, hub: RoomHub, identity: Identity, message: ClaimMessage | GiftMessage, address: str) -> MoneyAnswer:
        """A claim or gift that came over HTTP, decided as on a socket, own limits included; never raises."""

    async def give_elsewhere(
        self, room: str, key: str, tx: str, *, user: str, gift: str, n: int, to: str = "", name: str = ""
    ) -> GiftRecord | Refusal:
        """A gift that was paid for elsewhere, told by the service `key`: booked once per (key, tx), shown, on the board.

        Refused: `unknown_gift`, `invalid` (`to` is no host), `room_not_live`, `unknown_room`, `conflict` (same tx, other body).
        """

    async def reverse(self, room: str, tx: str, reason: str) -> GiftRecord | Refusal:
        """Take a gift back: off board and earnings, coins back to the wallet it was paid from. `tx` as in `core.money`
        (`viewer_tx`, `service_tx`). Again: the first reversal. Refused: `not_found`.
        """

    async def coder(self, room: str, drop: str) -> CodeOf:
        """What tells the codes of a drop's units (for lists, CSV, webhooks)."""

    async def mine(self, room: str, identity: Identity) -> dict[str, Any]:
        """The money part of `GET …/me`: `{balance, claims: [{drop, serial, of, code?, state, at, expires_at?, receipt?}],
        entries: [{drop, number, nonce, at, state, won: [serial]}], eligibility: {drop: {eligible, missing}}}`.
        """

    def jwks(self) -> dict[str, Any]:
        """The public keys of receipts, as `/.well-known/jwks.json` shows them (RFC 7517)."""

    def new_secret(self) -> bytes:
        """A fresh `NewDrop.secret`: the key of its generated codes and the seed of its draw."""
