"""A ledger as a store holds it, key by key, so that every later version can be shown one of each version before it.

`python -m support.recording` (in tests/) plays `play` on a Valkey of its own and prints what is in it then, for
`tests/adapters/recorded/ledger-VERSION.json`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from livecast import __version__
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.server import RedisServer
from livecast.core.events import Person
from livecast.core.money.coins import Gift, Movement, SpendLimits, viewer_tx
from livecast.core.money.drops import About, Eligibility
from livecast.core.money.gifts import about_of
from livecast.core.money.units import Claim, Confirm, DropChange, NewDrop, Order, Release, Revoke, Terms
from livecast.ledger import audit

ROOM, BROADCAST, NOW = "demo", "b1", 1_700_000_000_000
"""Times are of then, and every store's own clock is later: the earlier of the two counts."""
KEEP_MS: Final = 3_600_000
"""What had an end of its life gets another one."""


def gift(user: str, cid: str, value: int) -> Gift:
    """With words, to one of the hosts."""
    about = about_of(Person(user, user.title()), 2, "hello")
    return Gift(viewer_tx(user, cid), user, ROOM, BROADCAST, "rose", value, value, to="host", about=about)


async def play(ledger: RedisLedger) -> dict[str, Any]:
    """A broadcast with some of everything; what was answered to what will be asked again."""
    answers: dict[str, Any] = {}

    async def ask(name: str) -> None:
        answer = await repeat(ledger, name)
        if "verdict" not in answer:  # what was not won is remembered for minutes, by the store's clock
            answers[name] = answer

    for user in ("ann", "bob", "cat"):
        await ask(f"credit {user}")
    for name in ("gift ann 1", "gift bob 1", "gift ann 2"):
        await ask(name)
    await ledger.debit_gift(gift("cat", "half", 3), SpendLimits(), NOW)  # ... and then somebody pulled a plug
    await ledger.reverse_gift(ROOM, viewer_tx("ann", "2"), "by mistake", NOW)
    about = msgspec.msgpack.encode(About("A drop", Eligibility(min_level=3)))
    for name, terms in TERMS.items():
        await ledger.put_drop(NewDrop(ROOM, name, terms, about, b"secret"), NOW)
        if terms.codes == "list":
            await ledger.put_codes(ROOM, name, "up", 0, ["A-1", "A-2"])
            await ledger.finish_codes(ROOM, name, "up", NOW)
        await ledger.step_drop(ROOM, name, "open", NOW)
    for name in TERMS:
        for user in ("ann", "bob", "cat"):
            await ask(f"claim {name} {user}")
    await ledger.step_unit(ROOM, "reserved", 1, Confirm("o-1", 900, "EUR"), NOW)
    await ledger.step_unit(ROOM, "reserved", 2, Release(), NOW)
    await ledger.step_unit(ROOM, "listed", 1, Revoke("fraud", return_stock=False), NOW)
    await ledger.change_drop(ROOM, "plain", DropChange("more", stock_delta=2), NOW)
    await ledger.step_drop(ROOM, "draw", "close", NOW)
    await ledger.freeze_pot(ROOM, "draw", NOW)
    await ledger.award(ROOM, "draw", 0, ["cat"], NOW)
    await ledger.draw_pot(ROOM, "draw", b"result", NOW)
    await ask("order")
    await ledger.put_facts(ROOM, "ann", b"facts", NOW)
    return {"answers": answers, **await looks(ledger)}


TERMS: Final = {
    "plain": Terms(2, closes_at=NOW + 86_400_000),
    "listed": Terms(2, codes="list", limit_group="g"),
    "reserved": Terms(3, reserve_ms=60_000, per_user=2),
    "draw": Terms(1, kind="draw"),
}


async def repeat(ledger: RedisLedger, name: str) -> Any:
    """Ask for something, for the first time or again."""
    match name.split(" "):
        case ["credit", user]:
            answer: Any = await ledger.move(Movement(user, "t1", 100, "key:shop", "welcome"), NOW)
        case ["gift", user, cid]:
            await ledger.debit_gift(gift(user, cid, 5 + int(cid)), SpendLimits(per_day=50), NOW)
            answer = msgspec.structs.replace(await ledger.commit_gift(gift(user, cid, 5 + int(cid)), NOW))
        case ["claim", drop, user]:
            (answer,) = await ledger.claim(ROOM, drop, BROADCAST, [Claim(user, "c1", nonce=f"nonce-{user}")], NOW)
        case _:
            answer = await ledger.order(ROOM, Order("o-1", "ann", "sku", 900, "EUR", "paid", "reserved", 1), NOW)
    return plain(answer)


