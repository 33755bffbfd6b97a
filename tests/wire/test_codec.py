"""What decoding promises beyond the vectors: bounded cost, one kind of error, and answers that find their way back."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.errors import Refusal
from livecast.core.events import Done, Verdict
from livecast.wire.codec import CODECS, JSON, KINDS, MSGPACK, Codec, WireError, ack_of, body_digest
from livecast.wire.messages import (
    MESSAGE_BYTES_MAX,
    META_BYTES_MAX,
    Ack,
    ClaimMessage,
    CommentMessage,
    ErrorMessage,
    LikeMessage,
    Ping,
    Style,
)

codecs = pytest.mark.parametrize("codec", CODECS.values(), ids=[codec.name for codec in CODECS.values()])


def written(codec: Codec, message: Any) -> bytes:
    """By a library that is not ours."""
    return bytes(msgpack.packb(message)) if codec is MSGPACK else json.dumps(message).encode()


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(sorted({name for kind in KINDS.values() for name in kind.__struct_fields__}))
nearly = st.builds(
    lambda t, body: {"t": t, **body},
    st.sampled_from([*KINDS, "dance"]),
    st.dictionaries(fields, json_values | st.integers(0, 120) | st.text(max_size=70), max_size=6),
)


@codecs
@given(junk=st.binary(max_size=200))
def test_junk(codec: Codec, junk: bytes) -> None:
    """Random bytes are refused as `bad_message`, and nothing but WireError comes out."""
    with pytest.raises(WireError) as caught:
        codec.decode(junk)
    assert caught.value.code == "bad_message"


@given(message=nearly)
def test_nearly_messages(message: dict[str, Any]) -> None:
    """Maps that look like messages are taken or refused, by both codecs alike, and what is taken survives the round trip."""
    outcomes: list[object] = []
    try:
        in_msgpack = written(MSGPACK, message)
    except OverflowError:
        return  # an integer that MessagePack has no room for
    for codec, data in ((MSGPACK, in_msgpack), (JSON, written(JSON, message))):
        try:
            decoded = codec.decode(data)
        except WireError as fault:
            outcomes.append(fault.code)
        else:
            assert decoded.__struct_config__.tag == message["t"]
            assert codec.decode(codec.encode(decoded)) == decoded
            outcomes.append((decoded, body_digest(decoded)))
    assert outcomes[0] == outcomes[1]


@given(data=st.data(), message=nearly)
def test_damaged_messages(data: st.DataObject, message: dict[str, Any]) -> None:
    """A message with a byte changed, lost or doubled never raises anything but WireError."""
    for codec in CODECS.values():
        try:
            raw = bytearray(written(codec, message))
        except OverflowError:
            continue
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        with contextlib.suppress(WireError):
            codec.decode(bytes(raw))


HOSTILE = {
    "an array of 3,800 zeros": (MSGPACK, written(MSGPACK, {"t": "ping", "x": [0] * 3800})),
    "900 maps": (MSGPACK, written(MSGPACK, {"t": "ping", "x": [{"a": 1}] * 900})),
    "declared lengths within each other": (MSGPACK, b"\x82\xa1t\xa4ping\xa1x" + b"\xdd\xff\xff\xff\xff" * 800),
    "4,000 deep in MessagePack": (MSGPACK, b"\x91" * 4000),
    "4,000 deep in JSON": (JSON, b"[" * 4000),
    "4,000 deep below a key": (JSON, b'{"t":' + b'{"t":' * 800),
    "a number of 4,000 digits": (JSON, b'{"t":"like","n":' + b"9" * 4000 + b"}"),
    "64 KiB of nesting": (JSON, b"[" * 65_536),
    "64 KiB of declared lengths": (MSGPACK, b"\xdd\xff\xff\xff\xff" * 13_000),
    "100,000 deep, more than a frame can carry": (MSGPACK, b"\x91" * 100_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_are_cheap(name: str) -> None:
    """Whatever 64 KiB claim to be, looking at them costs milliseconds and no more memory than a few times their size."""
    codec, data = HOSTILE[name]

    def attempt() -> None:
        try:
            codec.decode(data)
        except WireError:
            return

    attempt()
    tracemalloc.start()
    try:
        attempt()
        assert tracemalloc.get_traced_memory()[1] < 600_000
    finally:
        tracemalloc.stop()
    began = time.process_time()
    attempt()
    assert time.process_time() - began < 0.05  # measured: at most 1 ms


@codecs
def test_too_large_is_still_named(codec: Codec) -> None:
    """Above 4 KiB a message is `too_large` unread, but its kind and cid are found, so that it is answered and counted."""
    fits = {"t": "comment", "cid": "c-1", "text": ""}
    fits["text"] = "x" * (MESSAGE_BYTES_MAX - len(json.dumps(fits)))
    assert isinstance(JSON.decode(json.dumps(fits).encode()), CommentMessage)
    named: list[Any] = [{**fits, "text": "x" * 4096}, {"x": ["y" * 60_000], "text": 7, "t": "comment", "cid": "c-1"}]
    for message in named:
        with pytest.raises(WireError) as caught:
            codec.decode(written(codec, message))
        assert (caught.value.code, caught.value.t, caught.value.cid) == ("too_large", "comment", "c-1")
    nameless: list[Any] = [{**fits, "cid": "x" * 5000}, {**fits, "t": "dance", "text": "x" * 4096, "cid": ["c"]}]
    for message in nameless:
        with pytest.raises(WireError) as caught:
            codec.decode(written(codec, message))
        assert (caught.value.code, caught.value.cid) == ("too_large", None)


@codecs
def test_meta_is_measured_alike(codec: Codec) -> None:
    """512 bytes of `meta` are 512 bytes of JSON in either codec; one more is too large."""
    most = {"a": "x" * (META_BYTES_MAX - len('{"a":""}'))}
    base = {"t": "comment", "cid": "c", "text": "a"}
    assert codec.decode(written(codec, {**base, "meta": most})).meta == most  # type: ignore[union-attr]
    with pytest.raises(WireError) as caught:
        codec.decode(written(codec, {**base, "meta": {"a": most["a"] + "x"}}))
    assert (caught.value.code, caught.value.field) == ("too_large", "meta")


def test_digest() -> None:
    """The digest leaves the cid out, sees every other field, and neither the order of keys nor the codec."""
    comment = CommentMessage("c1", "hi", meta={"a": 1, "b": {"x": 1, "y": 2}})
    same = CommentMessage("c2", "hi", meta={"b": {"y": 2, "x": 1}, "a": 1})
    assert body_digest(comment) == body_digest(same)
    others = [
        CommentMessage("c1", "hi!"),
        CommentMessage("c1", "hi"),
        CommentMessage("c1", "hi", "Ab-1"),
        CommentMessage("c1", "hi", None, ("u1",)),
        CommentMessage("c1", "hi", None, None, Style(1)),
        CommentMessage("c1", "hi", None, None, Style(None, "top")),
        comment,
    ]
    assert len({body_digest(other) for other in others}) == len(others)
    assert body_digest(LikeMessage(3, "x")) == body_digest(LikeMessage(3)) != body_digest(LikeMessage(4))
    assert body_digest(ClaimMessage("c", "d1")) != body_digest(ClaimMessage("c", "d2"))
    assert body_digest(Ping("a")) == body_digest(Ping())


def test_answers() -> None:
    """A verdict becomes an ack, a refusal an error with a sentence for people, a finished command an ack with the object."""
    assert ack_of("c", Verdict("shown", "Ab-1", 7)) == Ack("c", "shown", "Ab-1", 7)
    assert ack_of("c", Verdict("counted", counted=0)) == Ack("c", "counted", counted=0)
    assert ack_of("c", Refusal("slow_mode", retry_after_ms=900)) == ErrorMessage(
        "slow_mode", "The room is in slow mode.", "c", retry_after_ms=900
    )
    assert ack_of(None, Refusal("invalid", field="text")).cid is None
    assert msgspec.to_builtins(ack_of("c", Done({"room": "r"}))) == {
        "t": "ack",
        "cid": "c",
        "verdict": "ok",
        "value": {"room": "r"},
    }


@codecs
def test_shared_parts(codec: Codec) -> None:
    """A part encoded once goes into a message as it is."""
    part = codec.raw({"likes": 3})
    assert codec.decode_any(codec.encode({"state": part, "policy": part})) == {"state": {"likes": 3}, "policy": {"likes": 3}}
