"""What was asked of the service and what it answered, written down outside of it: the witness that it cannot influence.

A line before each question leaves and one when its answer is here, handed to the kernel at once, so that whoever is killed, what
was heard before is kept. Nothing of the service is imported.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeAlias

Kind: TypeAlias = Literal["claim", "gift", "credit"]
Answer: TypeAlias = dict[str, Any]
Fate: TypeAlias = Literal["ok", "refused", "unknown"]

ACKNOWLEDGED = {"won", "entered", "sent", "credited"}
FINAL_REFUSALS = {"sold_out", "limit", "closed"}
"""Verdicts that a repeat of the same id must hear again. All other refusals are of the moment."""


class Asked(NamedTuple):
    """A question and what became of it. Times are seconds of the machine's monotonic clock, the same for all processes."""

    kind: Kind
    user: str
    cid: str
    body: dict[str, Any]
    at: float
    settling: bool
    """Asked after the fault, by somebody who repeats what was asked before."""
    told_at: float | None = None
    answer: Answer | None = None

    @property
    def id(self) -> tuple[str, ...]:
        """What makes two questions the same one."""
        return (self.kind, self.user, str(self.body.get("drop", "")), self.cid)

    @property
    def fate(self) -> Fate:
        """A time-out, a broken connection and `unavailable` all leave open what happened."""
        return fate_of(self.answer)

    @property
    def is_final(self) -> bool:
        """Whether every repeat has to be answered the same."""
        return self.answer is not None and self.answer.get("verdict") in ACKNOWLEDGED | FINAL_REFUSALS


def fate_of(answer: Answer | None) -> Fate:
    """What an answer says about what happened."""
    if answer is None or answer.get("code") == "unavailable" or answer.get("status", 200) >= 500:
        return "unknown"
    return "ok" if answer.get("verdict") in ACKNOWLEDGED else "refused"


class Journal:
    """One writer's file, only ever added to."""

    def __init__(self, path: Path, *, settling: bool = False) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._settling = settling
        self._asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def ask(self, kind: Kind, user: str, cid: str, body: dict[str, Any]) -> int:
        """About to be asked; its number."""
        self._asked += 1
        line = {"n": self._asked, "at": time.monotonic(), "ask": [kind, user, cid, body], "settling": self._settling}
        self._file.write(json.dumps(line).encode() + b"\n")
        return self._asked

    def told(self, n: int, answer: Answer | None) -> None:
        """The answer to question `n`; None: it will not come."""
        self._file.write(json.dumps({"n": n, "at": time.monotonic(), "told": answer}).encode() + b"\n")


def read(paths: Iterable[Path]) -> list[Asked]:
    """Everything that was asked, in the order of asking. A last line that was cut short by a kill counts for nothing."""
    found: list[Asked] = []
    for path in paths:
        asked: dict[int, Asked] = {}
        for line in path.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            entry = json.loads(line)
            if "ask" in entry:
                kind, user, cid, body = entry["ask"]
                asked[entry["n"]] = Asked(kind, user, cid, body, entry["at"], entry["settling"])
            else:
                asked[entry["n"]] = asked[entry["n"]]._replace(told_at=entry["at"], answer=entry["told"])
        found += asked.values()
    return sorted(found, key=lambda each: each.at)
