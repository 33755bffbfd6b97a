"""The HTTP/1.1 request that asks for a socket, and the answer, without I/O.

The door collects bytes until `head_end` finds the blank line, asks `is_socket_request`, and hands everything else on
untouched. A socket request is read by `parse_upgrade`, strictly: what two parsers could read differently is refused.

    UpgradeError       the handshake is refused with an HTTP status; makes the response
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from livecast.core.errors import LivecastError
from livecast.wire.codec import CODECS, JSON, Codec
from livecast.wire.websocket import accept_key

HEAD_BYTES_MAX: Final = 16_384
"""Request line and headers together. Browsers stay below 8 KiB (cookies); a token is at most 4."""
HEADERS_MAX: Final = 100
"""Header lines. Browsers behind two proxies send about 30; a thousand tiny ones would only cost us time."""
TOKEN_PREFIX: Final = "livecast.token."  # noqa: S105 - the name of the place, not a secret
"""A subprotocol entry that is an identity: the one header besides cookies that a browser's page can set on a socket."""

_REQUEST_LINE: Final = re.compile(rb"GET /v1/rooms/([^/?#\x00-\x20\x7f]+)/ws(?:\?([^#\x00-\x20\x7f]*))? HTTP/1\.1\r\n")
_USUALLY_ASKS: Final = b"\r\nUpgrade: websocket\r\n"
_ASKS_UPGRADE: Final = re.compile(rb"\r\nupgrade:[^\r\n]*websocket", re.IGNORECASE)
#: What no field line holds (RFC 9110 section 5.5): control characters other than the tab.
_CONTROLS: Final = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])
_FIELD_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base 64
_SEQ: Final = re.compile(r"[0-9]{1,15}")
_EPOCH_CHARS_MAX: Final = 64

_USUAL: Final = (
    "Accept Accept-Encoding Accept-Language Authorization Cache-Control Connection Cookie Forwarded Host Origin Pragma "
    "Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol "
    "Sec-WebSocket-Version Upgrade User-Agent Via X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Real-IP"
)
#: Names as browsers, proxies and our own clients write them -> in lower case. Others are checked, which takes ten times as long.
_USUAL_NAMES: Final = {spelt: name.lower() for name in _USUAL.split() for spelt in (name, name.lower())}
#: Fields that mean something else when they come twice.
_ONCE: Final = frozenset({"authorization", "content-length", "host", "origin", "sec-websocket-key", "sec-websocket-version"})
_SWITCHING: Final = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#: What a request is told that gets no further than its head.
_CODE_OF_STATUS: Final = {
    400: "bad_message", 408: "timeout", 426: "bad_message", 429: "rate_limited", 431: "headers_too_large", 503: "overloaded",
}  # fmt: skip
_NO_TAKEOVER: Final = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
#: What browsers and most libraries offer, letter by letter.
_USUAL_OFFERS: Final = frozenset({"permessage-deflate", "permessage-deflate; client_max_window_bits"})


