"""Problems: every code has its status, and says when to come back where that makes sense."""

from __future__ import annotations

import msgspec
import pytest

from livecast.core.errors import CODES, Refusal
from livecast.edge.http.problems import ProblemError, every_code, problem_response


@pytest.mark.parametrize(("code", "status", "sentence"), every_code())
def test_every_code_makes_a_whole_problem(code: str, status: int, sentence: str) -> None:
    """Type, title, status, detail, code and request id; 401 says how, 429 and 503 say when."""
    response = problem_response(ProblemError(code), "id-1")
    assert isinstance(response.body, bytes)
    body = msgspec.json.decode(response.body)
    assert (response.status, response.content_type) == (status, "application/problem+json")
    assert body.items() >= {"title": sentence, "status": status, "code": code, "request_id": "id-1"}.items()
    assert ("Retry-After" in response.headers) is (status in {429, 503})
    assert ("WWW-Authenticate" in response.headers) is (status == 401)


def test_a_refusal_keeps_what_it_says() -> None:
    """Its time to wait, rounded up for the header; its field as a pointer."""
    refusal = Refusal("slow_mode", "Not so fast.", retry_after_ms=1200)
    response = problem_response(ProblemError.of(refusal), "x")
    assert isinstance(response.body, bytes)
    assert (msgspec.json.decode(response.body)["retry_after_ms"], response.headers["Retry-After"]) == (1200, "2")
    error = ProblemError.of(Refusal("invalid", field="policy.tick_ms"))
    assert error.errors[0].pointer == "/policy/tick_ms"
    assert error.errors[0].detail == CODES["invalid"][2]


def test_a_mute_for_ever_names_no_time() -> None:
    """403 without an end is not something to retry."""
    response = problem_response(ProblemError.of(Refusal("muted")), "x")
    assert isinstance(response.body, bytes)
    assert "retry_after_ms" not in msgspec.json.decode(response.body)
