"""The files in deploy/ fit the service and each other: settings load, ports agree, images are pinned, metrics exist."""

from __future__ import annotations

import configparser
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from livecast.ops.configuration.groups import DEFAULT_PORT
from livecast.ops.configuration.settings import Settings, load
from livecast.ops.observers import PrometheusObserver
from support.node import NodeProcess

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
NGINX = (DEPLOY / "nginx.conf").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
STOP_S = 15  # how long a clean stop may take
GIVEN_BY_PROMETHEUS = {"job", "instance", "le", "alertname", "alertstate"}
#: What no node shows itself: `livecast audit --textfile`, Prometheus.
FROM_ELSEWHERE = {"livecast_audit_agrees", "livecast_audit_finished_timestamp_seconds", "up", "ALERTS"}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make-secrets.sh` makes, in a directory of its own."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    here = tmp_path_factory.mktemp("deploy")
    shutil.copy(DEPLOY / "make-secrets.sh", here)
    made = [subprocess.run(["sh", here / "make-secrets.sh"], check=True, capture_output=True).stdout.decode() for _ in range(2)]
    assert (made[0].count("made "), made[1].count("made ")) == (11, 0)  # a second run replaces nothing
    return here / "secrets"


def test_no_secret_is_empty_where_openssl_is_missing_or_fails(tmp_path: Path) -> None:
    """A password of no letters would be a store without one. The next run makes what is missing."""
    shutil.copy(DEPLOY / "make-secrets.sh", tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "mkdir", "chmod", "cat", "mv", "rm", "cut"):
        (programs / name).symlink_to(shutil.which(name) or "/bin/false")
    for broken in (False, True):
        if broken:
            (programs / "openssl").symlink_to("/bin/false")
        done = subprocess.run(
            ["sh", "make-secrets.sh"], cwd=tmp_path, env={"PATH": str(programs)}, capture_output=True, check=False
        )
        assert done.returncode == 1, done
        assert done.stderr
        assert not list((tmp_path / "secrets").glob("*"))


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """A node, for what it shows."""
    with NodeProcess() as process:
        yield process


def settings_of(environment: dict[str, str], files: dict[str, Path]) -> Settings:
    """What a node takes from these variables, `…_FILE` read from where the files are here. Raises if anything is wrong."""
    return load(environment={key: str(files.get(value, value)) for key, value in environment.items()})


def documents(name: str) -> list[dict[str, Any]]:
    """The objects of one file of kubernetes/."""
    return [each for each in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()) if each]


# --- Compose and nginx ------------------------------------------------------------------------------------------------
def test_images_are_pinned() -> None:
    """To a version that is one: what ran yesterday runs tomorrow."""
    images = [service["image"] for service in COMPOSE["services"].values()] + re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    for image in images:
        assert re.search(r":v?\d+\.\d+", image), image
    assert len(set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))) == 1


def test_compose_nodes_take_their_settings(secrets: Path) -> None:
    """Every variable is a setting, every file it names is a secret that the script makes, and the whole is a configuration."""
    files = {f"/run/secrets/{name}": secrets / Path(each["file"]).name for name, each in COMPOSE["secrets"].items()}
    assert [str(path) for path in files.values() if not path.is_file()] == []
    for name in ("node-1", "node-2", "audit"):
        service = COMPOSE["services"][name]
        settings = settings_of(service["environment"], files)
        assert settings.redis.url != settings.ledger.url
        assert settings.ledger.durability == "always"
        assert {key.id for key in settings.auth.api_keys} == {"metrics", "backend"}
        named = {Path(value).name for key, value in service["environment"].items() if key.endswith("_FILE")}
        assert named == set(service["secrets"]) <= set(COMPOSE["secrets"])
        assert int(service["stop_grace_period"].removesuffix("s")) > STOP_S
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_nodes_believe_the_nginx_before_them_and_it_knows_them() -> None:
    """Its address in compose is the one trusted; its upstreams are the nodes at their port; it listens where compose publishes."""
    nginx = COMPOSE["services"]["nginx"]
    address = nginx["networks"]["front"]["ipv4_address"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(COMPOSE["networks"]["front"]["ipam"]["config"][0]["subnet"])
    trusted = json.loads(COMPOSE["services"]["node-1"]["environment"]["LIVECAST_SERVER__TRUSTED_PROXIES"])
    assert trusted == [address]
    nodes = {f"{name}:{DEFAULT_PORT}" for name in COMPOSE["services"] if name.startswith("node-") and name != "node-exporter"}
    assert set(re.findall(r"^    server (\S+) ", NGINX, re.MULTILINE)) == nodes
    assert re.findall(r"^    listen (\d+)", NGINX, re.MULTILINE) == [nginx["ports"][0].split(":")[1]]
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    assert set(scraped["static_configs"][0]["targets"]) == nodes


def test_stores_are_as_durable_as_nodes_demand() -> None:
    """The ledger syncs every write, both keep what they have when they are full, and neither can be reached from outside."""
    services = COMPOSE["services"]
    rooms, ledger = (" ".join(services[name]["command"]) for name in ("rooms", "ledger"))
    assert "--appendfsync always" in ledger
    assert "--appendonly yes" in ledger
    assert "--appendonly yes" in rooms
    for name, command in (("rooms", rooms), ("ledger", ledger)):
        assert "--maxmemory-policy noeviction" in command
        assert services[name]["networks"] == ["stores"]
        assert "ports" not in services[name]
    assert COMPOSE["networks"]["stores"]["internal"] is True


# --- The image --------------------------------------------------------------------------------------------------------
def test_the_image_is_nobody_and_listens_where_it_says(node: NodeProcess) -> None:
    """A user by number; the port of the settings; and its health check tells a node that is ready from none."""
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE) == [str(DEFAULT_PORT)]
    environment = dict(re.findall(r"(LIVECAST_\w+)=(\S+)", DOCKERFILE.partition("COPY --from")[2]))
    assert load(environment=environment).server.port == DEFAULT_PORT
    check = json.loads(re.search(r"^  CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1])  # type: ignore[index]  # else it fails here
    assert check[0] == "python"
    for port, healthy in ((node.base.rsplit(":", 1)[1], True), ("9", False)):
        done = subprocess.run(
            [sys.executable, *check[1:]],
            env={**os.environ, "LIVECAST_SERVER__PORT": port},
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode == 0) is healthy, done


# --- Kubernetes -------------------------------------------------------------------------------------------------------
def test_kubernetes_lists_every_file() -> None:
    """And nothing that is not there."""
    listed = {*documents("kustomization.yaml")[0]["resources"], "kustomization.yaml"}
    assert listed == {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    version = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["images"][0]["newTag"]
    assert COMPOSE["services"]["node-1"]["image"] == f"livecast:{version}"


def test_kubernetes_knows_every_member() -> None:
    """Kinds, names and types of all members, by the schemas of the oldest and the newest Kubernetes that there are schemas of."""
    schemas = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate, which is 100 MB: pip install it")
    objects = [
        each for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.stem != "kustomization" for each in documents(path.name)
    ]
    assert {each["kind"] for each in objects} > {"Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy"}
    for each in objects:
        for version in ("1.25", schemas.latest_version()):
            if each["apiVersion"] != "monitoring.coreos.com/v1":  # the Prometheus operator's: it has no schema there
                schemas.validate(each, version, strict=True)


def test_pods_take_their_settings_and_stop_in_time(secrets: Path) -> None:
    """The variables load, their files are those of the secret, and whoever kills waits for a clean stop."""
    lines = (DEPLOY / "kubernetes" / "settings.env").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if line)
    files = {f"/run/secrets/livecast/{path.name}": path for path in secrets.iterdir()}
    assert settings_of(environment, files).edge.trusted_proxies
    pod = documents("deployment.yaml")[0]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["ports"][0]["containerPort"] == DEFAULT_PORT
    pause_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause_s + STOP_S
    assert {key.rsplit("/", 1)[0] for key in environment.values() if key.startswith("/")} == {
        container["volumeMounts"][0]["mountPath"]
    }
    assert pod["securityContext"]["runAsUser"] == int(re.search(r"^USER (\d+)", DOCKERFILE, re.MULTILINE)[1])  # type: ignore[index]


def test_only_nodes_are_sent_viewers() -> None:
    """Service, budget and Deployment choose the same pods, and an audit at work is none of them."""
    labels = documents("deployment.yaml")[0]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        documents("deployment.yaml")[0]["spec"]["selector"]["matchLabels"],
        documents("service.yaml")[0]["spec"]["selector"],
        documents("scaling.yaml")[1]["spec"]["selector"]["matchLabels"],
    ]
    audit = documents("audit.yaml")[0]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= audit.items()


# --- systemd ----------------------------------------------------------------------------------------------------------
def test_units_take_their_settings_and_stop_in_time(secrets: Path) -> None:
    """Variables load as a node reads them; a stop may take as long as it does."""
    text = (DEPLOY / "systemd" / "livecast.service").read_text()
    environment = dict(
        pair.split("=", 1) for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE) for pair in line.split()
    )
    settings = settings_of(environment, {f"%d/{path.name}": path for path in secrets.iterdir()})
    assert settings.server.data_dir == "/var/lib/livecast"
    unit = configparser.RawConfigParser(strict=False)
    unit.read_string(text)
    assert int(unit["Service"]["TimeoutStopSec"].removesuffix("s")) > STOP_S


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze (Debian: apt install systemd)")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """Every line of them, and what they start is there: a program in place of livecast, which is not installed at that place."""
    for file in (DEPLOY / "systemd").iterdir():
        (tmp_path / file.name).write_text(file.read_text().replace("/opt/livecast/bin/livecast ", "/bin/true "))
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    told = [line for line in done.stderr.splitlines() if "notify-reload" not in line]  # which systemd knows from 253 on
    assert (done.returncode, told) == (0, []), done


# --- Metrics ----------------------------------------------------------------------------------------------------------
def names_in(expression: str) -> set[str]:
    """The metrics that an expression reads."""
    return set(re.findall(r"\b(livecast_\w+|process_\w+|up|ALERTS)\b", re.sub(r'"[^"]*"', '""', expression)))


def labels_in(expression: str) -> dict[str, set[str]]:
    """Metric -> labels that an expression asks of it, or sums by."""
    by = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")}
    return {
        name: by | set(re.findall(r"(\w+)\s*=", re.sub(r'"[^"]*"', '""', selector)))
        for name, selector in re.findall(r"\b(livecast_\w+)(?:\{([^}]*)\})?", expression)
    }


def expressions() -> dict[str, str]:
    """Every query of dashboards and alert rules, by where it stands."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in RULES}
    for file in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                found[f"{file.name} {panel['title']} {target['refId']}"] = target["expr"]
    return found


def test_every_metric_that_is_asked_for_is_shown_by_a_node(node: NodeProcess) -> None:
    """By name as `/metrics` of a running node has it, and with no label that the metric has not."""
    with urllib.request.urlopen(f"{node.base}/metrics", timeout=20) as page:
        kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page.read().decode(), re.MULTILINE))
    shown = set(kinds) | {
        f"{name}{end}" for name, kind in kinds.items() if kind == "histogram" for end in ("_bucket", "_sum", "_count")
    }
    collectors = PrometheusObserver().registry._names_to_collectors
    asked = expressions()
    assert len(asked) > 60
    for where, expression in asked.items():
        missing = names_in(expression) - shown - FROM_ELSEWHERE
        assert not missing, f"{where}: no node shows {missing}"
        for name, labels in labels_in(expression).items():
            known = set(getattr(collectors.get(name), "_labelnames", ()))
            assert labels - GIVEN_BY_PROMETHEUS <= known or name in FROM_ELSEWHERE, f"{where}: {name} has {known}, not {labels}"


def test_dashboards_are_made_from_their_tables() -> None:
    """`python deploy/grafana/make_dashboards.py` would change nothing."""
    code = "import json, make_dashboards; print(json.dumps(make_dashboards.texts()))"
    made = subprocess.run([sys.executable, "-c", code], cwd=DEPLOY / "grafana", capture_output=True, check=True).stdout
    kept = {file.name: file.read_text() for file in (DEPLOY / "grafana" / "dashboards").iterdir()}
    assert json.loads(made) == kept
    assert set(kept) == {"show.json", "money.json", "edge.json", "store.json"}


def test_every_alert_says_what_to_do_and_is_tested() -> None:
    """A severity, a sentence, a first step; and a test that makes it fire."""
    tests = yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yml").read_text())["tests"]
    firing = {sample["labels"] for test in tests for each in test["promql_expr_test"] for sample in each["exp_samples"]}
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) == len(tests) - 1  # one more: that nothing fires on a healthy service
    for rule in RULES:
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert min(len(rule["annotations"][name]) for name in ("summary", "runbook")) > 20
        assert f'{{alertname="{rule["alert"]}"}}' in firing


@pytest.mark.skipif(
    shutil.which("promtool") is None and not os.environ.get("CI"), reason="there is no promtool (Debian: apt install prometheus)"
)
def test_promtool_agrees() -> None:
    """Rules and configuration are valid, each alert fires on what it is for, and none on a healthy service."""
    for words in (
        ["check", "rules", "alerts.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
        ["test", "rules", "alerts_test.yml"],
    ):
        done = subprocess.run(["promtool", *words], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
