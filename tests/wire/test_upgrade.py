"""Reading a socket's handshake: what is accepted, what is refused and how, and what is agreed on."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request
from wsproto.extensions import PerMessageDeflate

from livecast.wire.codec import JSON, MSGPACK
from livecast.wire.upgrade import (
    HEAD_BYTES_MAX,
    SocketRequest,
    UpgradeError,
    agree_on_deflate,
    bearer_token,
    head_end,
    is_socket_request,
    parse_upgrade,
    read_since,
    refusal_response,
)

USUAL = {
    "Host": "live.example",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def request(target: str = "/v1/rooms/r1/ws", extra: str = "", **headers: str | None) -> bytes:
    """A handshake; `None` leaves a usual header out, `extra` is put behind as it is."""
    fields = USUAL | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"GET {target} HTTP/1.1\r\n{lines}{extra}\r\n".encode("latin-1")


def offering(subprotocols: str, target: str = "/v1/rooms/r1/ws", **headers: str) -> SocketRequest:
    """A handshake that offers subprotocols, as read."""
    return parse_upgrade(request(target, Sec_WebSocket_Protocol=subprotocols, **headers))


def test_the_plain_handshake() -> None:
    """Without any wish: JSON, no token, no compression, and an answer that names none of them."""
    asked = parse_upgrade(request())
    assert (asked.room, asked.codec, asked.token, asked.since, asked.deflate) == ("r1", JSON, None, None, False)
    assert asked.headers["host"] == "live.example"
    assert asked.response == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("offered", "codec", "echo"),
    [
        ("livecast.v1.msgpack", MSGPACK, "livecast.v1.msgpack"),
        ("livecast.v1.json", JSON, "livecast.v1.json"),
        ("chat, livecast.v2.cbor,livecast.v1.msgpack , livecast.v1.json", MSGPACK, "livecast.v1.msgpack"),
        ("livecast.v1.json, livecast.v1.msgpack", JSON, "livecast.v1.json"),
        ("livecast.token.a.b.c, livecast.v1.msgpack", MSGPACK, "livecast.v1.msgpack"),
        ("livecast.token.a.b.c", JSON, None),
        ("", JSON, None),
        (" , ,", JSON, None),
    ],
)
def test_the_first_known_codec_is_picked(offered: str, codec: object, echo: str | None) -> None:
    """The first offered codec that is known is picked and echoed; a token is no offer and never echoed; no offer is JSON."""
    asked = offering(offered)
    assert asked.codec is codec
    assert (f"\r\nSec-WebSocket-Protocol: {echo}\r\n".encode() in asked.response) is (echo is not None)
    assert b"token" not in asked.response


@pytest.mark.parametrize("offered", ["chat", "livecast.v2.msgpack, chat", "LIVECAST.V1.JSON", "chat, livecast.token.a.b.c"])
def test_unknown_codecs_alone_are_refused(offered: str) -> None:
    """Who offers only what is not spoken here gets 400."""
    with pytest.raises(UpgradeError) as caught:
        offering(offered)
    assert caught.value.status == 400


def test_where_tokens_are_found() -> None:
    """Authorization before subprotocol before query; what is there but empty, or of another scheme, is a bad token."""
    target = "/v1/rooms/r1/ws?token=q&since=e:1"
    assert offering("livecast.token.s, livecast.token.t", target, Authorization="Bearer h").token == "h"
    assert offering("livecast.token.s, livecast.token.t", target).token == "s"
    assert parse_upgrade(request(target)).token == "q"
    assert parse_upgrade(request("/v1/rooms/r1/ws?x=1&token=%61%2e&token=b")).token == "a."
    assert parse_upgrade(request("/v1/rooms/r1/ws?token=")).token == ""
    assert parse_upgrade(request(Authorization="bearer  x ")).token == "x"
    assert parse_upgrade(request(Authorization="Bearer")).token == ""
    assert parse_upgrade(request(target, Authorization="Basic eDp5")).token == ""
    assert bearer_token(None) is None


@pytest.mark.parametrize(
    ("since", "pair"),
    [
        ("aB3:120", ("aB3", 120)),
        ("aB3%3A0", ("aB3", 0)),
        ("a:b:7", ("a:b", 7)),
        *[
            (bad, None)
            for bad in ("", "aB3", "aB3:", ":5", "aB3:-1", "aB3:1.0", "aB3:+1", "aB3:٣", "aB3:" + "9" * 16, "x" * 65 + ":1")
        ],
    ],
)
def test_since(since: str, pair: tuple[str, int] | None) -> None:
    """EPOCH:SEQ, or nothing at all: a wrong one costs the viewer a snapshot, not the connection."""
    assert read_since(since.replace("%3A", ":")) == pair
    if since.isascii():
        assert parse_upgrade(request(f"/v1/rooms/r1/ws?since={since}")).since == pair


def test_rooms_are_unquoted_and_left_unchecked() -> None:
    """A wrong room id is told after the upgrade, where a browser can see it."""
    assert parse_upgrade(request("/v1/rooms/r%31/ws")).room == "r1"
    assert parse_upgrade(request("/v1/rooms/no%20such%2Froom/ws")).room == "no such/room"


REFUSED = {
    "Upgrade to something else": (request(Upgrade="h2c, websocketish"), 400),
    "no Connection": (request(Connection=None), 400),
    "Connection: keep-alive": (request(Connection="keep-alive"), 400),
    "no version": (request(Sec_WebSocket_Version=None), 426),
    "version 8": (request(Sec_WebSocket_Version="8"), 426),
    "two versions": (request(extra="sec-websocket-version: 13\r\n"), 400),
    "no key": (request(Sec_WebSocket_Key=None), 400),
    "a short key": (request(Sec_WebSocket_Key="c2hvcnQ="), 400),
    "two keys": (request(extra="Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400),
    "no Host": (request(Host=None), 400),
    "two Hosts": (request(extra="host: evil.example\r\n"), 400),
    "two Authorizations": (request(extra="Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), 400),
    "a body": (request(extra="Content-Length: 5\r\n"), 400),
    "a chunked body": (request(extra="Transfer-Encoding: chunked\r\n"), 400),
    "a folded line": (request(extra="X-A: b\r\n c\r\n"), 400),
    "space before the colon": (request(extra="X-A : b\r\n"), 400),
    "no colon": (request(extra="X-A\r\n"), 400),
    "no name": (request(extra=": b\r\n"), 400),
    "a bare line feed": (request(extra="X-A: b\nX-B: c\r\n"), 400),
    "a bare carriage return": (request(extra="X-A: b\rX-B: c\r\n"), 400),
    "a zero byte": (request(extra="X-A: b\0\r\n"), 400),
    "a name with a bracket": (request(extra="X(A): b\r\n"), 400),
    "101 lines": (request(extra="a:\r\n" * 96), 431),
    "HTTP/1.0": (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "POST": (request().replace(b"GET", b"POST"), 400),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_handshakes(name: str) -> None:
    """What breaks RFC 6455 or could be read in two ways is refused with a whole HTTP answer."""
    head, status = REFUSED[name]
    with pytest.raises(UpgradeError) as caught:
        parse_upgrade(head)
    assert caught.value.status == status
    answer = caught.value.response("an-id")
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert (b"\r\nSec-WebSocket-Version: 13\r\n" in answer) is (status == 426)
    top, _, body = answer.partition(b"\r\n\r\n")
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in top


def test_lists_may_be_spread_over_lines() -> None:
    """Names are read in any case, lists over several lines, and 100 lines are not too many."""
    extra = "sec-websocket-protocol: chat\r\nSEC-WEBSOCKET-PROTOCOL: livecast.v1.msgpack\r\nCONNECTION: keep-alive\r\n"
    asked = parse_upgrade(request(extra=extra + "a:\r\n" * 92, Upgrade="h2c, WebSocket", Connection="UPGRADE"))
    assert asked.codec is MSGPACK
    assert asked.headers["connection"] == "UPGRADE, keep-alive"


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", AGREED),
        ("permessage-deflate; client_max_window_bits", AGREED),
        ("permessage-deflate;client_max_window_bits=10 ; server_no_context_takeover", AGREED),
        ("permessage-deflate; server_max_window_bits=15", AGREED + "; server_max_window_bits=15"),
        ('permessage-deflate; server_max_window_bits="15"', AGREED + "; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=10", None),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", AGREED),
        ("x-webkit-deflate-frame, permessage-deflate; client_max_window_bits=15", AGREED),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; client_max_window_bits=16", None),
        ("permessage-deflate; client_max_window_bits=08", None),
        ("permessage-deflate; client_no_context_takeover=1", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-deflate; mystery", None),
        ("permessage-bzip2", None),
        ("", None),
    ],
)
def test_compression_offers(offer: str, answer: str | None) -> None:
    """The first offer that can be met is met: 15 window bits and no context on either side; a smaller window is declined."""
    assert agree_on_deflate(offer) == answer
    asked = parse_upgrade(request(Sec_WebSocket_Extensions=offer))
    assert asked.deflate is (answer is not None)
    assert (b"Sec-WebSocket-Extensions: " in asked.response) is asked.deflate
    assert parse_upgrade(request(Sec_WebSocket_Extensions=offer), compress=False).deflate is False


@pytest.mark.parametrize(
    ("head", "mine"),
    [
        (request(), True),
        (request("/v1/rooms/r1/ws?since=e:1"), True),
        (request(Upgrade="WebSocket", Sec_WebSocket_Version="8"), True),
        (request(Upgrade=None), False),
        (request(Upgrade=None, extra="X: upgrade: websocket\r\n"), False),
        (request("/v1/rooms/r1/ws/"), False),
        (request("/v1/rooms//ws"), False),
        (request("/v1/rooms/a/b/ws"), False),
        (request("/v1/rooms/r1/events"), False),
        (request("/ws"), False),
        (request().replace(b"GET", b"PUT"), False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"\x16\x03\x01", False),
    ],
)
def test_what_is_a_socket_request(head: bytes, mine: bool) -> None:
    """Only GET …/ws with an Upgrade to websocket is ours; everything else goes to the HTTP server untouched."""
    assert is_socket_request(head) is mine


def test_heads_are_found_and_bounded() -> None:
    """A head ends with its blank line; one that has not ended within 16 KiB is 431."""
    head = request()
    assert head_end(head + b"\x81\x80junk") == len(head)
    assert all(head_end(head[:size]) == -1 for size in range(len(head)))
    assert head_end(bytearray(b"a" * (HEAD_BYTES_MAX - 1))) == -1
    with pytest.raises(UpgradeError) as caught:
        head_end(b"a" * HEAD_BYTES_MAX)
    assert caught.value.status == 431
    with pytest.raises(UpgradeError):
        head_end(request(extra=f"Cookie: {'a' * HEAD_BYTES_MAX}\r\n"))


def test_refusals() -> None:
    """A refusal is a problem document, and carries the headers it is given."""
    answer = refusal_response(503, "full", "an-id", retry_after_ms=1_001, headers=(("Upgrade", "websocket"),))
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    for line in (b"Retry-After: 2", b"X-Request-Id: an-id", b"Upgrade: websocket", b"Content-Length: %d" % len(body)):
        assert b"\r\n" + line + b"\r\n" in top + b"\r\n"
    assert json.loads(body) == {
        "type": "urn:livecast:problem:overloaded",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "full",
        "code": "overloaded",
        "request_id": "an-id",
        "retry_after_ms": 1_001,
    }


#: RFC 9110 section 5: field lines of a token, a colon and anything but controls, then the blank line.
FIELD_LINES = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\x00-\x08\n-\x1f\x7f]*\r\n)*\r\n")


@given(st.text("hH-:: \t\r\n\x00\x7f\xe9(", max_size=8), st.sampled_from(["Host", "x-y", "", "x y", "\xe9"]))
@example("", ": v\r\n\r\nnext: ")
@example("v\r", "a")
def test_field_lines_are_those_of_the_grammar(value: str, name: str) -> None:
    """Whatever lines come, they are taken if RFC 9110's grammar has them, and else the whole head is refused."""
    extra = f"{name}:{value}\r\n{name}{value}:\r\n{value}\r\n"
    for cut in (extra, extra[: -len(value) - 2]):
        head = request(extra=cut)
        lines = FIELD_LINES.fullmatch(head[head.index(b"\r\n") + 2 :])
        refused = ""
        try:
            taken = parse_upgrade(head).headers
        except UpgradeError as fault:
            refused = fault.detail
        else:
            assert name.lower() in taken
        assert (refused == "malformed header lines") is (lines is None)


