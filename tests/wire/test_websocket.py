"""The frame parser against two independent ones, in any chunking, and the faults that close a socket."""

from __future__ import annotations

import codecs
import random
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Iterable
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate as TheirDeflate
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode as TheirOpcode
from websockets.protocol import Protocol, Side, State
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate
from wsproto.frame_protocol import FrameProtocol, ParseFailed

from livecast.wire.masking import apply_mask, apply_mask_plainly
from livecast.wire.sealing import deflated_frame
from livecast.wire.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEFLATE_TAIL,
    PING,
    PONG,
    TEXT,
    FrameParser,
    WebSocketError,
    accept_key,
    close_code_of,
    close_frame,
    frame,
    frame_header,
)

Outcome = tuple[list[tuple[int, bytes]], int | None]
"""What came out, and the close code of the fault that ended it, if one did."""


def client_frame(payload: bytes, opcode: int = BINARY, *, first: int = 0x80, masked: bool = True, length_bytes: int = -1) -> bytes:
    """A client's frame, built by the RFC's drawing. `length_bytes` 0, 2, 8 forces a form of the length."""
    size, mask = len(payload), random.Random(len(payload)).randbytes(4) if masked else b""
    if length_bytes < 0:
        length_bytes = 0 if size <= 125 else 2 if size <= 0xFFFF else 8
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes((first | opcode, short | (0x80 if masked else 0))) + (size.to_bytes(length_bytes, "big") if length_bytes else b"")
    return head + mask + (apply_mask_plainly(payload, mask) if masked else payload)


def deflated(payload: bytes) -> bytes:
    """What a client with permessage-deflate puts into a frame."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(DEFLATE_TAIL)


def read(chunks: Iterable[bytes], *, deflate: bool = False) -> Outcome:
    """What our parser makes of it."""
    parser = FrameParser(deflate=deflate)
    messages: list[tuple[int, bytes]] = []
    try:
        for chunk in chunks:
            messages += parser.feed(chunk)
    except WebSocketError as fault:
        assert parser.feed(client_frame(b"more")) == []
        return messages + fault.before, fault.close_code
    return messages, None


def read_by_wsproto(data: bytes, *, deflate: bool) -> Outcome:
    """What wsproto makes of it: pieces of messages, put together here."""
    extension = WsprotoDeflate()
    extension.finalize("permessage-deflate; client_no_context_takeover; server_no_context_takeover")
    protocol = FrameProtocol(client=False, extensions=[extension] if deflate else [])
    protocol.receive_bytes(data)
    messages: list[tuple[int, bytes]] = []
    parts: list[Any] = []
    try:
        for piece in protocol.received_frames():
            if piece.opcode == CLOSE:
                code, reason = cast("tuple[int, str]", piece.payload)
                messages.append((CLOSE, b"" if code == 1005 else struct.pack("!H", code) + reason.encode()))
            elif piece.opcode >= CLOSE:
                messages.append((int(piece.opcode), bytes(piece.payload)))  # type: ignore[arg-type]
            else:
                parts.append(piece.payload.encode() if isinstance(piece.payload, str) else bytes(piece.payload))  # type: ignore[arg-type]
                if piece.message_finished and piece.frame_finished:
                    messages.append((int(piece.opcode), b"".join(parts)))
                    parts.clear()
    except ParseFailed as fault:
        return messages, int(fault.code)
    return messages, None


def read_by_websockets(data: bytes, *, deflate: bool) -> Outcome:
    """Its sans-I/O half leaves putting fragments together and checking UTF-8 to the connection: done here."""
    protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=None)
    protocol.extensions = [TheirDeflate(True, True, 15, 15)] if deflate else []
    protocol.receive_data(data)
    messages: list[tuple[int, bytes]] = []
    opcode, parts = 0, b""
    utf8 = codecs.getincrementaldecoder("utf-8")()
    for event in protocol.events_received():
        assert isinstance(event, TheirFrame)
        if event.opcode >= CLOSE:
            messages.append((int(event.opcode), bytes(event.data)))
            continue
        opcode = int(event.opcode) or opcode
        parts = bytes(event.data) if event.opcode else parts + bytes(event.data)
        if opcode == TEXT:
            try:
                utf8.decode(bytes(event.data), final=event.fin)
            except UnicodeDecodeError:
                return messages, 1007
        if event.fin:
            messages.append((opcode, parts))
    if isinstance(protocol.parser_exc, ProtocolError):
        return messages, 1002
    if isinstance(protocol.parser_exc, UnicodeDecodeError):
        return messages, 1007
    return messages, None


# --- Streams that clients might send ----------------------------------------------------------------------------------

payloads = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.integers(120, 300).map(lambda n: b"x" * n),
    st.just("好看".encode() * 40),
)
close_payloads = st.one_of(
    st.just(b""),
    st.binary(max_size=4),
    st.builds(
        lambda code, reason: struct.pack("!H", code) + reason.encode(),
        st.sampled_from([0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1013, 1015, 1016, 2999, 3000, 4999, 5000, 65535]),
        st.text(max_size=9),
    ),
)


@st.composite
def messages(draw: st.DrawFn, *, deflate: bool, interrupt: bool) -> bytes:
    """One message in one to four fragments, with control frames between them if `interrupt`."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    payload = draw(st.text(max_size=60).map(str.encode)) if opcode == TEXT else draw(payloads)
    first = 0
    if deflate and draw(st.booleans()):
        payload, first = deflated(payload), 0x40
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    data = b""
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(payload)], strict=True)):
        bits = (first if number == 0 else 0) | (0x80 if number == len(cuts) else 0)
        data += client_frame(payload[start:stop], CONTINUATION if number else opcode, first=bits)
        if interrupt and draw(st.integers(0, 5)) == 0:
            data += client_frame(draw(st.binary(max_size=125)), draw(st.sampled_from([PING, PONG])))
    return data


