"""What the tests of the SDK and the pages share: Node with the locked packages, from the PATH or from its wheel."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from livecast.web import build
from support.node import NodeProcess


@pytest.fixture(scope="session")
def tools() -> build.Node:
    """Node, with the packages for tests installed and `dist/` up to date."""
    try:
        return build.prepare(dev=True)
    except build.Unavailable as why:
        return _missing(str(why))


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """A livecast node; each test uses rooms of its own."""
    with NodeProcess() as process:
        yield process


def _missing(why: str) -> build.Node:
    if os.environ.get("LIVECAST_WEB") == "require":
        pytest.fail(why)
    pytest.skip(why)
