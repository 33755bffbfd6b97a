"""What an evening will cost, from the service's own rooms on a virtual clock and from costs that were measured.

A few rooms of each size are played for some seconds: real `Room`s hear a crowd, flush when they want to, their frames are sealed as
for viewers and applied to a `RoomView`. That gives frames per second and their bytes, which no formula would: merging, budgets and
ticks decide them. What each thing costs in CPU stands in `costs.json`, which `python -m bench costs --write` measures anew.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import Final

import msgspec
from msgspec import Struct

from livecast.core.commands import Ensure
from livecast.core.events import Command, Event, Liked, Origin, Person, Presence, Said
from livecast.core.nodes.placement import SHARDS, deal, shard_of
from livecast.core.room import Room
from livecast.core.rules import RoomRules
from livecast.core.view import RoomView
from livecast.ops.people.phrases import MOMENTS
from livecast.wire.codec import JSON, MSGPACK
from livecast.wire.sealing import Sealed

PLAYED_S: Final = 10
"""Seconds of an evening that are played: enough for lines that many say to open and to fall silent (5 s)."""
EVENTS_MAX_PER_S: Final = 1_500
"""Events of a room that are really played. More change no frame (the budget is 40 comments a second) but how much is left out."""
PRESENCE_MS: Final = 130
"""Nodes tell how many watch at no particular moment of a second."""
SHOUTED: Final = 0.6
"""Part of the comments that are what everybody says just then; the rest is somebody's own."""
WIRE_OVERHEAD_BYTES: Final = 89
"""Of a frame on the wire besides itself: 40 of IP and TCP, 12 of TCP's time stamps, 22 of a TLS record, and a share of the acks."""
FILE_OVERHEAD_BYTES: Final = 480
"""Headers of a file's answer over HTTP/1.1, as `deploy/nginx.conf` sends them, and the request."""
PUBLISH_US: Final = 5.0
"""At the rooms store for each node that hears a frame: a copy into one more socket."""
TOGETHER: Final = 0.35
"""So much of a core the viewers of one room take on one node before another one takes some: two such rooms fill a node."""
VIEWS_MB_MAX: Final = 256.0
"""`[server] views_bytes_max`: beyond it the oldest frames are forgotten."""
FULL: Final = 0.7
"""How busy a core should be at most: above it, waiting grows quickly."""
SERVICE: Final = Person("forecast", "forecast", role="service")
HERE: Final = Origin("node", 1)


class Costs(Struct, frozen=True, forbid_unknown_fields=True):
    """CPU of one core, in µs unless the name says otherwise, kernel included, on the machine where it was taken."""

    taken: str
    rest_ms: float
    """Of a process per second in which nothing happens."""
    delivery_us: float
    """A frame to one more viewer."""
    comment_us: float
    """A comment from the socket to its answer, with its share of the archive."""
    like_us: float
    frame_us: float
    """A tick: flush, seal, commit, publish."""
    hop_us: float
    """A frame at a node that does not own its room: heard, applied, sealed."""
    store_frame_us: float
    """A commit at the rooms store."""
    store_comment_us: float
    claim_us: float
    store_claim_us: float
    gift_us: float
    store_gift_us: float
    claim_bytes: int
    """What a granted unit takes in the ledger's memory."""
    node_mb: float
    viewer_kb: float
    """Of a process's memory per viewer who watches."""
    file_us: float
    """A file from nginx's cache, at nginx."""


class Crowd(Struct, frozen=True):
    """How people behave, per viewer."""

    comments_per_min: float = 0.6
    like_messages_per_min: float = 3.0
    taps: int = 5
    gifts_per_h: float = 0.5


class Played(Struct, frozen=True):
    """What a room of `viewers` does in a second."""

    viewers: int
    comments: float
    likes: float
    shown: float
    merged: float
    sampled: float
    frames: float
    plain_bytes: float
    """Of one frame as a socket of MessagePack gets it, plain; then compressed, then as JSON."""
    deflated_bytes: float
    json_bytes: float


class Load(Struct, frozen=True):
    """What one node has to do."""

    cpu: float
    """Cores."""
    viewers: int
    rooms: int
    bytes_per_s: float
    memory_mb: float


class Forecast(Struct, frozen=True):
    """What to expect of an evening."""

    hottest: Played
    nodes: list[Load]
    deliveries: float
    frames: float
    comments: float
    rooms_store_cpu: float
    ledger_cpu: float
    commits: float
    publishes: float
    p50_ms: float
    p99_ms: float
    wire_bytes_per_viewer_s: float
    file_requests_per_viewer_s: float
    file_bytes_per_viewer_s: float

    @property
    def busiest(self) -> Load:
        """The node with most to do."""
        return max(self.nodes, key=lambda node: node.cpu)


def known_costs() -> Costs:
    """Those that come with livecast."""
    return msgspec.json.decode(resources.files("livecast.ops").joinpath("costs.json").read_bytes(), type=Costs)