class UpgradeError(LivecastError):
    """Answer with `status` and hang up; `response(request_id)` are the bytes of that answer."""

    def __init__(self, status: int, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers

    def response(self, request_id: str) -> bytes:
        """The whole HTTP response."""
        return refusal_response(self.status, self.detail, request_id, headers=self.headers)


class SocketRequest(Struct, frozen=True):
    """An acceptable handshake for `/v1/rooms/{room}/ws`."""

    room: str
    """As in the path, unquoted. Not checked: refusals are told after the upgrade."""
    codec: Codec
    """The first offered codec that is known, JSON if none was offered."""
    token: str | None
    """The first of `Authorization: Bearer`, `livecast.token.…` among the subprotocols, `?token=`. "" is a bad token."""
    since: tuple[str, int] | None
    """`?since=EPOCH:SEQ`; None if absent or no such pair."""
    deflate: bool
    """permessage-deflate was agreed on: compressed frames may go both ways."""
    headers: dict[str, str]
    """Names in lower case; repeated ones joined with ", "."""
    response: bytes
    """`101 Switching Protocols`, ready to send."""


#: A method begins with a letter; an empty line before it is tolerated (RFC 9112 §2.2).
_FIRST_BYTES: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\r\n")


def head_end(data: bytes | bytearray) -> int:
    """Where the body would begin (behind the blank line), -1 if the head is not complete.

    Raises `UpgradeError` 431 once the head is longer than `HEAD_BYTES_MAX`, and 400 as soon as it cannot be HTTP: who speaks
    TLS to a plain port is told at once.
    """
    if data and data[0] not in _FIRST_BYTES:
        raise UpgradeError(400, "this is not an HTTP request")
    end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
    if end < 0:
        if len(data) >= HEAD_BYTES_MAX:
            raise UpgradeError(431, f"the request's head is longer than {HEAD_BYTES_MAX} bytes")
        return -1
    return end + 4


def is_socket_request(head: bytes) -> bool:
    """Whether a complete head is `GET /v1/rooms/{room}/ws` with `Upgrade: websocket`. Anything else is HTTP's business."""
    if _REQUEST_LINE.match(head) is None:
        return False
    return _USUALLY_ASKS in head or _ASKS_UPGRADE.search(head) is not None


def parse_upgrade(head: bytes, *, compress: bool = True) -> SocketRequest:
    """Read the complete head of a socket request (`is_socket_request`).

    `compress=False` declines permessage-deflate. Raises `UpgradeError`: 400, or 426 for another version than 13.
    """
    request = _REQUEST_LINE.match(head)
    if request is None:
        raise UpgradeError(400, "not a socket's request line")
    headers = _read_headers(head, request.end())
    _check_handshake(headers)
    codec, named, token = _pick_subprotocol(headers.get("sec-websocket-protocol", ""))
    since = None
    if request[2]:
        query = _read_query(request[2].decode("latin-1"))
        since = read_since(query.get("since"))
        if token is None:
            token = query.get("token")
    if (bearer := bearer_token(headers.get("authorization"))) is not None:
        token = bearer
    extensions = headers.get("sec-websocket-extensions")
    agreed = agree_on_deflate(extensions) if compress and extensions else None
    return SocketRequest(
        unquote(room) if "%" in (room := request[1].decode("latin-1")) else room,
        codec,
        token,
        since,
        agreed is not None,
        headers,
        _accepted(headers["sec-websocket-key"], codec.subprotocol if named else None, agreed),
    )


def _read_headers(head: bytes, start: int) -> dict[str, str]:
    """Field lines as RFC 9110 has them: no folding, no bare CR or LF, no space in names."""
    lines = head[start:-4].decode("latin-1").split("\r\n") if len(head) > start + 2 else []
    # The request line, each field line and the head end in CR LF; there is no other control character.
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(lines) + 2) or not head.endswith(b"\r\n\r\n"):
        raise UpgradeError(400, "malformed header lines")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        headers[_USUAL_NAMES.get(name) or _field_name(name)] = value.strip(" \t")
        if not colon:
            raise UpgradeError(400, "malformed header lines")
    if len(lines) > HEADERS_MAX:
        raise UpgradeError(431, f"more than {HEADERS_MAX} header lines")
    return headers if len(headers) == len(lines) else _join_repeated(lines)


def _field_name(name: str) -> str:
    if _FIELD_NAME.fullmatch(name) is None:
        raise UpgradeError(400, "malformed header lines")
    return name.lower()


def _join_repeated(lines: list[str]) -> dict[str, str]:
    """RFC 9110 section 5.3: the values of a repeated field are one list, unless the field can only be said once."""
    headers: dict[str, str] = {}
    for line in lines:
        field, _, value = line.partition(":")
        name, said = field.lower(), value.strip(" \t")
        if name in headers:
            if name in _ONCE:
                raise UpgradeError(400, f"{name} comes twice")
            said = f"{headers[name]}, {said}"
        headers[name] = said
    return headers


def _check_handshake(headers: dict[str, str]) -> None:
    """RFC 6455 section 4.2.1."""
    for field, needed in (("upgrade", "websocket"), ("connection", "upgrade")):
        said = headers.get(field, "").lower()
        if said != needed and needed not in _elements(said):
            raise UpgradeError(400, f"{field.title()} must name {needed}")
    if headers.get("sec-websocket-version") != "13":
        raise UpgradeError(426, "WebSocket version 13 is spoken here", (("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket")))
    if _KEY.fullmatch(headers.get("sec-websocket-key", "")) is None:
        raise UpgradeError(400, "Sec-WebSocket-Key must be 16 bytes in base 64")
    if not headers.get("host"):
        raise UpgradeError(400, "Host is missing")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise UpgradeError(400, "a handshake has no body")


