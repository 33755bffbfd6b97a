"""The control plane described: OpenAPI 3.1 made from the table of routes.

Nothing here is written by hand that a struct or a route already says, so that the description cannot drift.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from inspect import cleandoc
from typing import Any, Final

import msgspec
from msgspec import Struct

from livecast.core.commands import Host, PatchRoom, PutRoom, Redactions
from livecast.core.money.drops import DropConfig
from livecast.core.rules import Policy
from livecast.core.tools.patch import INT_MAX
from livecast.edge.api.orders import PostOrder
from livecast.edge.http.calls import Route
from livecast.edge.http.problems import CONTENT_TYPE, Problem, every_code

#: Said in words: as a parameter it would be one that tools fill in at random, and a key used twice is refused.
IDEMPOTENCY: Final = (
    "Takes an `Idempotency-Key` header of 1 to 255 visible ASCII characters: the same key again gets the first answer again, for "
    "24 hours; with another body it is refused (422)."
)
CONDITIONS: Final = (
    "With `If-Match` the change is made only to what has the `ETag` that it names (412 otherwise): that which GET gives, or, of "
    "what is part of a room's state and has none of its own, the room's."
)
_REF: Final = "#/components/schemas/{name}"
#: What the parts of a path look like.
PATH_PARTS: Final[dict[str, tuple[str, str]]] = {
    "room": ("A room's id.", r"^[A-Za-z0-9_-]{1,64}$"),
    "user": ("A user's id, percent-encoded where needed.", r"^[\x21-\x2e\x30-\x7e]{1,128}$"),
    "drop": ("A drop's id.", r"^[^/]{1,64}$"),
    "serial": ("A claim's number within its drop.", r"^[0-9]{1,15}$"),
    "tx": ("A gift's id: a service's own `tx`, or `USER/CID` of a viewer's.", r"^.{1,256}$"),
    "webhook": ("A webhook's id.", r"^[^/]{1,64}$"),
    "delivery": ("A delivery's id.", r"^[^/]{1,64}$"),
    "comment": ("A comment's id.", r"^[^/]{1,64}$"),
    "question": ("A question's id.", r"^[^/]{1,64}$"),
    "report": ("A report's id.", r"^[^/]{1,256}$"),
    "poll": ("A poll's id.", r"^[^/]{1,64}$"),
    "product": ("A product's id.", r"^[A-Za-z0-9_.:-]{1,64}$"),
    "list": ("Which list: `block`, `mask` or `hold`.", r"^(block|mask|hold)$"),
    "scope": (
        "Where it holds: `platform`, `merchant:ID`, or `room:ID`, of which `ID` alone will do.",
        r"^((merchant|room):[^/]{1,64}|[A-Za-z0-9_-]{1,64})$",
    ),
    "epoch": ("The lifetime that frame numbers count in.", r"^[A-Za-z0-9]{1,64}$"),
    "seq": ("A frame's number.", r"^[0-9]{1,15}$"),
    "k": ("A bundle's number: it holds the frames 10k to 10k+9.", r"^[0-9]{1,15}$"),
}
#: Refusals that a route can give, beyond those of its own rules.
_ALWAYS: Final = (500, 503)


class Free(Struct, frozen=True):
    """A call outside the table of routes, for the description only: streams, files and health."""

    path: str
    does: str
    tag: str
    answers: dict[int, tuple[str, tuple[str, ...]]]
    """status -> (meaning, content types)."""
    query: tuple[tuple[str, str], ...] = ()
    """(name, meaning) of the parameters of the query."""
    secured: str = ""
    """`viewer`: a viewer's token may be given, and must be where the room wants one. `key`: an API key, with `--dev` nothing."""


