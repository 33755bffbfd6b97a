"""What do two workers give over one, and what does the way between them cost?

Deliveries. 5,000 viewers watch one room, 60 of them say 40 short comments a second between them; once with one process, once with
two workers on one port, among which the kernel deals the viewers out. What each process used of a core is divided by the frames
that arrived. A process can use one core at most, so with as many cores as workers the most that can be delivered is what one core
gives divided by the share of the busiest worker; the ratio of the two is the first row. It says nothing of a machine on which
workers, stores and load fight for the same two cores, as they do here: CPU time is what is counted, not the wall clock. The stores'
part and the supervisor's stand in the note. Latency is from a comment's sending to its frame at each viewer, both times at the same
rate.

The hop. Two nodes on one Redis, a viewer on each, in a room that is quiet: the first comment after quiet leaves at once, so the
tick does not blur what is measured. Each says something in turn, forty times; the row is how much later the median comment of the
one who is not with the room's owner is on their own screen, there and back over Redis, and how much later a frame is on the other.

Messages. Meanwhile the store counts what was published, and another listener what of it are frames: for each one message to the
nodes that show it. What else there is does not grow with the frames.

Includes. Everything a node does besides; on loopback the hop includes the kernel's way and Valkey's share of a busy core, and no
network. Does not show. More than two nodes; a store on another machine adds its round trip.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgpack
import redis
import websockets
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from bench.machine import cpu_s
from bench.report import Row, run
from bench.service import Service, guests, token
from bench.viewers import Viewers
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.ops.stores.valkey_binary import valkey_binary

SENDERS = 60
WATCHED = 400
"""Viewers, spread over all, whose time from hand to screen is taken."""
ROOM = "workers"
NODES = ("a", "b")
READY_WITHIN_S = 20


class Spent(NamedTuple):
    """CPU seconds per delivered frame: of the busiest serving process, of all of them, of supervisor and stores; latency in ms."""

    busiest: float
    serving: float
    beside: float
    p50_ms: float
    p99_ms: float


def deliver(viewers: int, workers: int, seconds: float) -> Spent:
    """One turn."""
    options = ("--workers", str(workers)) if workers > 1 else ()
    with Service(options=options, pinned=False) as service, Viewers(service.port) as crowd:
        crowd.join(guests(viewers, ROOM))
        crowd.do("expect 1e9 2")
        crowd.do(f"watch {WATCHED}")
        crowd.do(f"comments 40 1 {SENDERS} 34")
        serving = service.workers or [service.pid]
        before, each = service.cpu(), [cpu_s(pid) for pid in serving]
        seen = crowd.do(f"comments 40 {seconds} {SENDERS} 34")
        used, spent = service.cpu().since(before), [cpu_s(pid) - was for pid, was in zip(serving, each, strict=True)]
    if seen.closed or seen.errors or not seen.frames:
        raise SystemExit(f"bench: viewers did not all see it: {seen}")
    beside = used.node - sum(spent) + used.stores
    return Spent(max(spent) / seen.frames, sum(spent) / seen.frames, beside / seen.frames, seen.p50_ms, seen.p99_ms)


# --- The hop ----------------------------------------------------------------------------------------------------------
class Stores:
    """Two Valkeys on unix sockets, for nodes that share them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for role, fsync in (("rooms", "everysec"), ("ledger", "always")):
            (self.directory / role).mkdir()
            words = ["--port", "0", "--unixsocket", str(self.path(role)), "--dir", str(self.directory / role), "--save", ""]
            words += ["--appendonly", "yes", "--appendfsync", fsync]
            self.processes.append(subprocess.Popen([valkey_binary(), *words], stdout=subprocess.DEVNULL))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.terminate()
            process.wait()

    def path(self, role: str) -> Path:
        """The socket of a store."""
        return self.directory / f"{role}.sock"

    def rooms(self) -> redis.Redis:
        """A connection to where rooms are kept; to a server that is only just starting it takes some tries."""
        patience = Retry(ConstantBackoff(0.1), READY_WITHIN_S * 10)
        errors: list[type[Exception]] = [redis.ConnectionError]
        path = str(self.path("rooms"))
        return redis.Redis(unix_socket_path=path, retry=patience, retry_on_error=errors, decode_responses=True)

    def published(self) -> int:
        """Messages published at the rooms' store so far, by scripts or without."""
        said = self.rooms().info("commandstats")
        return sum(said[name]["calls"] for name in ("cmdstat_publish", "cmdstat_spublish") if name in said)

    def owners(self) -> list[str]:
        """The fence token of each shard's owner, which begins with the node's name; empty if it has none."""
        return [str(token or "") for token in self.rooms().mget([f"{{s{shard}}}:owner" for shard in range(SHARDS)])]

    def until_dealt(self, names: Sequence[str]) -> None:
        """Until every node has its share of the shards."""
        deadline = time.monotonic() + READY_WITHIN_S
        while any(sum(name + "-" in owner for owner in self.owners()) < SHARDS // len(names) for name in names):
            if time.monotonic() > deadline:
                raise SystemExit(f"bench: shards are not dealt among {', '.join(names)}: {sorted(set(self.owners()))}")
            time.sleep(0.05)


@contextmanager
def node(name: str, stores: Stores) -> Iterator[int]:
    """A node on these stores; its port."""
    command = [str(Path(sys.executable).parent / "livecast"), "serve", "--dev", "--port", "0"]
    command += ["--data-dir", str(stores.directory / name), "--redis", f"unix://{stores.path('rooms')}"]
    command += ["--ledger", f"unix://{stores.path('ledger')}"]
    env = {**os.environ, "LIVECAST_NODE__ID": name, "LIVECAST_ARCHIVE__URL": "none", "LIVECAST_LOG__LEVEL": "warning"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().rsplit(":", 1)[1])
        finally:
            process.terminate()


class Hop(NamedTuple):
    """Milliseconds, medians; messages that carry frames per frame, and all others but comments on their way to the owner."""

    near: float
    far: float
    across: float
    messages: float
    others: float


async def hop(ports: list[int], stores: Stores, rounds: int) -> Hop:
    """Comments in turn from the viewer with the owner (`near`) and the other (`far`)."""
    owner = 0 if "a-" in stores.owners()[shard_of(ROOM)] else 1
    near_port, far_port = ports[owner], ports[1 - owner]
    async with _viewer(near_port, "near") as near, _viewer(far_port, "far") as far:
        took: dict[str, list[float]] = {"near": [], "far": [], "across": []}
        *_, first = await _heard(near, far, "first")  # rooms awake, paths warm
        listener = redis.Redis(unix_socket_path=str(stores.path("rooms")))
        frames_out: Any = listener.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        frames_out.ssubscribe(f"{{s{shard_of(ROOM)}}}:out:{ROOM}")
        frames_out.get_message(timeout=READY_WITHIN_S)  # it hears from here on
        before, last = stores.published(), first
        for n in range(rounds):
            came, other, _ = await _heard(near, far, f"n{n}")
            took["near"].append(came)
            took["across"].append(other - came)
            came, _, last = await _heard(far, near, f"f{n}")
            took["far"].append(came)
        # By the frames' own numbers, since besides those with comments there are some that tell of the audience.
        carried = 0
        while frames_out.get_message(timeout=0.1) is not None:
            carried += 1
        frames_out.close()
        others = stores.published() - before - rounds - carried  # a comment of the far viewer is itself a message to the owner
    near_ms, far_ms, across_ms = (statistics.median(took[who]) for who in ("near", "far", "across"))
    return Hop(near_ms, far_ms, across_ms, carried / (last - first), others / (last - first))


def _viewer(port: int, user: str) -> Any:
    head = {"Authorization": f"Bearer {token(user)}"}
    protocols = [websockets.Subprotocol("livecast.v1.msgpack")]
    uri = f"ws://127.0.0.1:{port}/v1/rooms/{ROOM}/ws"
    return websockets.connect(uri, additional_headers=head, subprotocols=protocols, compression=None, proxy=None)


async def _heard(speaker: Any, other: Any, text: str) -> tuple[float, float, int]:
    """Say something after a while of quiet; ms until it is on one's own screen and on the other's, and the `seq` of its frame."""
    await asyncio.sleep(1.1)  # slow enough for a user's pace, and for a room to fall quiet
    began = time.perf_counter()
    await speaker.send(msgpack.packb({"t": "comment", "cid": text, "text": text}))
    (own, seq), (others, _) = await asyncio.gather(_shown(speaker, text), _shown(other, text))
    return (own - began) * 1000, (others - began) * 1000, seq


async def _shown(viewer: Any, text: str) -> tuple[float, int]:
    async with asyncio.timeout(10):
        while True:
            said = msgpack.unpackb(await viewer.recv())
            if said["t"] == "frame" and any(comment["text"] == text for comment in said.get("comments", ())):
                return time.perf_counter(), said["seq"]


def measure_hop(rounds: int) -> Hop:
    """Both nodes, from start to end."""
    with tempfile.TemporaryDirectory(prefix="lb-") as directory, ExitStack() as stack:
        stores = stack.enter_context(Stores(Path(directory)))
        stores.rooms().ping()
        ports = [stack.enter_context(node(name, stores)) for name in NODES]
        stores.until_dealt(NODES)
        return asyncio.run(hop(ports, stores, rounds))


def measure(quick: bool) -> list[Row]:
    """Ratio, hop, messages."""
    viewers, seconds, turns = (200, 2.0, 1) if quick else (5000, 4.0, 3)
    pairs = [(deliver(viewers, 1, seconds), deliver(viewers, 2, seconds)) for _ in range(turns)]
    ratios = sorted(one.busiest / two.busiest for one, two in pairs)
    one, two = pairs[0]
    found = measure_hop(3 if quick else 40)
    return [
        Row(
            f"two workers ÷ one, {viewers:,} viewers: deliveries/s that their cores can make",
            "≥ 1.7",
            f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})",
            f"CPU per delivery: one {one.serving * 1e6:.1f} µs, two {two.serving * 1e6:.1f} µs, their busier one "
            f"{two.busiest * 1e6:.1f} µs of each; beside them {one.beside * 1e6:.1f} and {two.beside * 1e6:.1f} µs; "
            f"comment to frame p50 {one.p50_ms:.0f} and {two.p50_ms:.0f}, p99 {one.p99_ms:.0f} and {two.p99_ms:.0f} ms",
        ),
        Row(
            "the hop: a comment by way of another node, there and back, p50",
            "≤ 3 ms more",
            f"{found.far - found.near:.2f} ms",
            f"{found.near:.2f} ms with the room's owner, {found.far:.2f} ms elsewhere; frames come {found.across:.2f} ms later",
        ),
        Row(
            "messages over Redis per frame and node that shows it",
            "≤ 1",
            f"{found.messages:.2f}",
            f"one node besides the owner's; {found.others:.2f} more tell the owner who watches, frames or not",
        ),
    ]


if __name__ == "__main__":
    run([("workers", measure)])
