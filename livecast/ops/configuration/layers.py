"""Where settings come from: a TOML file, then the environment, then the command line; the later one wins.

This file knows how a value is found and where it stood, not what it means (`settings` does). A value keeps its origin so
that whatever is wrong with it can be named where the reader will look for it.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

PREFIX: Final = "LIVECAST_"
FILE_SUFFIX: Final = "_FILE"
#: A mounted secret is a line or a list of keys; more than this is the wrong file.
FILE_BYTES_MAX: Final = 262_144


class Problem(Struct, frozen=True):
    """One thing wrong with the settings: where it stands and what to do about it."""

    origin: str
    what: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.what}"


class SettingsError(Exception):
    """The settings are wrong; `problems` is all that is wrong with them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Given(Struct, frozen=True):
    """A value as somebody wrote it. `text`: it came as a string that may stand for JSON."""

    value: Any
    origin: str
    text: bool = False
    lines: bool = False
    """A file's content: a list of strings may be written one a line."""


KeyPath = tuple[str, str]
"""Where a setting belongs: its section and its key."""
Layer = dict[KeyPath, Given]


def nearest(name: str, candidates: Iterable[str]) -> str:
    """`, did you mean …?` if something is near, else nothing. 0.6 is difflib's own measure of near."""
    found = difflib.get_close_matches(name.lower(), list(candidates), n=1, cutoff=0.6)
    return f"; did you mean `{found[0]}`?" if found else ""


def from_toml(path: Path, known: Mapping[str, frozenset[str]]) -> tuple[Layer, list[Problem]]:
    """Read a file of sections. Unknown sections and keys are problems, the rest is still read."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, [Problem(str(path), "there is no such file")]
    except (OSError, UnicodeDecodeError) as error:
        return {}, [Problem(str(path), f"cannot be read: {error}")]
    except tomllib.TOMLDecodeError as error:
        return {}, [Problem(str(path), f"is not TOML: {error}")]
    layer: Layer = {}
    problems: list[Problem] = []
    for section, table in document.items():
        where = f"{path} [{section}]"
        if section not in known:
            problems.append(Problem(where, f"there is no such section{_section_hint(section, known)}"))
        elif not isinstance(table, dict):
            problems.append(Problem(f"{path} {section}", f"is a section: write [{section}] and its keys below"))
        else:
            for key, value in table.items():
                if key in known[section]:
                    layer[section, key] = Given(value, f"{where} {key}")
                else:
                    problems.append(Problem(f"{where} {key}", f"there is no such key{_key_hint(section, key, known)}"))
    return layer, problems


def from_environment(environment: Mapping[str, str], known: Mapping[str, frozenset[str]]) -> tuple[Layer, list[Problem]]:
    """Read `LIVECAST_<SECTION>__<KEY>` and `…_FILE`. Variables of ours that name nothing are problems."""
    layer: Layer = {}
    problems: list[Problem] = []
    for name in sorted(environment):
        if not name.startswith(PREFIX):
            continue
        section, separator, key = name.removeprefix(PREFIX).lower().partition("__")
        if not separator:
            problems += _single_underscore(name, known)
            continue
        if section not in known:
            problems.append(Problem(name, f"there is no section [{section}]{_section_hint(section, known)}"))
            continue
        from_file = key not in known[section] and key.endswith(FILE_SUFFIX.lower())
        key = key.removesuffix(FILE_SUFFIX.lower()) if from_file else key
        if key not in known[section]:
            problems.append(Problem(name, f"there is no key {key} in [{section}]{_key_hint(section, key, known)}"))
        elif (section, key) in layer:
            problems.append(Problem(name, f"is given twice: {layer[section, key].origin} says it too"))
        elif from_file:
            problems += _from_file(layer, (section, key), name, Path(environment[name]))
        else:
            layer[section, key] = Given(environment[name], name, text=True)
    return layer, problems


def decoded(given: Given, *, plain: bool, listing: bool) -> Any:
    """The value of a `Given`: text stands for itself where a string is due, and for JSON elsewhere.

    Raises `ValueError` with a sentence if it is neither. `listing`: a list of strings is due.
    """
    if not given.text or plain:
        return given.value
    try:
        return json.loads(given.value)
    except ValueError:
        if listing and given.lines:
            return given.value.split("\n")
        example = '["one", "two"]' if listing else "12, true, [1, 2] or {}"
        raise ValueError(f"is not JSON (write for example {example})") from None


def _from_file(layer: Layer, path: KeyPath, name: str, file: Path) -> list[Problem]:
    try:
        with file.open("rb") as content:
            data = content.read(FILE_BYTES_MAX + 1)
        text = data.decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        return [Problem(name, f"cannot read {file}: {error}")]
    if len(data) > FILE_BYTES_MAX:
        return [Problem(name, f"{file} is larger than {FILE_BYTES_MAX} bytes: is it the right file?")]
    layer[path] = Given(text, f"{name} ({file})", text=True, lines=True)
    return []


def _single_underscore(name: str, known: Mapping[str, frozenset[str]]) -> list[Problem]:
    """`LIVECAST_SERVER_PORT` sets nothing; say what would. Other names of ours (LIVECAST_CONFIG) are the command line's."""
    rest = name.removeprefix(PREFIX).lower()
    for section, keys in known.items():
        key = rest.removeprefix(section + "_")
        if key != rest and (key in keys or nearest(key, keys)):
            right = key if key in keys else difflib.get_close_matches(key, keys, n=1)[0]
            return [Problem(name, f"sets nothing; did you mean `{PREFIX}{section.upper()}__{right.upper()}`?")]
    return []


def _section_hint(section: str, known: Mapping[str, frozenset[str]]) -> str:
    return nearest(section, known) or f"; there are {', '.join(known)}"


def _key_hint(section: str, key: str, known: Mapping[str, frozenset[str]]) -> str:
    if key == "policy" and section == "room":
        return "; a room's policy is written in [room] itself"
    elsewhere = [other for other, keys in known.items() if key in keys]
    if elsewhere:
        return f"; it belongs into [{elsewhere[0]}]"
    return nearest(key, known[section])
