"""How long until a gift is acknowledged, how many can be given per second, and what does each cost?

Method. (1) 200 viewers of one room give a rose each in turn, 2,000 a second in all, whether answers come or not; latency is from
the moment at which a gift was due to its `sent`, on the load's clock. (2) The same viewers give as fast as they are answered, four
unanswered each. The node is on one core; load and both Valkeys share the other.

Includes. Reading and checking the message, catalogue and price, the debit in the giver's shard with its fsync, the answer on its
socket; then the booking in the room's shard, the leaderboard, the end of the pending entry (three script calls per gift, each
synced to disk before it is answered), reading it all back from the ledger's stream, combos, and the frames that show them to
everybody (a line per giver and tick). CPU per gift is all that the node and the ledger's Valkey used meanwhile, divided by the
gifts. Afterwards the control plane is asked what the room earned.

Does not show. A disk that takes its time (the row says how long an fsync takes here), replicas, spending limits, thousands of
viewers of the same combos (see `fanout.py`). The limit of messages per connection is raised in (2).
"""

from __future__ import annotations

import statistics
import time
from typing import Final, NamedTuple

from redis import Redis

from bench.claims import fsync_words
from bench.report import Row, run
from bench.service import Cpu, Service, guests
from bench.viewers import Counted, Viewers
from livecast.core.nodes.placement import SHARDS

ROOM: Final = "gifts"
RELAXED: Final = {"LIVECAST_SERVER__MESSAGES_PER_S": "1000000", "LIVECAST_SERVER__MESSAGES_BURST": "1000000"}
BOOKED_WITHIN_S: Final = 20.0
LOOK_S: Final = 0.05


class Given(NamedTuple):
    """What one run came to. `used` ends when the last gift was booked in its room."""

    seen: Counted
    used: Cpu


def _give(service: Service, crowd: Viewers, command: str) -> Given:
    booked, before = _booked(service), service.cpu()
    seen = crowd.do(command)
    sent, in_doubt, refused = (seen.kinds.get(kind, 0) for kind in ("sent", "unavailable", "overloaded"))
    if sent + in_doubt + refused != seen.paid:
        raise SystemExit(f"bench: of {seen.paid} gifts not all were answered: {seen}")
    deadline = time.monotonic() + BOOKED_WITHIN_S
    while (now := _booked(service) - booked) < sent and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    used = service.cpu().since(before)
    while _half_done(service) and time.monotonic() < deadline:  # what was left in doubt is finished by those who sweep
        time.sleep(LOOK_S)
    now = _booked(service) - booked
    if not sent <= now <= seen.paid:
        raise SystemExit(f"bench: {sent} gifts were sent, the room earned {now}")
    return Given(seen, used)


def _booked(service: Service) -> int:
    """Coins that the room earned: a rose is one."""
    return int(service.ask("GET", f"/v1/rooms/{ROOM}/earnings")["value"])


def _half_done(service: Service) -> int:
    """Gifts that are debited and not known to be booked, as the ledger itself says."""
    with Redis(unix_socket_path=service.ledger_socket) as ledger, ledger.pipeline(transaction=False) as asked:
        for shard in range(SHARDS):
            asked.zcard(f"{{s{shard}}}:pending:all")
        return int(sum(asked.execute()))


def measure(quick: bool) -> list[Row]:
    """Latency at 2,000 a second, and the most."""
    viewers, seconds, rounds = (50, 2, 1) if quick else (200, 5, 4)
    rate = 10 * viewers
    with Service(stores_aside=True) as service, Viewers(service.port) as crowd:
        crowd.join(guests(viewers, ROOM))
        _give(service, crowd, f"pace gift rose {rate} 1")
        paced = [_give(service, crowd, f"pace gift rose {rate} {seconds}") for _ in range(rounds)]
    with Service(RELAXED, stores_aside=True) as service, Viewers(service.port) as crowd:
        crowd.join(guests(viewers, ROOM))
        _give(service, crowd, "buy gift rose 5 4")
        most = [_give(service, crowd, f"buy gift rose {20 * seconds} 4") for _ in range(rounds)]
    return [_latency(paced, rate, viewers), _cost("as fast as they are answered", most), _cost(f"at {rate:,} a second", paced)]


def _latency(paced: list[Given], rate: int, viewers: int) -> Row:
    in_doubt = sum(each.seen.kinds.get("unavailable", 0) for each in paced)
    return Row(
        f"gift: debit acknowledged, {rate:,} gifts/s from {viewers} viewers: p99",
        "≤ 50 ms",
        f"{statistics.median(each.seen.answer_p99_ms for each in paced):.0f} ms",
        f"p50 {statistics.median(each.seen.answer_p50_ms for each in paced):.1f}, worst "
        f"{max(each.seen.answer_max_ms for each in paced):.0f} ms of {sum(each.seen.answers for each in paced):,}; "
        f"{in_doubt} told `unavailable`; "
        f"node at {statistics.median(each.used.node / each.used.at for each in paced):.0%} of its core; {fsync_words()}",
    )


def _cost(how: str, runs: list[Given]) -> Row:
    count = sum(each.seen.paid for each in runs)
    node, ledger, load, others = (
        sum(column) / count * 1e6
        for column in (
            [each.used.node for each in runs],
            [each.used.ledger for each in runs],
            [each.seen.cpu_s for each in runs],
            [each.used.stores - each.used.ledger for each in runs],
        )
    )
    return Row(
        f"gifts {how}: CPU per gift at the node, at the ledger",
        "as measured",
        f"{node:.0f} µs, {ledger:.0f} µs",
        f"acknowledged {statistics.median(each.seen.paid / each.seen.seconds for each in runs):,.0f}/s; "
        f"{sum(each.seen.frames for each in runs) / count:.2f} frames per gift, "
        f"{sum(each.seen.frame_bytes for each in runs) / count / 1024:.1f} KB of them; Valkey of the rooms {others:.0f} µs, "
        f"load {load:.0f} µs",
    )


if __name__ == "__main__":
    run([("gifts", measure)])
