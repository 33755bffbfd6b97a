"""Loading modules without looking for garbage among them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """For blocks that import much: what they make is kept, and to look at it again and again costs a fifth of the time to start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
