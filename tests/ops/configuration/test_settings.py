"""Settings: three layers, one list of everything that is wrong, and what --dev fixes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livecast.core.rules import Policy, RoomRules
from livecast.edge.access.keys import SCOPES, KeyRing
from livecast.edge.rules import EdgeRules
from livecast.ops.configuration.groups import DEV_KEY, DEV_SECRET
from livecast.ops.configuration.layers import Given, SettingsError
from livecast.ops.configuration.settings import KNOWN, SECTIONS, Settings, load
from livecast.ops.configuration.source import Source

GOOD_SECRET = "a-secret-of-forty-bytes-for-these-tests!!"


def problems(**how: Any) -> list[str]:
    """Everything that is wrong with these layers."""
    with pytest.raises(SettingsError) as caught:
        load(**how)
    return [str(problem) for problem in caught.value.problems]


def toml(tmp_path: Path, text: str) -> Path:
    """A settings file."""
    file = tmp_path / "livecast.toml"
    file.write_text(text, encoding="utf-8")
    return file


# --- Layers -----------------------------------------------------------------------------------------------------------
def test_defaults_are_those_of_the_groups() -> None:
    """Without any layer, every group is what its own defaults say."""
    settings = load()
    assert (settings.room, settings.edge, settings.dev) == (RoomRules(), EdgeRules(), False)


def test_environment_wins_over_file_and_options_over_both(tmp_path: Path) -> None:
    """The later layer wins, key by key; what it does not say stays."""
    file = toml(tmp_path, '[server]\nhost = "10.0.0.1"\nport = 1\ndata_dir = "/file"\n')
    environment = {"LIVECAST_SERVER__PORT": "2", "LIVECAST_SERVER__HOST": "10.0.0.2"}
    server = load(file=file, environment=environment, options={("server", "host"): Given("10.0.0.3", "--host")}).server
    assert (server.host, server.port, server.data_dir) == ("10.0.0.3", 2, "/file")


def test_a_wrong_value_is_told_also_where_another_one_is_in_force(tmp_path: Path) -> None:
    """In each layer below, each once; a right one that is overridden is nobody's business. So does a start tell it."""
    file = toml(tmp_path, '[server]\nport = "x"\nhost = "10.0.0.1"\nworkers = 0\n')
    environment = {"LIVECAST_SERVER__PORT": "70000", "LIVECAST_SERVER__HOST": "10.0.0.2"}
    options = {("server", "port"): Given(8080, "--port"), ("server", "workers"): Given(2, "--workers")}
    said = problems(file=file, environment=environment, options=options)
    assert [line.partition(": ")[0] for line in said] == [
        f"{file} [server] port",
        "LIVECAST_SERVER__PORT",
        f"{file} [server] workers",
    ]
    with pytest.raises(SettingsError) as caught:
        Source(file, options, dev=False).read()
    assert [problem.origin for problem in caught.value.problems] == [f"{file} [server] port", f"{file} [server] workers"]


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("LIVECAST_ROOM__SLOW_MODE_S", "5", ("room", "slow_mode_s"), 5),
        ("LIVECAST_ROOM__RESERVED_SHARE", "0.25", ("room", "reserved_share"), 0.25),
        ("LIVECAST_ROOM__MODE", "staff", ("room", "mode"), "staff"),
        ("LIVECAST_REDIS__URL", "redis://10.0.0.9:6379/0", ("redis", "url"), "redis://10.0.0.9:6379/0"),
        ("LIVECAST_SERVER__DATA_DIR", "123", ("server", "data_dir"), "123"),
        ("LIVECAST_SERVER__ORIGINS", '["https://shop.example"]', ("server", "origins"), ("https://shop.example",)),
    ],
)
def test_environment_is_plain_for_strings_and_json_for_the_rest(name: str, text: str, path: tuple[str, str], value: object) -> None:
    """A string stands for itself, also one that looks like a number; all else is JSON."""
    assert load(environment={name: text}).value(*path) == value


def test_a_file_variable_reads_the_file(tmp_path: Path) -> None:
    """`…_FILE` names a file whose content is the value: JSON, a plain string, or a list with one string a line."""
    for content in (f'["{GOOD_SECRET}"]\n', f"{GOOD_SECRET}\n"):
        secret = tmp_path / "secret"
        secret.write_text(content)
        assert load(environment={"LIVECAST_AUTH__JWT_SECRETS_FILE": str(secret)}).auth.jwt_secrets == (GOOD_SECRET,)


