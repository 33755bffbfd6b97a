"""The asynchronous Python client: connects, resumes by itself and keeps a view of the room. Stands alone.

    async with LivecastClient("http://127.0.0.1:8080", "demo", token=jwt) as c:
        answer = await c.comment("hello")        # shown, merged, sampled, held, or why not
        async for event in c:                    # Welcome, Frame, Notice, Answer, Bye, Connection
            ...
        c.view.state, c.view.recent              # the room as it is now

In which order to read it: `messages` (what is said), `session` (the conversation, without I/O), `reconnect` (when to come
back), `link` (the socket), `client` (what a caller sees). `EventStream` and `FrameFiles` follow a room without a socket.
"""

from livecast.client.client import LivecastClient
from livecast.client.errors import ClientError, Closed, GaveUp, Refused, Unreachable
from livecast.client.frame_files import FrameFiles
from livecast.client.link import new_cid
from livecast.client.messages import Ack, Answer, Bye, Connection, Error, Event, Welcome, You
from livecast.client.sse import EventStream
from livecast.core.events import Notice
from livecast.core.frames import Frame

__all__ = [
    "Ack",
    "Answer",
    "Bye",
    "ClientError",
    "Closed",
    "Connection",
    "Error",
    "Event",
    "EventStream",
    "Frame",
    "FrameFiles",
    "GaveUp",
    "LivecastClient",
    "Notice",
    "Refused",
    "Unreachable",
    "Welcome",
    "You",
    "new_cid",
]
