"""What is stored, and what goes between nodes, as data: each struct with its fields, their types and defaults, and each tuple.

`python -m support.shapes` (in tests/) prints them as they are now, for `tests/wire/recorded/shapes-VERSION.json`.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any, Final

import msgspec
from msgspec import inspect

from livecast import __version__
from livecast.adapters.redis import claims as redis_claims
from livecast.adapters.redis import ledger_entries as redis_ledger_entries
from livecast.adapters.redis import messages as redis_messages
from livecast.core.books import checkpoint
from livecast.core.books.inventory import BookedGift
from livecast.core.commands import COMMANDS
from livecast.core.filter.filters import FilterLists
from livecast.core.frames import Frame, Snapshot, StaffAct
from livecast.core.money import drops, gifts
from livecast.core.money.coins import Gift
from livecast.core.money.draw import DrawResult
from livecast.core.money.units import Drop, Entrant, Order, Unit
from livecast.core.nodes.formats import FORMAT, READER, Mark
from livecast.core.nodes.membership import Beat
from livecast.core.staff.sanctions import Sanction
from livecast.core.webhooks.deliveries import Delivery, Endpoint, WebhookEvent
from livecast.ops.commands.backup import Manifest
from livecast.ops.processes.line import ToSupervisor, ToWorker
from livecast.wire import records

#: By what they are; a decoder's type where the code has no other name for it.
ROOTS: Final[dict[str, Any]] = {
    "frame of a log": Frame,
    "snapshot": Snapshot,
    "acts of staff": list[StaffAct],
    "notes of a commit": records.Notes,
    "remembered answers": list[records._StoredAnswer],
    "sign of life": Beat,
    "mark": Mark,
    "notice": redis_messages._notices.type,
    "events": redis_messages._events.type,
    "replies": redis_messages._replies.type,
    "published": redis_messages.Told,
    **{f"event {name}": type_ for type_, name in redis_messages._EVENT_KINDS.items()},
    **{f"answer {name}": type_ for type_, name in redis_messages._ANSWER_KINDS.items()},
    **{f"command {name}": type_ for name, type_ in COMMANDS.items()},
    "gift": Gift,
    "order": Order,
    "unit": redis_claims.Record,
    "entrants": list[tuple[str, str, str, int]],
    "about a drop": drops.About,
    "about a gift": gifts.About,
    "result of a draw": DrawResult,
    "webhook endpoint": Endpoint,
    "webhook event": WebhookEvent,
    "webhook delivery": Delivery,
    "word lists": FilterLists,
    "sanction": Sanction,
    "head of a checkpoint": checkpoint._Head,
    "part of a checkpoint": checkpoint._Part,
    **{f"{name} of a checkpoint": decoder.type for name, decoder in checkpoint._ROWS.items()},
    "manifest of a backup": Manifest,
    "line to a worker": ToWorker,
    "line to the supervisor": ToSupervisor,
}
SAME_NAMES: Final = {drops.About: "AboutDrop", gifts.About: "AboutGift"}
WHOLE: Final = (drops.Eligibility, drops.AtLeast)
"""What is asked of claimants: a condition that is not known is not left out, or everybody would have what is for some."""
TEXTS: Final = ("a", "eur", "x.a", "a" * 64)
"""One of them is of each pattern that there is."""
AS_TUPLES: Final = (Unit, Entrant, BookedGift, Drop)
"""Structs of which rows or hashes are made field by field."""


def shapes() -> dict[str, Any]:
    """All of it."""
    found: dict[str, Any] = {}
    roots = {name: _spelled(inspect.type_info(type_), found) for name, type_ in ROOTS.items()}
    rows = {type_.__name__: list(type_.__struct_fields__) for type_ in AS_TUPLES}
    kinds = sorted(redis_ledger_entries._FACTS)
    return {
        "livecast": __version__,
        "format": FORMAT,
        "reader": READER,
        "roots": roots,
        "structs": dict(sorted(found.items())),
        "rows": rows,
        "ledger entries": kinds,
    }


def complaints(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What a version that has `then` could not read of what one that has `now` writes, or the other way round."""
    wrong = [f"{name} was {was}, and is {now['roots'].get(name, 'gone')}" for name, was in then["roots"].items()
             if now["roots"].get(name) != was]  # fmt: skip
    for name, was in then["structs"].items():
        struct = now["structs"].get(name)
        if struct is None:
            wrong.append(f"{name} is gone")
        else:
            wrong += [f"{name}: {each}" for each in _of_struct(was, struct)]
    wrong += [f"rows of {name} were {was}, and are {now['rows'].get(name)}" for name, was in then["rows"].items()
              if now["rows"].get(name) != was]  # fmt: skip
    wrong += [
        f"ledger entries {kind!r} are not read any more" for kind in then["ledger entries"] if kind not in now["ledger entries"]
    ]
    return wrong