def test_foreign_variables_are_left_alone() -> None:
    """Variables that are not ours, or that the command line reads, are no problem."""
    load(environment={"PATH": "/bin", "LIVECAST_CONFIG": "x.toml", "LIVECASTER__X": "1"})


# --- What is wrong ----------------------------------------------------------------------------------------------------
def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """One list for all layers: nobody mends a file line by line."""
    file = toml(tmp_path, '[room]\ntick_ms = 1\nslow_mode = 3\n[log]\nlevel = "warn"\n[roam]\nx = 1\n')
    said = problems(
        file=file, environment={"LIVECAST_SERVER__PORT": "http"}, options={("server", "workers"): Given(0, "--workers")}
    )
    assert len(said) == 6
    origins = [line.split(":")[0] for line in said]
    assert origins.count(f"{file} [room] tick_ms") == 1
    assert {f"{file} [room] slow_mode", f"{file} [log] level", f"{file} [roam]", "LIVECAST_SERVER__PORT", "--workers"} <= set(
        origins
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[sever]\nport = 1", "did you mean `server`?"),
        ("[room]\nslow_mod_s = 1", "did you mean `slow_mode_s`?"),
        ("[room]\njwt_secrets = []", "it belongs into [auth]"),
        ("[room.policy]\ntick_ms = 100", "written in [room] itself"),
        ('[room]\nmode = "stuff"', "did you mean `staff`?"),
        ("[room]\nstyles = {colour = true}", "did you mean `color`?"),
        ('[auth]\napi_keys = [{id = "a", hsah = "b"}]', "did you mean `hash`?"),
        ("[server]\ndev = true", "there is no such key"),
        ("room = 1", "write [room]"),
        ("[room\n", "is not TOML"),
    ],
)
def test_a_wrong_name_in_the_file_is_named_with_the_nearest_right_one(tmp_path: Path, text: str, hint: str) -> None:
    """Sections, keys, choices and keys within values."""
    assert hint in "\n".join(problems(file=toml(tmp_path, text)))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("LIVECAST_SEVER__PORT", "did you mean `server`?"),
        ("LIVECAST_SERVER__PROT", "did you mean `port`?"),
        ("LIVECAST_SERVER_PORT", "did you mean `LIVECAST_SERVER__PORT`?"),
        ("LIVECAST_AUTH__JWT_SECRET_FILE", "did you mean `jwt_secrets`?"),
        ("LIVECAST_AUTH__JWT_SECRETS_FILE", "cannot read 1"),
    ],
)
def test_a_wrong_variable_is_named_with_the_nearest_right_one(name: str, hint: str) -> None:
    """Also where one underscore is missing, which would otherwise set nothing and say nothing."""
    (said,) = problems(environment={name: "1"})
    assert said.startswith(name)
    assert hint in said


def test_a_value_given_twice_in_the_environment_is_told(tmp_path: Path) -> None:
    """Which of the two would win is nobody's to guess."""
    secret = tmp_path / "secret"
    secret.write_text(GOOD_SECRET)
    environment = {"LIVECAST_AUTH__JWT_SECRETS": f'["{GOOD_SECRET}"]', "LIVECAST_AUTH__JWT_SECRETS_FILE": str(secret)}
    assert "given twice" in problems(environment=environment)[0]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """And not taken for an empty one."""
    assert "there is no such file" in problems(file=tmp_path / "none.toml")[0]


def test_a_wrong_secret_is_not_repeated() -> None:
    """A message about a secret never quotes it: it ends in logs and tickets."""
    said = problems(environment={"LIVECAST_AUTH__JWT_SECRETS": '["hunter2", 7]'}) + problems(
        environment={"LIVECAST_AUTH__JWT_SECRETS": "hunter2"}
    )
    assert "hunter2" not in "\n".join(said)


