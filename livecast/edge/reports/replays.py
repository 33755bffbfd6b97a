"""The comments of a broadcast against its time line, as files: danmaku XML for video players, JSON for programs.

Merges are in it (`n` people said it), redacted comments are not. The XML is what video players exchange: one
`<d p="second,mode,size,colour,unix,pool,user,row">text</d>` per comment in `<i>…</i>`. Its users are keyed hashes: the same
person is the same within an archive's files, and nobody finds out who.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from typing import Any, Final
from xml.sax.saxutils import escape

import msgspec

from livecast.archive import Archive, Broadcast
from livecast.core.audience.aliases import Aliases
from livecast.core.events import Person
from livecast.core.records.chronicle import CommentRow

KEY_NAME: Final = "replays"
MODES: Final = {"scroll": 1, "bottom": 4, "top": 5}
WHITE: Final = 0xFFFFFF
SIZE: Final = 25
"""The players' ordinary size of letters."""
#: What no XML 1.0 document may contain, also not as an entity.
_UNWANTED: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


async def as_xml(archive: Archive, of: Broadcast, aliases: Aliases | None = None) -> AsyncIterator[bytes]:
    """The file, page by page. Beside `p` a comment that several people said has `n`.

    With `aliases` the same person is another one in other rooms' files.
    """
    key = await archive.key(KEY_NAME)
    name = escape(_UNWANTED.sub("", f"{of.room} {of.id}"))
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n<i><chatserver>livecast</chatserver>'
        f"<chatid>{name}</chatid><mission>0</mission><maxlimit>0</maxlimit><state>0</state><real_name>0</real_name>"
        "<source>livecast</source>\n"
    ).encode()
    row = 0
    async for page in archive.comments(of):
        lines = []
        for comment in page:
            if isinstance(comment, CommentRow):
                row += 1
                lines.append(_element(comment, of, _digest(key, comment.user, aliases), row))
        yield "".join(lines).encode()
    yield b"</i>\n"


async def as_json(archive: Archive, of: Broadcast, aliases: Aliases | None = None) -> AsyncIterator[bytes]:
    """`{room, broadcast, title, started_at, ended_at, comments: […]}`, page by page.

    A comment is `{id, offset_ms, at, u, text, n, lane, style?, paid?, reply_to?, late?}`, a redacted one `{id, redacted: true}`.
    With `aliases` users are who viewers saw.
    """
    head = {"room": of.room, "broadcast": of.id, "title": of.title, "started_at": of.started_at, "ended_at": of.ended_at}
    yield msgspec.json.encode(head)[:-1] + b',"comments":['
    first = True
    async for page in archive.comments(of):
        yield (b"" if first else b",\n") + b",\n".join(msgspec.json.encode(_told(comment, of, aliases)) for comment in page)
        first = False
    yield b"]}\n"


def _digest(key: bytes, user: str, aliases: Aliases | None) -> str:
    return hmac.digest(key, (user if aliases is None else aliases.of(user)).encode(), hashlib.sha256)[:8].hex()


def _element(comment: CommentRow, of: Broadcast, user: str, row: int) -> str:
    style = _more(comment).get("style") or {}
    mode, color = MODES.get(style.get("mode", "scroll"), 1), style.get("color", WHITE)
    p = f"{_offset_ms(comment, of) / 1000:.3f},{mode},{SIZE},{color},{comment.at // 1000},0,{user},{row}"
    n = f' n="{comment.n}"' if comment.n > 1 else ""
    return f'<d p="{p}"{n}>{escape(_UNWANTED.sub("", comment.text))}</d>\n'


def _told(comment: CommentRow | str, of: Broadcast, aliases: Aliases | None) -> dict[str, Any]:
    if isinstance(comment, str):
        return {"id": comment, "redacted": True}
    who = Person(comment.user, comment.name, comment.role)
    if aliases is not None:
        who = aliases.person(who)
    return {
        "id": comment.id,
        "offset_ms": _offset_ms(comment, of),
        "at": comment.at,
        "u": {"id": who.id, "name": who.name, "role": who.role},
        "text": comment.text,
        "n": comment.n,
        "lane": comment.lane,
        **_more(comment),
    }


def _offset_ms(comment: CommentRow, of: Broadcast) -> int:
    return max(0, comment.at - (of.started_at or comment.at))


def _more(comment: CommentRow) -> dict[str, Any]:
    more: dict[str, Any] = msgspec.json.decode(comment.more) if comment.more else {}
    return more