def _of_struct(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    wrong = [f"{what} was {was[what]}, and is {now[what]}" for what in ("array", "tag") if was[what] != now[what]]
    fields = now["fields"]
    wrong += [
        f"{name} was {how}, and is {fields.get(name, 'gone')}" for name, how in was["fields"].items() if fields.get(name) != how
    ]
    added = {name: how for name, how in fields.items() if name not in was["fields"]}
    wrong += [f"{name} is new and has no default" for name, how in added.items() if " = " not in how]
    if was["array"] and list(fields)[: len(was["fields"])] != list(was["fields"]):
        wrong.append(f"its array was {list(was['fields'])}, and is {list(fields)}")
    return wrong


def _spelled(kind: Any, found: dict[str, Any]) -> str:  # noqa: PLR0911 - a case for each kind of type
    match kind:
        case inspect.StructType():
            name = SAME_NAMES.get(kind.cls, kind.cls.__name__)
            if name not in found:
                found[name] = {}
                found[name] = _struct(kind, found)
            return name
        case inspect.UnionType():
            return " | ".join(sorted(_spelled(each, found) for each in kind.types))
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            return f"[{_spelled(kind.item_type, found)}]"
        case inspect.TupleType():
            return f"({', '.join(_spelled(each, found) for each in kind.item_types)})"
        case inspect.DictType():
            return f"{{{_spelled(kind.key_type, found)}: {_spelled(kind.value_type, found)}}}"
        case inspect.LiteralType():
            return " | ".join(sorted(map(repr, kind.values)))
        case inspect.Metadata():
            return _spelled(kind.type, found)
        case inspect.NoneType():
            return "null"
        case _:
            return type(kind).__name__.removesuffix("Type").lower()


def _struct(kind: inspect.StructType, found: dict[str, Any]) -> dict[str, Any]:
    fields = {}
    for field in kind.fields:
        spelled = _spelled(field.type, found)
        if field.default is not msgspec.NODEFAULT:
            spelled += f" = {field.default!r}"
        elif field.default_factory is not msgspec.NODEFAULT:
            spelled += f" = {field.default_factory()!r}"
        fields[field.encode_name] = spelled
    return {"array": kind.array_like, "tag": kind.tag, "fields": fields}


def later(type_: Any) -> Any:
    """Something of a type as a later version could have written it: each map of a struct has a field more, each array of one an
    element more, as deep as it goes.
    """
    return _later(inspect.type_info(type_))


def _later(kind: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - a case for each kind of type
    match kind:
        case inspect.StructType(array_like=True):
            return [*([kind.tag] if kind.tag_field else []), *(_later(field.type) for field in kind.fields), {"later": 1}]
        case inspect.StructType():
            tagged = {kind.tag_field: kind.tag} if kind.tag_field else {}
            more = {} if kind.cls in WHOLE else {"what a later version adds": [1]}
            return {**tagged, **{field.encode_name: _later(field.type) for field in kind.fields}, **more}
        case inspect.UnionType():
            return _later(next(each for each in kind.types if not isinstance(each, inspect.NoneType)))
        case inspect.ListType() | inspect.VarTupleType():
            return [_later(kind.item_type)] * max(1, kind.min_length or 0)
        case inspect.TupleType():
            return [_later(each) for each in kind.item_types]
        case inspect.DictType():
            return {_later(kind.key_type): _later(kind.value_type)}
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.Metadata():
            return _later(kind.type)
        case inspect.IntType() | inspect.FloatType():
            return kind.ge if kind.ge is not None else 1
        case inspect.StrType():
            return next(each for each in TEXTS if re.search(kind.pattern or "", each) and len(each) >= (kind.min_length or 0))
        case inspect.BytesType():
            return b"b"
        case inspect.BoolType():
            return True
        case _:
            return 1


if __name__ == "__main__":
    sys.stdout.write(json.dumps(shapes(), indent=1, ensure_ascii=False) + "\n")
