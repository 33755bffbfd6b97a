"""What the documents show, run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.node import NodeProcess, token

PAGE = Path(__file__).parent.parent.parent / "docs" / "protocol.md"


def test_the_client_of_the_protocol_page_works(node: NodeProcess) -> None:
    """Copied from the page, it joins, says its word, and prints the answer and its comment out of a frame."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    code = code.replace("ws://127.0.0.1:8080", node.ws).replace('watch("demo")', f'watch("demo", "{token("ada", name="Ada")}")')
    client = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        assert client.stdout is not None
        first, second = client.stdout.readline(), client.stdout.readline()
    finally:
        client.kill()
        client.communicate()
    assert "'verdict': 'shown'" in first
    assert second.split() == ["Ada", "你好"]
