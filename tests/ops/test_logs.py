"""Logs: one line an event on standard error, and never a credential in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import jwt
import pytest
import structlog

from livecast.ops.logs import configure, redact, without_credentials

TOKEN = jwt.encode({"sub": "u1", "exp": 2_000_000_000}, "x" * 40, "HS256")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "text",
    [
        f"GET /v1/rooms/r/ws?since=a:1&token={TOKEN}&x=1 HTTP/1.1",
        f"Authorization: Bearer {TOKEN}",
        f"livecast.v1.json, livecast.token.{TOKEN}",
        f"decoding {TOKEN[:60]} failed",
        "token=not-even-a-jwt",
        "Authorization: Bearer opaque-but-secret-1234567890",
        "key lck_shop_Zm9vYmFyYmF6cXV4-_aa refused",
        "redis://default:hunter2secret@10.0.0.1:6379",
    ],
)
def test_credentials_are_taken_out(text: str) -> None:
    """Whatever looks like a token, a key or a password in an address, wherever it stands in a text."""
    said = without_credentials(text)
    for secret in (TOKEN, TOKEN[:40], "not-even", "opaque-but", "Zm9v", "_aa", "hunter2"):
        assert secret not in said


@pytest.mark.parametrize(
    "text", ["room eyes-on-me", "20 tokens a second", "lck_", "GET /v1/rooms/r?since=a:1", "http://h:80/p", "a token was refused"]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    """A log that hides too much is not read."""
    assert without_credentials(text) == text


def test_a_key_keeps_its_id() -> None:
    """The id is public and is what an operator looks for."""
    assert without_credentials("lck_shop-1_secretsecret") == "lck_shop-1_[secret]"


def test_nested_values_and_objects_are_looked_into() -> None:
    """Lists, maps, their keys, exceptions and values deeper than are looked into one by one."""
    event = {"a": [{"b": {f"token={TOKEN}": (TOKEN, 1, None)}}], "error": ValueError(TOKEN), "deep": [[[[[[[TOKEN]]]]]]]}
    assert TOKEN not in repr(redact(None, "info", event))


def test_json_lines_are_objects_without_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    """Our own lines, the standard library's, and a traceback that quotes a token."""
    configure("json", "info")
    structlog.get_logger("livecast").warning("refused", token_given=TOKEN, room="r")
    logging.getLogger("aiohttp.server").error("cannot %s", f"parse token={TOKEN}")
    try:
        int(TOKEN)
    except ValueError:
        logging.getLogger("asyncio").exception("task failed")
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.err.splitlines()]
    assert [line["event"] for line in lines] == ["refused", "cannot parse token=[token]", "task failed"]
    assert "Traceback" in lines[2]["exception"]
    assert TOKEN not in captured.err
    assert captured.out == ""


def test_the_level_holds_for_both_kinds_of_loggers(capsys: pytest.CaptureFixture[str]) -> None:
    """`level` is the least that is written."""
    configure("console", "warning")
    structlog.get_logger("livecast").info("quiet")
    logging.getLogger("asyncio").info("quiet")
    structlog.get_logger("livecast").warning("loud")
    assert "quiet" not in (err := capsys.readouterr().err)
    assert "loud" in err