async def looks(ledger: RedisLedger) -> dict[str, Any]:
    """What is in the books, as whoever asks is told."""
    drops = await ledger.drops(ROOM, None, 10)
    return {
        "wallets": plain([await ledger.wallet(user) for user in ("ann", "bob", "cat")]),
        "bookings": plain(await ledger.bookings("ann", None, 10)),
        "board": plain(await ledger.board(ROOM, BROADCAST, 10)),
        "takings": {name: n for name, n in plain(await ledger.takings(ROOM, BROADCAST)).items() if name != "by_host"},  # of later
        "gift": plain(await ledger.find_gift(viewer_tx("ann", "2"), ROOM)),
        "drops": plain(drops),
        "units": {drop.id: plain(await ledger.units(ROOM, drop.id, 0, 10)) for drop in drops},
        "entrants": plain(await ledger.entrants(ROOM, "draw", 0, 10)),
        "holdings": plain(await ledger.holdings(ROOM, "ann", 10)),
        "orders": plain(await ledger.orders(ROOM, 0, 10)),
        "facts": plain(await ledger.facts(ROOM, ["ann"])),
        "secret": plain(await ledger.secret(ROOM, "plain")),
    }


def plain(value: Any) -> Any:
    """As JSON has it; whether an answer is given for the first time does not count."""
    told = msgspec.to_builtins(value)
    for name in ("again", "first", "changed"):
        if isinstance(told, dict) and isinstance(told.get(name), bool):
            del told[name]
    return told


async def dump(server: RedisServer) -> dict[str, Any]:
    """Every key with its type and all that is in it; `ends` if its life does."""
    found: dict[str, Any] = {}
    for key in sorted(await server.run("KEYS", "*")):
        kind = (await server.run("TYPE", key)).decode()
        if kind == "stream":
            value: Any = [[id_.decode(), *map(_text, fields)] for id_, fields in await server.run("XRANGE", key, "-", "+")]
        else:
            value = await server.run(*READ[kind][0], key, *READ[kind][1])
            value = _text(value) if kind == "string" else list(map(_text, value))
        ends = {"ends": True} if await server.run("PTTL", key) > 0 else {}
        found[key.decode()] = {"type": kind, "is": value, **ends}
    return found


READ: Final[dict[str, tuple[tuple[str, ...], tuple[str | int, ...]]]] = {
    "string": (("GET",), ()),
    "hash": (("HGETALL",), ()),
    "list": (("LRANGE",), (0, -1)),
    "zset": (("ZRANGE",), (0, -1, "WITHSCORES")),
    "set": (("SMEMBERS",), ()),
}


async def load(server: RedisServer, keys: dict[str, Any]) -> None:
    """The same into a store that is empty."""
    for key, kept in keys.items():
        value = kept["is"]
        match kept["type"]:
            case "stream":
                for id_, *fields in value:
                    await server.run("XADD", key, id_, *map(_bytes, fields))
            case "string":
                await server.run("SET", key, _bytes(value))
            case "hash":
                await server.run("HSET", key, *map(_bytes, value))
            case "zset":
                await server.run(
                    "ZADD", key, *(_bytes(each) for pair in zip(value[1::2], value[::2], strict=True) for each in pair)
                )
            case "list":
                await server.run("RPUSH", key, *map(_bytes, value))
            case kind:
                await server.run("SADD" if kind == "set" else kind, key, *map(_bytes, value))
        if kept.get("ends"):
            await server.run("PEXPIRE", key, KEEP_MS)


def _text(value: bytes) -> str:
    """Text as it is, anything else in base 64."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and text and not text.startswith("b64:") else "b64:" + base64.b64encode(value).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text[4:]) if text.startswith("b64:") else text.encode()


async def _record() -> dict[str, Any]:
    from conftest import Valkey  # noqa: PLC0415 - pytest's own, where there is no pytest

    directory = Path(tempfile.mkdtemp(prefix="livecast-recording-"))
    valkey = Valkey(directory, "always")
    valkey.start()
    server = LedgerServer(valkey.url)
    ledger = RedisLedger(server)
    try:
        told = await play(ledger)
        sums = plain(await audit(ledger))
        return {"livecast": __version__, "keys": await dump(server), "sums": sums, **told}
    finally:
        await ledger.close()
        await server.close()
        valkey.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_record()), indent=1, ensure_ascii=False, sort_keys=True) + "\n")
