"""The reference of all settings, made from the groups themselves: name, kind, bounds, default and what their docstrings say.

`python -m livecast.ops.configuration.reference` writes `config/livecast.toml` and the tables of `docs/configuration.md` anew;
a test sees to it that both are.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec import inspect as shapes

from livecast.ops.configuration.settings import SECTIONS, keys_of

BEGIN: Final = "<!-- keys: made by python -m livecast.ops.configuration.reference -->"
END: Final = "<!-- end of keys -->"

ABOUT: Final = {
    "server": "Where the node listens, what it lets in, and how it treats slow and silent connections.",
    "node": "What this process is called among others that share its stores, and when one of them is taken for dead.",
    "auth": "Who is who: viewers by token, callers of the control plane by API key or staff token.",
    "redis": "The store of the rooms: frame log, ownership, messages between nodes.",
    "ledger": "The store of the money: wallets, gifts, drops and what was granted of them; and how fast people may claim.",
    "room": "What a new room starts with, and the bounds of every room. Keys marked P can be changed per room while it is live.",
    "gifts": "What can be sent, and how much of it.",
    "webhooks": "How events are kept and delivered to those who asked to be told.",
    "review": "Who outside judges comments before they are shown.",
    "archive": "What is kept for reports, replays and the books, where, and for how long.",
    "log": "What is written to standard error.",
}


class Key(Struct, frozen=True):
    """One key of the configuration."""

    section: str
    name: str
    kind: str
    default: Any
    does: str
    policy: bool = False


def every_key() -> Iterator[Key]:
    """Every key, in the order in which they are listed."""
    for section, groups in SECTIONS.items():
        known = keys_of(section)
        for group in groups:
            says = docstrings(group)
            for field in msgspec.structs.fields(group):
                if known.get(field.name) is not None:
                    yield Key(
                        section,
                        field.name,
                        in_words(shapes.type_info(field.type)),
                        msgspec.to_builtins(field.default if field.default is not msgspec.NODEFAULT else field.default_factory()),
                        says.get(field.name, ""),
                        policy=group.__name__ == "Policy",
                    )


def docstrings(group: type[Struct]) -> dict[str, str]:
    """Field -> the string that stands below it in the source, on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(group))).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{group.__name__} is not a class")
    found: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def in_words(kind: shapes.Type) -> str:  # noqa: PLR0911 - one line for each kind of value
    """What may be written for a type, in words, with its bounds."""
    match kind:
        case shapes.BoolType():
            return "true or false"
        case shapes.IntType() | shapes.FloatType():
            return ("integer" if isinstance(kind, shapes.IntType) else "number") + _range(kind.ge, kind.le)
        case shapes.UnionType(types=types):
            return " or ".join(in_words(each) for each in types)
        case shapes.LiteralType(values=values):
            return " or ".join(f"`{value}`" for value in values)
        case shapes.VarTupleType(item_type=shapes.StructType()):
            return "list of tables"
        case shapes.VarTupleType(item_type=item):
            return "list of " + ("text" if isinstance(item, shapes.StrType) else in_words(item))
        case shapes.StructType():
            return "table"
        case _:
            return "text"


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", {low} or more" if low is not None else ""


def as_toml(value: Any) -> str:
    """A TOML value. JSON is TOML but for tables, and for null, which is left out."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {as_toml(each)}" for key, each in value.items() if each is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_toml(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def example() -> str:
    """A settings file with every key, commented out, at its default."""
    lines = [
        "# Every key of livecast, at its default. Uncomment what you change.",
        "# Each can also be set in the environment: LIVECAST_SERVER__PORT=9000, in JSON where it is not plain text;",
        "# LIVECAST_AUTH__JWT_SECRETS_FILE=/run/secrets/jwt reads the value from a file. `livecast check` tells what is in force.",
    ]
    section = ""
    for key in every_key():
        if key.section != section:
            section = key.section
            lines += ["", "", f"[{section}]", f"# {ABOUT[section].replace(' Keys marked P can', ' Those up to `board` can')}"]
        lines += ["", *textwrap.wrap(key.does, 118, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"#{key.name} = {as_toml(key.default)}")
    return "\n".join(lines) + "\n"


def tables() -> str:
    """The sections as Markdown tables."""
    lines: list[str] = []
    section = ""
    for key in every_key():
        if key.section != section:
            section = key.section
            lines += ["", f"### [{section}]", "", ABOUT[section], "", "| key | value | default | |", "|---|---|---|---|"]
        mark = " P" if key.policy else ""
        does = key.does.replace("|", "\\|")
        lines.append(f"| `{key.name}`{mark} | {key.kind} | `{as_toml(key.default)}` | {does} |")
    return "\n".join(lines[1:]) + "\n"


def with_tables(page: str) -> str:
    """A page with the tables between its marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}{END}{after}"


def main(root: Path) -> None:
    """Write both files anew."""
    (root / "config" / "livecast.toml").write_text(example(), encoding="utf-8")
    page = root / "docs" / "configuration.md"
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
