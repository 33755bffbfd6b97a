"""Draws as public files: everything that is needed to recompute one, for anybody, at an address that never changes.

It names nobody: entrants are leaves, and only who has the nonce knows their own. The file follows from the ledger and the
published seed; a node makes it when it is first asked for, and keeps the latest.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

import msgspec
from aiohttp import web

from livecast.core.money.draw import DrawFile, DrawResult, file_of, result_of
from livecast.core.money.units import Drop, Entrant, Unit
from livecast.edge.http.conditions import none_match
from livecast.edge.http.dispatch import ROOM_ID
from livecast.edge.http.problems import ProblemError
from livecast.edge.node import Node
from livecast.edge.rooms.hub import RoomHub
from livecast.edge.viewers.watching import file_reader_of, hub_of
from livecast.facts import Trouble
from livecast.ledger import Ledger

PATH: Final = "/v1/rooms/{room}/drops/{drop}/draw"
SLICE: Final = 500
"""Entrants or units read in one call, as the ledger bounds it."""
IN_THREAD_FROM: Final = 1_000
"""Entrants from which on the file is made in a thread: each costs some 10 µs, a million of them seconds."""
KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Files kept by a node: the largest, of a million entrants, or hundreds of usual ones."""
#: A draw never changes.
KEEP: Final = "public, max-age=86400"
#: One that is not drawn yet may be in a second.
BRIEFLY: Final = "public, max-age=1"
#: Where a room asks for a token, no shared cache may keep anything.
NEVER: Final = "private, no-store"

_decode_result = msgspec.json.Decoder(DrawResult).decode


class DrawFiles:
    """The handler of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._files: OrderedDict[tuple[str, str], tuple[str, bytes]] = OrderedDict()
        self._bytes = 0
        self._making = asyncio.Lock()

    def add_to(self, app: web.Application) -> None:
        """Serve the files."""
        app.router.add_get(PATH, self.draw)

    async def draw(self, request: web.Request) -> web.Response:
        """The file of one draw, once it is drawn."""
        node, room, id_ = self._node, request.match_info["room"], request.match_info["drop"]
        reader = await file_reader_of(node, request, room)
        if not ROOM_ID.fullmatch(room):
            raise ProblemError("unknown_room")
        hub = await hub_of(node, room, reader)
        digest, body = await self._file(hub, room, id_)
        headers = {"Cache-Control": _allowed(hub, KEEP), "ETag": f'"{digest[:24]}"'}
        if none_match(request, headers["ETag"]):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _file(self, hub: RoomHub, room: str, id_: str) -> tuple[str, bytes]:
        """Digest and bytes. One is made at a time: those who ask meanwhile get the same."""
        async with self._making:
            if (kept := self._files.get((room, id_))) is not None:
                self._files.move_to_end((room, id_))
                return kept
            if self._node.money is None:
                raise ProblemError("unavailable", "There is no ledger here.")
            ledger = self._node.money.ledger
            drop = await ledger.drop(room, id_)
            if drop is None or drop.state == "draft":
                raise ProblemError("unknown_drop", headers={"Cache-Control": _allowed(hub, BRIEFLY)})
            if drop.pot != "drawn":
                detail = "It is not drawn yet." if drop.pot else "It is no draw and has no fair window, or has not opened."
                raise ProblemError("not_found", detail, headers={"Cache-Control": _allowed(hub, BRIEFLY)})
            file = await self._made(ledger, drop)
            self._keep((room, id_), made := (file.digest, msgspec.json.encode(file)))
            return made

    async def _made(self, ledger: Ledger, drop: Drop) -> DrawFile:
        published = _decode_result(drop.result)
        entrants = await _entrants(ledger, drop)
        units = await _drawn_units(ledger, drop, entrants)
        stock = units[0].of if units else drop.terms.stock  # a stock that was changed later is not the one drawn for
        seed, beacon, winners = bytes.fromhex(published.seed), bytes.fromhex(published.beacon), [unit.user for unit in units]
        make = (drop.room, drop.id, stock, seed, entrants, winners, beacon)
        file = file_of(*make) if len(entrants) < IN_THREAD_FROM else await asyncio.to_thread(file_of, *make)
        if result_of(file) != published:
            about, advice = (
                f"{drop.room}/{drop.id}",
                "the ledger does not lead to the published result: run livecast audit",
            )
            self._node.observer.observe(Trouble("a draw cannot be shown", about, advice, "error"))
            raise ProblemError("internal")
        return file

    def _keep(self, name: tuple[str, str], made: tuple[str, bytes]) -> None:
        self._files[name] = made
        self._bytes += len(made[1])
        while self._bytes > KEPT_BYTES_MAX and len(self._files) > 1:
            _, (_, body) = self._files.popitem(last=False)
            self._bytes -= len(body)


async def _entrants(ledger: Ledger, drop: Drop) -> list[Entrant]:
    entrants: list[Entrant] = []
    while some := await ledger.entrants(drop.room, drop.id, entrants[-1].number if entrants else 0, SLICE):
        entrants += some
    return entrants


async def _drawn_units(ledger: Ledger, drop: Drop, entrants: list[Entrant]) -> list[Unit]:
    """The units that entrants won by the draw, whatever became of them; claims from behind a fair window are others."""
    cid_of = {entrant.user: entrant.cid for entrant in entrants}
    drawn: list[Unit] = []
    at = 0
    while some := await ledger.units(drop.room, drop.id, at, SLICE):
        drawn += [unit for unit in some if cid_of.get(unit.user) == unit.cid]
        at = some[-1].serial
    return drawn


def _allowed(hub: RoomHub, keep: str) -> str:
    return NEVER if hub.view.policy["anonymous"] == "off" else keep
