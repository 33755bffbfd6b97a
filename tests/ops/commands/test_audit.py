"""`livecast audit` as an operator runs it: beside a node, on what a killed one left, at rest, and on cooked books."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from livecast.core.nodes.placement import shard_of
from livecast.ops.cli import main
from support.node import NodeProcess
from support.till import Till

ROOM = "shop"
ANN = f"{ROOM}-ann"


def livecast(*args: object, within: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """One command as a process of its own. `within`: a command that becomes it."""
    binary = str(Path(sys.executable).with_name("livecast"))
    return subprocess.run([*within, binary, *map(str, args)], capture_output=True, text=True, timeout=60, check=False)


def here(*args: object) -> subprocess.CompletedProcess[str]:
    """The same in this process, which has loaded by now what another one takes more than a second for."""
    done = CliRunner().invoke(main, words := list(map(str, args)))
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """A node in whose room something was sold."""
    with NodeProcess() as process:
        Till(process, ROOM).trade()
        yield process


def store(data: Path) -> redis.Redis:
    """A client of the ledger's own, behind the node's back."""
    return redis.Redis(unix_socket_path=str(data / "ledger" / "valkey.sock"))


def test_books_of_a_running_node_agree(node: NodeProcess) -> None:
    """The sums are there, aligned, and the last line says it all."""
    done = livecast("audit", "--data-dir", node.data)
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert lines[-1] == "The books agree."
    assert "of the running node" in lines[0]
    for part in ("wallets            1  holding 10,030 coins", "gifts              1  worth 20 coins", "orders             1"):
        assert part in done.stdout, done.stdout
    assert "units granted      2  1 confirmed, 1 reserved, 0 back in stock" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="takes root, and setpriv of util-linux")
def test_another_users_directory_can_be_audited_with_the_right_to_read(node: NodeProcess) -> None:
    """As `deploy/systemd/livecast-audit.service` does it: root that may look at what is the service's, and change nothing there."""
    places = [node.data, node.data / "ledger"]
    for place in places:
        os.chown(place, 12_345, 12_345)
    try:
        done = livecast(
            "audit", "--data-dir", node.data, within=("setpriv", "--bounding-set=-all,+dac_override", "--inh-caps=-all")
        )
        assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["The books agree."]), done
        assert {place.stat().st_uid for place in places} == {12_345}
    finally:
        for place in places:
            os.chown(place, 0, 0)


def gauges(path: Path) -> dict[str, float]:
    """What a textfile says."""
    return {sample.name: sample.value for family in text_string_to_metric_families(path.read_text()) for sample in family.samples}


COOKED = {
    "a balance": ("hincrby", f"{{s{shard_of(ANN)}}}:wallet:{ANN}", "balance", 1),
    "a claim": ("hdel", f"{{s{shard_of(ROOM)}}}:units:{ROOM}/%DROP%", "2"),
    "stock": ("hincrby", f"{{s{shard_of(ROOM)}}}:drop:{ROOM}/%DROP%", "stock", 1),
}


@pytest.mark.parametrize("what", list(COOKED))
def test_cooked_books_end_with_1_and_the_key(node: NodeProcess, what: str, tmp_path: Path) -> None:
    """Changed behind the ledger's back, then put right again."""
    client = store(node.data)
    drop = client.zrange(f"{{s{shard_of(ROOM)}}}:drops:{ROOM}", 0, 0)[0].decode()  # type: ignore[union-attr]  # it is not awaited
    name, key, *rest = COOKED[what]
    key = str(key).replace("%DROP%", drop)
    kept = client.dump(key)
    getattr(client, str(name))(key, *rest)
    try:
        done = here("audit", "--data-dir", node.data, "--textfile", tmp_path / "livecast.prom")
    finally:
        client.restore(key, 0, kept, replace=True)  # type: ignore[arg-type]  # bytes, as it is not awaited
    assert done.returncode == 1, done
    last = done.stdout.splitlines()[-1]
    assert last.startswith("The books do NOT agree: shard "), done.stdout
    assert key in last
    assert "the ledger says" in last
    assert "the books say" in last
    assert gauges(tmp_path / "livecast.prom")["livecast_audit_agrees"] == 0


def test_the_outcome_can_be_left_for_prometheus(node: NodeProcess, tmp_path: Path) -> None:
    """One file, readable for others, replaced as a whole; where it cannot be written that is said."""
    before = time.time()
    done = here("audit", "--data-dir", node.data, "--textfile", tmp_path / "livecast.prom")
    assert done.returncode == 0, done
    told = gauges(tmp_path / "livecast.prom")
    assert told["livecast_audit_agrees"] == 1
    assert before - 1 <= told["livecast_audit_finished_timestamp_seconds"] <= time.time() + 1
    assert [(file.name, oct(file.stat().st_mode)[-3:]) for file in tmp_path.iterdir()] == [("livecast.prom", "644")]
    refused = here("audit", "--data-dir", node.data, "--textfile", tmp_path / "nowhere" / "livecast.prom")
    assert (refused.returncode, "nowhere" in refused.stderr) == (3, True), refused


def test_what_a_killed_node_left_can_be_audited(node: NodeProcess, tmp_path: Path) -> None:
    """Also after kill -9, with its store alive or not; and again once at rest. The audit leaves nothing running.

    The last one with that node: it stays dead.
    """
    node.kill()
    for _ in range(2):
        done = here("audit", "--data-dir", node.data)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "The books agree."), done
        assert "no node is running on it" in done.stdout
        assert node.stores("ledger") == []
    copy = tmp_path / "copy"
    shutil.copytree(node.data, copy, ignore=shutil.ignore_patterns("*.sock"))
    done = here("audit", "--data-dir", copy)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "The books agree."), done


def test_where_there_is_no_ledger_it_ends_with_2(tmp_path: Path) -> None:
    """And makes no directory; a server that does not answer ends with 3."""
    done = here("audit", "--data-dir", tmp_path / "nothing")
    assert done.returncode == 2
    assert "--data-dir" in done.stderr
    assert not (tmp_path / "nothing").exists()
    done = here("audit", "--ledger", f"unix://{tmp_path}/no.sock")
    assert done.returncode == 3
    assert "could not be read" in done.stderr
    assert here("audit", "--no-such-option").returncode == 2
