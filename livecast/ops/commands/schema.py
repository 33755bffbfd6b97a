"""`livecast schema`: the JSON Schema of every message, made from the structs that the service itself decodes and encodes."""

from __future__ import annotations

import json
from typing import Any, Final

import click
import msgspec

from livecast.core.events import Notice
from livecast.core.frames import Frame
from livecast.core.rules import Policy
from livecast.wire import messages

CLIENT: Final = (
    messages.Auth,
    messages.CommentMessage,
    messages.LikeMessage,
    messages.GiftMessage,
    messages.ClaimMessage,
    messages.VoteMessage,
    messages.TapMessage,
    messages.ReportMessage,
    messages.Ping,
)
SERVER: Final = (
    messages.Welcome,
    Frame,
    messages.Ack,
    messages.ErrorMessage,
    Notice,
    messages.Pong,
    messages.Bye,
    messages.Desk,
)
REF: Final = "#/$defs/{name}"


def document() -> dict[str, Any]:
    """A JSON Schema (2020-12) that a message of either direction satisfies; `$defs` has each kind of message and their parts."""
    _, shapes = msgspec.json.schema_components((*CLIENT, *SERVER, Policy), ref_template=REF)
    shapes["Welcome"]["properties"] |= {
        "state": {"type": "object", "description": "The room's state; `state` of a frame is an RFC 7396 patch of it."},
        "recent": {"type": "array", "items": {"$ref": REF.format(name="Comment")}},
        "policy": {"$ref": REF.format(name="Policy")},
    }
    for shape in shapes.values():
        # Whoever reads ignores what it does not know, so that both sides can grow.
        shape.pop("additionalProperties", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "livecast messages, v1",
        "description": "One map a message, told apart by `t`; the same in JSON and in MessagePack.",
        "oneOf": [{"$ref": REF.format(name="client")}, {"$ref": REF.format(name="server")}],
        "$defs": {"client": _one_of(CLIENT), "server": _one_of(SERVER), **shapes},
    }


def _one_of(kinds: tuple[type[msgspec.Struct], ...]) -> dict[str, Any]:
    return {"oneOf": [{"$ref": REF.format(name=kind.__name__)} for kind in kinds]}


@click.command()
def command() -> None:
    """Print the JSON Schema of every message, of clients and of servers.

    `$defs/client` and `$defs/server` say which messages go which way; each has its `t` as an enum of one.
    """
    click.echo(json.dumps(document(), indent=2, ensure_ascii=False))
