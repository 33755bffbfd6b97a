"""What can go wrong for a client, by what the caller can do about it.

    ClientError
      Refused        the server does not want this client (bad or expired token, no such room, banned): coming back as
                     one is will not help
      Unreachable    no welcome within the time to connect (also a TimeoutError)
      GaveUp         no final answer in time: whether it was done is unknown; the same cid asked again would tell
      Closed         the client is closed

That a single comment is refused (too fast, muted…) is no exception but an everyday `Answer`.
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of the exceptions the client raises on purpose."""


class Refused(ClientError):  # noqa: N818 - the field's word
    """The server will not have us. `code` is the close code (4401…) or the HTTP status of the handshake."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})" if reason else str(code))
        self.code = code
        self.reason = reason


class Unreachable(ClientError, TimeoutError):  # noqa: N818 - says what the server is
    """No welcome in time; the last reason is in the text."""


class GaveUp(ClientError):  # noqa: N818 - says what the client did
    """No final answer within the time allowed. `cid` is what to ask again with."""

    def __init__(self, cid: str) -> None:
        super().__init__(f"no final answer for {cid}")
        self.cid = cid


class Closed(ClientError):  # noqa: N818 - says what the client is
    """The client was closed before an answer came."""
