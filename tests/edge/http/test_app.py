"""What holds for every answer: who may, how refusals look, and that nobody ever sees a traceback."""

from __future__ import annotations

import asyncio
import gzip
import json as stdlib_json
from collections import defaultdict
from typing import Any

import pytest

from livecast.edge.access.callers import SCOPES_OF_ROLE
from livecast.edge.access.keys import SCOPES
from livecast.edge.http.app import ROUTES
from livecast.edge.http.health import Readiness
from livecast.edge.rules import EdgeRules
from livecast.facts import Served, Trouble
from livecast.ports import Unavailable
from support.house import House

SOME = defaultdict(lambda: "x1", room="r1", user="u1", serial="1", scope="room:r1", list="block")
"""What stands for the parts of a path."""
OVER_ALL = {"forget_user", "get_platform_audit", "export_user"}
"""What concerns a user or the log of the whole platform: no token's business, whatever its role."""
HOSTS_ALONE = {"put_moderator", "delete_moderator"}
"""Moderators make no moderators."""


def paths() -> list[tuple[str, str]]:
    """Every row of the table as something to call."""
    return [(route.method, route.path.format_map(SOME)) for route in ROUTES]


async def test_nobody_gets_anything_without_credentials(house: House) -> None:
    """401 with how to authenticate, before any 404, 405 or 422; a wrong key or an expired token is no better."""
    for method, path in paths():
        for auth in (None, "lck_all_wrong", "no.such.token", house.token("ada", ttl_s=-1)):
            answer = await house.call(method, path, auth=auth)
            assert (answer.status, answer.code) == (401, "unauthorized"), (method, path)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_unknown_paths_and_methods_are_not_told_to_strangers(house: House) -> None:
    """Under /v1, 401 comes before 404 and 405."""
    assert (await house.call("GET", "/v1/nothing", auth=None)).status == 401
    assert (await house.call("GET", "/v1/nothing")).code == "not_found"
    assert (await house.call("DELETE", "/v1/rooms/r1", auth=None)).status == 401
    wrong = await house.call("DELETE", "/v1/rooms/r1")
    assert (wrong.status, wrong.code) == (405, "method_not_allowed")
    assert {"GET", "HEAD", "OPTIONS", "PATCH", "PUT"} == set(wrong.headers["Allow"].split(", "))
    assert (await house.call("GET", "/nothing", auth=None)).code == "not_found"


async def test_each_call_needs_its_own_scope(house: House) -> None:
    """A key with every other scope is refused with 403, and so are a key and a token for other rooms."""
    for route in ROUTES:
        path = route.path.format_map(SOME)
        refused = [house.made_key("others", *(scope for scope in SCOPES if scope not in route.scopes))]
        if "{room}" in route.path:
            refused += [house.made_key("elsewhere", *SCOPES, rooms=("other-*",)), house.token("mei", role="host", rooms=["other"])]
        for auth in refused:
            answer = await house.call(route.method, path, auth=auth)
            assert (answer.status, answer.code) == (403, "forbidden"), (route.name, auth)


@pytest.mark.parametrize("role", ["host", "moderator", "merchant"])
async def test_staff_tokens_do_what_their_role_says(house: House, role: str) -> None:
    """A role's scopes open their calls in the token's own rooms; nothing else."""
    await house.live_room("r1")
    staff = house.token("mei", role=role, rooms=["r1"])
    for route in ROUTES:
        if route.scopes:
            answer = await house.call(
                route.method, route.path.format_map(SOME), auth=staff, json={} if route.method != "GET" else None
            )
            allowed = bool(set(route.scopes) & SCOPES_OF_ROLE[role]) and route.name not in OVER_ALL
            allowed &= role != "moderator" or route.name not in HOSTS_ALONE
            assert (answer.status != 403) is allowed, (role, route.name, answer)


async def test_viewers_change_nothing(house: House) -> None:
    """A viewer's token, whatever its rooms, is 403 everywhere but at messages and me."""
    await house.live_room("r1")
    viewer = house.token("ada")
    for route in ROUTES:
        answer = await house.call(route.method, route.path.format_map(SOME), auth=viewer)
        assert (answer.status == 403) is bool(route.scopes), route.name


async def test_a_revoked_key_is_revoked_at_once(house: House) -> None:
    """Keys are looked up for each request."""
    assert (await house.call("GET", "/v1/rooms")).status == 200
    house.keys.replace([])
    assert (await house.call("GET", "/v1/rooms")).status == 401


async def test_two_authorizations_are_one_too_many(house: House) -> None:
    """Which one counts must not depend on who reads it."""
    head = "GET /v1/rooms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    both = f"Authorization: Bearer {house.key}\r\nAuthorization: Bearer x\r\n\r\n"
    assert b" 400 " in (await house.raw(f"{head}{both}".encode())).split(b"\r\n")[0]


