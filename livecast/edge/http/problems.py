"""Refusals as HTTP: problem details (RFC 9457), one shape for every answer that is not a success.

    {type, title, status, detail, code, request_id, errors?: [{pointer, detail}], retry_after_ms?}

`code` is what programs look at: one of `livecast.core.errors.CODES`, or of `HTTP_CODES` for what only HTTP knows.
Whoever handles a request raises `ProblemError`; the outermost middleware makes the response.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from livecast.core.errors import CODES, RETRYABLE, Refusal

CONTENT_TYPE: Final = "application/problem+json"

#: Codes that only HTTP has: code -> (status, sentence).
HTTP_CODES: Final[dict[str, tuple[int, str]]] = {
    "method_not_allowed": (405, "This path does not know that method."),
    "not_acceptable": (406, "None of the forms asked for can be given."),
    "timeout": (408, "The request's body did not come in time."),
    "gone": (410, "That is too old and no longer kept."),
    "unsupported_media_type": (415, "The body must be application/json."),
    "expectation_failed": (417, "That expectation cannot be met."),
    "headers_too_large": (431, "The request line or its headers are too long."),
    "internal": (500, "Something went wrong on our side. The request id helps to find it."),
}

#: What to wait, in ms, where a refusal that says "later" does not say when. A second: about five ticks of a busy room.
RETRY_AFTER_DEFAULT_MS: Final = 1000


class Fault(Struct, frozen=True):
    """One thing wrong with a request: where (RFC 6901 pointer into the body, or `?name` of the query) and what."""

    pointer: str
    detail: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """The body of a refusal."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: tuple[Fault, ...] = ()
    retry_after_ms: int | None = None


class ProblemError(Exception):
    """Raised to answer a request with a problem. `headers` go onto the response."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[Fault] = (),
        retry_after_ms: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_ms = retry_after_ms
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, refusal: Refusal) -> ProblemError:
        """What a room or a store said no to. `field` becomes the pointer."""
        errors = (Fault(pointer_of_field(refusal.field), refusal.sentence()),) if refusal.field else ()
        return cls(refusal.code, refusal.sentence(), errors=errors, retry_after_ms=refusal.retry_after_ms)


def pointer_of_field(field: str) -> str:
    """`policy.tick_ms` -> `/policy/tick_ms`."""
    return "/" + field.strip("/").replace(".", "/")


def status_of(code: str) -> int:
    """The HTTP status of an error code."""
    return CODES[code][0] if code in CODES else HTTP_CODES[code][0]


def sentence_of(code: str) -> str:
    """What to tell a person about an error code."""
    return CODES[code][2] if code in CODES else HTTP_CODES[code][1]


def every_code() -> list[tuple[str, int, str]]:
    """(code, status, sentence) of all of them."""
    own = [(code, status, sentence) for code, (status, _, sentence) in CODES.items()]
    return own + [(code, status, sentence) for code, (status, sentence) in HTTP_CODES.items()]


def problem_response(error: ProblemError, request_id: str) -> web.Response:
    """The response for `error`. 401 says how to authenticate, 429 and 503 say when to come back."""
    status = status_of(error.code)
    wait_ms = error.retry_after_ms
    if wait_ms is None and (status in {429, 503} or (error.code in RETRYABLE and status != 403)):
        wait_ms = RETRY_AFTER_DEFAULT_MS
    headers = {"Cache-Control": "no-store", **error.headers}
    if status in {429, 503} and wait_ms is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait_ms / 1000)))
    if status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="livecast"')
    title = sentence_of(error.code)
    body = Problem(
        type=f"urn:livecast:problem:{error.code}",
        title=title,
        status=status,
        detail=error.detail or title,
        code=error.code,
        request_id=request_id,
        errors=error.errors,
        retry_after_ms=wait_ms,
    )
    return web.Response(body=msgspec.json.encode(body), status=status, content_type=CONTENT_TYPE, headers=headers)
