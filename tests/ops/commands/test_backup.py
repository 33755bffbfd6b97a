"""`livecast backup` and `restore` on real nodes: taken while one runs, and a new one begins from it with everything there."""

from __future__ import annotations

import io
import json
import stat
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from livecast.ops.cli import main
from support.node import NodeProcess
from support.till import Till


def livecast(*args: object) -> Result:
    """`livecast ARGS`."""
    return CliRunner().invoke(main, list(map(str, args)))


@pytest.fixture(scope="module")
def saved(node: NodeProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a node that goes on: somebody is paid all the while."""
    till = Till(node, "shop")
    till.trade()
    stop = threading.Event()

    def pay() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            till.ask("POST", "/v1/wallets/busy/credits", {"tx": f"t{n}", "amount": 1})

    payer = threading.Thread(target=pay)
    payer.start()
    file = tmp_path_factory.mktemp("backups") / "one.tar"
    try:
        done = livecast("backup", file, "--data-dir", node.data)
    finally:
        stop.set()
        payer.join()
    assert done.exit_code == 0, done.output
    assert "rooms.rdb" in done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["one.tar"]
    assert not (node.data / "ledger" / "dump.rdb").exists()
    return file


def facts_of(till: Till) -> tuple[Any, ...]:
    """What a merchant sees: claims with their codes, orders' drop, a wallet, the keys of receipts."""
    (drop,) = [drop["id"] for drop in till.do("GET", "/drops")["data"]]
    claims = till.do("GET", f"/drops/{drop}/claims")["data"]
    wallet = json.loads(till.ask("GET", f"/v1/wallets/{till.room}-ann")[1])
    jwks = json.loads(till.ask("GET", "/.well-known/jwks.json", key=False)[1])
    return claims, wallet, till.do("GET", "/leaderboard")["data"], jwks


def epoch_of(till: Till) -> str:
    """The room's epoch."""
    return str(till.do("GET", "/frames/head", key=False)["epoch"])


def test_a_restored_node_has_everything(node: NodeProcess, saved: Path) -> None:
    """The same claims, codes, coins, board and key; a new epoch; money is open and the books agree."""
    before, epoch = facts_of(Till(node, "shop")), epoch_of(Till(node, "shop"))
    with NodeProcess() as other:
        other.stop()
        for path in ("rooms", "ledger"):
            assert (other.data / path).is_dir()
        refused = livecast("restore", saved, "--data-dir", other.data)
        assert refused.exit_code == 2
        assert "is not empty" in refused.output
        other.data.rename(other.data.with_name("away"))
        done = livecast("restore", saved, "--data-dir", other.data)
        assert done.exit_code == 0, done.output
        audited = livecast("audit", "--data-dir", other.data)
        assert (audited.exit_code, audited.output.splitlines()[-1]) == (0, "The books agree."), audited.output
        other.start()
        till = Till(other, "shop")
        assert facts_of(till) == before
        assert epoch_of(till) != epoch
        assert json.loads(till.ask("GET", "/readyz", key=False)[1])["status"] == "ok"
        assert till.ask("POST", "/v1/wallets/shop-ann/credits", {"tx": "new", "amount": 1})[0] == 201
        audited = livecast("audit", "--data-dir", other.data)
        assert audited.exit_code == 0, audited.output


def changed(file: Path, to: Path, name: str, flip: int) -> Path:
    """The same backup with one byte of one part changed."""
    with tarfile.open(file) as tar, tarfile.open(to, "w") as out:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            data = bytearray(content.read())
            if member.name == name:
                data[flip] ^= 1
            out.addfile(member, io.BytesIO(data))
    return to


def test_a_damaged_backup_is_refused(saved: Path, tmp_path: Path) -> None:
    """A changed byte in any part, a file cut short, another file: nothing appears where it should have gone."""
    target = tmp_path / "data"
    for name in ("rooms.rdb", "ledger.rdb", "receipts.pem"):
        done = livecast("restore", changed(saved, tmp_path / "bad.tar", name, 60), "--data-dir", target)
        assert done.exit_code == 1, done.output
        assert f"{name} is damaged" in done.output
    (tmp_path / "short.tar").write_bytes(saved.read_bytes()[:-20_000])
    (tmp_path / "other.tar").write_bytes(b"nothing of the kind")
    for file in ("short.tar", "other.tar"):
        done = livecast("restore", tmp_path / file, "--data-dir", target)
        assert done.exit_code == 1, (file, done.output)
    assert livecast("restore", tmp_path / "nothing.tar", "--data-dir", target).exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar", "other.tar", "short.tar"]


def test_a_backup_overwrites_nothing(saved: Path, node: NodeProcess, tmp_path: Path) -> None:
    """A file that is there already; a directory without a node's files; a server that is not ours to back up."""
    kept = saved.read_bytes()
    assert livecast("backup", saved, "--data-dir", node.data).exit_code == 2
    assert saved.read_bytes() == kept
    assert livecast("backup", tmp_path / "b.tar", "--data-dir", tmp_path / "nothing").exit_code == 2
    assert list(tmp_path.iterdir()) == []