@given(junk=st.binary(max_size=200), at=st.integers(0, 200), size=st.integers(0, 20))
def test_damaged_handshakes(junk: bytes, at: int, size: int) -> None:
    """A handshake with any part replaced by junk is read or refused, and nothing but UpgradeError comes out."""
    head = request(
        "/v1/rooms/r1/ws?since=e:1&token=t",
        Sec_WebSocket_Protocol="livecast.v1.json",
        Sec_WebSocket_Extensions="permessage-deflate",
    )
    damaged = head[:at] + junk + head[at + size :]
    answer = None
    try:
        end = head_end(damaged)
        if end > 0 and is_socket_request(damaged[:end]):
            answer = parse_upgrade(damaged[:end]).response
    except UpgradeError as fault:
        answer = fault.response("an-id")
    if answer is not None:
        assert answer.startswith(b"HTTP/1.1 ")
        assert answer.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("first", [b"\x16\x03\x01", b"\x00", b" GET /", b"{"])
def test_what_cannot_be_http_is_told_so_at_its_first_byte(first: bytes) -> None:
    """Whoever speaks TLS to a plain port need not wait for a deadline to learn it."""
    with pytest.raises(UpgradeError) as refused:
        head_end(first)
    assert refused.value.status == 400


def test_websockets_shakes_hands() -> None:
    """The websockets client accepts our answer, with subprotocol and compression agreed."""
    client = ClientProtocol(
        parse_uri("ws://live.example/v1/rooms/r1/ws"),
        subprotocols=[Subprotocol("livecast.token.a.b.c"), Subprotocol("livecast.v1.msgpack")],
        extensions=[ClientPerMessageDeflateFactory(client_max_window_bits=True)],
    )
    client.send_request(client.connect())
    asked = parse_upgrade(b"".join(client.data_to_send()))
    client.receive_data(asked.response)
    (answer,) = client.events_received()
    assert isinstance(answer, Response)
    assert (client.state, client.subprotocol, len(client.extensions)) == (State.OPEN, "livecast.v1.msgpack", 1)
    assert (asked.codec, asked.token, asked.deflate) == (MSGPACK, "a.b.c", True)


def test_wsproto_shakes_hands() -> None:
    """So does wsproto's."""
    client = WSConnection(ConnectionType.CLIENT)
    wish = Request(
        host="live.example", target="/v1/rooms/r1/ws", subprotocols=["livecast.v1.json"], extensions=[PerMessageDeflate()]
    )
    asked = parse_upgrade(client.send(wish))
    client.receive_data(asked.response)
    (accepted,) = client.events()
    assert isinstance(accepted, AcceptConnection)
    assert (accepted.subprotocol, len(accepted.extensions)) == ("livecast.v1.json", 1)