odd_frames = st.builds(
    client_frame,
    payloads,
    st.integers(0, 15),
    first=st.sampled_from([0x80, 0x80, 0x80, 0x00, 0xC0, 0xA0, 0x90]),
    masked=st.integers(0, 9).map(bool),
)
close_frames = st.builds(client_frame, close_payloads, st.just(CLOSE))


def streams(*, deflate: bool, interrupt: bool) -> st.SearchStrategy[bytes]:
    """Mostly messages, with something odd or a close frame among them."""
    message = messages(deflate=deflate, interrupt=interrupt)
    return st.lists(st.one_of(message, message, message, odd_frames, close_frames), max_size=6).map(b"".join)


def chop(data: bytes, seed: int) -> list[bytes]:
    """`data` in pieces of random length, many of them of one byte."""
    chance, pieces, at = random.Random(seed), [], 0
    while at < len(data):
        size = chance.choice([1, 1, 2, 3, 7, 40, 200])
        pieces.append(data[at : at + size])
        at += size
    return pieces


@pytest.mark.parametrize(
    ("deflate", "interrupt"),
    [(False, True), (True, False), (True, True)],
    ids=["plain", "compressed", "compressed and interrupted"],
)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_other_parsers_agree(deflate: bool, interrupt: bool, data: st.DataObject, seed: int) -> None:
    """Valid or not, whole, in pieces or byte by byte: the same messages and the same close code as wsproto and websockets."""
    stream = data.draw(streams(deflate=deflate, interrupt=interrupt))
    got = read([stream], deflate=deflate)
    assert read(chop(stream, seed), deflate=deflate) == got
    assert read([bytes([byte]) for byte in stream], deflate=deflate) == got
    if not (deflate and interrupt):  # wsproto forgets that a message is compressed when a ping comes between its fragments
        assert read_by_wsproto(stream, deflate=deflate) == got
    theirs = read_by_websockets(stream, deflate=deflate)
    if got[0] and got[0][-1][0] == CLOSE and theirs == (got[0][:-1], 1002):
        return  # websockets refuses a close frame between fragments; RFC 6455 section 5.4 allows it, and wsproto takes it
    # What does not inflate is 1007 for us and wsproto, 1002 for websockets; of two faults in one close frame (code and
    # reason) it names the other.
    assert (theirs[0], 1002 if theirs[1] == 1007 else theirs[1]) == (got[0], 1002 if got[1] == 1007 else got[1])


