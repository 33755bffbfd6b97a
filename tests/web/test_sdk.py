"""The client SDK: its own tests, its types, its size, and the script of its README against a real node."""

from __future__ import annotations

import gzip
import re
import subprocess
import tarfile
from pathlib import Path

from livecast.web import build
from support.node import NodeProcess, token

GZIPPED_MAX = 20_000


def run(tools: build.Node, *words: str | Path, cwd: Path = build.WEB) -> str:
    """Run a script with Node; what it said."""
    done = subprocess.run([tools.node, *words], cwd=cwd, env=tools.env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_its_own_tests(tools: build.Node) -> None:
    """Vitest: both codecs and the view on the shared vectors, coming back, asking again, other ways, time."""
    said = run(tools, "node_modules/vitest/vitest.mjs", "run", "--reporter=dot")
    assert re.search(r"Tests\s+\d{3,} passed", said), said


def test_its_types(tools: build.Node) -> None:
    """Strict, the pages included."""
    run(tools, "node_modules/typescript/bin/tsc", "--noEmit")


def test_its_size(tools: build.Node) -> None:
    """A page on a phone loads it before anything is seen."""
    assert tools
    assert 5_000 < len(gzip.compress((build.DIST / "sdk" / "livecast.js").read_bytes(), 9)) < GZIPPED_MAX


def test_the_script_of_the_readme(tools: build.Node, node: NodeProcess, tmp_path: Path) -> None:
    """As it stands there, with the package that npm would publish, against `livecast serve`; and the package has its types."""
    script = re.search(r"```js\n(.*?)```", (build.WEB / "client" / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert script
    assert len(script[1].splitlines()) <= 10
    pack = [*tools.npm, "pack", "--pack-destination", str(tmp_path)]
    done = subprocess.run(pack, cwd=build.WEB / "client", env=tools.env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (tarball,) = tmp_path.glob("livecast-client-*.tgz")
    package = tmp_path / "node_modules" / "@livecast" / "client"
    with tarfile.open(tarball) as packed:
        packed.extractall(tmp_path, filter="data")
    package.parent.mkdir(parents=True)
    (tmp_path / "package").rename(package)
    assert "export declare class LivecastClient" in (package / "dist" / "types" / "client.d.ts").read_text(encoding="utf-8")
    (tmp_path / "hello.mjs").write_text(script[1], encoding="utf-8")
    said = run(tools, "hello.mjs", node.base, "readme", token("ann", name="安"), cwd=tmp_path)
    assert "安: hello from Node" in said
    assert re.search(r"^shown live (websocket|sse)$", said, re.MULTILINE), said
