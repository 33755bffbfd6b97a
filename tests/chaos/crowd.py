"""Everybody in front of the shop, from the test's side: the processes of `clicker.py`, and what their journals say of a fault."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from support.journal import Asked

HERE = Path(__file__).parent
PATIENCE_S = 90.0


class Crowd:
    """`users` people in `processes` processes, with their journals in `directory`. Use as an async context manager."""

    def __init__(
        self,
        bases: Sequence[str],
        room: str,
        drop: str,
        directory: Path,
        *,
        users: int,
        seed: int,
        over_s: float,
        processes: int = 2,
        first: int = 0,
    ) -> None:
        self.users = users
        places, share = [base.removeprefix("http://").rsplit(":", 1) for base in bases], users // processes
        where = {"hosts": [host for host, _ in places], "ports": [int(port) for _, port in places]}
        self._configs = []
        for n in range(processes):
            path = directory / f"crowd-{n}.json"
            journal = str(directory / f"crowd-{n}.journal")
            config = {**where, "room": room, "drop": drop, "first": first + n * share, "users": share, "journal": journal}
            path.write_text(json.dumps({**config, "seed": seed * 100 + n, "over_s": over_s, "patience_s": PATIENCE_S}))
            self._configs.append(path)
        self._processes: list[Process] = []
        self._readers: list[asyncio.Task[None]] = []
        self._counts: dict[int, dict[str, int]] = {}
        self._joined = self._done = 0
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        for n, config in enumerate(self._configs):
            words = [sys.executable, str(HERE / "clicker.py"), str(config)]
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, env=env)
            self._processes.append(process)
            self._readers.append(asyncio.create_task(self._read(n, process)))
        await self.until(lambda: self._joined == len(self._processes), "everybody in the room", within_s=120)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _read(self, n: int, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            said = json.loads(line)
            self._joined += "joined" in said
            self._done += said.get("done", False)
            self._counts[n] = said.get("counts", {})
            self._news.set()
        self._news.set()

    def go(self) -> None:
        """Let them click."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b"\n")

    @property
    def counts(self) -> Counter[str]:
        """How often people were told what, so far."""
        return sum((Counter(each) for each in self._counts.values()), Counter())

    async def until(self, condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
        """Wait for news that make it true."""
        async with asyncio.timeout(within_s):
            while not condition():
                dead = [process.returncode for process in self._processes if process.returncode]
                assert not dead, f"a part of the crowd ended with {dead}"
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 1)
        del what

    async def finish(self) -> None:
        """Until everybody is answered."""
        await self.until(lambda: self._done == len(self._processes), "everybody answered", within_s=PATIENCE_S + 30)
        assert not self.counts["gave up"], self.counts


class Felt(NamedTuple):
    """How people met a fault. `away_s`: the longest time in which nobody heard anything decided; `p50_s`, `p99_s`: how long those
    who asked in it waited for a word, be it `unavailable`.
    """

    away_s: float
    p50_s: float
    p99_s: float
    unknown: int

    def __str__(self) -> str:
        waited = f"a word in it after {self.p50_s:.2f} s (p50), {self.p99_s:.2f} s (p99)"
        return f"money away {self.away_s:.2f} s, {waited}, {self.unknown} answers left in doubt"


def felt(asked: Sequence[Asked], began: float) -> Felt:
    """What a fault that began then was like for those who asked on."""
    people = [each for each in asked if not each.settling and each.told_at is not None]
    decided = sorted(each.told_at for each in people if each.fate != "unknown" and each.told_at is not None)
    first = max((at for at in decided if at < began), default=began)
    times = [first, *(at for at in decided if at >= began)]
    away_s, until = max(((later - at, later) for at, later in pairwise(times)), default=(0.0, began))
    during = [each for each in people if until - away_s <= each.at < until and each.answer is not None]
    waits = sorted(each.told_at - each.at for each in during if each.told_at is not None) or [0.0]
    p50, p99 = (waits[int(share * (len(waits) - 1))] for share in (0.5, 0.99))
    return Felt(away_s, p50, p99, sum(each.fate == "unknown" for each in people))


def moment() -> float:
    """The clock of the journals."""
    return time.monotonic()


def report(name: str, crowd: Crowd, more: Any = "") -> None:
    """A line of figures, shown by `make chaos`."""
    told = ", ".join(f"{n} {word}" for word, n in sorted(crowd.counts.items()))
    sys.stderr.write(f"\n  {name}: {more}; {told}\n")
