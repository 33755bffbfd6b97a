"""Who reads a room over plain HTTP (event streams, frame files): a token's holder or somebody anonymous, as the room allows."""

from __future__ import annotations

import secrets
from typing import Final

from aiohttp import web

from livecast.edge.access.callers import bearer_of, believed, caller_of, check_room, check_scope, room_now
from livecast.edge.access.identity import Identity, anonymous
from livecast.edge.access.keys import is_key
from livecast.edge.http.dispatch import ROOM_ID
from livecast.edge.http.problems import ProblemError
from livecast.edge.node import Node
from livecast.edge.rooms.hub import RoomHub
from livecast.ports import StoreError

#: What a reader is told who may not watch.
_WHY: Final = {
    "unauthorized": "This room asks for a token.",
    "forbidden": "You may not watch this room.",
    "unavailable": "Whose room this is cannot be told just now.",
}


async def reader_of(node: Node, request: web.Request, room: str, conn: str = "") -> Identity:
    """The reader's identity. A token that is not believed, or meant for another room, is never anonymous: 401, 403."""
    token = bearer_of(request, in_query=True)
    if not token:
        return anonymous(conn or secrets.token_hex(6))
    return await believed(node, token, room)


async def file_reader_of(node: Node, request: web.Request, room: str) -> Identity:
    """As `reader_of`, and services with the key that they send everywhere else: they count as nobody who watches."""
    if not is_key(bearer_of(request)):
        return await reader_of(node, request, room)
    caller = await caller_of(node, request)
    check_scope(caller, "rooms:read")
    check_room(caller, room)
    if caller.merchant:
        await room_now(node, caller, room)
    return Identity(person=caller.person, can=())


async def hub_of(node: Node, room: str, identity: Identity) -> RoomHub:
    """The room as this node sees it, if this reader may: else 401, 403, or 404 and 503."""
    if not ROOM_ID.fullmatch(room):
        raise ProblemError("unknown_room")
    try:
        hub = await node.views.get(room)
    except StoreError:
        raise ProblemError("unavailable", "The room cannot be read at the moment.") from None
    if hub is None:
        raise ProblemError("unknown_room")
    refused = hub.refuses(identity)
    if refused is not None:
        raise ProblemError(refused, _WHY[refused])
    return hub
