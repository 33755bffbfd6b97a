"""A sealed frame: one content in every form, each form made once."""

from __future__ import annotations

import json
import zlib

import msgpack
import pytest

from livecast.core.events import Person
from livecast.core.frames import Comment, Frame, Likes, Tally
from livecast.wire.codec import CODECS, JSON, MSGPACK, Codec
from livecast.wire.messages import ClaimAck, Pong
from livecast.wire.sealing import Sealed, deflated_frame, socket_message, sse_event, verdict_message
from livecast.wire.websocket import DEFLATE_TAIL

FRAME = Frame(
    "aB3dE9xZ",
    7,
    1_763_800_000_000,
    comments=tuple(Comment(f"aB3-{n}", Person(f"u{n}", "小明"), "好看吗\n多少钱", 1_763_800_000_000 + n) for n in range(8)),
    likes=Likes(3, 99),
    tally=Tally(8, 8),
)
codecs = pytest.mark.parametrize("codec", CODECS.values(), ids=[codec.name for codec in CODECS.values()])


def read(codec: Codec, body: bytes) -> object:
    """By a library that is not ours."""
    return msgpack.unpackb(body) if codec is MSGPACK else json.loads(body)


@codecs
@pytest.mark.parametrize("from_log", [False, True], ids=["just made", "from the log"])
def test_every_form_says_the_same(codec: Codec, from_log: bool) -> None:
    """Body, socket frame and compressed socket frame carry the frame, whether it was just made or comes from the log."""
    made = Sealed.of(FRAME)
    sealed = Sealed(made.msgpack) if from_log else made
    assert (sealed.epoch, sealed.seq) == ("aB3dE9xZ", 7)
    body = sealed.body(codec)
    assert read(codec, body) == read(MSGPACK, MSGPACK.encode(FRAME))
    assert body == codec.encode(FRAME)
    plain = sealed.ws(codec)
    assert plain == bytes((0x80 | codec.opcode, 126)) + len(body).to_bytes(2, "big") + body
    packed = sealed.ws(codec, deflate=True)
    assert packed[0] == 0xC0 | codec.opcode
    assert not packed.endswith(DEFLATE_TAIL)
    assert zlib.decompressobj(-15).decompress(packed[4:] + DEFLATE_TAIL) == body
    assert len(packed) < len(plain)


def test_server_sent_event() -> None:
    """An event has its name, where to resume, and its JSON on one line."""
    event = Sealed.of(FRAME).sse()
    head, _, data = event.decode().partition("data: ")
    assert head == "event: frame\nid: aB3dE9xZ:7\n"
    assert data.endswith("}\n\n")
    assert data.count("\n") == 2
    assert json.loads(data) == read(MSGPACK, MSGPACK.encode(FRAME))
    assert sse_event("bye", None, b"{}") == b"event: bye\ndata: {}\n\n"


def test_forms_are_made_once() -> None:
    """Asked again, a form is the very same bytes object; dropped caches are made anew and equal."""
    sealed = Sealed.of(FRAME)

    def forms() -> list[bytes]:
        socket = [sealed.ws(codec, deflate=deflate) for codec in CODECS.values() for deflate in (False, True)]
        return [*socket, sealed.body(MSGPACK), sealed.body(JSON), sealed.sse()]

    first = forms()
    assert all(again is form for again, form in zip(forms(), first, strict=True))
    held = sealed.bytes_held
    sealed.drop_caches()
    assert sealed.bytes_held == len(sealed.msgpack) < held
    assert forms() == first


def test_what_does_not_shrink_goes_plain() -> None:
    """A body too small to gain from compression is sent as it is, which a client with permessage-deflate takes too."""
    tiny = Sealed.of(Frame("e", 1, 1))
    assert tiny.ws(MSGPACK, deflate=True) == tiny.ws(MSGPACK)
    assert deflated_frame(b"", 2) is None


@codecs
def test_messages_for_one_socket(codec: Codec) -> None:
    """Acks and their like are whole uncompressed frames."""
    data = socket_message(codec, Pong(1, "e", 2))
    assert data[0] == 0x80 | codec.opcode
    assert data[1] == len(data) - 2
    assert read(codec, data[2:]) == {"t": "pong", "now": 1, "epoch": "e", "seq": 2}


@codecs
def test_a_verdict_that_is_put_together_is_the_one_that_is_encoded(codec: Codec) -> None:
    """Byte for byte, for ids of all lengths and letters, in both codecs."""
    for verdict in ("sold_out", "limit", "closed"):
        for cid in [*("c" * length for length in range(1, 65)), "é" * 15, "é" * 16, "小明" * 32, '"\\\n', "\x00", "😀" * 8]:
            assert verdict_message(codec, cid, verdict) == socket_message(codec, ClaimAck(cid, verdict))
