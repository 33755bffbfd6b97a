"""How far a caller's word goes: in a room, in all rooms of a merchant, on the whole platform."""

from __future__ import annotations

from livecast.edge.access.callers import Caller, room_now
from livecast.edge.http.calls import Call
from livecast.edge.http.problems import Fault, ProblemError
from livecast.shard.house import House


def the_house(call: Call) -> House:
    """What holds beyond single rooms. A node without it answers `unavailable`."""
    if call.node.house is None:
        raise ProblemError("unavailable", "Nothing is kept here beyond single rooms: nothing was done.")
    return call.node.house


def over_all(caller: Caller) -> bool:
    """Whether the caller speaks for the platform: an API key that is no merchant's and covers every room."""
    return caller.key is not None and not caller.merchant and "*" in caller.key.rooms


async def scope_of(call: Call, wanted: str) -> str:
    """The scope of a mute or ban asked for in a room: `merchant:ID` or `platform`. 403 if the caller does not speak for that."""
    if wanted == "platform":
        if not over_all(call.caller):
            raise ProblemError("forbidden", "This needs an API key of the platform, for all rooms.")
        return wanted
    merchant = await merchant_of(call)
    if not merchant:
        detail = "This room belongs to no merchant."
        raise ProblemError("invalid", detail, errors=[Fault("/scope", detail)])
    if not over_all(call.caller) and call.caller.merchant != merchant:
        raise ProblemError("forbidden", "This needs an API key or token of the merchant.")
    return f"merchant:{merchant}"


async def merchant_of(call: Call) -> str:
    """The merchant of the call's room, empty if it has none. 404 if there is no such room."""
    room = await room_now(call.node, call.caller, call.room)
    if room is None:
        raise ProblemError("unknown_room")
    return str(room.get("merchant", ""))


def reach_of(caller: Caller) -> list[str]:
    """Every scope that the caller's word covers, for what is asked of no single room."""
    if caller.merchant:
        return [f"merchant:{caller.merchant}"]
    if over_all(caller):
        return ["platform"]
    globs = caller.key.rooms if caller.key is not None else caller.identity.rooms if caller.identity is not None else ()
    return [f"rooms:{glob}" for glob in globs]
