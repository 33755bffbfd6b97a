"""The description is whole, valid, and true: made from the table that also serves the calls."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from livecast.edge.http.app import ROUTES
from support.house import House


async def described(house: House) -> dict[str, Any]:
    """The document as served."""
    answer = await house.call("GET", "/openapi.json", auth=None)
    assert (answer.status, answer.content_type) == (200, "application/json")
    value: dict[str, Any] = answer.json
    return value


def references(value: Any) -> set[str]:
    """Every `$ref` in it."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(item) for item in value.values()))
    return set().union(*(references(item) for item in value)) if isinstance(value, list) else set()


async def test_every_route_is_described(house: House) -> None:
    """Method, path, scopes, body and answers; nothing refers to what is not there."""
    document = await described(house)
    assert document["openapi"].startswith("3.1")
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["summary"]
        assert operation.get("x-scopes", []) == list(route.scopes)
        assert ("requestBody" in operation) is (route.body is not None or route.form in {"free", "lines"})
        assert {str(status) for status in route.statuses} <= operation["responses"].keys()
        named = {part["name"] for part in document["paths"][route.path].get("parameters", [])}
        assert named == set(re.findall(r"{(\w+)}", route.path))
    schemas = document["components"]["schemas"]
    assert references(document) <= {f"#/components/schemas/{name}" for name in schemas}
    ids = [call["operationId"] for item in document["paths"].values() for method, call in item.items() if method != "parameters"]
    assert len(ids) == len(set(ids))


async def test_patterns_are_those_of_javascript(house: House) -> None:
    r"""Regular expressions in JSON Schema are ECMAScript's, which has no \Z."""
    patterns = re.findall(r'"pattern":"((?:[^"\\]|\\.)*)"', (await house.call("GET", "/openapi.json", auth=None)).body.decode())
    assert patterns
    assert not [pattern for pattern in patterns if "\\Z" in pattern]


async def test_what_is_said_of_a_room_is_true(house: House) -> None:
    """The answer has exactly the members that its schema lists."""
    document = await described(house)
    room = document["components"]["schemas"]["Room"]
    answer = await house.call("PUT", "/v1/rooms/r1", json={"title": "x", "hosts": [{"id": "mei", "name": "Mei"}]})
    assert answer.json.keys() == room["properties"].keys() == set(room["required"])


async def test_what_a_patch_may_take_away_is_said(house: House) -> None:
    """Null where there is a default to fall back to, and nowhere else: a drop has no default title."""
    schemas = (await described(house))["components"]["schemas"]
    nullable = {name for name, part in schemas["DropPatch"]["properties"].items() if {"type": "null"} in part.get("anyOf", [])}
    assert nullable == schemas["DropPatch"]["properties"].keys() - {"title", "stock", "stock_delta"}
    assert {"type": "null"} in schemas["PatchPolicy"]["properties"]["slow_mode_s"]["anyOf"]


async def test_who_cannot_pay_is_told_so(house: House) -> None:
    """402 is described where coins are taken."""
    paths = (await described(house))["paths"]
    assert "402" in paths["/v1/wallets/{user}/debits"]["post"]["responses"]
    assert "402" in paths["/v1/rooms/{room}/messages"]["post"]["responses"]
    assert "402" not in paths["/v1/wallets/{user}/credits"]["post"]["responses"]


class Seen(HTMLParser):
    """What a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in {"href", "src"}:
                self.targets.append(value or "")
            if name == "id":
                self.ids.add(value or "")


async def test_the_page_stands_alone(house: House) -> None:
    """No script, nothing from elsewhere, every link of its own leads somewhere; each call is on it."""
    answer = await house.call("GET", "/docs", auth=None)
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert "script" not in answer.headers["Content-Security-Policy"]
    seen = Seen()
    seen.feed(answer.body.decode())
    assert "script" not in seen.tags
    assert {target for target in seen.targets if not target.startswith("#")} == {"/openapi.json"}
    assert {target[1:] for target in seen.targets if target.startswith("#")} <= seen.ids
    assert {route.name for route in ROUTES} <= seen.ids


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_the_description_may_be_kept(house: House, path: str) -> None:
    """Five minutes."""
    assert (await house.call("GET", path, auth=None)).headers["Cache-Control"] == "public, max-age=300"
