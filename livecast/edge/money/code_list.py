"""A list of codes on its way into the ledger: text of up to 64 MiB, one code a line, read as it comes and never held whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from livecast.core.errors import Refusal
from livecast.core.money.units import BEFORE_OPENING, STOCK_MAX, Drop
from livecast.edge.http.problems import Fault, ProblemError
from livecast.ledger import Ledger, UploadedCodes

LIST_BYTES_MAX: Final = 64 * 1024 * 1024
"""A million codes of 64 characters and their line ends."""
CODE_CHARS_MAX: Final = 128
"""Of one code: what people type is far shorter, what machines read (a voucher's URL, a signature) fits."""
LINE_BYTES_MAX: Final = 4 * CODE_CHARS_MAX + 2
"""In UTF-8, with its end."""
LINES_PER_CALL: Final = 2_000
"""Lines handed to the ledger at once: some 2 ms of its time, so that the claims of other drops do not wait for an upload."""
SILENCE_S: Final = 30
"""How long the next piece of an upload may take."""
UPLOAD_S: Final = 900
"""For the whole of it: 64 MiB over a line of 600 kbit/s. A body that comes byte by byte holds nobody's connection for longer."""
FAULTS_MAX: Final = 100
"""Wrong lines that are told. Whoever has more has uploaded the wrong file."""
#: What such a text is sent as; the last is what curl says of `--data-binary` unless told otherwise.
CONTENT_TYPES: Final = frozenset({"text/plain", "text/csv", "application/octet-stream", "application/x-www-form-urlencoded"})


async def read_codes(request: web.Request, ledger: Ledger, drop: Drop, upload: str) -> int:
    """Bring the body's lines into the ledger under the id `upload`, and say how many there were.

    Raises `ProblemError`: `conflict` (the drop takes no list now), `too_large`, `timeout`, `invalid` with the numbers of wrong
    lines and of those that repeat an earlier one; and `StoreError`.
    """
    _check_drop(drop)
    _check_head(request)
    said = UploadedCodes(0)
    codes: list[str] = []

    async def hand_on() -> UploadedCodes:
        answer = await ledger.put_codes(drop.room, drop.id, upload, said.lines, codes)
        if isinstance(answer, Refusal):
            raise ProblemError(answer.code, "The drop was changed meanwhile: nothing was taken over.")
        codes.clear()
        return answer

    async for code in _codes(request):
        codes.append(code)
        if len(codes) == LINES_PER_CALL:
            said = await hand_on()
            if said.lines > STOCK_MAX:
                raise _refused("too_large", f"A list has at most {STOCK_MAX} codes.")
            if len(said.repeated) >= FAULTS_MAX:
                break
    if codes:
        said = await hand_on()
    if said.repeated:
        faults = [Fault(f"/{line}", f"Line {line} repeats an earlier one.") for line in said.repeated[:FAULTS_MAX]]
        raise _refused("invalid", "Codes are given twice: nothing was taken over.", faults)
    if not said.lines:
        raise _refused("invalid", "There are no codes in it.")
    if said.lines > STOCK_MAX:
        raise _refused("too_large", f"A list has at most {STOCK_MAX} codes.")
    return said.lines


def _check_drop(drop: Drop) -> None:
    if drop.terms.codes != "list":
        raise _refused("conflict", f"This drop takes no list: its `codes` are {drop.terms.codes!r}.")
    if drop.state not in BEFORE_OPENING:
        raise _refused("conflict", f"Codes are uploaded before a drop opens; this one is {drop.state}.")


def _check_head(request: web.Request) -> None:
    if (request.content_length or 0) > LIST_BYTES_MAX:
        raise _too_large()
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _refused("unsupported_media_type", "Send the list without a Content-Encoding.")
    if "Content-Type" in request.headers and request.content_type not in CONTENT_TYPES:
        raise _refused("unsupported_media_type", "Send the list as text/plain.")


async def _codes(request: web.Request) -> AsyncIterator[str]:
    """The codes, in the order of their lines. Lines end with LF or CR LF; empty ones may only be the last."""
    number, empty = 0, 0
    async for line in _lines(request):
        number += 1
        try:
            code = line.decode("utf-8-sig" if number == 1 else "utf-8").strip(" \t\r")
        except UnicodeDecodeError:
            raise _wrong(number, "is not UTF-8") from None
        if not code:
            empty = empty or number
            continue
        if empty:
            raise _wrong(empty, "is empty")
        if len(code) > CODE_CHARS_MAX:
            raise _wrong(number, f"has more than {CODE_CHARS_MAX} characters")
        if not code.isprintable():
            raise _wrong(number, "has characters that nobody can read")
        yield code


async def _lines(request: web.Request) -> AsyncIterator[bytes]:
    """The lines without their LF. A line without end is refused as soon as it is too long, so little is held."""
    held, size, number = b"", 0, 0
    until = asyncio.get_running_loop().time() + UPLOAD_S
    while piece := await _next_piece(request, until):
        size += len(piece)
        if size > LIST_BYTES_MAX:
            raise _too_large()
        *lines, held = (held + piece).split(b"\n")
        number += len(lines)
        if len(held) > LINE_BYTES_MAX:
            raise _wrong(number + 1, f"has more than {CODE_CHARS_MAX} characters")
        for line in lines:
            yield line
    if held:
        yield held


async def _next_piece(request: web.Request, until: float) -> bytes:
    """What came next, empty at the end. `until`: when it is too late for any, by the loop's clock."""
    silence_ends = asyncio.get_running_loop().time() + SILENCE_S
    try:
        async with asyncio.timeout_at(min(until, silence_ends)):
            return await request.content.readany()
    except TimeoutError:
        said = f"Nothing came for {SILENCE_S} s" if silence_ends < until else f"The list did not come within {UPLOAD_S} s"
        raise _refused("timeout", f"{said}: nothing was taken over.") from None


def _wrong(line: int, what: str) -> ProblemError:
    detail = f"Line {line} {what}."
    return _refused("invalid", f"{detail} Nothing was taken over.", [Fault(f"/{line}", detail)])


def _too_large() -> ProblemError:
    return _refused("too_large", f"A list has at most {LIST_BYTES_MAX} bytes.")


def _refused(code: str, detail: str, faults: list[Fault] | None = None) -> ProblemError:
    """What is unread of the body is not waited for."""
    return ProblemError(code, detail, errors=faults or (), headers={"Connection": "close"})
