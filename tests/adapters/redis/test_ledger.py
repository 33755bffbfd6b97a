"""The Redis ledger when the server does not behave. What it promises otherwise is in `tests/contract`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.core.books.audit import Difference
from livecast.core.money.coins import Gift, HostGifts, Movement, Pending, SpendLimits, Takings
from livecast.core.money.units import REFUSALS_KEEP_MS, Claim, ClaimAnswer, DropChange, Entered, NotWon, Order, Won
from livecast.core.nodes.placement import shard_of
from livecast.ledger import LaterEntry, LedgerClosed, audit, finish
from livecast.ports import StoreError, Unavailable
from support.drops import BROADCAST, NOW, ROOM, click, clicks, make, opened, rose, short, step

SHARD = shard_of(ROOM)
TAG = f"{{s{SHARD}}}:"


@pytest.fixture
async def ledger(ledger_valkey: str) -> AsyncIterator[RedisLedger]:
    """A ledger on a healthy server."""
    server = LedgerServer(ledger_valkey)
    made = RedisLedger(server)
    yield made
    await made.close()
    await server.close()


@pytest.fixture
async def crash_ledger(crashable_ledger: Any) -> AsyncIterator[RedisLedger]:
    """A ledger on a server that will be hurt."""
    server = LedgerServer(crashable_ledger.url)
    made = RedisLedger(server)
    yield made
    await made.close()
    await server.close()


async def until_answered(ledger: RedisLedger, claims: list[Claim]) -> list[ClaimAnswer]:
    """What an edge does: the same cids, again."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await clicks(ledger, claims)
            except Unavailable:
                await asyncio.sleep(0.01)


# --- Crashes ----------------------------------------------------------------------------------------------------------
async def test_killed_during_claims(crash_ledger: RedisLedger, crashable_ledger: Any) -> None:
    """Kill -9 of the server while batches run: what was answered before stays as it was, what was in doubt is settled by
    repeating it, and is the same ever after. Nothing is granted twice, and the auditor finds nothing.
    """
    await opened(crash_ledger, stock=3000)
    batches = [[Claim(f"user-{n}-{k}", "c1") for k in range(50)] for n in range(100)]
    answered: dict[int, list[ClaimAnswer]] = {}
    in_doubt: set[int] = set()

    async def run(n: int) -> None:
        try:
            answered[n] = await clicks(crash_ledger, batches[n])
        except Unavailable:
            in_doubt.add(n)
            await asyncio.sleep(0.05)  # a dead server refuses at once: some batches are to meet the living one

    async def storm() -> None:
        for n in range(0, 100, 4):
            await asyncio.gather(*(run(k) for k in range(n, n + 4)))

    storming = asyncio.create_task(storm())
    for enough in (8, 60):
        while len(answered) + len(in_doubt) < enough:  # noqa: ASYNC110 - a kill in the middle is what is wanted, not an event
            await asyncio.sleep(0.001)
        crashable_ledger.kill()
        await asyncio.to_thread(crashable_ledger.start)
    await storming
    assert answered
    assert in_doubt
    settled = {n: await until_answered(crash_ledger, batches[n]) for n in range(100)}
    for n, answers in answered.items():
        assert [_outcome(each) for each in settled[n]] == [_outcome(each) for each in answers]
    won = [
        (claim.user, answer.serial)
        for n in range(100)
        for claim, answer in zip(batches[n], settled[n], strict=True)
        if isinstance(answer, Won)
    ]
    assert sorted(serial for _, serial in won) == list(range(1, 3001))
    assert len({user for user, _ in won}) == 3000
    assert (await audit(crash_ledger)).units == 3000


def _outcome(answer: ClaimAnswer) -> object:
    return (answer.serial, answer.at) if isinstance(answer, Won) else short(answer)


async def test_killed_during_movements(crash_ledger: RedisLedger, crashable_ledger: Any) -> None:
    """Credits repeated by their tx until they are answered are there exactly once."""

    async def credit(n: int) -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    await crash_ledger.move(Movement(f"u{n % 7}", f"t{n}", 1, "key:k"), NOW)
                except Unavailable:
                    await asyncio.sleep(0.01)
                else:
                    return

    async def all_of_them() -> None:
        for n in range(0, 600, 30):
            await asyncio.gather(*(credit(k) for k in range(n, n + 30)))

    running = asyncio.create_task(all_of_them())
    for _ in range(2):
        await asyncio.sleep(0.03)
        crashable_ledger.kill()
        await asyncio.to_thread(crashable_ledger.start)
    await running
    sums = await audit(crash_ledger)
    assert (sums.coins, sums.entries) == (600, 600)


