"""The vectors in `vectors/` are the protocol as bytes; other languages read the same files.

Every vector is checked twice: the `msgpack` and `json` libraries, which know nothing of us, read the bytes as the message,
and our own codecs turn one into the other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest

from livecast.core.events import Notice
from livecast.core.frames import Frame
from livecast.wire.codec import CODECS, KINDS, Codec, WireError
from livecast.wire.messages import Ack, Bye, ClaimAck, Desk, ErrorMessage, Pong, Welcome, You

VECTORS = Path(__file__).with_name("vectors")
BY_NAME = {codec.name: codec for codec in CODECS.values()}
SERVER_KINDS: dict[str, type[msgspec.Struct]] = {
    "frame": Frame,
    "ack": Ack,
    "error": ErrorMessage,
    "notice": Notice,
    "pong": Pong,
    "bye": Bye,
    "desk": Desk,
}


def vectors(name: str) -> Any:
    """Run a test once for each row of a file."""
    rows = json.loads((VECTORS / name).read_text())
    return pytest.mark.parametrize(
        "vector", [pytest.param(row, id=f"{row['name']} {row.get('codec', '')}".strip()) for row in rows]
    )


def every_codec() -> Any:
    """Run a test once for each codec."""
    return pytest.mark.parametrize("codec", BY_NAME.values(), ids=BY_NAME)


def refer_decode(codec: Codec, data: bytes) -> Any:
    """Read by a library that is not ours."""
    return msgpack.unpackb(data) if codec.name == "msgpack" else json.loads(data)


def refer_encode(codec: Codec, message: Any) -> bytes:
    """Written by a library that is not ours, as short as it can."""
    if codec.name == "msgpack":
        return bytes(msgpack.packb(message))
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def plain(message: msgspec.Struct) -> Any:
    """A decoded message as the protocol writes it: absent fields left out."""
    value = msgspec.to_builtins(message)
    return {key: list(found) if isinstance(found, tuple) else found for key, found in value.items() if found is not None}


def of_plain(message: dict[str, Any], codec: Codec) -> msgspec.Struct:
    """The struct that a server would send as `message`."""
    if message["t"] != "welcome":
        of_claim = message.keys() & {"serial", "opens_in_ms", "missing"}
        return msgspec.convert(message, ClaimAck if of_claim else SERVER_KINDS[message["t"]])
    shared = {key: codec.raw(message[key]) for key in ("state", "recent", "policy")}
    rest: dict[str, Any] = {key: found for key, found in message.items() if key != "t"} | shared
    return Welcome(**rest | {"you": msgspec.convert(message["you"], You)})


@every_codec()
@vectors("client.json")
def test_client_messages(vector: dict[str, Any], codec: Codec) -> None:
    """What a client says means the same in both codecs, and encodes to the very bytes other libraries make."""
    data, message = bytes.fromhex(vector[codec.name]), vector["message"]
    assert refer_decode(codec, data) == message
    assert refer_encode(codec, message) == data
    decoded = codec.decode(data)
    assert type(decoded) is KINDS[message["t"]]
    assert plain(decoded) == message


@vectors("lenient.json")
def test_lenient_messages(vector: dict[str, Any]) -> None:
    """Unknown keys, nulls, duplicates and unusual spellings are read as the message that they mean."""
    assert plain(BY_NAME[vector["codec"]].decode(bytes.fromhex(vector["bytes"]))) == vector["means"]


@vectors("bad.json")
def test_bad_messages(vector: dict[str, Any]) -> None:
    """What is no message is refused with its code, naming the cid and the field where they could be read."""
    with pytest.raises(WireError) as caught:
        BY_NAME[vector["codec"]].decode(bytes.fromhex(vector["bytes"]))
    fault = caught.value
    assert (fault.code, fault.cid, fault.field) == (vector["code"], vector.get("cid"), vector.get("field"))
    assert fault.answer().message


@every_codec()
@vectors("server.json")
def test_server_messages(vector: dict[str, Any], codec: Codec) -> None:
    """What a server says is the very bytes that other libraries make of the same message, keys in the same order."""
    data, message = bytes.fromhex(vector[codec.name]), vector["message"]
    assert refer_decode(codec, data) == message
    assert refer_encode(codec, message) == data
    assert codec.encode(of_plain(message, codec)) == data


@every_codec()
def test_every_kind_has_a_vector(codec: Codec) -> None:
    """No message of the protocol is without a vector."""
    said = {row["message"]["t"] for name in ("client.json", "server.json") for row in json.loads((VECTORS / name).read_text())}
    assert said == {*KINDS, *SERVER_KINDS, "welcome"}
    assert codec.subprotocol in CODECS
