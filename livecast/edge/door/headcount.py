"""How many connections a name has: in this process, or in all processes of a node together.

Together they keep one table in shared memory. Each process writes its own row and reads all, so nothing is locked and nothing is
asked of anybody; whoever is killed leaves a row that its supervisor wipes. A name's column is a keyed hash of it: two names may
share one, which is rare and errs on the strict side by what the other has; nobody can aim at it.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

COLUMNS: Final = 1 << 19
"""Per kind of name. With as many users inside, a column has one on average, and 20 by chance once in 10^19."""
CELL_BYTES: Final = 2
CELL_MAX: Final = 0xFFFF
KINDS: Final = 3
KEY_BYTES: Final = 16


class Headcount(Protocol):
    """Connections by name."""

    def take(self, name: str, most: int) -> bool:
        """Count one in; False (and nothing is counted) if there are `most` already."""

    def remove(self, name: str) -> None:
        """Count one out; of a name that has none, nothing."""


class OwnHeadcount(dict[str, int]):
    """In this process alone."""

    __slots__ = ()

    def take(self, name: str, most: int) -> bool:
        """Count one in."""
        held = self.get(name, 0)
        if held >= most:
            return False
        self[name] = held + 1
        return True

    def remove(self, name: str) -> None:
        """Count one out."""
        left = self.get(name, 0) - 1
        if left > 0:
            self[name] = left
        else:
            self.pop(name, None)


class Table:
    """The shared memory of `rows` processes behind a file descriptor. `key` is the same for all, and nobody else's."""

    def __init__(self, descriptor: int, rows: int, key: bytes) -> None:
        self.rows = rows
        self.key = key
        self.cells = memoryview(mmap.mmap(descriptor, KINDS * COLUMNS * rows * CELL_BYTES)).cast("H")

    @staticmethod
    def size(rows: int) -> int:
        """Bytes of a table; only what is written to takes memory."""
        return KINDS * COLUMNS * rows * CELL_BYTES

    def wipe(self, row: int) -> None:
        """The process of this row is gone, and all its connections with it."""
        own = self.cells[row :: self.rows]
        for start in range(0, len(own), COLUMNS // 64):
            part = own[start : start + COLUMNS // 64]
            for index, value in enumerate(part.tolist()):
                if value:
                    part[index] = 0

    def headcount(self, kind: int, row: int) -> SharedHeadcount:
        """One kind of name as the process of this row counts it."""
        return SharedHeadcount(self, kind, row)


class SharedHeadcount(dict[str, int]):
    """One kind of name in a `Table`; the dict is what this process has of it, which alone it counts out again."""

    __slots__ = ("_cells", "_first", "_key", "_row", "_rows")

    def __init__(self, table: Table, kind: int, row: int) -> None:
        super().__init__()
        self._cells = table.cells
        self._rows = table.rows
        self._key = table.key
        self._first = kind * COLUMNS
        self._row = row

    def take(self, name: str, most: int) -> bool:
        """Count one in, unless all processes together have `most`."""
        at, cells = self._at(name), self._cells
        if sum(cells[at : at + self._rows]) >= most:
            return False
        self[name] = self.get(name, 0) + 1
        cells[at + self._row] = min(cells[at + self._row] + 1, CELL_MAX)
        return True

    def remove(self, name: str) -> None:
        """Count one out."""
        left = self.get(name, 0) - 1
        if left < 0:
            return
        if left:
            self[name] = left
        else:
            del self[name]
        at = self._at(name) + self._row
        self._cells[at] = max(self._cells[at] - 1, 0)

    def _at(self, name: str) -> int:
        digest = blake2b(name.encode(errors="surrogatepass"), digest_size=4, key=self._key).digest()
        return (self._first + int.from_bytes(digest, "little") % COLUMNS) * self._rows


def new_memory(rows: int) -> int:
    """A descriptor of fresh shared memory for a table."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("livecast-headcount", os.MFD_CLOEXEC)
    else:  # not on Linux: a file that has no name any more
        descriptor, name = tempfile.mkstemp(prefix="livecast-headcount-")
        Path(name).unlink()
    os.ftruncate(descriptor, Table.size(rows))
    return descriptor
