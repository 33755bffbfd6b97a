"""The repository keeps its own promises: documents say what the code does, and nothing in it belongs to one machine."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from livecast import __version__
from livecast.core.errors import CODES, RETRYABLE
from livecast.edge.http.app import ROUTES
from livecast.ops.cli import COMMANDS
from livecast.ops.commands.schema import CLIENT, SERVER
from livecast.ops.configuration import reference
from livecast.ops.configuration.settings import SECTIONS, keys_of, load
from livecast.ops.observers import PrometheusObserver

ROOT = Path(__file__).parent.parent
PAGES = (
    "README.md",
    "README.zh-CN.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs/protocol.md",
    "docs/configuration.md",
    "docs/console.md",
    "docs/operations.md",
    "docs/scaling.md",
)


def page(name: str) -> str:
    """The text of a document."""
    return (ROOT / name).read_text(encoding="utf-8")


# --- Settings ---------------------------------------------------------------------------------------------------------
def test_the_example_and_the_reference_are_made_from_the_settings() -> None:
    """`python -m livecast.ops.configuration.reference` would change neither file."""
    assert page("config/livecast.toml") == reference.example()
    assert page("docs/configuration.md") == reference.with_tables(page("docs/configuration.md"))


def test_the_example_names_every_key_with_a_value_that_loads(tmp_path: Path) -> None:
    """Uncommented as a whole, it is what is in force without it."""
    uncommented = re.sub(r"^#(?=[a-z_]+ = )", "", page("config/livecast.toml"), flags=re.MULTILINE)
    document = tomllib.loads(uncommented)
    assert {section: set(keys_of(section)) for section in SECTIONS} == {section: set(table) for section, table in document.items()}
    (tmp_path / "all.toml").write_text(uncommented)
    (tmp_path / "none.toml").write_text(page("config/livecast.toml"))
    everything, nothing = load(file=tmp_path / "all.toml"), load(file=tmp_path / "none.toml")
    for section in SECTIONS:
        for key in keys_of(section):
            assert everything.value(section, key) == nothing.value(section, key) == load().value(section, key), f"[{section}] {key}"


def test_every_key_says_what_it_does() -> None:
    """A key without a sentence is a key nobody dares to change."""
    assert [f"[{key.section}] {key.name}" for key in reference.every_key() if not key.does] == []


# --- Documents --------------------------------------------------------------------------------------------------------
def test_the_protocol_lists_every_error_code_with_its_status() -> None:
    """And says for which of them `retry_after_ms` comes along."""
    text = page("docs/protocol.md").partition("## Errors")[2].partition("## Closing")[0]
    rows = {match[1]: match for match in re.finditer(r"^\| `([a-z_]+)`(\*?) \| (\d{3}) \|", text, re.MULTILINE)}
    assert {code: int(match[3]) for code, match in rows.items()} == {code: status for code, (status, _, _) in CODES.items()}
    assert {code for code, match in rows.items() if match[2]} == RETRYABLE


def test_the_protocol_describes_every_message() -> None:
    """By the word it carries in `t`, with each of its fields."""
    text = page("docs/protocol.md")
    for message in (*CLIENT, *SERVER):
        word = message.__struct_config__.tag
        assert f"`{word}`" in text, f"no {word}"
        for name in message.__struct_encode_fields__:
            assert re.search(rf"[`\"]{name}[`\"?:]", text), f"{word}.{name} is not described"


def test_the_protocol_lists_every_call_of_the_control_plane() -> None:
    """Method and path, `…` standing for `/v1/rooms/{room}`."""
    text = page("docs/protocol.md").partition("## Control plane")[2]
    for route in ROUTES:
        short = route.path.replace("/v1/rooms/{room}/", "…/")
        assert re.search(rf"{route.method} {re.escape(short)}[ `?]", text), f"{route.method} {route.path}"


def test_the_files_that_architecture_points_at_exist() -> None:
    """A rule that moved must take its line along."""
    for path in re.findall(r"`((?:core|wire|edge|shard|adapters|ops|client)/[\w./]+)`", page("ARCHITECTURE.md")):
        assert (ROOT / "livecast" / path).exists(), path


def test_operations_lists_every_metric() -> None:
    """By name, so that an alert can be written from the page."""
    text = page("docs/operations.md")
    names = {family.name for family in PrometheusObserver().registry.collect() if family.name.startswith("livecast_")}
    assert [name for name in sorted(names) if f"`{name}" not in text] == []


def test_the_readme_names_commands_that_exist() -> None:
    """Every `livecast WORD` in a document is a command."""
    for name in PAGES:
        text = page(name)
        shell = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        for word in (*re.findall(r"`livecast ([a-z-]+)`", text), *re.findall(r"(?:^|\()livecast ([a-z-]+)", shell, re.MULTILINE)):
            assert word in COMMANDS, f"{name}: livecast {word}"


def test_the_changelog_knows_this_version() -> None:
    """What is released has an entry; what is not stands under Unreleased."""
    assert re.search(rf"^## \[({re.escape(__version__)}|Unreleased)\]", page("CHANGELOG.md"), re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_links_between_documents_lead_somewhere(name: str) -> None:
    """Relative links point at files of the repository."""
    here = (ROOT / name).parent
    for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page(name)):
        assert (here / link).exists(), f"{name}: {link}"


# --- Files ------------------------------------------------------------------------------------------------------------
def files() -> Iterator[Path]:
    """The repository's own: what is installed and kept in it is not walked through, which is thousands of files."""

    def foreign(name: str) -> bool:
        return name in {".git", ".venv", ".livecast", "node_modules"} or name.endswith("_cache")

    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not foreign(name)]
        yield from (Path(folder, name) for name in names if not foreign(name))


def test_nothing_belongs_to_one_machine() -> None:
    """No home directory and no package registry's address in any file of the repository."""
    suspicious = re.compile(r"/home/[a-z]|/Users/|/root/|index-url|extra-index|registry\.npmjs|files\.pythonhosted")
    checked = 0
    for file in files():
        if file.suffix not in {".py", ".md", ".toml", ".lua", ".json", ""} or file == Path(__file__) or not file.is_file():
            continue
        checked += 1
        assert not suspicious.search(file.read_text(encoding="utf-8", errors="ignore")), file
    assert checked > 50


def test_modules_say_what_they_are() -> None:
    """Every file of the package opens with a docstring."""
    for file in (ROOT / "livecast").rglob("*.py"):
        assert file.read_text(encoding="utf-8").lstrip().startswith(('"""', 'r"""')), file
