"""How many claims can be decided for good per second, what does each cost, and how long does a crowd wait that clicks at once?

Method. (1) Batching: on one Valkey (`appendfsync always`, on disk) the script is called for one claim at a time, for 500 in one
pipeline of single calls, for 500 in one call, and by the service's own writer, batch after batch as a drop's queue sends them;
in turns, in one process, every claim won. The ratio is that of rates within a round, the figure the median of the rounds.
(2) From sockets: 500 viewers claim as fast as they are answered (at most four unanswered each, every message a write of its own),
once so that one in twenty wins and the others hear `limit` or `sold_out`, once so that everybody wins. (3) The rush: 10,000
sockets watch a room in which 40 comments a second are said; within one second each of them claims a drop of 500. Latency is
from the moment at which a click was due to its answer, on the load's clock. Chat latency is taken as in `latency.py`, of the
four seconds around the rush, and of four seconds without one.

Includes. (2, 3) Reading and checking the message, limits per user and connection, the batch, the script, its fsync, the entry in
the ledger's stream, the receipt of each winner (an Ed25519 signature), the answer on its socket, and the room's frames that tell
what is left. The node is on one core; load and both Valkeys share the other. CPU per claim is all that the node and the ledger's
Valkey used in that time, divided by the claims. After each run the control plane is asked what was granted.

Does not show. A disk that takes its time: a batch waits for one fsync, so its time is added to every answer (the rows say how long
one takes here). Eligibility that only the room knows (one question per batch), codes from an uploaded list, replicas. In (2) the
limit of claims per user is raised; in (3) nothing is.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from typing import Any, Final, NamedTuple

from bench import writer
from bench.machine import allow_sockets
from bench.report import Row, run
from bench.service import Cpu, Service, guests
from bench.viewers import Counted, Viewers

RELAXED: Final = {
    "LIVECAST_SERVER__MESSAGES_PER_S": "1000000",
    "LIVECAST_SERVER__MESSAGES_BURST": "1000000",
    "LIVECAST_LEDGER__CLAIMS_PER_USER_PER_S": "1000",
    "LIVECAST_LEDGER__CLAIMS_PER_USER_BURST": "1000",
}
ROOM: Final = "claims"
WINDOW: Final = 4
TICK_MS: Final = 200


def measure(quick: bool) -> list[Row]:
    """Batching, claims from sockets, the rush."""
    return [*_batching(quick), *_from_sockets(quick), *_rush(quick)]


# --- Batching ---------------------------------------------------------------------------------------------------------
def _batching(quick: bool) -> list[Row]:
    batches = {"sequential": 1, "pipelined": 4, "batched": 8, "writer": 8} if not quick else dict.fromkeys(writer.WAYS, 1)
    found = writer.compare(3 if quick else 7, batches)
    rates = {way: writer.middle(found, way) for way in writer.WAYS}
    told = ", ".join(f"{way} {rates[way].per_s:,.0f}/s (Valkey {rates[way].ledger_us:.1f} µs)" for way in writer.WAYS)
    rows = []
    for way, asked in (("sequential", "≥ 8"), ("pipelined", "≥ 2")):
        ratios = sorted(each["writer"].per_s / each[way].per_s for each in found)
        rows.append(
            Row(
                f"claims: the service's writer ÷ single calls, {way}",
                asked,
                f"{statistics.median(ratios):.1f} ({ratios[0]:.1f}–{ratios[-1]:.1f})",
                told if way == "sequential" else "of the same rounds",
            )
        )
    return rows


# --- From sockets -----------------------------------------------------------------------------------------------------
class Crush(NamedTuple):
    """A kind of drop under full load."""

    words: str
    stock: int
    per_user: int
    each: int


def open_drop(service: Service, stock: int, per_user: int = 1) -> str:
    """A drop that can be claimed; its id."""
    made = service.ask("POST", f"/v1/rooms/{ROOM}/drops", {"title": "Fifty off", "kind": "coupon", "stock": stock,
                                                            "per_user": per_user})  # fmt: skip
    service.ask("POST", f"/v1/rooms/{ROOM}/drops/{made['id']}/open", {})
    return str(made["id"])


def _from_sockets(quick: bool) -> list[Row]:
    viewers, drops = (100, 2) if quick else (500, 12)
    few = Crush("one in twenty wins", viewers, 1, 20)
    all_win = Crush("everybody wins", 10 * viewers, 10, 10)
    rows = []
    for crush in (few, all_win):
        with Service(RELAXED, stores_aside=True) as service, Viewers(service.port) as crowd:
            crowd.join(guests(viewers, ROOM))
            crowd.do(f"buy claim {open_drop(service, crush.stock, crush.per_user)} {crush.each} {WINDOW}")  # caches and code paths
            runs = [run for _ in range(drops) if (run := _claim(service, crowd, crush))]
        if 2 * len(runs) <= drops:
            raise SystemExit(f"bench: in {drops - len(runs)} of {drops} runs the ledger did not answer in time")
        rows += _crush_rows(crush, runs)
    return rows


def _claim(service: Service, crowd: Viewers, crush: Crush) -> tuple[Counted, Cpu] | None:
    """One drop. None: somebody was told `unavailable` (the disk or the machine was busy elsewhere), so it says nothing of speed."""
    drop = open_drop(service, crush.stock, crush.per_user)
    before = service.cpu()
    seen = crowd.do(f"buy claim {drop} {crush.each} {WINDOW}")
    used = service.cpu().since(before)
    granted = service.ask("GET", f"/v1/rooms/{ROOM}/drops/{drop}")["granted"]
    in_doubt = seen.kinds.get("unavailable", 0)
    won = seen.kinds.get("won", 0)
    if seen.acks + in_doubt != seen.open * crush.each or not won <= granted <= min(crush.stock, won + in_doubt):
        raise SystemExit(f"bench: {granted} granted of {crush.stock}, and the viewers heard {seen}")
    return None if in_doubt else (seen, used)


def _crush_rows(crush: Crush, runs: list[tuple[Counted, Cpu]]) -> list[Row]:
    count = sum(seen.acks for seen, _ in runs)
    seconds = sum(seen.seconds for seen, _ in runs)
    node, ledger, rooms = (
        sum(column) / count * 1e6
        for column in ([u.node for _, u in runs], [u.ledger for _, u in runs], [u.stores - u.ledger for _, u in runs])
    )
    frames = sum(seen.frames for seen, _ in runs)
    load = sum(seen.cpu_s for seen, _ in runs)
    busy = (sum(u.stores for _, u in runs) + load) / seconds
    median = statistics.median(seen.acks / seen.seconds for seen, _ in runs)
    return [
        Row(
            f"claims from sockets, fsync always, {crush.words}: answered per second",
            "≥ 10,000",
            f"{median:,.0f}",
            f"median of {len(runs)} drops; node at {node * count / 1e6 / seconds:.0%} of one core, load and Valkeys at {busy:.0%} "
            f"of the other; a claim waits {statistics.median(seen.answer_p50_ms for seen, _ in runs):.0f} ms with "
            f"{WINDOW * runs[0][0].open:,} under way; {fsync_words()}",
        ),
        Row(
            f"claims from sockets, {crush.words}: CPU per claim at the edge, at the ledger",
            "≤ 30 µs each",
            f"{node:.1f} µs, {ledger:.1f} µs",
            f"with the {frames / count:.2f} frames per claim that were handed out meanwhile; Valkey of the rooms {rooms:.1f} µs",
        ),
    ]


def fsync_words() -> str:
    """How long this disk takes for one small write to be safe: the median of 200."""
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(200):
            os.write(file.fileno(), b"x" * 4096)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return f"an fsync takes {statistics.median(times) * 1000:.2f} ms here"


# --- The rush ---------------------------------------------------------------------------------------------------------
class Rush(NamedTuple):
    """Four seconds of chat, then four in which everybody clicks."""

    quiet: Counted
    clicked: Counted
    used: Cpu

    @property
    def chat(self) -> float:
        """How much later than without a rush the latest of a hundred comments is seen."""
        return self.clicked.p99_ms / self.quiet.p99_ms


def _rush(quick: bool) -> list[Row]:
    viewers, stock, rounds = (1000, 50, 1) if quick else (10_000, 500, 5)
    allow_sockets(viewers + 2000)
    with Service(stores_aside=True) as service, Viewers(service.port) as crowd:
        crowd.join(guests(viewers, ROOM))
        crowd.do("watch 100")
        crowd.do("comments 40 2 60 34")
        asleep = [_one_rush(service, crowd, viewers, stock) for _ in range(rounds)]
        crowd.do("awake 1")
        awake = [_one_rush(service, crowd, viewers, stock) for _ in range(rounds)]
    in_doubt = sum(rush.clicked.kinds.get("unavailable", 0) for rush in asleep + awake)
    outcome = f"{in_doubt:,} were told `unavailable`" if in_doubt else f"{stock} won and all answered"
    answered = [rush.clicked for rush in awake]
    busy = statistics.median(rush.used.node / rush.used.at for rush in awake)
    return [
        Row(
            f"claims: {viewers:,} sockets click within one second for {stock} units: p99 of the answer",
            "≤ 1.0 s",
            f"{statistics.median(seen.answer_p99_ms for seen in answered) / 1000:.2f} s",
            f"{outcome}, {2 * rounds} times; p50 {statistics.median(seen.answer_p50_ms for seen in answered):.0f}, "
            f"worst {max(rush.clicked.answer_max_ms for rush in asleep + awake):.0f} ms; "
            f"node at {busy:.0%} of its core over the whole time, most of it for frames",
        ),
        Row(
            "claims: chat in the same room, comment to frame: p99 with the rush ÷ without",
            "≤ 1.1",
            _chat(awake),
            f"p99 {statistics.median(rush.clicked.p99_ms for rush in awake):.0f} ms with, "
            f"{statistics.median(rush.quiet.p99_ms for rush in awake):.0f} ms without; a tick is {TICK_MS} ms; "
            f"where each write must wake the reader: {_chat(asleep)}",
        ),
    ]


def _one_rush(service: Service, crowd: Viewers, viewers: int, stock: int) -> Rush:
    comments = "comments 40 4 60 34"
    quiet = crowd.do(comments)
    drop = open_drop(service, stock)
    crowd.do(f"click claim {drop} 1 1")
    before = service.cpu()
    clicked = crowd.do(comments)
    used = service.cpu().since(before)
    _check(service, drop, stock, clicked, viewers)
    return Rush(quiet, clicked, used)


def _chat(runs: list[Rush]) -> str:
    chat = sorted(rush.chat for rush in runs)
    return f"{statistics.median(chat):.2f} ({chat[0]:.2f}–{chat[-1]:.2f})"


def _check(service: Service, drop: str, stock: int, seen: Counted, viewers: int) -> None:
    """Exactly `stock` have won, everybody knows, and the list says the same. Who was told `unavailable` may have won as well."""
    won, in_doubt = seen.kinds.get("won", 0), seen.kinds.get("unavailable", 0)
    known = won + seen.kinds.get("sold_out", 0)
    if seen.closed or known + in_doubt != viewers or not (won <= stock if in_doubt else won == stock):
        raise SystemExit(f"bench: {stock} units, {viewers} clicks, and the viewers heard {seen}")
    claims = list[Any]()
    cursor = "limit=200"
    while cursor:
        page = service.ask("GET", f"/v1/rooms/{ROOM}/drops/{drop}/claims?{cursor}")
        claims += page["data"]
        cursor = page["next_cursor"] and f"limit=200&cursor={page['next_cursor']}"
    serials, users = [each["serial"] for each in claims], {each["user"] for each in claims}
    if serials != list(range(1, len(serials) + 1)) or len(users) != len(serials) or not won <= len(serials) <= stock:
        raise SystemExit(f"bench: {stock} units, {won} heard that they won, and the list has {len(claims)} of {len(users)} users")


if __name__ == "__main__":
    run([("claims", measure)])
