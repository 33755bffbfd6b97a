"""Asking a running node over HTTP with an API key: what `report`, `export`, `moderate` and `user` share."""

from __future__ import annotations

import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote, urlencode

import click
import msgspec

from livecast.ops.configuration.groups import DEV_KEY
from livecast.ops.people.visitors import reader_options

ANSWER_S: Final = 60.0
"""A report takes a second or two; between two pieces of a long file nothing takes longer."""
PIECE_BYTES: Final = 65_536


def asker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--url`, `--api-key`. They go into `Node`."""
    key = click.option(
        "--api-key",
        envvar="LIVECAST_API_KEY",
        metavar="KEY",
        help="An API key of the node. Better in the environment (LIVECAST_API_KEY). Without it: that of --dev.",
    )
    return reader_options(key(command))


class Node:
    """A running node. What it refuses comes out as `click.ClickException`, in its own words."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self._url = url.rstrip("/")
        self._key = api_key or DEV_KEY

    def json(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str | None) -> Any:
        """The answer of a call. What is None of the body or the query is left out."""
        with self.open(method, path, body, **query) as answer:
            return msgspec.json.decode(answer.read())

    def save(self, path: str, to: Path | None, **query: str | None) -> int:
        """Write an answer to a file (None: to standard output), piece by piece; how many bytes it had."""
        with self.open("GET", path, None, **query) as answer, written(to) as out:
            n_bytes = 0
            while piece := answer.read(PIECE_BYTES):
                out.write(piece)
                n_bytes += len(piece)
            return n_bytes

    @contextmanager
    def open(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str | None) -> Iterator[IO[bytes]]:
        """An answer, to be read."""
        asked = {name: value for name, value in query.items() if value is not None}
        url = f"{self._url}{path}" + (f"?{urlencode(asked)}" if asked else "")
        if not url.startswith(("http://", "https://")):
            raise click.ClickException("--url must begin with http:// or https://.")
        headers, data = {"Authorization": f"Bearer {self._key}"}, None
        if body is not None:
            data = msgspec.json.encode({name: value for name, value in body.items() if value is not None})
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - looked at above
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 - likewise
                yield answer
        except urllib.error.HTTPError as refused:
            raise click.ClickException(_words(refused)) from None
        except (OSError, http.client.HTTPException) as fault:
            raise click.ClickException(f"{self._url} does not answer, or broke off: {fault}") from None


def segment(value: str) -> str:
    """A part of a path."""
    return quote(value, safe="")


def _words(refused: urllib.error.HTTPError) -> str:
    try:
        problem = msgspec.json.decode(refused.read(PIECE_BYTES))
        faults = "; ".join(f"{each['pointer']}: {each['detail']}" for each in problem.get("errors") or [])
        return f"{problem.get('detail') or problem['title']} {faults}".strip() + f" (HTTP {refused.code})"
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return f"HTTP {refused.code}"


@contextmanager
def written(to: Path | None) -> Iterator[IO[bytes]]:
    """A file to write to (None: standard output). One that was there is replaced only at the end, if there was no fault."""
    if to is None:
        yield sys.stdout.buffer
        return
    part = to.with_name(f".{to.name}.part")
    try:
        with part.open("wb") as out:
            yield out
        part.replace(to)
    except OSError as fault:
        raise click.ClickException(f"{to} cannot be written: {fault.strerror or fault}") from None
    finally:
        part.unlink(missing_ok=True)
