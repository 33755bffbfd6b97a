"""Reading what a later version wrote into structs that refuse unknown fields.

What people send is held to what we know: a misspelt member is an error. But the same structs are stored and sent between nodes,
where a field that is not known is one that the next version has added: there it is left out, and the rest counts. (Not so what a
drop asks of claimants: `core.drops.Eligibility` stays strict, because to leave out a condition is to give something away.)
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct, inspect

T = TypeVar("T")


class Reader(Generic[T]):
    """A decoder of MessagePack to which unknown fields are nothing, however deep they are."""

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        self._strict = msgspec.msgpack.Decoder(type_)

    def decode(self, data: bytes | msgspec.Raw) -> T:
        """Raises `msgspec.DecodeError`. What has no unknown fields takes no longer than ever."""
        try:
            return self._strict.decode(data)
        except msgspec.ValidationError:
            return tolerant(msgspec.msgpack.decode(data), self._type)


def tolerant(value: Any, type_: type[T]) -> T:
    """As `msgspec.convert`, without the fields that `type_` does not know. Raises `msgspec.ValidationError`."""
    asked: Any = type_
    try:
        return msgspec.convert(value, type_, builtin_types=(bytes,))
    except msgspec.ValidationError:
        return msgspec.convert(_known_part(value, _info(asked)), type_, builtin_types=(bytes,))


def without_unknown(value: Any, type_: Any) -> Any:
    """What of `value` a type knows, unchecked."""
    return _known_part(value, _info(type_))


def members(value: dict[str, Any], default: T) -> T:
    """A struct of those members of `value` that are known and valid by themselves, the others as in `default`."""
    type_: Any = type(default)
    known: dict[str, Any] = {}
    for field in msgspec.structs.fields(type_):
        if field.encode_name in value:
            with suppress(msgspec.ValidationError):
                part = tolerant({field.encode_name: value[field.encode_name]}, _only(type_, field.name))
                known[field.name] = getattr(part, field.name)
    changed: T = msgspec.structs.replace(default, **known)  # type: ignore[type-var]  # it is a struct
    return changed


def _known_part(value: Any, info: inspect.Type) -> Any:
    """`value` without what its type does not know."""
    match info:
        case inspect.StructType(array_like=False) if isinstance(value, dict):
            fields = {field.encode_name: field.type for field in info.fields}
            tagged = {info.tag_field: value[info.tag_field]} if info.tag_field in value else {}
            return tagged | {name: _known_part(value[name], kind) for name, kind in fields.items() if name in value}
        case inspect.UnionType(types=types):
            structs = [each for each in types if not isinstance(each, inspect.NoneType)]
            return _known_part(value, structs[0]) if len(structs) == 1 else value
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item) if isinstance(value, (list, tuple)):
            return [_known_part(each, item) for each in value]
        case inspect.DictType(value_type=kind) if isinstance(value, dict):
            return {name: _known_part(each, kind) for name, each in value.items()}
        case inspect.Metadata(type=kind):
            return _known_part(value, kind)
        case _:
            return value


@lru_cache
def _info(type_: Any) -> inspect.Type:
    return inspect.type_info(type_)


@lru_cache
def _only(type_: Any, name: str) -> type[Struct]:
    """A struct of one member of another."""
    hints = {field.name: field.type for field in msgspec.structs.fields(type_)}
    return msgspec.defstruct(f"{type_.__name__}_{name}", [(name, hints[name])])