async def test_frozen_server(crash_ledger: RedisLedger, crashable_ledger: Any) -> None:
    """A server that hangs makes every call `Unavailable` within a second, those queued behind others included; thawed, the
    repeat tells what became of it.
    """
    await opened(crash_ledger, stock=2)
    crashable_ledger.freeze()
    began = time.monotonic()
    calls = [clicks(crash_ledger, [Claim(f"u{n}", "c")] * 100) for n in range(20)]
    reads = [crash_ledger.wallet("ann"), crash_ledger.units(ROOM, "d1", 0, 9)]
    answers = await asyncio.gather(*calls, *reads, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    assert time.monotonic() - began < 1
    crashable_ledger.thaw()
    settled = [(await until_answered(crash_ledger, [Claim(f"u{n}", "c")]))[0] for n in range(20)]
    assert sorted(answer.serial for answer in settled if isinstance(answer, Won)) == [1, 2]
    await audit(crash_ledger)


async def test_a_server_that_forgot_its_scripts(ledger: RedisLedger, ledger_server: Any) -> None:
    """They are loaded again within the call, different ones in one pipeline included."""
    await opened(ledger)
    ledger_server.command("SCRIPT", "FLUSH")
    moved, answer, drop = await asyncio.gather(
        ledger.move(Movement("ann", "t", 5, "key:k"), NOW), click(ledger, "ann"), make(ledger, "d2")
    )
    assert (getattr(moved, "balance", None), short(answer), drop.state) == (5, 1, "draft")


async def test_a_server_out_of_memory_does_nothing_by_halves(ledger: RedisLedger, ledger_server: Any) -> None:
    """Claims are refused as a whole with `Unavailable`; with room again the same cids are decided."""
    await opened(ledger)
    before = await ledger.position(SHARD)
    ledger_server.command("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(Unavailable, match="memory"):
            await click(ledger, "ann")
    finally:
        ledger_server.command("CONFIG", "SET", "maxmemory", "0")
    assert await ledger.position(SHARD) == before
    assert short(await click(ledger, "ann")) == 1


async def test_a_cancelled_caller_disturbs_no_other(ledger: RedisLedger) -> None:
    """Of calls that share a pipeline each is its own caller's affair."""
    tasks = [asyncio.create_task(ledger.move(Movement("ann", f"t{n}", 1, "key:k"), NOW)) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, False] * 10
    await audit(ledger)


# --- Durability -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("setting", "value"),
    [("appendfsync", "everysec"), ("appendfsync", "no"), ("appendonly", "no"), ("no-appendfsync-on-rewrite", "yes")],
)
async def test_money_is_closed_on_a_server_that_could_lose_it(crashable_ledger: Any, setting: str, value: str) -> None:
    """The message says what to set; once that is done the next connection opens money. `external` and `none` do not look."""
    crashable_ledger.command("CONFIG", "SET", setting, value)
    server = LedgerServer(crashable_ledger.url)
    ledger = RedisLedger(server)
    for call in (ledger.wallet("ann"), ledger.move(Movement("ann", "t", 1, "key:k"), NOW)):
        with pytest.raises(LedgerClosed, match=f"{setting} {value}.*Set {setting}"):
            await call
    for durability in ("external", "none"):
        trusting = LedgerServer(crashable_ledger.url, durability=durability)
        assert (await RedisLedger(trusting).wallet("ann")).balance == 0
        await trusting.close()
    crashable_ledger.command("CONFIG", "SET", setting, {"appendonly": "yes", "appendfsync": "always"}.get(setting, "no"))
    assert (await ledger.wallet("ann")).balance == 0
    await ledger.close()
    await server.close()


async def test_durability_is_checked_at_every_reconnect(crash_ledger: RedisLedger, crashable_ledger: Any) -> None:
    """A server that came back with other settings gets no money."""
    await crash_ledger.move(Movement("ann", "t1", 1, "key:k"), NOW)
    crashable_ledger.command("CONFIG", "SET", "appendfsync", "everysec")
    crashable_ledger.command("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES")
    for _ in range(16):  # as many as may notice first that their connection is gone
        with pytest.raises(Unavailable) as raised:
            await crash_ledger.move(Movement("ann", "t2", 1, "key:k"), NOW)
        if isinstance(raised.value, LedgerClosed):
            return
    pytest.fail("money stayed open")


async def test_without_a_replica_nothing_is_acknowledged(ledger_valkey: str) -> None:
    """One replica is required and none is there: every answer is in doubt, that of a repeat and of a read as well."""
    server = LedgerServer(ledger_valkey, replicas=1, deadline_s=0.2)
    ledger = RedisLedger(server)
    for call in (
        ledger.move(Movement("ann", "t", 1, "key:k"), NOW),
        ledger.move(Movement("ann", "t", 1, "key:k"), NOW),
        ledger.wallet("ann"),
    ):
        with pytest.raises(Unavailable):
            await call
    await ledger.close()
    await server.close()


# --- Loss -------------------------------------------------------------------------------------------------------------
async def test_a_store_that_came_back_empty_sells_nothing(ledger: RedisLedger, ledger_server: Any) -> None:
    """The first call finds it behind and does nothing; so does every process, until an operator confirms."""
    await opened(ledger)
    assert short(await click(ledger, "ann")) == 1
    ledger_server.command("FLUSHALL")
    with pytest.raises(LedgerClosed, match="confirm"):
        await make(ledger)
    server = LedgerServer(ledger_server.url)
    fresh = RedisLedger(server)
    with pytest.raises(LedgerClosed):
        await make(fresh)
    await fresh.confirm(SHARD, NOW)
    await make(fresh)
    await step(ledger, "open")
    assert short(await click(ledger, "ann")) == 1
    await fresh.close()
    await server.close()


async def test_a_read_notices_that_something_is_missing(ledger: RedisLedger, ledger_server: Any) -> None:
    """Whoever only reads closes the shard for those who write."""
    await opened(ledger)
    ledger_server.command("FLUSHALL")
    assert await ledger.read(SHARD, 0, 9) == []
    assert "was seen" in (await ledger.position(SHARD)).closed


async def test_a_store_for_development_may_lose_what_it_said(ledger_server: Any, ledger_valkey: str) -> None:
    """With `durability` "none" nobody is asked to confirm anything."""
    server = LedgerServer(ledger_valkey, durability="none")
    ledger = RedisLedger(server)
    await opened(ledger)
    ledger_server.command("FLUSHALL")
    await opened(ledger)
    await ledger.close()
    await server.close()


# --- Memory -----------------------------------------------------------------------------------------------------------
async def test_refusals_leave_nothing_for_good(ledger: RedisLedger, ledger_server: Any) -> None:
    """A sold out drop that is clicked on keeps a line per user, for twice ten minutes at most; what was only early or not eligible
    leaves nothing at all.
    """
    await make(ledger, stock=1)
    keys = int(ledger_server.command("DBSIZE")[1:])
    for n in range(50):
        assert short(await click(ledger, f"u{n}")) == "not_open"
    assert int(ledger_server.command("DBSIZE")[1:]) == keys
    await step(ledger, "open")
    keys = int(ledger_server.command("DBSIZE")[1:])
    for n in range(50):
        assert short(await click(ledger, f"u{n}", missing=True)) == "not_eligible"
    assert int(ledger_server.command("DBSIZE")[1:]) == keys
    await click(ledger, "winner")
    sold_out = int(ledger_server.command("DBSIZE")[1:])
    for n in range(100):
        answer = await click(ledger, f"u{n % 10}", f"c{n}")
        assert isinstance(answer, NotWon)
    now = time.time_ns() // 1_000_000
    periods = [f"{TAG}refusals:{ROOM}/d1/{now // REFUSALS_KEEP_MS - back}" for back in (0, 1)]  # ten minutes may just have ended
    kept = [key for key in periods if int(ledger_server.command("EXISTS", key)[1:])]
    assert int(ledger_server.command("DBSIZE")[1:]) == sold_out + len(kept)
    newest = kept[0]
    assert int(ledger_server.command("HLEN", newest)[1:]) == 10
    assert REFUSALS_KEEP_MS - 5000 < int(ledger_server.command("PTTL", newest)[1:]) <= 2 * REFUSALS_KEEP_MS


async def test_any_cid_is_remembered_for_itself(ledger: RedisLedger) -> None:
    """Refusals of a user are kept as text: no cid may pass for another, whatever is in it."""
    await opened(ledger, stock=1)
    await click(ledger, "ann")
    odd = "a\nb\tl9999999999999\nc"
    assert short(await click(ledger, "bob", odd)) == "sold_out"
    await ledger.change_drop(ROOM, "d1", DropChange("t", stock_delta=1), NOW)
    assert isinstance(await click(ledger, "bob", "b"), Won)
    assert short(await click(ledger, "bob", odd)) == "sold_out"


# --- The auditor ------------------------------------------------------------------------------------------------------
TAMPERING: dict[str, tuple[list[str], str]] = {
    "a balance": (
        ["HINCRBY", "{s%USER%}:wallet:ann", "balance", "1"],
        "wallets of ann .*balance: .* says 9, the books say 10",
    ),
    "a wallet from nowhere": (["HSET", "{s%USER%}:wallet:eve", "balance", "5", "n", "1"], "wallets of eve .*there is nothing"),
    "a statement": (["RPOP", "{s%USER%}:bookings:ann"], "statements of ann .*balance: .* says 9, the books say 10"),
    "a unit": (["HDEL", f"{TAG}units:{ROOM}/d1", "1"], "units of demo/d1 .*number 1: .*there is nothing"),
    "a unit from nowhere": (["HSET", f"{TAG}units:{ROOM}/d1", "700", "x"], "unit counts of demo/d1 .*says 2, the books say 3"),
    "the answer to a claim": (
        ["HSET", f"{TAG}answers:{ROOM}/d1", "bob/c", "1"],
        "answers of demo/d1 .*: .*says 2, .*say 1",
    ),
    "who holds a unit": (["HDEL", f"{TAG}holders:{ROOM}/d1", "bob"], "holders of demo/d1 .*number 2"),
    "a code": (["LSET", f"{TAG}codes:{ROOM}/d3", "0", "K9"], "codes of demo/d3 .*number 1: the ledger says K1, the books say K9"),
    "a code too many": (["RPUSH", f"{TAG}codes:{ROOM}/d3", "K3"], "code counts of demo/d3 .*says 2, the books say 3"),
    "a reservation's end": (["ZREM", f"{TAG}expiring:all", f"{ROOM}/d3#1"], "expiring of demo/d3 .*number 1"),
    "stock": (["HINCRBY", f"{TAG}drop:{ROOM}/d1", "returned", "1"], "drops of demo/d1 .*returned"),
    "what is left": (
        ["HINCRBY", f"{TAG}drop:{ROOM}/d1", "left", "1"],
        "drops of demo/d1 .*left: .* says 1, the books say 2",
    ),
    "what is reserved": (["HSET", f"{TAG}drop:{ROOM}/d3", "reserved", "0"], "drops of demo/d3 .*reserved"),
    "a user's count": (
        ["HINCRBY", f"{TAG}taken:{ROOM}/d1", "ann", "-1"],
        "taken of demo/d1 .*ann: .* says 1, the books say 0",
    ),
    "a count from nowhere": (["HSET", f"{TAG}taken:{ROOM}/d1", "eve", "1"], "taken of demo/d1 .*eve: the ledger says 0"),
    "a limit group": (["HDEL", f"{TAG}group:{ROOM}/g", "ann"], "taken of demo/g group .*ann: .* says 1, the books say 0"),
    "an entrant": (["RPOP", f"{TAG}entrants:{ROOM}/d2"], "entrants of demo/d2"),
    "who is in the pot": (["HDEL", f"{TAG}entries:{ROOM}/d2", "ann"], "entrant counts of demo/d2 .*entries"),
    "an order": (["HDEL", f"{TAG}orders:{ROOM}", "o1"], "orders of demo .*o1"),
    "an order from nowhere": (["HSET", f"{TAG}orders:{ROOM}", "o2", "%ORDER%"], "orders of demo .*o2"),
    "a gift on the board": (["DEL", f"{TAG}board:{ROOM}/{BROADCAST}"], "boards of demo/b1"),
    "a board's place": (["ZINCRBY", f"{TAG}board:{ROOM}/{BROADCAST}", "1", "%MEMBER%"], "boards of demo/b1 .*number 1: value"),
    "a board from nowhere": (["ZADD", f"{TAG}board:{ROOM}/b9", "5", "0000000000000001eve"], "boards of demo/b9"),
    "a giver": (["HDEL", f"{TAG}givers:{ROOM}/{BROADCAST}", "ann"], "givers of demo/b1 .*ann"),
    "a gift": (["DEL", f"{TAG}gift:ann/g1"], "gifts .*ann/g1: .*there is nothing"),
    "a gift's reversal": (
        ["HSET", f"{TAG}gift:ann/g1", "reversed_at", "1"],
        "gifts .*reversed: .* says False, the books say True",
    ),
    "what is pending": (["HSET", f"{TAG}pending_gifts:all", "refund/x", "%GIFT%"], "pending .*refund/x"),
    "earnings": (["HINCRBY", f"{TAG}earnings:{ROOM}", "host:", "5"], "takings of demo .*"),
    "gifts of a host that were taken back": (["HINCRBY", f"{TAG}hosts:{ROOM}", "r:", "1"], "takings of demo .*reversed"),
    "the type of a key": (["SET", f"{TAG}earnings:{ROOM}", "x"], "cannot be read .*WRONGTYPE"),
    "a unit's record": (["HSET", f"{TAG}units:{ROOM}/d1", "1", "x"], "units:demo/d1.* cannot be read"),
    "an order's record": (["HSET", f"{TAG}orders:{ROOM}", "o1", "x"], "orders:demo.* cannot be read"),
    "a balance's form": (["HSET", "{s%USER%}:wallet:ann", "balance", "x"], "wallet:ann.* cannot be read"),
    "an entry's form": (["XADD", f"{TAG}ledger", "*", "k", "granted", "at", "5", "grants", "x"], "an entry .* cannot be read"),
    "an entry of no kind": (["XADD", f"{TAG}ledger", "*", "k", "else", "at", "5"], "entry .* is a 'else', which .* does not know"),
    "the last entry": (["XDEL", f"{TAG}ledger", "%LAST%"], "drops of demo/d1"),
    "an entry in the middle": (["XDEL", "{s%USER%}:ledger", "%FIRST%"], "booking 2 of ann follows 0"),
    "the position": (["SET", f"{TAG}barrier", "1"], "the books stand at position"),
}


@pytest.mark.parametrize("what", list(TAMPERING))
async def test_the_auditor_finds_what_was_tampered_with(ledger: RedisLedger, what: str) -> None:
    """And names it; before, it found nothing."""
    await ledger.move(Movement("ann", "t", 10, "key:k"), NOW)
    gift = rose("ann")
    await ledger.debit_gift(gift, SpendLimits(), NOW)
    await ledger.commit_gift(gift, NOW)
    await opened(ledger, "d2", kind="draw")
    assert isinstance(await click(ledger, "ann", id_="d2"), Entered)
    await ledger.order(ROOM, Order("o1", "ann", "sku", 5, "EUR", "placed"), NOW)
    await make(ledger, "d3", 2, codes="list", reserve_ms=3_600_000_000, limit_group="g")
    await ledger.put_codes(ROOM, "d3", "u", 0, ["K1", "K2"])
    await ledger.finish_codes(ROOM, "d3", "u", NOW)
    await step(ledger, "open", "d3")
    await click(ledger, "ann", id_="d3")
    await opened(ledger)
    await clicks(ledger, [Claim("ann", "c"), Claim("bob", "c")])
    sums = await audit(ledger)
    assert (sums.units, sums.reserved, sums.gifts, sums.gift_value, sums.coins, sums.drops) == (3, 1, 1, 1, 9, 3)
    command, named = TAMPERING[what]
    server = ledger.server
    values = {
        b"%USER%": b"%d" % shard_of("ann"),
        b"%LAST%": b"%d-0" % (await ledger.read(SHARD, 0, 99))[-1].position,
        b"%FIRST%": b"%d-0" % (await ledger.read(shard_of("ann"), 0, 99))[0].position,
        b"%ORDER%": await server.run("HGET", f"{TAG}orders:{ROOM}", "o1"),
        b"%MEMBER%": await server.run("HGET", f"{TAG}givers:{ROOM}/{BROADCAST}", "ann"),
        b"%GIFT%": await server.run("HGET", f"{TAG}gift:{gift.tx}", "gift"),
    }
    words = [word.encode() for word in command]
    for name, value in values.items():
        words = [word.replace(name, value) for word in words]
    await server.run(*words)
    with pytest.raises((Difference, LaterEntry), match=named):
        await audit(ledger)


async def test_gifts_from_before_hosts_were_counted(ledger: RedisLedger) -> None:
    """Where there were any, in a broadcast or ever, nobody says how many were whose; sums go on, the auditor too. So it is where a
    version that does not count comes in between.
    """

    async def give(tx: str, broadcast: str = "new") -> Gift:
        gift = msgspec.structs.replace(rose("ann"), tx=f"ann/{tx}", broadcast=broadcast, to="mei", paid="elsewhere")
        await ledger.commit_gift(gift, NOW)
        return gift

    old = await give("1", "old")
    await ledger.reverse_gift(ROOM, old.tx, "", NOW)
    await ledger.server.run("DEL", f"{TAG}hosts:{ROOM}", f"{TAG}hosts:{ROOM}/old")
    await give("2")
    assert await ledger.takings(ROOM, "new") == Takings(1, 1, {"mei": 1}, {"mei": HostGifts(1)})
    assert await ledger.takings(ROOM, None) == Takings(1, 1, {"mei": 1})
    assert await ledger.takings(ROOM, "old") == Takings()
    await give("3")
    await ledger.server.run("HINCRBY", f"{TAG}hosts:{ROOM}/new", "g:mei", "-1")
    assert await ledger.takings(ROOM, "new") == Takings(2, 2, {"mei": 2})
    assert (await audit(ledger)).gifts == 2


async def test_the_auditor_works_beside_claims(ledger: RedisLedger) -> None:
    """A picture is of one position, also while others write."""
    await opened(ledger, stock=100_000)

    async def claims() -> None:
        for n in range(60):
            await clicks(ledger, [Claim(f"u{n}-{k}", "c") for k in range(20)])
            await asyncio.sleep(0.01)

    running = asyncio.create_task(claims())
    audits = 0
    while not running.done():
        assert (await audit(ledger)).units <= 1200
        audits += 1
    await running
    assert audits > 0
    assert (await audit(ledger)).units == 1200


async def test_the_auditor_works_beside_gifts(ledger: RedisLedger) -> None:
    """Gifts go from shard to shard, and some back again, while both are looked at: what is on its way is no difference."""
    users = [f"u{n}" for n in range(12)]
    for user in users:
        await ledger.move(Movement(user, "t", 10_000, "key:k"), NOW)

    async def give(user: str) -> None:
        for n in range(40):
            gift = msgspec.structs.replace(rose(user), tx=f"{user}/x{n}", room=f"r{n % 5}")
            await ledger.debit_gift(gift, SpendLimits(), NOW)
            await finish(ledger, Pending("commit", shard_of(user), gift, NOW), NOW)
            if n % 3 == 0:
                await ledger.reverse_gift(gift.room, gift.tx, "", NOW)
                await finish(ledger, Pending("refund", shard_of(gift.room), gift, NOW), NOW)

    running = asyncio.gather(*map(give, users))
    audits = 0
    while not running.done():
        await audit(ledger)
        audits += 1
    await running
    sums = await audit(ledger)
    assert audits > 0
    assert (sums.gifts, sums.reversed, sums.pending) == (12 * 26, 12 * 14, 0)


async def test_a_foreign_key_is_told_apart_from_a_pause(ledger: RedisLedger, ledger_server: Any) -> None:
    """What no repeat will cure (here a key of another type) is a `StoreError` but not `Unavailable`."""
    ledger_server.command("SET", f"{TAG}drop:{ROOM}/d1", "something else")
    with pytest.raises(StoreError) as raised:
        await click(ledger, "ann")
    assert not isinstance(raised.value, Unavailable)
