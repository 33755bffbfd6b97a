"""The version before this one, out of the repository's history, as a tree whose nodes run beside those of the current one."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

REPOSITORY: Final = Path(__file__).parents[2]
CHOSEN: Final = "LIVECAST_PREVIOUS"
"""An environment variable with a commit to take instead: to try an upgrade from any other one."""
TAGS: Final = "v[0-9]*"
MARKED: Final = ("livecast/core/formats.py", "livecast/core/nodes/formats.py")
"""Where stores' marks of their format are defined. The commit that brought them is the oldest one that this promises to go with."""
INSTALL_S: Final = 300.0


def previous_commit() -> str:
    """What to run beside this: the commit that was chosen, else the last version's tag. Where there is no tag, the last commit that
    had another version in `pyproject.toml`; and where this is the first version, the one since which stores say their format.

    Skips the test where the history does not go back so far.
    """
    if not (REPOSITORY / ".git").exists() or _git("rev-parse", "HEAD") is None:
        pytest.skip("the history of the repository is not here, so there is no version before this one to run beside it")
    if chosen := os.environ.get(CHOSEN):
        commit = _git("rev-parse", "--verify", f"{chosen}^{{commit}}")
        assert commit, f"{CHOSEN}={chosen} names no commit of this repository"
        return commit
    head = _git("rev-parse", "HEAD")
    for tag in (_git("tag", "--list", TAGS, "--merged", "HEAD", "--sort=-version:refname") or "").split():
        commit = _git("rev-parse", f"{tag}^{{commit}}")
        if commit and commit != head:
            return commit
    if _git("rev-parse", "--is-shallow-repository") != "false":
        pytest.skip(f"this clone is shallow, and no earlier version is in it: `git fetch --unshallow --tags`, or {CHOSEN}=COMMIT")
    return _of_another_version() or _marked_first()


def _of_another_version() -> str | None:
    """The last commit of the version before; None: there was none."""
    ours = _version((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    for change in (_git("log", "--format=%H", "-Gversion = ", "--", "pyproject.toml") or "").split():
        former = _git("show", f"{change}^:pyproject.toml")
        if former is not None and _version(former) != ours:
            return _git("rev-parse", f"{change}^")
    return None


def _marked_first() -> str:
    commits = (_git("log", "--diff-filter=A", "--format=%H", "--", *MARKED) or "").split()
    if not commits:
        pytest.skip(f"the history of this repository does not say which commit to run beside this one: {CHOSEN}=COMMIT does")
    return commits[-1]


def _version(project: str) -> str:
    return str(tomllib.loads(project)["project"]["version"])


def environment_of(commit: str, directory: Path) -> dict[str, str]:
    """What makes `livecast` that of a commit: its tree comes before ours, and what it needs otherwise than we do before that."""
    tree = directory / "tree"
    tree.mkdir(parents=True)
    with subprocess.Popen(
        ["git", "archive", commit, "livecast", "pyproject.toml"], cwd=REPOSITORY, stdout=subprocess.PIPE
    ) as archive:
        subprocess.run(["tar", "-x", "-C", str(tree)], stdin=archive.stdout, check=True, timeout=60)
    assert archive.returncode == 0
    places = [tree]
    if wanted := _not_installed(tree):
        target = directory / "needs"
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), *wanted]
        done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=INSTALL_S)
        assert done.returncode == 0, f"what {commit} needs cannot be installed: {done.stderr[-2000:]}"
        places.insert(0, target)
    environment = {"PYTHONPATH": os.pathsep.join(map(str, places))}
    asked = [sys.executable, "-c", "import livecast; print(livecast.__file__)"]
    found = subprocess.run(  # from elsewhere: `-c` looks into the working directory first, the command `livecast` does not
        asked, capture_output=True, text=True, check=True, env={**os.environ, **environment}, timeout=60, cwd=directory
    )
    assert found.stdout.startswith(str(tree)), f"{found.stdout} would be run instead of {commit}"
    return environment


def _not_installed(tree: Path) -> list[str]:
    """Requirements of that version which our environment does not meet."""
    needs = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return [need for need in needs if not _is_met(Requirement(need))]


def _is_met(need: Requirement) -> bool:
    try:
        return need.specifier.contains(importlib.metadata.version(need.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
