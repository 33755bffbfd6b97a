"""The command line: what it prints, where, and how it ends."""

from __future__ import annotations

import hashlib
import json
import time
import tomllib
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from livecast import __version__
from livecast.ops.cli import COMMANDS, main
from livecast.ops.configuration.groups import DEV_SECRET

SECRET = "a-secret-of-forty-bytes-for-these-tests!!"


def run(*args: str, **environment: str) -> Result:
    """`livecast ARGS` with only this environment beside the real one."""
    return CliRunner().invoke(main, args, env=environment)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    """`livecast NAME --help` says what it does, and every option of it has a text."""
    result = run(name, "--help")
    assert result.exit_code == 0, result.output
    assert f"livecast {name}" in result.output.replace("main ", "livecast ")


def test_the_overview_lists_every_command() -> None:
    """In the order of a first day."""
    out = run("--help").output
    assert [out.index(f"  {name} ") for name in COMMANDS] == sorted(out.index(f"  {name} ") for name in COMMANDS)
    assert run("--version").output.strip() == f"livecast, version {__version__}"


@pytest.mark.parametrize(("typed", "meant"), [("sevre", "serve"), ("tial", "tail"), ("tokens", "token")])
def test_a_wrong_command_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    """With exit code 2."""
    result = run(typed)
    assert result.exit_code == 2
    assert f"did you mean '{meant}'?" in result.output


def test_wrong_settings_end_with_2_and_every_reason() -> None:
    """Before anything is started."""
    result = run("serve", "--workers", "0", "--port", "99999", LIVECAST_ROOM__TICKMS="1")
    assert result.exit_code == 2
    assert result.stdout == ""
    for part in ("--workers: ", "--port: ", "LIVECAST_ROOM__TICKMS: ", "`tick_ms`"):
        assert part in result.stderr


# --- token ------------------------------------------------------------------------------------------------------------
def test_token_is_signed_with_the_development_secret_unless_told_otherwise() -> None:
    """Good for --dev; a note on stderr says so, stdout is the token alone."""
    result = run("token", "--sub", "ada", "--name", "Ada", "--level", "7", "--room", "a-*", "--room", "b", "--ttl", "60")
    claims = jwt.decode(result.stdout.strip(), DEV_SECRET, ["HS256"])
    assert claims.pop("exp") - claims.pop("iat") == 60
    assert claims == {"sub": "ada", "name": "Ada", "role": "viewer", "level": 7, "rooms": ["a-*", "b"]}
    assert "--dev" in result.stderr


def test_token_uses_the_first_configured_secret() -> None:
    """So it is good for a node with the same settings."""
    result = run("token", "--sub", "ada", LIVECAST_AUTH__JWT_SECRETS=json.dumps([SECRET, SECRET + "2"]))
    assert jwt.decode(result.stdout.strip(), SECRET, ["HS256"])["exp"] > time.time()
    assert result.stderr == ""


@pytest.mark.parametrize(
    "args",
    [
        ("--sub", "a b"),
        ("--sub", ""),
        ("--sub", "a/b"),
        ("--sub", "x" * 129),
        ("--sub", "a", "--role", "host"),
        ("--sub", "a", "--role", "king"),
        ("--sub", "a", "--room", "a/b"),
        ("--sub", "a", "--ttl", "0"),
    ],
)
def test_token_refuses_what_a_node_would_refuse(args: tuple[str, ...]) -> None:
    """A token that is of no use is not made."""
    result = run("token", *args)
    assert (result.exit_code, result.stdout) == (2, "")


# --- key --------------------------------------------------------------------------------------------------------------
def test_key_new_prints_the_key_and_its_entry() -> None:
    """The entry holds the hash of the key and is accepted by `livecast check` as it is."""
    printed = json.loads(run("key", "new", "--id", "shop", "--scope", "rooms:write", "--room", "shop-*", "--merchant", "m1").stdout)
    config = printed["config"]
    assert printed["key"].startswith("lck_shop_")
    assert config == {
        "id": "shop",
        "hash": hashlib.sha256(printed["key"].encode()).hexdigest(),
        "scopes": ["rooms:write"],
        "rooms": ["shop-*"],
        "merchant": "m1",
    }
    result = run("check", LIVECAST_AUTH__API_KEYS=json.dumps([config]), LIVECAST_AUTH__JWT_SECRETS=json.dumps([SECRET]))
    assert result.exit_code == 0
    assert config["hash"] not in result.stdout


@pytest.mark.parametrize("args", [("--id", "a_b"), ("--id", ""), ("--id", "a", "--scope", "rooms:rite")])
def test_key_new_refuses_what_the_configuration_would(args: tuple[str, ...]) -> None:
    """Ids and scopes are those of the configuration."""
    assert run("key", "new", *args).exit_code == 2


# --- check ------------------------------------------------------------------------------------------------------------
def test_check_prints_what_is_in_force_as_toml_without_secrets(tmp_path: Path) -> None:
    """What it prints is TOML, says where values come from, and hides what is secret."""
    file = tmp_path / "livecast.toml"
    file.write_text(
        f'[auth]\njwt_secrets = ["{SECRET}"]\n[redis]\nurl = "redis://me:hunter2@10.0.0.1:6379"\n[room]\nslow_mode_s = 5\n'
    )
    result = run("check", "--config", str(file), "--port", "9")
    assert result.exit_code == 0
    document = tomllib.loads(result.stdout)
    assert (document["room"]["slow_mode_s"], document["server"]["port"]) == (5, 9)
    assert f"slow_mode_s = 5  # {file} [room] slow_mode_s" in result.stdout
    assert "port = 9  # --port" in result.stdout
    assert "hunter2" not in result.output
    assert SECRET not in result.output


def test_check_refuses_development_secrets_outside_dev() -> None:
    """They are public."""
    environment = {"LIVECAST_AUTH__JWT_SECRETS": json.dumps([DEV_SECRET])}
    assert run("check", **environment).exit_code == 2
    assert run("check", "--dev", **environment).exit_code == 0


# --- schema -----------------------------------------------------------------------------------------------------------
def test_schema_covers_every_message() -> None:
    """Each message of either direction, by its `t`, with all its references resolved."""
    document = json.loads(run("schema").stdout)
    defs = document["$defs"]

    def words(side: str) -> set[str]:
        return {defs[each["$ref"].removeprefix("#/$defs/")]["properties"]["t"]["enum"][0] for each in defs[side]["oneOf"]}

    assert words("client") == {"auth", "comment", "like", "gift", "claim", "vote", "tap", "report", "ping"}
    assert words("server") == {"welcome", "frame", "ack", "error", "notice", "pong", "bye", "desk"}
    text = json.dumps(document)
    assert all(ref in defs for ref in {part.split('"')[0] for part in text.split("#/$defs/")[1:]})
    assert 'additionalProperties": false' not in text
