"""The HTTP/1.1 request that asks for a socket, and the answer, without I/O.

The door collects bytes until `head_end` finds the blank line, asks `is_socket_request`, and hands everything else on
untouched. A socket request is read by `parse_upgrade`.

    UpgradeError       the handshake is refused with an HTTP status; carries the response
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from livecast.core.errors import LivecastError
from livecast.wire.codec import Codec

HEAD_BYTES_MAX: Final = 16_384
"""Request line and headers together. Browsers stay below 8 KiB (cookies); a token is at most 4."""


class UpgradeError(LivecastError):
    """Answer with `status` and hang up; `response` are the bytes of that answer."""

    def __init__(self, status: int, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers

    @property
    def response(self) -> bytes:
        """The whole HTTP response."""
        return refusal_response(self.status, self.detail, self.headers)


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


def head_end(data: bytes | bytearray) -> int:
    """Where the body would begin (behind the blank line), -1 if the head is not complete.

    Raises `UpgradeError` 431 once the head is longer than `HEAD_BYTES_MAX`.
    """
    raise NotImplementedError


def is_socket_request(head: bytes) -> bool:
    """Whether a complete head is `GET /v1/rooms/{room}/ws` with `Upgrade: websocket`. Anything else is HTTP's business."""
    raise NotImplementedError


def parse_upgrade(head: bytes) -> SocketRequest:
    """Read the complete head of a socket request. Raises `UpgradeError`: 400, or 426 for another version than 13."""
    raise NotImplementedError


def refusal_response(status: int, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """A whole HTTP/1.1 response with a problem document, after which the connection closes."""
    raise NotImplementedError
