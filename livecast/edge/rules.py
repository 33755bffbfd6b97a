"""Every bound of the front door: its unit, where the number comes from, what happens there.

One frozen group for all of the edge. What a *room* lets its viewers do is `livecast.core.rules`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0)]
Ms = Annotated[int, Meta(ge=1)]


class EdgeRules(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of connections, handshakes, messages and kept views on one node. 0 switches a limit off where it says so."""

    dev: bool = False
    """Rooms come to be on first join."""
    origins: tuple[str, ...] = ()
    """Origins (`https://shop.example`) whose pages may connect and read; `*` is any. Empty: the page's own host only."""
    media: tuple[str, ...] = ()
    """Origins (`https://cdn.example`) from which our own pages may load video (`?src=`) and pictures. Empty: this host only."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks (CIDR) whose `X-Forwarded-For` is believed."""

    # --- Handshakes
    header_deadline_ms: Ms = 10_000
    """A request's head must be there by then: a header sent one byte a second holds a socket no longer."""
    head_bytes_max: Annotated[int, Meta(ge=1024)] = 16_384
    """Size of a request's head. A token of 4 KiB in a cookie-laden browser request fits; aiohttp's own limit per line is 8 KiB."""
    body_deadline_ms: Ms = 10_000
    """A request's body of at most 64 KiB must be there so long after its head, or 408: a body that dribbles in holds nothing."""
    http_idle_ms: Ms = 75_000
    """A connection on which no further request comes is closed after so long: above the 60 s for which common proxies keep theirs
    open, so that it is they who close, and none of their requests meets a closed connection."""
    http_connections_per_address: Count = 200
    """Open connections of plain HTTP (event streams among them) per client address, apart from sockets; more get 429. Browsers
    open six; trusted proxies, which carry many clients' requests over one, are not counted. 0: no limit."""
    handshakes_per_s: Count = 20_000
    """Socket handshakes admitted per second; more get 503 with `Retry-After`. One core manages about half of this, so by
    default only a flood is held back. Lower it where viewers inside must feel nothing of a reconnect storm. 0: no limit."""
    handshakes_burst: Annotated[int, Meta(ge=1)] = 5_000
    """Handshakes that may come at once: the viewers of one killed neighbour."""
    auth_deadline_ms: Ms = 2_000
    """Where a room asks for a token, a socket without one may still send `auth` first: by then, or 4401."""
    connections_per_address: Count = 200
    """Open sockets and event streams per client address: a school or an office behind one. More get 4429. 0: no limit."""
    connections_per_user: Count = 20
    """Open sockets and event streams per user on this node: tabs and devices. More get 4429. 0: no limit."""

    # --- Messages
    messages_per_s: Annotated[int, Meta(ge=1)] = 20
    """Messages per connection (per user over HTTP); more are `rate_limited`. Fast typing plus batched likes stay below 5."""
    messages_burst: Annotated[int, Meta(ge=1)] = 40
    """Messages that may come at once after quiet."""
    bad_messages_max: Annotated[int, Meta(ge=1)] = 10
    """So many `bad_message` in a row are not a client: 4002."""
    answer_deadline_ms: Ms = 2_000
    """No answer from the room by then is `unavailable`."""
    clock_leeway_ms: Count = 5_000
    """How far an issuer's clock may be ahead of ours for `nbf`. `exp` is exact: tokens live for minutes, not for seconds."""

    # --- Keeping in touch
    ping_ms: Ms = 25_000
    """The server pings this often. Below the 60 s after which common proxies cut a quiet connection. A message that is under way
    at two pings in a row, and the same one, is given up (4008): its 64 KiB are not held for whoever only says ping."""
    pings_unanswered_max: Annotated[int, Meta(ge=1)] = 2
    """After so many pings without hearing anything the peer is dead and its connection dropped."""
    close_deadline_ms: Ms = 2_000
    """After a close frame the peer has so long to answer and to take what is still unsent; then the connection is reset."""

    # --- Fan-out
    outbox_soft_bytes: Annotated[int, Meta(ge=1024)] = 65_536
    """A socket with more unsent bytes skips whole frames: 90 frames of 700 B, 18 s of a busy room."""
    outbox_max_bytes: Annotated[int, Meta(ge=4096)] = 1_048_576
    """A socket with more unsent bytes (acks and notices are never skipped) is closed with 4008."""
    outbox_stall_ms: Ms = 15_000
    """A socket whose unsent bytes did not shrink for so long is closed with 4008."""
    fanout_slice: Annotated[int, Meta(ge=1)] = 256
    """Sockets written to before the loop gets a turn: about 1.3 ms of writing at 5 µs each."""
    send_buffer_bytes: Count = 32_768
    """SO_SNDBUF of viewers' sockets (the kernel doubles it). Bounds what the kernel holds for someone who does not read, and
    lets slowness show early; 64 KiB per round trip is far above any room. 0: the kernel's choice, up to 4 MB each."""

    # --- Views
    view_idle_ms: Ms = 30_000
    """A room's view is dropped so long after its last viewer left: reconnecting viewers find it warm."""
    views_bytes_max: Annotated[int, Meta(ge=1_048_576)] = 268_435_456
    """Frames kept for resume on this node, all rooms together; above it idle views go first."""
    unknown_room_ms: Count = 1_000
    """How long "no such room" is remembered: a poll of a missing room costs the store one read a second."""
    bans_refresh_ms: Ms = 60_000
    """How often a room's ban list is asked for anew while it changes: the news of a ban travels at most once."""
    sweep_ms: Ms = 250
    """One timer for all deadlines of this node; so much later than promised they may fire."""
    bye_spread_ms: Ms = 3_000
    """Clients are told to come back after a random part of this, so that they do not all come at once."""