_JSON: Final = ("application/json",)
_FRAME: Final = ("application/json", "application/vnd.msgpack")
_TOKEN: Final = ("token", "A viewer's token, for those who cannot set a header.")
_REFUSED: Final[dict[int, tuple[str, tuple[str, ...]]]] = {
    400: ("The request is not well formed.", (CONTENT_TYPE,)),
    401: ("The token is not believed, or the room asks for one.", (CONTENT_TYPE,)),
    403: ("The token is not meant for this room, or its holder is banned.", (CONTENT_TYPE,)),
    404: ("No such room, or not made yet.", (CONTENT_TYPE,)),
    503: ("Not now.", (CONTENT_TYPE,)),
}
_FILE: Final = {304: ("Not changed.", ()), **_REFUSED, 410: ("No longer kept.", (CONTENT_TYPE,))}
#: What is served beside the table of routes.
STREAMS_AND_FILES: Final = (
    Free(
        "/v1/rooms/{room}/events", "The room as server-sent events: welcome, frames, notices, bye.", "watching",
        {200: ("A stream.", ("text/event-stream",)), 204: ("The broadcast is over.", ()), **_REFUSED,
         429: ("Too many.", (CONTENT_TYPE,))},
        (_TOKEN, ("since", "`EPOCH:SEQ` to go on from; `Last-Event-ID` wins over it.")), secured="viewer",
    ),
    Free("/v1/rooms/{room}/frames/head", "Which frame is the last.", "watching",
         {200: ("The head.", _JSON), **_FILE}, (_TOKEN,), secured="viewer"),
    Free("/v1/rooms/{room}/snapshot", "What a welcome has, but for what is the viewer's own.", "watching",
         {200: ("The room as it is.", _JSON), **_FILE}, (_TOKEN,), secured="viewer"),
    Free("/v1/rooms/{room}/frames/{epoch}/{seq}", "One frame. With `.json` (or nothing) as JSON, with `.msgpack` as MessagePack.",
         "watching", {200: ("The frame.", _FRAME), **_FILE}, (_TOKEN,), secured="viewer"),
    Free("/v1/rooms/{room}/bundles/{epoch}/{k}", "Ten frames in one file, once all are there. Suffixes as for one frame.",
         "watching", {200: ("The frames, a list.", _FRAME), **_FILE}, (_TOKEN,), secured="viewer"),
    Free("/v1/rooms/{room}/drops/{drop}/draw", "Everything that is needed to recompute a draw or a fair window, naming nobody.",
         "drops", {200: ("The draw.", _JSON), 304: ("Not changed.", ()), **_REFUSED}, (_TOKEN,), secured="viewer"),
    Free("/v1/gifts", "The catalogue: what can be sent, and what it costs.", "gifts",
         {200: ("The catalogue.", _JSON), 304: ("Not changed.", ()), 503: ("There is no ledger.", (CONTENT_TYPE,))}),
    Free("/healthz", "Is the process alive?", "running", {200: ("Yes.", _JSON)}),
    Free("/readyz", "Should callers be sent here?", "running",
         {200: ("Yes: `ok`, or `degraded` with what is.", _JSON), 503: ("No: starting, draining or stuck.", _JSON)}),
    Free("/metrics", "Figures in Prometheus' text format. A key needs `reports:read`.", "running",
         {200: ("The figures.", ("text/plain",)), 401: ("A key is needed.", (CONTENT_TYPE,)),
          403: ("The key has not this scope.", (CONTENT_TYPE,)), 404: ("Not on this port.", (CONTENT_TYPE,))},
         secured="key"),
    Free("/.well-known/jwks.json", "The public keys of what this service signs.", "running",
         {200: ("A key set.", ("application/jwk-set+json",))}),
)  # fmt: skip


def document(routes: Sequence[Route], free: Iterable[Free], version: str) -> dict[str, Any]:
    """The OpenAPI document."""
    shapes = [*dict.fromkeys(shape for route in routes for shape in (route.body, route.answer) if shape is not None), Problem]
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_REF)
    schema_of = dict(zip(shapes, schemas, strict=True))
    _as_taken(routes, components)
    _bound_free_values(components)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    for call in free:
        paths.setdefault(call.path, {})["get"] = _free_operation(call)
    for path, item in paths.items():
        if names := re.findall(r"{(\w+)}", path):
            item["parameters"] = [_path_part(name) for name in names]
    value = {
        "openapi": "3.1.0",
        "info": {
            "title": "livecast control plane",
            "version": version,
            "description": "Rooms, broadcasts, moderation and messages of a live commerce service. Errors are RFC 9457 problems; "
            "their `code` is one of: " + ", ".join(f"`{code}`" for code, _, _ in every_code()) + ".",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys([*(route.tag for route in routes), *(call.tag for call in free)])],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key `lck_<id>_<secret>`, or a staff JWT."},
                "viewer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A viewer's JWT."},
            },
        },
    }
    described: dict[str, Any] = _plain(value)
    return described


