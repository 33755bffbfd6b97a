"""A ledger as a store of each version holds it, key by key: whoever comes later goes on with it.

`recorded/ledger-0.1.json` is never made anew once that version was released; a later version adds a file of its own
(`support.recording` says how). One that fails here would misread wallets, claims and stock that are in real stores: see
`livecast/core/nodes/formats.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livecast import __version__
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.core.money.units import Claim, Won
from livecast.core.nodes.placement import SHARDS
from livecast.ledger import audit, finish
from support.recording import BROADCAST, NOW, ROOM, load, looks, plain, repeat

RECORDED = sorted((Path(__file__).parent / "recorded").glob("ledger-*.json"))
GROWING = ("wallet:", "drop:", "gift:", "closed")
"""Hashes whose fields have names of ours; those of the others are ids."""


@pytest.fixture
async def ledger(ledger_valkey: str) -> AsyncIterator[RedisLedger]:
    """An empty one."""
    server = LedgerServer(ledger_valkey, deadline_s=20)
    made = RedisLedger(server)
    yield made
    await made.close()
    await server.close()


def read(file: Path) -> dict[str, Any]:
    """What was recorded."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


async def goes_on(ledger: RedisLedger, recorded: dict[str, Any]) -> None:
    """It is looked at, asked again, audited, and worked with: all as it was, and the auditor has the last word."""
    found = json.loads(json.dumps(await looks(ledger)))
    assert found == {name: recorded[name] for name in found}
    for name, answer in recorded["answers"].items():
        assert json.loads(json.dumps(await repeat(ledger, name))) == answer, name
    assert plain(await audit(ledger)) == recorded["sums"]
    (won,) = await ledger.claim(ROOM, "plain", BROADCAST, [Claim("eve", "c1")], NOW)
    assert isinstance(won, Won)
    assert won.serial == 3
    assert await ledger.expire_units(ROOM, "reserved", [3], NOW + 60_000) == [3]
    for shard in range(SHARDS):
        for pending in await ledger.pending(shard, NOW + 1, 100):
            await finish(ledger, pending, NOW)
    sums = await audit(ledger)
    assert (sums.pending, sums.units, sums.gifts, sums.reversed) == (0, 9, 3, 1)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
async def test_a_recorded_ledger_goes_on(ledger: RedisLedger, file: Path) -> None:
    """Scripts, readers and the auditor of today on keys of then."""
    recorded = read(file)
    await load(ledger.server, recorded["keys"])
    await goes_on(ledger, recorded)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
async def test_a_ledger_that_a_later_version_has_worked_on_goes_on(ledger: RedisLedger, file: Path) -> None:
    """After a rollback: fields that only that version knows are in every record that may have more, and are left alone."""
    recorded = read(file)
    await load(ledger.server, {key: with_more(key, kept) for key, kept in recorded["keys"].items()} | LATER_KEYS)
    await goes_on(ledger, recorded)
    wallet = dict(zip(*[iter(await ledger.server.run("HGETALL", WALLET))] * 2, strict=True))
    assert wallet[b"later"] == b"field"  # nobody took it away


def test_this_version_is_recorded() -> None:
    """When the version is raised, its ledger is recorded as `support.recording` says."""
    assert f"ledger-{'.'.join(__version__.split('.')[:2])}.json" in {file.name for file in RECORDED}


WALLET = "{s115}:wallet:ann"
LATER_KEYS = {"{s160}:loans:demo": {"type": "hash", "is": ["ann", "5"]}, "{s160}:loan_clock": {"type": "string", "is": "7"}}
"""Of kinds that are to come."""


def with_more(key: str, kept: dict[str, Any]) -> dict[str, Any]:
    """A key as a later version might have left it: more fields in hashes of ours, in entries, in whatever is packed as a map."""
    kind = key.partition("}:")[2]
    value = kept["is"]
    if kept["type"] == "stream":
        value = [[id_, *more_in(fields), "later", "field"] for id_, *fields in value]
    elif kept["type"] == "hash":
        value = more_in(value) + (["later", "field"] if kind.startswith(GROWING) else [])
    return {**kept, "is": value}


def more_in(flat: list[str]) -> list[str]:
    """Names and values, but for what is handed on unread."""
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [each for name, value in pairs for each in (name, value if name == "about" else more_inside(value))]


def more_inside(text: str) -> str:
    """A packed map with a field more; anything else as it is: also orders, which are compared with what is kept as a whole."""
    if not text.startswith("b64:"):
        return text
    data = base64.b64decode(text[4:])
    try:
        value = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text
    if not isinstance(value, dict):
        return text
    return "b64:" + base64.b64encode(msgspec.msgpack.encode({**value, "later": [1]})).decode()
