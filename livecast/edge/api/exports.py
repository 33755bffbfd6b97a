"""What is archived of a person, given out to whoever answers their question (say, under article 15 of the GDPR)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from livecast.archive import Archive
from livecast.edge.access.jurisdiction import over_all
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.problems import ProblemError


async def export_user(call: Call) -> Outcome:
    """One JSON object a line: `record` (`comments`, `money`, `staff`) and what that row says. Nothing known: no lines."""
    if not over_all(call.caller):
        raise ProblemError("forbidden", "This needs an API key of the platform, for all rooms.")
    archive, user = call.node.archive, call.path("user")
    if archive is None:
        raise ProblemError("unavailable", "Nothing is archived here ([archive] url is none).")
    await archive.cursors("rooms")  # an archive that does not answer is 503, not the head of a file
    headers = {"Content-Disposition": 'attachment; filename="export.ndjson"'}
    return Outcome(headers=headers, stream=_lines(archive, user))


async def _lines(archive: Archive, user: str) -> AsyncIterator[bytes]:
    async for kind, row in archive.export(user):
        told: dict[str, Any] = {"record": kind, **{name: _plain(name, value) for name, value in row.items()}}
        yield msgspec.json.encode(told) + b"\n"


def _plain(name: str, value: Any) -> Any:
    """What is kept as JSON, as the value it stands for."""
    return msgspec.json.decode(value) if name in {"more", "data", "args"} and value else value


ROUTES: Final = (
    Route("GET", "/v1/users/{user}/export", export_user, ("chat:moderate",), "Everything that is archived of a user.",
          content_type="application/x-ndjson"),
)  # fmt: skip