def _operation(route: Route, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.does,
        "security": [{"key": []}] if route.scopes else [{"viewer": []}],
        "responses": _responses(route, schema_of),
    }
    if route.scopes:
        operation["x-scopes"] = list(route.scopes)
    parameters = _query(route.query) if route.query else []
    if route.method in {"POST", "PATCH"}:
        operation["description"] = IDEMPOTENCY
    if route.method in {"PUT", "PATCH"}:
        operation["description"] = f"{operation.get('description', '')} {CONDITIONS}".strip()
    if parameters:
        operation["parameters"] = parameters
    if route.form == "free" and route.body is not None:
        operation["requestBody"] = _body(schema_of[route.body])
    elif route.form == "free":
        operation["requestBody"] = _body(
            {
                "type": "object",
                "description": "RFC 7396 merge patch: null takes a value away.",
                "additionalProperties": {"$ref": _REF.format(name="Plain")},
            }
        )
    elif route.form == "lines":
        lines = {"type": "string", "description": "One a line; nothing at all is an empty list."}
        operation["requestBody"] = {"content": {"text/plain": {"schema": lines}}, "required": False}
    elif route.form == "patch":
        operation["requestBody"] = _body({"$ref": _REF.format(name=_patch_of(route.body.__name__))})
    elif route.body is not None:
        operation["requestBody"] = _body(schema_of[route.body], required=_needs_body(route.body))
    return operation


def _as_taken(routes: Sequence[Route], components: dict[str, Any]) -> None:
    """Say of the shapes of bodies what `livecast.edge.http.bodies` does with them: what may be absent may be null."""
    for route in routes:
        name = getattr(route.body, "__name__", "")
        if route.form == "fields" and name:
            known = components[name]
            known["properties"] = {
                field: part if field in known["required"] else _or_null(part) for field, part in known["properties"].items()
            }
        elif route.form == "patch":
            _add_patch(name, components)
    host = components[Host.__name__]  # part of such a body
    host["properties"] = {
        field: part if field in host["required"] else _or_null(part) for field, part in host["properties"].items()
    }
    for name in (PutRoom.__name__, PatchRoom.__name__):
        components[name]["properties"]["policy"] = _or_null({"$ref": _REF.format(name=_patch_of(Policy.__name__))})
    components[DropConfig.__name__]["allOf"] = [
        _if_then({"fair_window_ms": {"type": "integer"}}, {"order": {"const": "fair"}}),
        _if_then({"order": {"const": "fair"}}, {"kind": {"const": "coupon"}}),
    ]
    components[PostOrder.__name__]["allOf"] = [
        _if_then({"drop": {"type": "string"}}, {"serial": {"type": "integer"}}),
        _if_then({"serial": {"type": "integer"}}, {"drop": {"type": "string"}}),
    ]
    components[Redactions.__name__]["anyOf"] = [
        {"required": [part], "properties": {part: {"type": "array", "minItems": 1}}} for part in ("comments", "users")
    ]


