"""What the documents show, run as it stands there."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from support.node import NodeProcess, token

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "protocol.md"
BIN = Path(sys.executable).parent


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


def bash(script: str, folder: Path, node: NodeProcess | None = None) -> str:
    """What a script prints, run in a folder as it stands in a document: only the node is another one."""
    if node is not None:
        script = script.replace("http://127.0.0.1:8080", node.base)
    env = {**os.environ, "LIVECAST_URL": "" if node is None else node.base, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def blocks(name: str, chapter: str) -> list[str]:
    """What a chapter of a README shows of commands."""
    text = (ROOT / name).read_text(encoding="utf-8").partition(f"## {chapter}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_both_readmes_sell_alike() -> None:
    """The same commands, but for comments and titles."""
    bare = [
        [re.sub(r' +# .*|(?<="title": )"[^"]*"', "", block) for block in blocks(*where)]
        for where in (("README.md", "Sell something"), ("README.zh-CN.md", "卖点东西"))
    ]
    assert bare[0] == bare[1]
    assert len(bare[0]) == 4


def test_a_host_runs_a_room_as_the_readme_says(node: NodeProcess, tmp_path: Path) -> None:
    """Filter, held comment, poll, shelf, ban, panic and log, in both languages the same commands."""
    chapters = [blocks(*where) for where in (("README.md", "Run the room"), ("README.zh-CN.md", "管好直播间"))]
    bare = [[re.sub(r" +# .*", "", block) for block in chapter] for chapter in chapters]
    assert bare[0] == bare[1]
    console, evening = chapters[0]
    assert "/host/demo#token=ey" in bash(console, tmp_path, node)
    said = bash(evening, tmp_path, node)
    assert '"verdict":"held"' in said
    assert '"action":"approve"' in said
    assert '"on_air":"lipstick"' in said
    assert '"redacted":1' in said
    assert "Which colour? red 0, blue 0" in said
    audit = json.loads(said.splitlines()[-1])
    assert [act["action"] for act in audit["data"]][:5] == ["panic", "ban", "on_air", "put_product", "open_poll"]


def test_one_sells_as_the_readme_says(tmp_path: Path) -> None:
    """A key, a node that knows it, a drop that is seen to sell out in the terminal, and the list of who won what."""
    with_key, sale, tail, clicks = blocks("README.md", "Sell something")
    before, serve = with_key.split("livecast serve")
    assert serve.split() == ["--dev"]
    keys = bash(before + 'echo "$LIVECAST_AUTH__API_KEYS"', tmp_path)
    with NodeProcess(env={"LIVECAST_AUTH__API_KEYS": keys.strip()}) as node:
        watching = f"{tail.split('#')[0].strip()} --plain > seen.txt & watching=$!\n"
        until_seen = "for i in $(seq 300); do grep -q 'sold out' seen.txt && break; sleep 0.1; done; kill $watching\n"
        ready = "for i in $(seq 300); do grep -q 'of 3 left' seen.txt && break; sleep 0.1; done\n"
        said = bash(f"{sale}\n{watching}{ready}{clicks}\n{until_seen}", tmp_path, node)
    answers = [json.loads(answer) for answer in re.findall(r'\{"t":"ack".*?\}', said)]
    won = [answer for answer in answers if answer["verdict"] == "won"]
    assert [answer["serial"] for answer in won] == [1, 2, 3]
    assert '"verdict":"sold_out"' in said
    rows = list(csv.DictReader(io.StringIO(said[said.index("serial,user") :])))
    assert [(row["user"], row["code"]) for row in rows] == [(u, a["code"]) for u, a in zip(("ann", "bob", "cyd"), won, strict=True)]
    seen = (tmp_path / "seen.txt").read_text(encoding="utf-8")
    assert re.search("3 of 3 left(.|\n)*sold out, 0 of 3 left", seen)
