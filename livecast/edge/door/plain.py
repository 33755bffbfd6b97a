"""A plain request to a socket's address: the same checks as in the socket, told as HTTP statuses.

It helps whoever tries a room's address with curl, and a client whose proxy strips the upgrade.
"""

from __future__ import annotations

from typing import NoReturn

from aiohttp import web

from livecast.edge.http.problems import ProblemError
from livecast.edge.node import Node
from livecast.edge.viewers.watching import hub_of, reader_of


def add_plain(app: web.Application, node: Node) -> None:
    """Answer what the door does not take for a handshake."""

    async def explain(request: web.Request) -> NoReturn:
        room = request.match_info["room"]
        await hub_of(node, room, await reader_of(node, request, room))
        raise ProblemError("bad_message", "A WebSocket is served here: ask for an upgrade.", headers={"Upgrade": "websocket"})

    app.router.add_get("/v1/rooms/{room}/ws", explain)
