"""The pages as files: what a node says of them to a browser."""

from __future__ import annotations

import gzip
import re
import urllib.error
import urllib.request

import pytest

from livecast.edge.http.pages import policy
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


def test_pages_are_small(tools: build.Node) -> None:
    """What a telephone loads before it shows a room: at most 150 KB. Players and proofs are loaded when they are asked for."""
    assert tools
    for name, most_kb in (("viewer", 100), ("receipt", 40), ("overlay", 60)):  # the viewer's promise is 150
        html = (build.DIST / name / "index.html").read_text(encoding="utf-8")
        parts = re.findall(r'(?:src|href)="/(assets/[^"]+)"', html)
        assert parts
        size = sum(len(gzip.compress((build.DIST / part).read_bytes(), 9)) for part in parts)
        assert size < most_kb * 1000, f"{name}: {size} bytes of {parts}"
        assert not any("hls" in part for part in parts)


def test_what_pages_may_load(tools: build.Node, node: NodeProcess) -> None:
    """Beside the node itself nothing, unless the configuration names origins."""
    assert tools
    with urllib.request.urlopen(f"{node.base}/r/any") as page:
        assert "://" not in page.headers["Content-Security-Policy"]
    allowed = policy(["https://cdn.example"])
    directives = dict(part.strip().split(" ", 1) for part in allowed.split(";"))
    assert {name for name, sources in directives.items() if "https://cdn.example" in sources} == {
        "img-src",
        "media-src",
        "connect-src",
    }