@given(junk=st.binary(max_size=300), deflate=st.booleans(), seed=st.integers(0, 2**32))
@example(junk=bytes.fromhex("c1 84 00000000 ffffffff"), deflate=True, seed=0)
def test_junk(junk: bytes, deflate: bool, seed: int) -> None:
    """Random bytes end in messages or in a WebSocketError, the same ones however they are cut."""
    assert read(chop(junk, seed), deflate=deflate) == read([junk], deflate=deflate)


@given(payload=st.binary(max_size=80), opcode=st.sampled_from([TEXT, BINARY]))
def test_compressed_junk(payload: bytes, opcode: int) -> None:
    """Bytes that only claim to be compressed inflate to what wsproto makes of them, or are 1007 as there."""
    stream = client_frame(payload, opcode, first=0xC0)
    assert read([stream], deflate=True) == read_by_wsproto(stream, deflate=True)


# --- Faults, one by one -----------------------------------------------------------------------------------------------

FAULTS = {
    "unmasked": (client_frame(b"a", masked=False), 1002),
    "unmasked, and declares 1 TiB": (bytes((0x82, 127)) + (1 << 40).to_bytes(8, "big"), 1002),
    "RSV1 without deflate": (client_frame(b"a", first=0xC0), 1002),
    "RSV2": (client_frame(b"a", first=0xA0), 1002),
    "RSV3": (client_frame(b"a", first=0x90), 1002),
    "unknown data opcode": (client_frame(b"a", 3), 1002),
    "unknown control opcode": (client_frame(b"a", 11), 1002),
    "fragmented ping": (client_frame(b"a", PING, first=0), 1002),
    "long ping": (client_frame(b"a" * 126, PING), 1002),
    "continuation of nothing": (client_frame(b"a", CONTINUATION), 1002),
    "message within a message": (client_frame(b"a", first=0) + client_frame(b"b"), 1002),
    "16-bit length for 125": (client_frame(b"a" * 125, length_bytes=2), 1002),
    "64-bit length for 65,535": (client_frame(b"a" * 65_535, length_bytes=8), 1002),
    "half a close code": (client_frame(b"\x03", CLOSE), 1002),
    **{f"close code {n}": (client_frame(n.to_bytes(2, "big"), CLOSE), 1002) for n in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)},
    "close reason not UTF-8": (client_frame(b"\x03\xe8\xff", CLOSE), 1007),
    "text not UTF-8": (client_frame(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80", TEXT), 1007),
    "text ends within a character": (client_frame(b"\xe5\xa5", TEXT), 1007),
    "fragments end within a character": (client_frame(b"\xe5", TEXT, first=0) + client_frame(b"\xa5", CONTINUATION), 1007),
    "65,537 bytes": (client_frame(b"a" * 65_537), 1009),
    "declares 2^63": (bytes((0x82, 0xFF)) + (1 << 63).to_bytes(8, "big"), 1009),
    "declares 2^64 - 1": (bytes((0x82, 0xFF)) + b"\xff" * 8, 1009),
    "assembles to 65,537": (client_frame(b"a" * 65_536, first=0) + client_frame(b"a", CONTINUATION), 1009),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str) -> None:
    """Every breach has its close code, in one chunk or byte by byte, and what came before it is not lost."""
    data, code = FAULTS[name]
    good = client_frame(b"good", TEXT)
    assert read([good + data]) == ([(TEXT, b"good")], code)
    assert read([good, *(bytes([byte]) for byte in data)]) == ([(TEXT, b"good")], code)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4000, 4999])
