"""A list of words as text, one a line: what platforms keep is longer than a body of JSON may be."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from livecast.core.filter.filters import WORDS_MAX
from livecast.edge.http.problems import Fault, ProblemError
from livecast.edge.money.code_list import CONTENT_TYPES

LIST_BYTES_MAX: Final = 4 * 1024 * 1024
"""50,000 phrases of 80 bytes. Held whole: it becomes one filter."""
WORD_CHARS_MAX: Final = 100
READ_S: Final = 60
"""For the whole of it: 4 MiB over a line of 600 kbit/s."""
FAULTS_MAX: Final = 100
"""Wrong lines that are told."""


async def read_words(request: web.Request) -> tuple[str, ...]:
    """The body's lines, each once, without blanks around them; empty lines and those that begin with `#` are left out.

    Raises `ProblemError`: `too_large`, `timeout`, `bad_message`, `invalid` with the numbers of lines that are too long.
    """
    if (request.content_length or 0) > LIST_BYTES_MAX:
        raise _refused("too_large", f"A list has at most {LIST_BYTES_MAX} bytes.")
    if "Content-Type" in request.headers and request.content_type not in CONTENT_TYPES:
        raise _refused("unsupported_media_type", "Send the words as text/plain, one a line.")
    body = bytearray()
    try:
        async with asyncio.timeout(READ_S):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > LIST_BYTES_MAX:
                    raise _refused("too_large", f"A list has at most {LIST_BYTES_MAX} bytes.")
    except TimeoutError:
        raise _refused("timeout", "The list did not come to its end.") from None
    except OSError as gone:
        raise ConnectionResetError from gone
    try:
        lines = [line.strip() for line in body.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as fault:
        raise _refused("bad_message", f"The list is not UTF-8 (byte {fault.start}).") from None
    long = [number for number, line in enumerate(lines, 1) if len(line) > WORD_CHARS_MAX]
    if long:
        detail = f"A word has at most {WORD_CHARS_MAX} characters."
        raise ProblemError("invalid", detail, errors=[Fault(f"line {number}", detail) for number in long[:FAULTS_MAX]])
    words = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if len(words) > WORDS_MAX:
        raise _refused("too_large", f"A list has at most {WORDS_MAX} words.")
    return words


def _refused(code: str, detail: str) -> ProblemError:
    """What is left of the body is not read."""
    return ProblemError(code, detail, headers={"Connection": "close"})
