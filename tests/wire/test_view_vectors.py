"""What views in other languages are held against is what our own view says."""

from __future__ import annotations

import json

from support.view_vectors import FILE, rows


def test_the_vectors_are_what_the_view_says() -> None:
    """`python tests/support/view_vectors.py` would change nothing."""
    assert json.loads(FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(rows()))
