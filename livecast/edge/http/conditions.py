"""Conditional requests (RFC 9110, section 13): entity tags made from revisions, `If-Match` and `If-None-Match`."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from livecast.edge.http.problems import ProblemError

_TAGS: Final = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def etag(revision: object) -> str:
    """The strong entity tag of a revision."""
    return f'"{revision}"'


def revision_of(tag: str) -> str:
    """What `etag` made that entity tag from; `*`, for any revision, as it is. (A tag that says `*` in quotes is of none.)"""
    return tag if tag == "*" else tag.strip('"').replace("*", "")


def none_match(request: web.Request, tag: str) -> bool:
    """True if the caller already has `tag`: the answer is 304. The comparison is the weak one, as the RFC wants it here."""
    header = request.headers.get("If-None-Match")
    if header is None:
        return False
    return header.strip() == "*" or tag in {opaque for _, opaque in _TAGS.findall(header)}


def wants_match(request: web.Request) -> frozenset[str] | None:
    """The tags of `If-Match` that could match (strong ones), `{"*"}` for any, None without the header."""
    header = request.headers.get("If-Match")
    if header is None:
        return None
    if header.strip() == "*":
        return frozenset("*")
    return frozenset(opaque for weak, opaque in _TAGS.findall(header) if not weak)


def names_tag(request: web.Request) -> bool:
    """Whether `If-Match` names tags: then only the very revision that was looked at may be changed. Not so `*`, or nothing."""
    wanted = wants_match(request)
    return wanted is not None and "*" not in wanted


def check_match(request: web.Request, tag: str | None) -> None:
    """Raise 412 unless `If-Match` is absent or names `tag`. None: there is no such object yet, so nothing matches."""
    wanted = wants_match(request)
    if wanted is None or (tag is not None and (tag in wanted or "*" in wanted)):
        return
    raise ProblemError("precondition_failed", headers={} if tag is None else {"ETag": tag})
