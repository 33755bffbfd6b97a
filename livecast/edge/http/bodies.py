"""Bodies of requests: from bytes of anybody to a typed struct, or a problem that says where and what.

In order: declared or real size over 64 KiB (413), content type (415), JSON (400), its bounds (400), its shape and
values (422 with pointers). A field whose value is null counts as absent, except where the body is a merge patch.
"""

from __future__ import annotations

import asyncio
import difflib
import math
import re
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from livecast.edge.http.problems import Fault, ProblemError

#: Bytes of a request's body. A policy is 1 KiB and `custom` at most 16; the rest is room for escapes.
BODY_BYTES_MAX: Final = 65_536
#: Levels of maps and lists. Ours need three; what platforms put into `custom` and `data` rarely more than eight. It also
#: keeps every later walk over the value (merge, encode, a client's own decoder) far from its recursion limit.
DEPTH_MAX: Final = 16
#: Integers that JavaScript reads exactly.
INT_MAX: Final = 2**53 - 1

#: Brackets outside of strings. Possessive, and an unclosed string runs to the end: one pass, whatever comes.
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+["\\]?|[\[{\]}]', re.DOTALL)

#: How msgspec names a member that is not there, or should not be.
_MEMBER: Final = re.compile(r"(?:required|unknown) field `(.+)`\Z")

T = TypeVar("T", bound=Struct)


async def read_body(request: web.Request, deadline_ms: int) -> bytes:
    """The raw body, at most 64 KiB of it, as JSON text. Empty if there is none. `ConnectionError` if the caller goes away."""
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise ProblemError("too_large", f"A body has at most {BODY_BYTES_MAX} bytes.", headers={"Connection": "close"})
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProblemError("unsupported_media_type", "Send the body without a Content-Encoding.")
    try:
        async with asyncio.timeout(deadline_ms / 1000):
            body = await request.read()
    except TimeoutError:
        raise ProblemError("timeout", headers={"Connection": "close"}) from None
    except OSError as gone:
        raise ConnectionResetError from gone  # however its connection broke: the caller is not there any more
    except web.HTTPRequestEntityTooLarge:
        raise ProblemError("too_large", f"A body has at most {BODY_BYTES_MAX} bytes.", headers={"Connection": "close"}) from None
    if body and "Content-Type" in request.headers and not _is_json(request.content_type):
        raise ProblemError("unsupported_media_type")
    return body


def decode(body: bytes, shape: type[T], *, keep_nulls: bool = False) -> T:
    """`body` as a `shape`. An empty body is `{}`. `keep_nulls` for merge patches, where null means "take it away"."""
    return convert(parse(body), shape, keep_nulls=keep_nulls)


def parse(body: bytes) -> dict[str, Any]:
    """`body` as a JSON object within our bounds. An empty body is `{}`."""
    if not body:
        return {}
    check_depth(body)
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise ProblemError("bad_message", f"The body is not JSON: {_plain(fault)}") from None
    if not isinstance(value, dict):
        raise ProblemError("bad_message", "The body must be a JSON object.")
    check_bounds(value)
    return value


def convert(value: dict[str, Any], shape: type[T], *, keep_nulls: bool = False) -> T:
    """`value` as a `shape`, or 422 with the pointer of what is wrong."""
    if shape.__struct_config__.forbid_unknown_fields:
        check_names(value, shape)
    try:
        return msgspec.convert(value if keep_nulls else _without_nulls(value), shape)
    except msgspec.ValidationError as fault:
        raise ProblemError("invalid", "A value is not what it should be.", errors=[fault_of(str(fault))]) from None


def check_names(value: dict[str, Any], shape: type[Struct], pointer: str = "") -> None:
    """Refuse names that `shape` does not have, with the nearest that it has."""
    known = shape.__struct_encode_fields__
    if unknown := [name for name in value if name not in known]:
        faults = [_unknown(name, known, pointer) for name in unknown[:20]]
        raise ProblemError("invalid", "The body has fields that are not known here.", errors=faults)


def fault_of(message: str) -> Fault:
    """What msgspec says (`Expected … - at `$.hosts[0].id``) as a pointer and a sentence.

    The pointer is to the member that is missing or too much; below a map whose keys are the caller's own it ends at the map, as
    msgspec does not tell the key.
    """
    detail, _, path = message.partition(" - at `$")
    path = path.rstrip("`").partition("[...]")[0]
    steps = [name or index for name, index in re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", path)]
    if "[...]" not in message and (member := _MEMBER.search(detail)):
        steps.append(member[1])
    return Fault("".join(f"/{_escape(step)}" for step in steps), detail.replace("`", ""))


def check_depth(body: bytes) -> None:
    """Refuse JSON that nests deeper than `DEPTH_MAX` before any decoder recurses into it."""
    depth = 0
    for token in _BRACKETS.finditer(body):
        char = token[0]
        if char in b"[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise ProblemError("bad_message", f"The body nests deeper than {DEPTH_MAX} levels.")
        elif char in b"]}":
            depth -= 1


def check_bounds(value: Any, pointer: str = "") -> None:
    """Refuse what other readers of the same value could not hold: numbers over 53 bits, text that is not Unicode."""
    if isinstance(value, dict):
        for name, item in value.items():
            check_bounds(name, pointer)
            check_bounds(item, f"{pointer}/{_escape(name)}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_bounds(item, f"{pointer}/{index}")
    elif isinstance(value, int | float) and not -INT_MAX <= value <= INT_MAX:
        raise ProblemError("invalid", "A number is too large.", errors=[Fault(pointer, "Numbers have at most 53 bits.")])
    elif isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ProblemError("bad_message", "A text is not Unicode: it has half of a surrogate pair.") from None


def _number(text: str) -> int | float:
    """A number with a point or an exponent. One that is whole is an integer, as JSON Schema sees it: some writers know no other."""
    value = float(text)
    if math.isinf(value):
        raise msgspec.ValidationError("Number out of range")
    return int(value) if value.is_integer() and abs(value) <= INT_MAX else value


_decode: Final = msgspec.json.Decoder(float_hook=_number).decode


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or content_type.endswith("+json")


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    """Null means absent, for the fields of the body and of objects in its lists; what lies deeper is the caller's own."""
    return {name: _list_without_nulls(item) if isinstance(item, list) else item for name, item in value.items() if item is not None}


def _list_without_nulls(items: list[Any]) -> list[Any]:
    return [{k: v for k, v in item.items() if v is not None} if isinstance(item, dict) else item for item in items]


def _unknown(name: str, known: Iterable[str], pointer: str) -> Fault:
    near = difflib.get_close_matches(name, known, n=1)
    detail = f"There is no field {name[:64]!r} here." + (f" Is {near[0]!r} meant?" if near else "")
    return Fault(f"{pointer}/{_escape(name[:64])}", detail)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _plain(fault: Exception) -> str:
    return "it nests too deeply." if isinstance(fault, RecursionError) else f"{fault}."
