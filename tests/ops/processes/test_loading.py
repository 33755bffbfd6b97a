"""Loading without collection."""

from __future__ import annotations

import gc

import pytest

from livecast.ops.processes.loading import no_collection


def test_it_is_off_inside_and_on_again_behind() -> None:
    """Also when something goes wrong inside."""
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), no_collection():
        raise ImportError
    assert gc.isenabled()
