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
"""An environment variable with a commit to take instead of the last tag: to try an upgrade before there is one to try it from."""
TAGS: Final = "v[0-9]*"
INSTALL_S: Final = 300.0


def previous_commit() -> str:
    """What to run beside this: the commit that was chosen, else the last version's tag. Skips the test where there is none."""
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
    pytest.skip(f"no version was tagged before this commit (or the tags were not fetched); {CHOSEN} can name a commit instead")


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