async def test_a_problem_says_everything(house: House) -> None:
    """RFC 9457: type, title, status, detail; and code, request id, errors."""
    answer = await house.call("PUT", "/v1/rooms/r1", json={"title": 5}, headers={"X-Request-Id": "abc-1"})
    problem = answer.json
    assert (answer.status, answer.content_type) == (422, "application/problem+json")
    assert (problem["status"], problem["code"], problem["request_id"]) == (422, "invalid", "abc-1")
    assert problem["type"].endswith(":invalid")
    assert problem["title"]
    assert problem["detail"]
    assert problem["errors"] == [{"pointer": "/title", "detail": "Expected str, got int"}]
    assert answer.headers["X-Request-Id"] == "abc-1"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", 'a"b', "é"])
async def test_an_odd_request_id_is_replaced(house: House, given: str) -> None:
    """What comes back, and goes into logs, is bounded and plain."""
    answer = await house.call("GET", "/healthz", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] not in {given, ""}
    assert answer.headers["X-Request-Id"].isalnum()


BAD_BODIES = [
    (b"{", "application/json", 400, "bad_message"),
    (b"[1]", "application/json", 400, "bad_message"),
    (b"null", "application/json", 400, "bad_message"),
    (b"\xff\xfe{}", "application/json", 400, "bad_message"),
    (b'{"title":"\xff"}', "application/json", 400, "bad_message"),
    (b'{"title":"\\ud800"}', "application/json", 400, "bad_message"),
    (b'{"title":NaN}', "application/json", 400, "bad_message"),
    (b'{"custom":{"n":1e999}}', "application/json", 400, "bad_message"),
    (b'{"custom":{"n":9007199254740993}}', "application/json", 422, "invalid"),
    (b'{"custom":' * 500 + b"1" + b"}" * 500, "application/json", 400, "bad_message"),
    (b"[" * 60_000, "application/json", 400, "bad_message"),
    (b'"' + b'\\"' * 30_000, "application/json", 400, "bad_message"),
    (b"title=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    (b"{}", "text/plain", 415, "unsupported_media_type"),
    (b'{"titel":"x"}', "application/json", 422, "invalid"),
    (b'{"title":"' + b"x" * 300 + b'"}', "application/json", 422, "invalid"),
    (b'{"hosts":[{"id":"a b"}]}', "application/json", 422, "invalid"),
    (b'{"title":"' + b"x" * 70_000 + b'"}', "application/json", 413, "too_large"),
]


async def test_bad_bodies(house: House) -> None:
    """Each has its documented answer, and the next request is served as if nothing had been."""
    for body, content_type, status, code in BAD_BODIES:
        answer = await house.call("PUT", "/v1/rooms/r1", data=body, headers={"Content-Type": content_type})
        assert (answer.status, answer.code) == (status, code), (body[:40], answer)
    assert (await house.call("PUT", "/v1/rooms/r1", json={"title": "fine"})).status == 201
    assert not house.notes.of(Trouble)


async def test_a_body_without_end_is_not_read(house: House) -> None:
    """A chunked body is cut off at 64 KiB, a declared one before any of it is read."""

    async def endless() -> Any:
        for _ in range(1000):
            yield b" " * 1024

    headers = {"Content-Type": "application/json"}
    assert (await house.call("PUT", "/v1/rooms/r1", data=endless(), headers=headers)).status == 413
    head = f"PUT /v1/rooms/r1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.key}\r\nContent-Type: application/json\r\n"
    said = await house.raw(head.encode() + b"Content-Length: 1000000000000\r\n\r\n{", wait_s=2)
    assert b" 413 " in said.split(b"\r\n")[0]


async def test_inflated_bodies_are_refused(house: House) -> None:
    """Nobody makes us unpack a bomb."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    bomb = gzip.compress(b" " * 10_000_000)
    assert (await house.call("PUT", "/v1/rooms/r1", data=bomb, headers=headers)).status == 415


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"GET /v1/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"GET /v1/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET /v1/rooms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET /%zz%00/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /v1/rooms/%ff%fe/frames/head HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"FOO /v1/rooms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused_without_a_traceback(
    house: House, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """4xx or a closed connection, never a 500, never a stack, neither to the caller nor in the log; no versions told."""
    said = await house.raw(request_bytes, wait_s=1)
    assert b"Traceback" not in said
    assert b'File "' not in said
    assert b"aiohttp" not in said.lower()
    assert not [record for record in caplog.records if record.exc_info]
    assert not said or b" 4" in said.split(b"\r\n")[0], said[:200]
    assert (await house.call("GET", "/healthz", auth=None)).status == 200


async def test_our_own_faults_are_not_shown(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 with a request id for the caller, the details for the operator."""

    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret details")

    monkeypatch.setattr(house.node, "ask", broken)
    answer = await house.call("GET", "/v1/rooms/r1")
    assert (answer.status, answer.code) == (500, "internal")
    assert b"secret" not in answer.body
    assert b"ZeroDivision" not in answer.body
    (trouble,) = house.notes.of(Trouble)
    assert "ZeroDivisionError" in trouble.what
    assert answer.json["request_id"] in trouble.about
    assert "secret details" in trouble.advice


async def test_a_store_that_does_not_answer_is_unavailable(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After, within the deadline."""

    async def down(*_: object) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(house.log, "rooms", down)
    answer = await house.call("GET", "/v1/rooms")
    assert (answer.status, answer.code) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json["retry_after_ms"] >= 1
    ready = await house.call("GET", "/readyz", auth=None)
    assert (ready.status, ready.json["status"]) == (200, "degraded")


async def test_head_and_options(house: House) -> None:
    """HEAD is GET without a body; OPTIONS says what a path knows."""
    await house.call("PUT", "/v1/rooms/r1", json={})
    got, head = await house.call("GET", "/v1/rooms/r1"), await house.call("HEAD", "/v1/rooms/r1")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["ETag"] == got.headers["ETag"]
    options = await house.call("OPTIONS", "/v1/rooms/r1", auth=None)
    assert options.status == 204
    assert set(options.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "PATCH", "PUT"}


async def test_every_answer_has_security_headers(house: House) -> None:
    """Also refusals, and whatever the path."""
    for path in ("/v1/rooms", "/healthz", "/nothing", "/docs", "/openapi.json"):
        headers = (await house.call("GET", path, auth=None)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "aiohttp" not in headers["Server"].lower()
        assert headers["X-Request-Id"]


async def test_observers_hear_of_requests_without_query_or_token(house: House) -> None:
    """Method, route, path, status; tokens in the query stay out."""
    token = house.token("ada")
    await house.call("GET", f"/v1/rooms/r1/frames/head?token={token}", auth=None)
    (served,) = house.notes.of(Served)
    assert (served.method, served.route, served.path, served.status) == (
        "GET", "/v1/rooms/{room}/frames/head", "/v1/rooms/r1/frames/head", 404,
    )  # fmt: skip
    assert token not in repr(house.notes.facts)


class TestCors:
    @pytest.fixture
    def edge_rules(self) -> EdgeRules:
        """Pages of one other origin are let in."""
        return EdgeRules(origins=("https://shop.example",))

    async def test_pages_of_known_origins_may_read(self, house: House) -> None:
        """A known origin is named in the answer, an unknown one is not; caches keep them apart."""
        known = await house.call("GET", "/v1/rooms", headers={"Origin": "https://shop.example"})
        assert known.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "Access-Control-Allow-Credentials" not in known.headers
        unknown = await house.call("GET", "/v1/rooms", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in unknown.headers
        assert known.headers["Vary"] == unknown.headers["Vary"] == "Origin"
        refused = await house.call("GET", "/v1/rooms", auth=None, headers={"Origin": "https://shop.example"})
        assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, "https://shop.example")

    async def test_preflights_are_answered_without_credentials(self, house: House) -> None:
        """A browser asks first, and asks without a token."""
        asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,content-type"}
        known = await house.call("OPTIONS", "/v1/rooms/r1", auth=None, headers={"Origin": "https://shop.example", **asks})
        assert known.status == 204
        assert "PUT" in known.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in known.headers["Access-Control-Allow-Headers"]
        unknown = await house.call("OPTIONS", "/v1/rooms/r1", auth=None, headers={"Origin": "https://evil.example", **asks})
        assert "Access-Control-Allow-Methods" not in unknown.headers


async def test_health(house: House) -> None:
    """Alive, ready, then draining."""
    assert (await house.call("GET", "/healthz", auth=None)).status == 200
    ready = await house.call("GET", "/readyz", auth=None)
    assert (ready.status, ready.json) == (200, {"status": "ok"})
    house.node.draining = True
    draining = await house.call("GET", "/readyz", auth=None)
    assert (draining.status, draining.json) == (503, {"status": "draining"})
    assert (await house.call("GET", "/.well-known/jwks.json", auth=None)).json == {"keys": []}
    assert stdlib_json.loads(ready.body) == {"status": Readiness("ok").status}


async def test_metrics_need_a_key(house: House) -> None:
    """Outside development the figures are for whoever may read reports."""
    assert (await house.call("GET", "/metrics", auth=None)).status == 401
    assert (await house.call("GET", "/metrics", auth=house.made_key("k", "rooms:read"))).status == 403
    assert (await house.call("GET", "/metrics")).body == b"up 1\n"


async def test_many_callers_at_once(house: House) -> None:
    """Eighty changes of one room at the same time are all answered, each with its own revision."""  # more take a busy machine 2 s
    await house.live_room("r1")
    answers = await asyncio.gather(*(house.call("PATCH", "/v1/rooms/r1/custom", json={f"k{k % 20}": k}) for k in range(80)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["rev"] for answer in answers}) == 80