def sizes(viewers: int, rooms: int, hottest: float) -> list[int]:
    """How many watch each room: the fullest its share, of the rest the n-th room an n-th as many (Zipf), and none more than it."""
    first = max(round(viewers * hottest), -(-viewers // rooms))
    left, weight, watched = viewers - first, sum(1 / n for n in range(2, rooms + 1)), [first]
    for n in range(2, rooms + 1):
        watched.append(min(first, round(left / n / weight)))
        left, weight = left - watched[-1], weight - 1 / n
    return sorted(watched, reverse=True)


def play(viewers: int, crowd: Crowd, rules: RoomRules, *, seed: int = 7, seconds: int = PLAYED_S) -> Played:
    """Let a room of so many live for some seconds."""
    rng = random.Random(f"{seed} {viewers}")  # noqa: S311 - a crowd, not a secret
    asked = {
        "comments": viewers * crowd.comments_per_min / 60,
        "likes": viewers * crowd.like_messages_per_min / 60,
    }
    scale = min(1.0, EVENTS_MAX_PER_S / max(1e-9, sum(asked.values())))
    room, view = Room.create("forecast", "forecast", rules, 0), RoomView(rules)
    view.reset(room.snapshot())
    room.receive(Command(HERE, SERVICE, "ensure", Ensure(), cid="begin"), 0)
    people = [Person(f"u{n}", f"User {n}", level=rng.randrange(5)) for n in range(min(viewers, 20_000))]
    played_per_s = {kind: per_s * scale for kind, per_s in asked.items()}
    sealed: list[Sealed] = []
    tally: Counter[str] = Counter()

    def flush_until(now: int) -> None:
        while (due := room.next_flush_at()) is not None and due <= now:
            flush = room.flush(due)
            if flush is None or flush.frame is None:
                continue
            frame = Sealed.of(flush.frame)
            if not view.apply(flush.frame, frame, len(frame.msgpack)):
                raise ValueError("a frame does not follow on the one before")
            sealed.append(frame)
            if flush.frame.tally is not None:
                tally.update({name: getattr(flush.frame.tally, name) for name in ("shown", "merged", "sampled")})

    for at, event in _events(played_per_s, seconds, people, crowd.taps, rng):
        flush_until(at)
        room.receive(event, at)
        flush_until(at)
    flush_until(seconds * 1000)
    n = max(1, len(sealed))
    return Played(
        viewers=viewers,
        comments=asked["comments"],
        likes=asked["likes"],
        shown=tally["shown"] / seconds,
        merged=tally["merged"] / seconds / scale,
        sampled=tally["sampled"] / seconds / scale,
        frames=len(sealed) / seconds,
        plain_bytes=sum(len(each.ws(MSGPACK)) for each in sealed) / n,
        deflated_bytes=sum(len(each.ws(MSGPACK, deflate=True)) for each in sealed) / n,
        json_bytes=sum(len(each.ws(JSON)) for each in sealed) / n,
    )


def _events(
    per_s: dict[str, float], seconds: int, people: Sequence[Person], taps: int, rng: random.Random
) -> list[tuple[int, Event]]:
    """What a crowd does, and when (ms)."""
    shouts = [shout for _, _, heard in MOMENTS.values() for shout in heard]

    def text() -> str:
        shout = rng.choice(shouts)
        return shout if rng.random() < SHOUTED else f"{shout} {rng.randrange(10**6)} {rng.choice(shouts)}"

    def when() -> int:
        return rng.randrange(seconds * 1000)

    said, liked = (_drawn(per_s[kind] * seconds, rng) for kind in ("comments", "likes"))
    events: list[tuple[int, Event]] = [(when(), Said(HERE, rng.choice(people), f"c{n}", text())) for n in range(said)]
    events += [(when(), Liked(HERE, rng.choice(people), taps)) for _ in range(liked)]
    events += [(s * 1000 + PRESENCE_MS, Presence("node", len(people), len(people) + s % 2)) for s in range(seconds)]
    return sorted(events, key=lambda event: event[0])


def _drawn(expected: float, rng: random.Random) -> int:
    """A whole number whose mean is this one."""
    return int(expected) + (rng.random() < expected % 1)


class Evening(Struct, frozen=True):
    """Who watches what: each room's viewers, and what a room of that size does."""

    viewers: int
    rooms: tuple[tuple[int, Played], ...]
    crowd: Crowd
    rules: RoomRules


def evening(viewers: int, rooms: int, hottest: float, *, crowd: Crowd, rules: RoomRules) -> Evening:
    """Play a room of each size, once."""
    played: dict[int, Played] = {}
    rows: list[tuple[int, Played]] = []
    for number, size in enumerate(sizes(viewers, rooms, hottest)):
        like = size if number == 0 else _bucket(size)  # the fullest is played as it is
        if like not in played:
            played[like] = play(like, crowd, rules)
        rows.append((size, played[like]))
    return Evening(viewers, tuple(rows), crowd, rules)


class _Node:
    """What one node has to do, summed up."""

    def __init__(self, costs: Costs) -> None:
        self.cpu = costs.rest_ms / 1000
        self.viewers = self.bytes_per_s = self.view_bytes = 0.0
        self.rooms = 0


def forecast(of: Evening, nodes: int, *, costs: Costs, by_room: bool = True) -> Forecast:
    """The evening on `nodes` processes of one core each.

    `by_room`: whoever sends viewers to nodes keeps those of a room together, on as few nodes as carry them; else it deals viewers
    evenly, and nearly every node hears nearly every room.
    """
    all_nodes = [_Node(costs) for _ in range(nodes)]
    dealt = deal(str(n) for n in range(min(nodes, SHARDS)))  # more nodes than shards own none and only carry viewers
    heap = [(0.0, n) for n in range(nodes)]
    commits = publishes = deliveries = comments_in = 0.0
    widest = 1
    for number, (size, room) in enumerate(of.rooms):
        share = size / room.viewers if room.viewers else 0.0
        gifts = size * of.crowd.gifts_per_h / 3600
        told_us = room.comments * share * costs.comment_us + room.likes * share * costs.like_us + gifts * costs.gift_us
        viewers_cpu = (room.frames * size * costs.delivery_us + told_us) / 1e6
        owner = all_nodes[int(dealt[shard_of(f"room-{number}")])]
        owner.cpu, owner.rooms = owner.cpu + room.frames * costs.frame_us / 1e6, owner.rooms + 1
        wide = min(nodes, size, max(1, math.ceil(viewers_cpu / TOGETHER))) if by_room else min(nodes, size)
        wide, even = max(1, wide), not by_room
        if number == 0:
            widest = wide
        chosen = range(nodes) if even else [heapq.heappop(heap)[1] for _ in range(wide)]
        part = size / (nodes if even else wide)
        hears = wide / nodes if even else 1.0  # in how many of the chosen somebody watches this room
        for n in chosen:
            node = all_nodes[n]
            node.cpu += viewers_cpu * (part / size if size else 0.0) + (
                room.frames * costs.hop_us * hears / 1e6 if node is not owner else 0.0
            )
            node.viewers += part
            node.bytes_per_s += room.frames * part * (room.deflated_bytes + WIRE_OVERHEAD_BYTES)
            node.view_bytes += hears * min(1_048_576, max(600.0, 180 * room.frames) * room.plain_bytes)
            if not even:
                heapq.heappush(heap, (node.cpu, n))
        commits, publishes = commits + room.frames, publishes + room.frames * (wide - 1 if nodes == 1 else wide * (1 - 1 / nodes))
        deliveries, comments_in = deliveries + room.frames * size, comments_in + room.comments * share
    loads = [_load(node, costs) for node in all_nodes]
    p50_ms, p99_ms = _times(of, max(load.cpu for load in loads), of.rooms[0][0] / widest, costs)
    hot = of.rooms[0][1]
    asks = 0.5 + hot.frames / 10  # a look every two seconds, and each bundle
    return Forecast(
        hottest=hot,
        nodes=loads,
        deliveries=deliveries,
        frames=commits,
        comments=comments_in,
        rooms_store_cpu=(commits * costs.store_frame_us + comments_in * costs.store_comment_us + publishes * PUBLISH_US) / 1e6,
        ledger_cpu=of.viewers * of.crowd.gifts_per_h / 3600 * costs.store_gift_us / 1e6,
        commits=commits,
        publishes=publishes,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        wire_bytes_per_viewer_s=sum(load.bytes_per_s for load in loads) / of.viewers,
        file_requests_per_viewer_s=asks,
        file_bytes_per_viewer_s=hot.frames * hot.plain_bytes + asks * FILE_OVERHEAD_BYTES,
    )


def _load(node: _Node, costs: Costs) -> Load:
    views_mb = min(VIEWS_MB_MAX, node.view_bytes / 2**20)
    memory_mb = costs.node_mb + node.viewers * costs.viewer_kb / 1024 + views_mb
    return Load(node.cpu, round(node.viewers), node.rooms, node.bytes_per_s, memory_mb)


def _times(of: Evening, busy: float, beside: float, costs: Costs) -> tuple[float, float]:
    """From a comment to the screens of `beside` viewers of the fullest room on one node, half of them and 99 of 100, in ms."""
    tick_ms = float(of.rules.policy.tick_ms)
    if busy > FULL:
        tick_ms = min(float(of.rules.tick_max_ms), tick_ms * busy / FULL)
    commit_ms = (costs.frame_us + costs.store_frame_us) / 1000 + 1
    hand_out_ms = beside * costs.delivery_us / 1000 / max(0.05, 1 - min(busy, 0.95) / 2)  # other rooms have their turns in between
    return tick_ms / 2 + commit_ms + hand_out_ms / 2, tick_ms + commit_ms + hand_out_ms


def _bucket(size: int) -> int:
    """Rooms of about the same size are played once: steps of a fifth."""
    return size if size < 8 else round(1.2 ** round(math.log(size, 1.2)))