# --- What must fit together -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f'[auth]\njwt_secrets = ["{DEV_SECRET}"]', "only accepted with --dev"),
        ('[auth]\njwt_secrets = ["short"]', "shorter than 32 bytes"),
        (
            '[auth]\napi_keys = [{id = "dev", hash = "f18d081600d4c21f85ccf251defeb9ae85f9e8de003e72f21c3c7c86b5ae74ee"}]',
            "lck_dev_dev is public",
        ),
        ('[auth]\njwks_url = "http://id.example/keys"', "https://"),
        ('[ledger]\ndurability = "none"', "only accepted with --dev"),
        ('[redis]\nurl = "redis://a"\n[ledger]\nurl = "redis://a"', "a server of its own"),
        ('[redis]\nurl = "http://a"', "redis://"),
        ('[server]\nworkers = "all"', "`all` is none of auto"),
        ('[server]\norigins = ["shop.example"]', "is no origin"),
        ('[server]\nmedia = ["https://cdn.example/live; script-src *"]', "is no origin"),
        ('[server]\ntrusted_proxies = ["10.0.0.1/8"]', "10.0.0.0/8"),
        ("[room]\ntick_ms = 900\ntick_max_ms = 500", "tick_max_ms"),
        ("[server]\noutbox_max_bytes = 65536", "above outbox_soft_bytes"),
        ('[gifts]\ncatalogue = [{id="a", name="A", price=1}, {id="a", name="B", price=2}]', "used twice"),
        ("[webhooks]\ndisable_after_h = 24", "before its first dead letter"),
        ("[node]\nheartbeat_ms = 1000", "below four heartbeats"),
        ('[review]\nurl = "https://judge.example"', "is missing: questions are signed with it"),
        ('[review]\nurl = "https://judge.example"\nsecret = "whsec_c2hvcnQ="', "shorter than 24 bytes"),
        ('[review]\nurl = "judge.example"\nsecret = "whsec_%"', "an http:// or https:// address"),
    ],
)
def test_values_that_do_not_fit_together_are_refused(tmp_path: Path, text: str, hint: str) -> None:
    """Each group may be right by itself and wrong beside the others."""
    assert hint in "\n".join(problems(file=toml(tmp_path, text)))


def test_a_node_nobody_can_sign_in_to_is_advised() -> None:
    """Legal (anonymous readers), and probably not meant."""
    assert any("Nobody can sign in" in line for line in load().advice)
    assert not any("sign in" in line for line in load(environment={"LIVECAST_AUTH__JWT_SECRETS": f'["{GOOD_SECRET}"]'}).advice)


# --- Development ------------------------------------------------------------------------------------------------------
def dev(**how: Any) -> Settings:
    """What `--dev` makes of these layers."""
    return load(dev=True, **how)


def test_dev_fixes_secret_key_and_limits() -> None:
    """What scripts may rely on with --dev."""
    settings = dev()
    assert settings.auth.jwt_secrets == (DEV_SECRET,)
    key = KeyRing(settings.auth.api_keys).find(DEV_KEY)
    assert key is not None
    assert (key.scopes, key.rooms) == (SCOPES, ("*",))
    assert (settings.edge.dev, settings.edge.connections_per_address, settings.edge.connections_per_user) == (True, 0, 0)


def test_dev_keeps_what_is_said_on_purpose() -> None:
    """Configured secrets, short ones too, stay beside the known one, and a limit that was set is kept."""
    settings = dev(environment={"LIVECAST_AUTH__JWT_SECRETS": '["short"]', "LIVECAST_SERVER__CONNECTIONS_PER_USER": "2"})
    assert settings.auth.jwt_secrets == (DEV_SECRET, "short")
    assert (settings.edge.connections_per_user, settings.edge.connections_per_address) == (2, 0)


def test_dev_with_redis_alone_uses_it_for_the_ledger_with_a_warning() -> None:
    """One server is enough for trying things out, but nobody should take it for durable."""
    settings = dev(environment={"LIVECAST_REDIS__URL": "redis://localhost:6379"})
    assert (settings.ledger.url, settings.ledger.durability) == ("redis://localhost:6379", "none")
    assert "do not count money" in settings.advice[0]


# --- The table itself -------------------------------------------------------------------------------------------------
def test_no_two_groups_of_a_section_share_a_key() -> None:
    """Else one key would set two things."""
    for section, groups in SECTIONS.items():
        names = [name for group in groups for name in group.__struct_fields__]
        assert len(names) == len(set(names)), section
    assert set(Policy.__struct_fields__) < KNOWN["room"]