def test_close_codes(code: int) -> None:
    """Registered and private close codes are taken; what follows a close frame is ignored, then and later."""
    parser = FrameParser()
    data = client_frame(code.to_bytes(2, "big") + "再见".encode(), CLOSE)
    ((opcode, payload),) = parser.feed(data + client_frame(b"late") + b"\xff\xff")
    assert (opcode, close_code_of(payload)) == (CLOSE, code)
    assert parser.feed(b"\xff" * 9) == []


def test_size_is_refused_by_the_header_alone() -> None:
    """A declared size above the bound is 1009 before a byte of payload is there, also as the sum of fragments."""
    assert read([bytes((0x82, 0xFF)) + (65_537).to_bytes(8, "big")])[1] == 1009
    assert read([client_frame(b"a" * 60_000, first=0), bytes((0x80, 0xFE)) + (6000).to_bytes(2, "big")])[1] == 1009
    assert read([client_frame(b"a" * 65_536)]) == ([(BINARY, b"a" * 65_536)], None)
    assert read([client_frame(b"a" * 65_536, first=0), client_frame(b"", CONTINUATION)])[1] is None


def test_wrong_text_is_refused_before_it_ends() -> None:
    """Text that cannot become UTF-8 any more is 1007 at once, though its frame and message are not complete."""
    begun = client_frame(b"\xce\xba\xed\xa0\x80" + b"a" * 100, TEXT)[:12]
    assert read([begun])[1] == 1007
    assert read([client_frame(b"ok", TEXT, first=0), client_frame(b"\xff", CONTINUATION, first=0)])[1] == 1007
    assert read([client_frame(b"\xe5", TEXT, first=0), client_frame(b"\xa5\xbd", CONTINUATION)]) == ([(TEXT, "好".encode())], None)


def test_compression_bombs() -> None:
    """10 MB of zeros in 10 KB are 1009, and inflating them holds little more than the bound."""
    bomb = client_frame(deflated(bytes(10_000_000)), first=0xC0)
    read([client_frame(deflated(b"warm up"), first=0xC0)], deflate=True)
    tracemalloc.start()
    try:
        assert read([bomb], deflate=True)[1] == 1009
        assert tracemalloc.get_traced_memory()[1] < 400_000
    finally:
        tracemalloc.stop()
    assert read([client_frame(deflated(b"a" * 65_536), first=0xC0)], deflate=True) == ([(BINARY, b"a" * 65_536)], None)
    assert read([client_frame(deflated(b"a" * 65_537), first=0xC0)], deflate=True)[1] == 1009


def test_compression_faults() -> None:
    """RSV1 belongs on the first frame of a message; wrong text is 1007 compressed as well; a final block is fine."""
    first, rest = deflated(b"hello")[:3], deflated(b"hello")[3:]
    whole = [client_frame(first, TEXT, first=0x40), client_frame(rest, CONTINUATION, first=0x80)]
    assert read(whole, deflate=True) == ([(TEXT, b"hello")], None)
    assert read([whole[0], client_frame(rest, CONTINUATION, first=0xC0)], deflate=True)[1] == 1002
    assert read([client_frame(b"", PING, first=0xC0)], deflate=True)[1] == 1002
    assert read([client_frame(deflated(b"\xff"), TEXT, first=0xC0)], deflate=True)[1] == 1007
    wrong = deflated(b"\xff")
    assert read([client_frame(wrong[:1], TEXT, first=0x40), client_frame(wrong[1:], CONTINUATION)], deflate=True)[1] == 1007
    assert read([client_frame(b"\x07\xff", first=0xC0)], deflate=True)[1] == 1007
    assert read([client_frame(bytes.fromhex("f348cdc9c9070000"), TEXT, first=0xC0)], deflate=True) == ([(TEXT, b"Hello")], None)


