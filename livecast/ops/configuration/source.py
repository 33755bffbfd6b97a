"""Where a running service finds its settings again when it is told to look: the same file, environment and options."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from livecast.ops.configuration.layers import Given, KeyPath, Layer, SettingsError, from_environment, from_toml
from livecast.ops.configuration.settings import KNOWN, Settings, load, put_together
from livecast.ops.processes.line import Entry

#: What holds as long as the process that was started lives: where it listens, and where its own stores are.
FOR_GOOD: Final[frozenset[KeyPath]] = frozenset({("server", "host"), ("server", "port"), ("server", "data_dir")})
#: ... and whether it has stores of its own.
STORES: Final[tuple[KeyPath, ...]] = (("redis", "url"), ("ledger", "url"))


class Source(Struct, frozen=True):
    """What `livecast serve` was called with."""

    file: Path | None
    options: Mapping[KeyPath, Given]
    dev: bool

    def read(self) -> tuple[Settings, Layer]:
        """The settings, and what they were made of. Raises `SettingsError` with everything that is wrong."""
        in_file, problems = from_toml(self.file, KNOWN) if self.file else ({}, [])
        in_environment, wrong = from_environment(os.environ, KNOWN)
        layer, hidden = put_together(in_file, in_environment, dict(self.options))
        problems += [*wrong, *hidden]
        try:
            settings = load(options=layer, dev=self.dev)
        except SettingsError as error:
            raise SettingsError([*problems, *error.problems]) from None
        if problems:
            raise SettingsError(problems)
        return settings, layer


def fixed(old: Settings, new: Settings) -> list[KeyPath]:
    """Keys whose new values only a new start can follow."""
    changed = [path for path in sorted(FOR_GOOD) if old.value(*path) != new.value(*path)]
    return changed + [path for path in STORES if bool(old.value(*path)) != bool(new.value(*path))]


def entries(layer: Layer) -> list[Entry]:
    """Settings as they go over the line."""
    return [Entry(*path, given.value, given.origin, given.text, given.lines) for path, given in layer.items()]


def layer_of(sent: Iterable[Entry]) -> Layer:
    """... and as they come out of it."""
    return {(each.section, each.key): Given(each.value, each.origin, each.text, each.lines) for each in sent}
