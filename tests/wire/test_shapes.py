"""What is stored, and what goes between nodes, keeps a shape that other versions can read.

`recorded/shapes-VERSION.json` says how everything looked in a version. A change that makes a test here fail would be misread by
nodes of that version, on the same stores or after a rollback, or makes what they wrote unreadable. Then:

- a new field of a struct needs a default; what means something else needs another name, and the old one stays;
- what only this version could read is read now and written by the next version: raise `FORMAT` (see `core/nodes/formats.py`);
- if no such version was ever released, record its shapes anew: in `tests`,
  `python -m support.shapes > wire/recorded/shapes-0.1.json`.

Bounds of numbers and texts are not held here: one that is narrowed must still take what was written under the wider one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from livecast import __version__
from livecast.adapters.redis import claims as redis_claims
from livecast.adapters.redis import messages as redis_messages
from livecast.adapters.redis import money as redis_money
from livecast.adapters.redis import roster as redis_roster
from livecast.adapters.redis import webhooks as redis_webhooks
from livecast.core.commands import COMMANDS
from livecast.core.events import Command, Origin, Person
from livecast.core.money import drops, gifts
from livecast.shard import house
from livecast.wire import records
from support.shapes import ROOTS, complaints, later, shapes

RECORDED = sorted((Path(__file__).parent / "recorded").glob("shapes-*.json"))
encode = msgspec.msgpack.Encoder().encode


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_other_versions_can_read_it(file: Path) -> None:
    """... and we what they wrote. The module's docstring says what to do about it."""
    assert complaints(json.loads(file.read_text(encoding="utf-8")), shapes()) == []


def test_this_version_is_recorded() -> None:
    """Whoever comes next is held to it. When the version is raised, its shapes are recorded as the docstring above says."""
    minor = ".".join(__version__.split(".")[:2])
    assert f"shapes-{minor}.json" in {file.name for file in RECORDED}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s["structs"]["Frame"]["fields"].pop("likes"), "Frame: likes was Likes | null = None, and is gone"),
        (lambda s: s["structs"]["Frame"]["fields"].update(seq="str"), "Frame: seq was int, and is str"),
        (lambda s: s["structs"]["Frame"]["fields"].update(mood="str"), "Frame: mood is new and has no default"),
        (lambda s: s["structs"]["Frame"]["fields"].update(mood="str = ''"), None),
        (lambda s: s["structs"].pop("Beat"), "Beat is gone"),
        (lambda s: s["structs"]["Beat"].update(array=True), "Beat: array was False, and is True"),
        (lambda s: s["roots"].update(unit="(int)"), "unit was (int, str, str, str, int, int, int), and is (int)"),
        (lambda s: s["rows"]["Unit"].append("mood"), "rows of Unit were"),
        (lambda s: s["ledger entries"].remove("gift"), "ledger entries 'gift' are not read any more"),
        (lambda s: s["ledger entries"].append("loan"), None),
    ],
)
def test_changes_are_noticed(change: Callable[[Any], object], said: str | None) -> None:
    """What breaks others is told, what does not is not."""
    then, now = shapes(), json.loads(json.dumps(shapes()))
    change(now)
    found = complaints(then, now)
    assert [each for each in found if said is None or not each.startswith(said)] == []
    assert bool(found) is (said is not None)


READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "frame of a log": records.decode_frame,
    "snapshot": records.decode_snapshot,
    "acts of staff": records.decode_acts,
    "notes of a commit": records.decode_notes,
    "remembered answers": records.decode_remembered,
    "sign of life": redis_roster._beat.decode,
    "published": lambda data: redis_messages.decode_published(data, ()),
    "notice": redis_messages.decode_notices,
    "gift": redis_money.decode_gift,
    "order": redis_claims.decode_order,
    "about a drop": drops._decode_about,
    "about a gift": gifts._decode_about,
    "webhook endpoint": redis_webhooks._endpoint,
    "webhook event": redis_webhooks._event,
    "webhook delivery": redis_webhooks._delivery,
    "word lists": house._lists.decode,
    "sanction": house._sanction.decode,
}
"""How each is read where it is used."""


@pytest.mark.parametrize("name", READERS)
def test_fields_of_later_versions_are_ignored(name: str) -> None:
    """However deep they are, in everything that is stored or sent."""
    value = later(ROOTS[name])
    if name == "frame of a log":
        value["tally"]["in"] = 5  # it has to add up
    if name == "published":
        value["replies"] = {}
    if name == "remembered answers":
        value[0][6:] = []  # an answer is a verdict or a refusal
    assert READERS[name](encode(value)) is not None


@pytest.mark.parametrize("name", [name.removeprefix("event ") for name in ROOTS if name.startswith("event ")])
def test_fields_of_later_events_are_ignored(name: str) -> None:
    """On their way from node to node; an event of a kind that is not known is left out, and those around it are heard."""
    value = later(ROOTS[f"event {name}"])
    if name == "command":
        value |= {"name": "ensure", "args": {}}
    sing = {**_command(), "name": "sing", "args": {}}
    message = encode([["r", "of a later version", {}], ["r", name, value], ["r", "command", sing]])
    ((room, _),) = redis_messages.decode_events(message)
    assert room == "r"


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_of_later_commands_are_ignored(name: str) -> None:
    """What a node of a later version asks a room of this one."""
    args = later(COMMANDS[name])
    ((_, event),) = redis_messages.decode_events(encode([["r", "command", {**_command(), "name": name, "args": args}]]))
    assert isinstance(event.args, COMMANDS[name])  # type: ignore[union-attr]  # it is a command


@pytest.mark.parametrize("name", [name.removeprefix("answer ") for name in ROOTS if name.startswith("answer ")])
def test_fields_of_later_answers_are_ignored(name: str) -> None:
    """On their way back; likewise."""
    value = later(ROOTS[f"answer {name}"])
    message = encode([[1, "c", "of a later version", {}], [2, "c", name, value]])
    assert [reply.asker for reply in redis_messages.decode_replies(message)] == [2]


def _command() -> dict[str, Any]:
    made = Command(Origin("n", 1), Person("h", "H"), "ensure", COMMANDS["ensure"]())
    value: dict[str, Any] = msgspec.to_builtins(made)
    return value
