"""`livecast ledger` on a real node whose ledger loses everything: while it runs, and over a restart."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from typing import Any

import redis
from click.testing import CliRunner, Result

from livecast.ops.cli import main
from support.node import NodeProcess
from support.till import Till


def livecast(*args: object) -> Result:
    """`livecast ARGS`."""
    return CliRunner().invoke(main, list(map(str, args)))


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for something that takes a node a moment."""
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.1)


def readiness(till: Till) -> dict[str, Any]:
    """What `/readyz` says, which is 200 as long as chat works."""
    status, said = till.ask("GET", "/readyz", key=False)
    assert status == 200
    answer: dict[str, Any] = json.loads(said)
    return answer


def credit(till: Till, tx: str) -> int:
    """The status of a payment."""
    return till.ask("POST", f"/v1/wallets/{till.room}-ann/credits", {"tx": tx, "amount": 5})[0]


def is_closed(till: Till, node: NodeProcess) -> None:
    """Money is closed and says so everywhere; chat lives."""
    until(lambda: readiness(till)["status"] == "degraded", "degraded")
    (said,) = readiness(till)["degraded"]
    assert "money is closed" in said
    assert "livecast ledger confirm" in said
    status, body = till.ask("POST", f"/v1/wallets/{till.room}-ann/credits", {"tx": "while-closed", "amount": 5})
    assert (status, json.loads(body)["code"]) == (503, "unavailable")
    assert till.say("eve", "comment", text=f"still here {time.time_ns()}")["verdict"] == "shown"
    done = livecast("ledger", "status", "--data-dir", node.data)
    assert done.exit_code == 1, done.output
    assert "CLOSED: position" in done.output
    assert done.output.splitlines()[-1].startswith("Money is CLOSED in")
    done = livecast("audit", "--data-dir", node.data)
    assert done.exit_code == 1, done.output
    assert "the ledger has LOST entries" in done.output


def is_confirmed(till: Till, node: NodeProcess) -> None:
    """An operator's word opens it again on the running node, and the books agree."""
    done = livecast("ledger", "confirm", "--data-dir", node.data)
    assert done.exit_code == 0, done.output
    assert "open again, on from position" in done.output
    until(lambda: credit(till, f"again-{time.time_ns()}") == 201, "payment")
    until(lambda: readiness(till)["status"] == "ok", "ok")
    done = livecast("ledger", "status", "--data-dir", node.data)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].startswith("Money is open")
    done = livecast("audit", "--data-dir", node.data)
    assert done.exit_code == 0, done.output
    assert "a loss that an operator confirmed" in done.output
    assert "nothing to confirm" in livecast("ledger", "confirm", "--data-dir", node.data).output


def test_a_ledger_that_is_emptied_under_a_running_node() -> None:
    """FLUSHALL: noticed within seconds, also where nobody pays; and then once more, over a restart with the directory removed."""
    with NodeProcess() as node:
        till = Till(node, "shop")
        till.trade()
        done = livecast("ledger", "status", "--data-dir", node.data)
        assert done.exit_code == 0, done.output
        assert "appendfsync always" in done.output
        redis.Redis(unix_socket_path=str(node.data / "ledger" / "valkey.sock")).flushall()
        is_closed(till, node)
        is_confirmed(till, node)

        until(lambda: "-" not in _remembered(node), "memory of all positions")
        assert node.stop() == 0
        shutil.rmtree(node.data / "ledger")
        node.start()
        is_closed(till, node)
        is_confirmed(till, node)
        assert node.stop() == 0
        done = livecast("ledger", "status", "--data-dir", node.data)
        assert done.exit_code == 0, done.output
        assert "no node is running on it" in done.output


def _remembered(node: NodeProcess) -> list[str]:
    """The third column of the table."""
    lines = livecast("ledger", "status", "--data-dir", node.data).output.splitlines()
    return [line.split()[2] for line in lines if line.strip()[:1].isdigit()]
