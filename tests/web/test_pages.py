"""The pages as files: what a node says of them to a browser."""

from __future__ import annotations

import re
import urllib.error
import urllib.request

import pytest

from livecast.web import build
from support.node import NodeProcess


def test_files_are_kept_by_browsers_and_pages_are_not(tools: build.Node, node: NodeProcess) -> None:
    """Entity tags, compression, a year for what has its digest in its name, and the policy on pages."""
    assert tools
    with urllib.request.urlopen(f"{node.base}/r/any") as page:
        html = page.read().decode()
        assert page.headers["Cache-Control"] == "no-cache"
        policy = page.headers["Content-Security-Policy"]
        tag = page.headers["ETag"]
    assert "unsafe" not in policy
    assert "script-src 'self';" in policy
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|style=|https?://", html)
    script = re.search(r'src="(/assets/[^"]+\.js)"', html)
    assert script
    with urllib.request.urlopen(urllib.request.Request(node.base + script[1], headers={"Accept-Encoding": "gzip"})) as asset:
        assert "immutable" in asset.headers["Cache-Control"]
        assert asset.headers["Content-Encoding"] == "gzip"
        assert asset.headers["Content-Type"].startswith("text/javascript")
    request = urllib.request.Request(f"{node.base}/r/any", headers={"If-None-Match": tag})
    with pytest.raises(urllib.error.HTTPError, match="304"):
        urllib.request.urlopen(request)