def _if_then(given: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """A member asks for another one."""
    return {
        "if": {"properties": given, "required": list(given)},
        "then": {"properties": wanted, "required": list(wanted)},
    }


def _bound_free_values(components: dict[str, Any]) -> None:
    """What is the caller's own may be any JSON, of numbers that every reader of JSON has."""
    plain = {"$ref": _REF.format(name="Plain")}
    for known in components.values():
        for field, part in known.get("properties", {}).items():
            if part.keys() <= {"default"}:
                known["properties"][field] = {**plain, **part}
            elif part.get("type") == "object" and part.get("additionalProperties", {}) == {}:
                part["additionalProperties"] = plain
            for choice in part.get("anyOf", ()):
                if choice.get("type") == "object" and choice.get("additionalProperties", {}) == {}:
                    choice["additionalProperties"] = plain
    components["Plain"] = {
        "title": "Plain",
        "description": "Any JSON value, of numbers with at most 53 bits.",
        "anyOf": [
            {"type": ["null", "boolean", "string"]},
            {"type": "number", "minimum": -INT_MAX, "maximum": INT_MAX},
            {"type": "array", "items": plain},
            {"type": "object", "additionalProperties": plain},
        ],
    }


def _add_patch(name: str, components: dict[str, Any]) -> None:
    """The shape of a merge patch of `name`: nothing is required, everything may be null, also within objects of its own."""
    parts, needed = components[name]["properties"], components[name].get("required", ())
    for field, part in parts.items():
        inner = part.get("$ref", "").rpartition("/")[2]
        if inner:
            _add_patch(inner, components)
            parts = {**parts, field: {"$ref": _REF.format(name=_patch_of(inner))}}
    components[_patch_of(name)] = {
        "title": _patch_of(name),
        "description": "An RFC 7396 merge patch: what is absent stays, null falls back to the default.",
        "type": "object",
        # The shape of a patch says itself what may be null; of any other shape everything may.
        # What must be there cannot be taken away.
        "properties": parts if _patch_of(name) == name else {f: p if f in needed else _or_null(p) for f, p in parts.items()},
        "additionalProperties": False,
    }


def _patch_of(name: str) -> str:
    return name if name.startswith("Patch") or name.endswith("Patch") else f"Patch{name}"


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if {"type": "null"} in schema.get("anyOf", []):
        return schema
    default = {"default": schema["default"]} if "default" in schema else {}
    return {"anyOf": [{name: part for name, part in schema.items() if name != "default"}, {"type": "null"}], **default}


def _body(schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}, "required": required}


def _needs_body(shape: Any) -> bool:
    """Whether an empty body, which reads as `{}`, is refused."""
    return not isinstance(shape, type) or shape is Redactions or any(item.required for item in msgspec.structs.fields(shape))


def _responses(route: Route, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    shape = schema_of[route.answer] if route.answer else {"type": "object"}
    if route.content_type != "application/json":
        shape = {"type": "string"}
    content = {route.content_type: {"schema": shape}, **({route.also: {"schema": {"type": "string"}}} if route.also else {})}
    said = {str(status): {"description": "Done.", "content": content} for status in route.statuses}
    if route.method == "GET" and route.content_type == "application/json":
        said["304"] = {"description": "Not changed since the `If-None-Match` that you have."}
    refusals = {400, 401, 403, 429, *_ALWAYS, *route.refusals}
    if "{" in route.path or route.query:
        refusals |= {404, 422}
    if route.body is not None or route.form == "lines":
        refusals |= {408, 409, 413, 415, 422}
    if route.method in {"PUT", "PATCH", "DELETE", "POST"}:
        refusals |= {409, 412, 422}
    for status in sorted(refusals):
        said[str(status)] = _problem(status)
    return said


def _problem(status: int) -> dict[str, Any]:
    codes = [f"`{code}`" for code, known, _ in every_code() if known == status]
    return {
        "description": "Refused: " + ", ".join(codes) + ".",
        "content": {CONTENT_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
    }


def _free_operation(call: Free) -> dict[str, Any]:
    return {
        "operationId": "get" + re.sub(r"\W+", "_", call.path.replace("/v1", "")),
        "tags": [call.tag],
        "summary": call.does,
        "security": [{}, {call.secured: []}] if call.secured else [],
        "parameters": [
            {"name": name, "in": "query", "description": what, "schema": {"type": "string"}} for name, what in call.query
        ],
        "responses": {
            str(status): {"description": meaning, **({"content": {kind: {} for kind in kinds}} if kinds else {})}
            for status, (meaning, kinds) in call.answers.items()
        },
    }


def _path_part(name: str) -> dict[str, Any]:
    meaning, pattern = PATH_PARTS[name]
    return {"name": name, "in": "path", "required": True, "description": meaning, "schema": {"type": "string", "pattern": pattern}}


def _query(shape: type[Struct]) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components([shape], ref_template=_REF)
    schema = components[shape.__name__]
    return [{"name": name, "in": "query", "schema": part} for name, part in schema["properties"].items()]


def _plain(value: Any) -> Any:
    r"""Python's own ways taken out: `\Z` is `$` in JSON Schema's regular expressions; docstrings are indented."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {name: _plain(item) for name, item in value.items()}
    if isinstance(pattern := plain.get("pattern"), str):
        plain["pattern"] = pattern.replace(r"\Z", "$")
    if isinstance(description := plain.get("description"), str):
        plain["description"] = cleandoc(description)
    return plain
