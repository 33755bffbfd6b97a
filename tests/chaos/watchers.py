"""Those who watch, from the test's side: the processes of `watcher.py`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
JOIN_S = 120.0
LOW_PRIORITY = 10


class Watchers:
    """`viewers` people in `processes` processes, spread over rooms and nodes. Use as an async context manager.

    `give_way`: they take what the service leaves of the machine. In life nobody's phone runs on the service's processors, and
    thousands of them take more than it does; but where others are at work as well, they may then get next to nothing.
    """

    def __init__(
        self,
        bases: Sequence[str],
        rooms: Sequence[str],
        directory: Path,
        *,
        viewers: int,
        seed: int = 1,
        processes: int = 2,
        give_way: bool = False,
        **more: Any,
    ) -> None:
        places = [base.removeprefix("http://").rsplit(":", 1) for base in bases]
        where = {"hosts": [host for host, _ in places], "ports": [int(port) for _, port in places]}
        self._configs, self._reports = [], []
        share = viewers // processes
        for n in range(processes):
            path, report = directory / f"watch-{n}.json", directory / f"watch-{n}.report"
            config = {**where, "rooms": list(rooms), "viewers": share, "first": n * share, "seed": seed * 100 + n, **more}
            path.write_text(json.dumps({**config, "report": str(report)}))
            self._configs.append(path)
            self._reports.append(report)
        self._processes: list[Process] = []
        self._give_way = give_way

    async def __aenter__(self) -> Self:
        env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        for config in self._configs:
            words, pipe = [sys.executable, str(HERE / "watcher.py"), str(config)], asyncio.subprocess.PIPE
            self._processes.append(await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, env=env))
            if self._give_way:
                os.setpriority(os.PRIO_PROCESS, self._processes[-1].pid, LOW_PRIORITY)
        async with asyncio.timeout(JOIN_S):
            await asyncio.gather(*(self._hear(process) for process in self._processes))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    @staticmethod
    async def _hear(process: Process) -> dict[str, Any]:
        assert process.stdout is not None
        line = await process.stdout.readline()
        assert line, f"a part of the crowd ended with {await process.wait()}"
        said: dict[str, Any] = json.loads(line)
        return said

    async def _say(self, word: str) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(word.encode() + b"\n")
        await asyncio.gather(*(self._hear(process) for process in self._processes))

    async def mark(self) -> None:
        """A fault begins now."""
        await self._say("mark")

    async def end(self) -> list[dict[str, Any]]:
        """Stop watching; what they have to say."""
        await self._say("end")
        return [json.loads(report.read_text()) for report in self._reports]