def test_what_does_not_end_is_found_out() -> None:
    """Between two questions a message ended or a control frame did: it moves on. The same one is under way: it is stalled."""
    parser = FrameParser()
    assert not parser.stalled()
    parser.feed(client_frame(b"whole", TEXT))
    assert [parser.stalled(), parser.stalled()] == [False, False]
    part, ping = client_frame(b"begun", TEXT)[:4], client_frame(b"", PING)
    parser.feed(part)
    assert [parser.stalled(), parser.stalled()] == [False, True]
    for _ in range(3):  # always one under way, never the same
        assert parser.feed(client_frame(b"begun", TEXT)[4:] + part) == [(TEXT, b"begun")]
        assert not parser.stalled()
    parser.feed(client_frame(b"begun", TEXT)[4:] + ping[:3])
    assert not parser.stalled()
    parser.feed(ping[3:] + ping[:3])
    assert not parser.stalled()
    parser.feed(ping[3:] + client_frame(b"a fragment", TEXT, first=0))
    assert not parser.stalled()
    assert parser.feed(ping + client_frame(b"another", CONTINUATION, first=0) + ping[:1]) == [(PING, b"")]
    assert parser.stalled()


def test_an_idle_parser_is_small() -> None:
    """Between messages a parser holds no buffer, whatever it has been through."""
    parser = FrameParser()
    for piece in chop(client_frame(b"a" * 5000, TEXT, first=0) + client_frame(b"b", PING) + client_frame(b"c", CONTINUATION), 1):
        parser.feed(piece)
    parser.feed(client_frame(b"", PONG))
    assert parser._pending is None
    assert sys.getsizeof(parser) <= 80


# --- What we send -----------------------------------------------------------------------------------------------------


@given(
    payload=st.one_of(st.binary(max_size=200), st.sampled_from([b"a" * 65_535, b"b" * 65_536])),
    opcode=st.sampled_from([TEXT, BINARY]),
)
def test_other_clients_read_our_frames(payload: bytes, opcode: int) -> None:
    """Our frames, plain and compressed, are what wsproto's and websockets' clients take them for."""
    payload = payload if opcode == BINARY else payload.hex().encode()[:65_536]
    compressed = deflated_frame(payload, opcode)
    for data, deflate in ((frame(payload, opcode), False), *([(compressed, True)] if compressed else [])):
        extension = WsprotoDeflate()
        extension.finalize("permessage-deflate; client_no_context_takeover; server_no_context_takeover")
        wsproto = FrameProtocol(client=True, extensions=[extension] if deflate else [])
        wsproto.receive_bytes(data)
        pieces = list(wsproto.received_frames())
        said = [piece.payload.encode() if isinstance(piece.payload, str) else bytes(piece.payload) for piece in pieces]  # type: ignore[arg-type]
        assert (int(pieces[0].opcode), b"".join(said), pieces[-1].message_finished) == (opcode, payload, True)
        websockets = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
        websockets.extensions = [TheirDeflate(True, True, 15, 15)] if deflate else []
        websockets.receive_data(data)
        assert websockets.events_received() == [TheirFrame(TheirOpcode(opcode), payload)]


def test_close_frames() -> None:
    """A close frame carries its code and as much of the reason as fits, cut between characters."""
    assert close_frame(1005) == frame(b"", CLOSE)
    assert close_frame(4008) == b"\x88\x02\x0f\xa8"
    long = close_frame(1000, "好" * 60)
    assert long[4:].decode() == "好" * 41
    assert len(long) == 2 + 2 + 123
    assert close_code_of(b"") == 1005
    assert frame_header(3, TEXT, rsv1=True) == b"\xc1\x03"


def test_accept_key() -> None:
    """The RFC's own example (section 1.3)."""
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(data=st.binary(max_size=300), mask=st.binary(min_size=4, max_size=4))
def test_masking(data: bytes, mask: bytes) -> None:
    """The plain exclusive or does what the compiled one does, and twice is not at all."""
    masked = apply_mask_plainly(data, mask)
    assert masked == apply_mask(data, mask)
    assert apply_mask_plainly(masked, mask) == data
