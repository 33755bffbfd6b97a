"""What does a room cost in which nothing happens?

Method. 10,000 rooms are made and started over the control plane, as a platform would. When all is quiet the node's CPU time over
20 seconds and its resident memory are read and compared with those before. Nobody watches these rooms.

Includes. Whatever a node keeps of a room that it has made: room, loop, kept answers of the control plane (`Idempotency-Key` is not
used here).

Does not show. A room with viewers: each adds a view (the frames kept for resume, up to 1 MiB) and the viewers themselves. What the
rooms take in Valkey is given beside it.
"""

from __future__ import annotations

import asyncio
import time

import aiohttp

from bench.report import Row, run
from bench.service import KEY, Service


async def make(base: str, count: int, prefix: str) -> None:
    """Rooms, live, 32 requests at a time."""
    numbers = iter(range(count))

    async def some(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            url = f"{base}/v1/rooms/{prefix}-{number}"
            async with session.put(url, json={"title": f"Room {number}", "merchant": "acme"}) as answer:
                await _fine(answer)
            async with session.post(f"{url}/start", json={}) as answer:
                await _fine(answer)

    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        await asyncio.gather(*(some(session) for _ in range(32)))


async def _fine(answer: aiohttp.ClientResponse) -> None:
    if answer.status not in {200, 201}:
        raise SystemExit(f"bench: {answer.method} {answer.url} was answered {answer.status}: {await answer.text()}")
    await answer.read()


def measure(quick: bool) -> list[Row]:
    """Share of a core, and KB each."""
    count, seconds = (500, 3) if quick else (10_000, 20)
    with Service() as service:
        asyncio.run(make(service.base, 50, "first"))
        time.sleep(2)
        first, stores_first = service.rss_kb()
        start = time.monotonic()
        asyncio.run(make(service.base, count, "idle"))
        took = time.monotonic() - start
        time.sleep(1 if quick else 5)
        before = service.cpu()
        time.sleep(seconds)
        used = service.cpu().since(before)
        after, stores_after = service.rss_kb()
    return [
        Row(
            f"{count:,} idle rooms: share of a core",
            "< 1 %",
            f"{used.node / used.at:.2%}",
            f"Valkeys beside it {used.stores / used.at:.2%}; made and started in {took:.0f} s",
        ),
        Row(
            f"{count:,} idle rooms: memory each",
            "≤ 4 KB",
            f"{(after - first) / count:.2f} KB",
            f"node {after / 1024:.0f} MB; in Valkey {(stores_after - stores_first) / count:.2f} KB each",
        ),
    ]


if __name__ == "__main__":
    run([("idle_rooms", measure)])