def _pick_subprotocol(offered: str) -> tuple[Codec, bool, str | None]:
    """(codec, whether it was offered by name, token): the first offered codec that is known."""
    codec, token, strangers = None, None, False
    for entry in _elements(offered):
        if entry.startswith(TOKEN_PREFIX):
            token = entry.removeprefix(TOKEN_PREFIX) if token is None else token
        elif codec is None:
            codec = CODECS.get(entry)
            strangers = codec is None
    if codec is None and strangers:
        raise UpgradeError(400, f"subprotocols spoken here: {', '.join(CODECS)}")
    return codec or JSON, codec is not None, token


def _elements(field: str) -> list[str]:
    """The elements of a comma-separated field; empty ones do not count (RFC 9110 section 5.6.1)."""
    return [element for part in field.split(",") if (element := part.strip(" \t"))]


def _read_query(query: str) -> dict[str, str]:
    """Names to values, unquoted; of a repeated name the first counts."""
    found: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        found.setdefault(name, unquote(value) if "%" in value else value)
    return found


def bearer_token(authorization: str | None) -> str | None:
    """The token in an `Authorization` field; None if there is no such field, "" (a bad token) if it is of another scheme."""
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    return token.strip(" \t") if scheme.lower() == "bearer" else ""


def read_since(since: str | None) -> tuple[str, int] | None:
    """`EPOCH:SEQ` as a pair; None for anything else, which is answered with a snapshot like no `since` at all."""
    if not since:
        return None
    epoch, _, seq = since.rpartition(":")
    if not epoch or len(epoch) > _EPOCH_CHARS_MAX or _SEQ.fullmatch(seq) is None:
        return None
    return epoch, int(seq)


# --- permessage-deflate -----------------------------------------------------------------------------------------------


def agree_on_deflate(extensions: str) -> str | None:
    """The `Sec-WebSocket-Extensions` to answer with: the first acceptable offer of permessage-deflate, or None.

    Neither side keeps context, so that one compressed body serves all sockets. For the same reason an offer that demands a
    smaller window of us than the usual 15 bits is declined (RFC 7692 section 7.1).
    """
    if extensions in _USUAL_OFFERS:
        return _NO_TAKEOVER
    for offer in _elements(extensions):
        name, *parameters = (part.strip(" \t") for part in offer.split(";"))
        if name.lower() == "permessage-deflate" and (answer := _answer_offer(parameters)):
            return answer
    return None


def _answer_offer(parameters: Iterable[str]) -> str | None:
    answer, seen = _NO_TAKEOVER, set()
    for parameter in parameters:
        name, has_value, value = (part.strip(" \t") for part in parameter.partition("="))
        value = value.strip('"')
        if name in seen:
            return None
        seen.add(name)
        if name in {"server_no_context_takeover", "client_no_context_takeover"}:
            acceptable = not has_value
        elif name == "client_max_window_bits":
            acceptable = not has_value or value in {"8", "9", "10", "11", "12", "13", "14", "15"}
        elif name == "server_max_window_bits":
            acceptable = value == "15"
            answer += "; server_max_window_bits=15"
        else:
            acceptable = False
        if not acceptable:
            return None
    return answer


# --- Responses --------------------------------------------------------------------------------------------------------


def _accepted(key: str, subprotocol: str | None, extensions: str | None) -> bytes:
    answer = f"{_SWITCHING}Sec-WebSocket-Accept: {accept_key(key)}\r\n"
    if subprotocol:
        answer += f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
    if extensions:
        answer += f"Sec-WebSocket-Extensions: {extensions}\r\n"
    return (answer + "\r\n").encode("latin-1")


def refusal_response(
    status: int, detail: str, request_id: str, *, retry_after_ms: int | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """A whole HTTP/1.1 response with a problem document (RFC 9457), after which the connection closes."""
    phrase, code = HTTPStatus(status).phrase, _CODE_OF_STATUS[status]
    problem: dict[str, str | int] = {
        "type": f"urn:livecast:problem:{code}",
        "title": phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    lines = [f"HTTP/1.1 {status} {phrase}", "Content-Type: application/problem+json", f"X-Request-Id: {request_id}"]
    if retry_after_ms is not None:
        problem["retry_after_ms"] = retry_after_ms
        lines.append(f"Retry-After: {-(-retry_after_ms // 1000)}")
    body = msgspec.json.encode(problem)
    lines += [f"Content-Length: {len(body)}", "Connection: close", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
