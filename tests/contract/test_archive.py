"""What every archive promises: on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from livecast.adapters.archive.store import SqlArchive
from livecast.archive import Cursor, Move, Overtaken
from livecast.core.records.chronicle import (
    SOLD_OUT,
    BroadcastRow,
    Card,
    CommentRow,
    Count,
    Height,
    Merged,
    Moment,
    MoneyRow,
    Redaction,
    Rows,
    StaffRow,
    Tick,
    Word,
)

ROOM, B = "demo", "b1"
T = 1_700_000_000_000


def comment(n: int, user: str = "ann", at: int | None = None, **more: Any) -> CommentRow:
    """The `n`th comment of the broadcast."""
    return CommentRow(ROOM, B, f"e-{n:03}", T + n if at is None else at, user, user.title(), "viewer", f"text {n}", 1, 3, **more)


def money(position: int, kind: str, user: str = "ann", **more: Any) -> MoneyRow:
    """A line of the ledger."""
    fields: dict[str, Any] = {"at": T + position, "room": ROOM, "broadcast": B, "ref": f"{user}/c{position}", "amount": 1}
    return msgspec.convert({"shard": 3, "position": position, "line": 0, "kind": kind, "user": user, **fields, **more}, MoneyRow)


def began(**more: Any) -> BroadcastRow:
    """The broadcast, begun."""
    return BroadcastRow(ROOM, B, title="Night", merchant="m", status="live", started_at=T, **more)


@pytest.fixture
async def archive(archives: Any) -> SqlArchive:
    """An open one."""
    made: SqlArchive = archives()
    await made.open()
    return made


async def comments_of(archive: SqlArchive) -> list[Any]:
    """All comments of the broadcast, in their order."""
    of = await archive.broadcast(ROOM, B)
    assert of is not None
    return [each async for page in archive.comments(of) for each in page]


async def test_opening_again_keeps_everything(archive: SqlArchive, archives: Any) -> None:
    """Also in another process, and by several at once."""
    await archive.append(Rows(broadcasts=[began()]), [])
    others = [archives(), archives(), archives()]
    await asyncio.gather(*(other.open() for other in others))
    assert (await others[0].broadcast(ROOM, None)).title == "Night"


async def test_several_open_a_new_one_at_once(archives: Any) -> None:
    """One makes the tables, the others wait for it."""
    await asyncio.gather(*(archives().open() for _ in range(3)))
    assert await archives().cursors("rooms") == {}


# --- Exactly once -----------------------------------------------------------------------------------------------------
async def test_rows_and_cursors_are_one_step(archive: SqlArchive) -> None:
    """A batch whose cursor is not where it should be writes nothing at all."""
    first = Move("rooms", 3, None, Cursor("5-0", 5))
    await archive.append(Rows(counts=[Count(ROOM, B, "in", 4)]), [first])
    for wrong in (first, Move("rooms", 3, "4-0", Cursor("9-0", 9)), Move("ledger", 3, "5-0", Cursor("9", 0))):
        with pytest.raises(Overtaken):
            await archive.append(Rows(counts=[Count(ROOM, B, "in", 100)]), [wrong])
    await archive.append(Rows(counts=[Count(ROOM, B, "in", 2)]), [Move("rooms", 3, "5-0", Cursor("7-0", 7))])
    assert await archive.cursors("rooms") == {3: Cursor("7-0", 7)}
    assert await archive.cursors("ledger") == {}
    await archive.append(Rows(broadcasts=[began()]), [])
    assert (await archive.figures(await _of(archive))).counts == {"in": 6}


async def _of(archive: SqlArchive) -> Any:
    of = await archive.broadcast(ROOM, B)
    assert of is not None
    return of


async def test_of_two_writers_of_one_shard_one_is_overtaken(archive: SqlArchive, archives: Any) -> None:
    """Nothing is counted twice, whoever comes first."""
    other = archives()
    moves = [Move("ledger", shard, None, Cursor("1")) for shard in range(20)]
    batches = [each.append(Rows(counts=[Count(ROOM, B, "in", 1)]), moves) for each in (archive, other)]
    outcomes = await asyncio.gather(*batches, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "Overtaken"]
    await archive.append(Rows(broadcasts=[began()]), [])
    assert (await archive.figures(await _of(archive))).counts == {"in": 1}


async def test_a_row_written_twice_is_there_once(archive: SqlArchive) -> None:
    """Comments, money, moments and staff rows are known by what they are about."""
    rows = Rows(
        comments=[comment(1), comment(2)],
        money=[money(1, "gift"), money(1, "gift", line=1)],
        moments=[Moment(ROOM, B, "e", 1, T, "on_air", "p1")],
        staff=[StaffRow(ROOM, B, "e", 1, 0, T, "mod", "Mod", "moderator", "mute", "bob", "{}", "spam")],
        broadcasts=[began()],
    )
    await archive.append(rows, [])
    await archive.append(rows, [])
    assert [each.id for each in await comments_of(archive)] == ["e-001", "e-002"]
    assert [kind async for kind, _ in archive.export("ann")] == ["comments", "comments", "money", "money"]
    figures = await archive.figures(await _of(archive))
    assert len(figures.moments) == 1
    assert figures.staff == {"mute": 1}
    assert len(await archive.staff(ROOM, None, 10)) == 1


async def test_lines_of_money_are_kept_as_they_are(archive: SqlArchive) -> None:
    """Each value in its column, the largest numbers and odd texts included."""
    row = money(2**53 - 1, "gift", "ann\0", ref="ann/你好 \0'👋🏽", amount=-(2**53) + 1, other="bob\0", state="s", data='{"n":1}')
    await archive.append(Rows(money=[row]), [])
    ((_, kept),) = [line async for line in archive.export("ann")]
    told = {name: getattr(row, name) for name in ("shard", "position", "line", "at", "kind", "room", "broadcast", "amount")}
    assert {name: kept[name] for name in told} == told
    assert [kept["user_id"], kept["ref"], kept["other"], kept["state"], kept["data"]] == [
        "ann", "ann/你好 '👋🏽", "bob", "s", '{"n":1}',
    ]  # fmt: skip


# --- Comments ---------------------------------------------------------------------------------------------------------
async def test_comments_come_in_the_order_of_time(archive: SqlArchive) -> None:
    """Page by page, also many within one millisecond; text of any kind as it was said."""
    many = [comment(n, at=T + n // 700) for n in range(2_100)]
    odd = comment(9_999, at=T + 9, more='{"style":{"color":1}}')
    odd.text = "你好 👋🏽 \\0 'quoted' <b>&amp;\0"
    await archive.append(Rows(comments=[odd, *reversed(many)], broadcasts=[began()]), [])
    found = await comments_of(archive)
    assert [each.id for each in found] == [each.id for each in sorted(many, key=lambda c: (c.at, c.id))] + [odd.id]
    assert found[-1].text == "你好 👋🏽 \\0 'quoted' <b>&amp;"
    assert found[-1].more == '{"style":{"color":1}}'


async def test_merges_and_redactions(archive: SqlArchive) -> None:
    """The highest number stands; redacted comments leave their id, of a user all they said up to then, in this room alone."""
    elsewhere = comment(9, "bob")
    elsewhere.room = "other"
    await archive.append(Rows(comments=[comment(1), comment(2, "bob"), comment(3, "bob"), elsewhere], broadcasts=[began()]), [])
    later = comment(20, "bob")
    redactions = [Redaction(ROOM, T + 10, id="e-001"), Redaction(ROOM, T + 10, user="bob")]
    await archive.append(Rows(comments=[later], merged=[Merged(ROOM, "e-002", 7), Merged(ROOM, "e-020", 5)]), [])
    await archive.append(Rows(merged=[Merged(ROOM, "e-020", 3)], redactions=redactions), [])
    assert [each if isinstance(each, str) else (each.id, each.n) for each in await comments_of(archive)] == [
        "e-001", "e-002", "e-003", ("e-020", 5),
    ]  # fmt: skip
    assert (await archive.figures(await _of(archive))).redacted == 3
    rows = [row async for kind, row in archive.export("bob") if kind == "comments" and row["room"] == "other"]
    assert rows[0]["redacted_at"] is None


async def test_words_of_redacted_comments_are_not_counted(archive: SqlArchive) -> None:
    """In the same batch or later, named or with all of their author's, each once, as often as it was said."""
    said = [comment(1), comment(2, "bob"), comment(3, "bob", at=T + 99)]
    for row, text, n in zip(said, ("secret 口红", "口红 bobs", "口红"), (4, 1, 1), strict=True):
        row.text, row.n = text, n
    words = [Word(ROOM, B, "secret", 4), Word(ROOM, B, "口红", 6), Word(ROOM, B, "bobs", 1)]
    both = [Redaction(ROOM, T + 50, id="e-002"), Redaction(ROOM, T + 50, user="bob")]
    await archive.append(Rows(comments=said, words=words, redactions=both, broadcasts=[began()]), [])
    assert (await archive.figures(await _of(archive))).words == (("口红", 5), ("secret", 4))
    await archive.append(Rows(redactions=[Redaction(ROOM, T + 60, id="e-001")]), [])
    await archive.append(Rows(redactions=[Redaction(ROOM, T + 70, id="e-001"), Redaction(ROOM, T + 70, id="e-777")]), [])
    assert (await archive.figures(await _of(archive))).words == (("口红", 1),)


# --- Broadcasts and figures -------------------------------------------------------------------------------------------
async def test_what_is_said_of_a_broadcast_adds_up(archive: SqlArchive) -> None:
    """What is not said stays; its end is the first one told; users and peak only rise."""
    await archive.append(Rows(broadcasts=[BroadcastRow(ROOM, B, users=5, peak=9)]), [])
    assert await archive.broadcasts(ROOM, None, 10) == []
    await archive.append(Rows(broadcasts=[began(users=3, peak=2, test=True)]), [])
    await archive.append(Rows(broadcasts=[BroadcastRow(ROOM, B, status="ended", ended_at=T + 100, users=8)]), [])
    await archive.append(Rows(broadcasts=[BroadcastRow(ROOM, B, status="ended", ended_at=T + 900)]), [])
    assert msgspec.to_builtins(await archive.broadcast(ROOM, B)) == {
        "room": ROOM, "id": B, "title": "Night", "merchant": "m", "status": "ended", "started_at": T, "ended_at": T + 100,
        "test": True, "users": 8, "peak": 9,
    }  # fmt: skip


async def test_broadcasts_are_listed_latest_first(archive: SqlArchive) -> None:
    """In pages; None asks for the latest; another room's are not among them."""
    rows = [BroadcastRow(ROOM, f"b{n}", started_at=T + n) for n in range(5)] + [BroadcastRow("other", "b9", started_at=T + 9)]
    await archive.append(Rows(broadcasts=rows), [])
    first = await archive.broadcasts(ROOM, None, 2)
    assert [each.id for each in first] == ["b4", "b3"]
    assert [each.id for each in await archive.broadcasts(ROOM, first[-1].started_at, 9)] == ["b2", "b1", "b0"]
    assert (await archive.broadcast(ROOM, None)).id == "b4"  # type: ignore[union-attr] # there are five
    for unknown in ("nothing", "\0", "b0\0", "'; --"):
        assert await archive.broadcast(ROOM, unknown) is None
    assert await archive.broadcast("nowhere", None) is None


async def test_ticks_add_up_and_keep_the_highest(archive: SqlArchive) -> None:
    """In any step; what lies outside is left out."""
    await archive.append(Rows(ticks=[Tick(ROOM, 0, connections=5, users=4, likes=10, gift_value=7)]), [])
    await archive.append(
        Rows(ticks=[Tick(ROOM, 0, connections=3, users=9, likes=1, gift_value=-2), Tick(ROOM, 10_000, likes=4)]), []
    )
    await archive.append(Rows(ticks=[Tick(ROOM, 60_000, likes=100)]), [])
    assert await archive.ticks(ROOM, 0, 60_000, 10_000) == [
        Tick(ROOM, 0, connections=5, users=9, likes=11, gift_value=5), Tick(ROOM, 10_000, likes=4),
    ]  # fmt: skip
    assert await archive.ticks(ROOM, 0, 120_000, 60_000) == [
        Tick(ROOM, 0, connections=5, users=9, likes=15, gift_value=5), Tick(ROOM, 60_000, likes=100),
    ]  # fmt: skip


async def test_cards_are_merge_patched(archive: SqlArchive) -> None:
    """As viewers saw them last, over batches; a whole one replaces what was known."""
    poll = {"id": "q", "state": "open", "choices": [{"text": "a", "votes": 1}]}
    await archive.append(Rows(cards=[Card(ROOM, B, "poll", "q", T, poll, whole=True)], broadcasts=[began()]), [])
    await archive.append(Rows(cards=[Card(ROOM, B, "poll", "q", T, {"choices": [{"text": "a", "votes": 7}], "closes_at": 5})]), [])
    await archive.append(Rows(cards=[Card(ROOM, B, "poll", "q", T, {"state": "closed", "closes_at": None})]), [])
    await archive.append(Rows(cards=[Card(ROOM, B, "product", "p", T, {"title": "x", "sku": "s"}, whole=True)]), [])
    await archive.append(Rows(cards=[Card(ROOM, B, "product", "p", T, {"title": "y"}, whole=True)]), [])
    assert (await archive.figures(await _of(archive))).cards == {
        "poll": {"q": {"id": "q", "state": "closed", "choices": [{"text": "a", "votes": 7}]}},
        "product": {"p": {"title": "y"}},
    }


async def test_words_and_givers(archive: SqlArchive) -> None:
    """The most first; reversed gifts are taken off, who has nothing left is not named, other broadcasts are not counted."""
    await archive.append(Rows(words=[Word(ROOM, B, "好看", 5), Word(ROOM, B, "口红", 9)], broadcasts=[began()]), [])
    await archive.append(Rows(words=[Word(ROOM, B, "好看", 6)], heights=[Height(ROOM, B, "tap:p", 6)]), [])
    await archive.append(Rows(heights=[Height(ROOM, B, "tap:p", 5)]), [])
    rows = [
        money(1, "gift", "ann", amount=10), money(2, "gift", "bob", amount=30), money(3, "gift", "bob", amount=5),
        money(4, "gift_reversed", "bob", amount=30), money(5, "gift", "cat", amount=8), money(6, "gift_reversed", "cat", amount=8),
        money(7, "gift", "dan", amount=99, broadcast="b0"),
    ]  # fmt: skip
    await archive.append(Rows(money=rows), [])
    figures = await archive.figures(await _of(archive))
    assert figures.counts == {"tap:p": 6}
    assert figures.words == (("好看", 11), ("口红", 9))
    assert [(giver.user, giver.gifts, giver.value) for giver in figures.givers] == [("ann", 1, 10), ("bob", 1, 5)]
    assert (figures.gifts, figures.gift_value) == (2, 15)


async def test_drops_and_sales(archive: SqlArchive) -> None:
    """When it was sold out, the busiest second, what became of units; orders as they stand, at the time they were first made."""
    second = T + 60_000 - T % 1000
    drop: dict[str, Any] = {"kind": "drop", "user": "", "ref": "d", "amount": 3, "broadcast": ""}
    unit: dict[str, Any] = {"ref": "d", "broadcast": ""}
    rows = [
        money(1, **drop, state="draft", data='{"step":"create"}'),
        money(2, **drop, state="open", data=f'{{"opened_at":{second}}}'),
        money(3, "granted", "ann", **unit, amount=1, at=second + 100),
        money(4, "granted", "bob", **unit, amount=2, at=second + 900),
        money(5, "granted", "cat", **unit, amount=3, at=second + 1_000, data=SOLD_OUT),
        money(6, "unit", "ann", **unit, amount=1, state="confirmed"),
        money(7, "unit", "bob", **unit, amount=2, state="confirmed"),
        money(8, "unit", "bob", **unit, amount=2, state="revoked"),
        money(9, "order", "ann", ref="o1", amount=500, state="first", data='{"sku":"s","currency":"EUR","status":"placed"}'),
        money(10, "order", "ann", ref="o1", amount=400, state="again", data='{"sku":"s","currency":"EUR","status":"paid"}'),
        money(11, "order", "old", ref="o0", amount=1, state="first", at=T - 5, data='{"sku":"s"}'),
        money(12, "order", "old", ref="o0", amount=2, state="again", data='{"sku":"s"}'),
    ]
    await archive.append(Rows(money=rows, broadcasts=[began()]), [])
    figures = await archive.figures(await _of(archive))
    assert len(figures.drops) == 1
    seen = figures.drops[0]
    assert (seen.drop, seen.stock, seen.state, seen.granted, seen.claims_per_s_max) == ("d", 3, "sold_out", 3, 2)
    assert (seen.opened_at, seen.first_at, seen.last_at, seen.sold_out_at) == (
        second, second + 100, second + 1_000, second + 1_000,
    )  # fmt: skip
    assert seen.units == {"confirmed": 1, "revoked": 1, "granted": 1}
    assert [(sale.order_id, sale.at, sale.amount, sale.status) for sale in figures.sales] == [("o1", T + 9, 400, "paid")]


async def test_staff_rows_in_pages(archive: SqlArchive) -> None:
    """Latest first."""
    rows = [StaffRow(ROOM, B, "e", n, 0, T + n // 2, "mod", "Mod", "moderator", "mute", f"u{n}", "{}", "") for n in range(7)]
    await archive.append(Rows(staff=rows), [])
    page = await archive.staff(ROOM, None, 3)
    last = page[-1]
    rest = await archive.staff(ROOM, (last.at, last.epoch, last.number, last.line), 9)
    assert [row.whom for row in (*page, *rest)] == ["u6", "u5", "u4", "u3", "u2", "u1", "u0"]


# --- Persons ----------------------------------------------------------------------------------------------------------
async def test_a_person_is_exported_and_erased(archive: SqlArchive) -> None:
    """Everything that names them is given out. Erased: what they said is gone, what they paid is there under one pseudonym, and
    the id stands nowhere any more; others' rows are as they were.
    """
    rows = Rows(
        comments=[comment(1), comment(2, "bob")],
        money=[
            money(1, "gift", amount=10, data='{"gift":"rose"}'), money(2, "credit", ref="refund:ann/c1", room=""),
            money(3, "gift", "bob", other="ann"), money(4, "gift", "bob"),
        ],
        staff=[
            StaffRow(ROOM, B, "e", 1, 0, T, "mod", "Mod", "moderator", "mute", "ann", '{"user":"ann"}', ""),
            StaffRow(ROOM, B, "e", 2, 0, T, "ann", "Ann", "host", "panic", "", "{}", ""),
        ],
        broadcasts=[began()],
    )  # fmt: skip
    await archive.append(rows, [])
    before = [(kind, row) async for kind, row in archive.export("bob")]
    assert [kind async for kind, _ in archive.export("ann")] == ["comments", *["money"] * 3, *["staff"] * 2]
    erased = await archive.erase("ann", T)
    assert (erased.comments, erased.money, erased.staff) == (1, 3, 2)
    assert [kind async for kind, _ in archive.export("ann")] == []
    kept = [row async for _, row in archive.export(erased.pseudonym)]
    assert len(kept) == 5
    assert sum(row["amount"] for row in kept if row.get("user_id") == erased.pseudonym) == 11
    assert all(trace not in str(kept) for trace in ('"ann', "ann/", "'ann'"))
    assert [each async for each in archive.export("bob")][:1] == before[:1]
    assert (await archive.erase("ann", T)).pseudonym == erased.pseudonym
    assert (await archive.erase("bob", T)).pseudonym != erased.pseudonym


@pytest.mark.parametrize("user", ["1", "user", 'a"b'])
async def test_a_short_or_strange_id_is_erased_and_nothing_else(archive: SqlArchive, user: str) -> None:
    """An id may be a digit, a word or have quotes in it: what staff did stays readable, and names the pseudonym."""
    args = {"user": user, "until": 1_700_000_000_111, "note": f"see {user}1", "by": "a1"}
    row = StaffRow(ROOM, B, "e", 1, 0, T, "mod", "Mod", "moderator", "mute", user, msgspec.json.encode(args).decode(), "")
    await archive.append(Rows(staff=[row], broadcasts=[began()]), [])
    erased = await archive.erase(user, T)
    (kept,) = await archive.staff(ROOM, None, 9)
    assert kept.whom == erased.pseudonym
    assert msgspec.json.decode(kept.args) == {**args, "user": erased.pseudonym}


async def test_one_among_several_users_is_erased(archive: SqlArchive) -> None:
    """Whoever was redacted together with others is given that line, and a pseudonym in it; the others keep their names."""
    several = {"comments": [], "users": ["ann", "annabel", "100%", "users", "Ann"]}
    acts = [("redact", several), ("redact", {"comments": ["ann-1"], "users": ["bob"]}), ("slow", {"note": ["ann"]})]

    def rows(at: int) -> list[StaffRow]:
        args = [msgspec.json.encode(given).decode() for _, given in acts]
        return [StaffRow(ROOM, B, "e", at + n, 0, at, "mod", "Mod", "moderator", acts[n][0], "", args[n], "") for n in range(3)]

    await archive.append(Rows(staff=rows(T), broadcasts=[began()]), [])
    assert [row["number"] async for _, row in archive.export("Ann")] == [T]
    for nobody in ("100_", "ANN", "comments"):
        assert [row["number"] async for _, row in archive.export(nobody)] == []
    ann, users = await archive.erase("ann", T + 9), await archive.erase("users", T + 9)
    assert (ann.staff, users.staff) == (1, 1)
    await archive.append(Rows(staff=rows(T + 5)), [])
    kept = {row.number: msgspec.json.decode(row.args) for row in await archive.staff(ROOM, None, 9)}
    for at in (T, T + 5):  # what comes in late as well
        assert kept[at] == {"comments": [], "users": [ann.pseudonym, "annabel", "100%", users.pseudonym, "Ann"]}
        assert [kept[at + 1], kept[at + 2]] == [acts[1][1], acts[2][1]]


async def test_what_was_said_is_looked_up_backwards(archive: SqlArchive) -> None:
    """From a place on, also among comments of one moment; by user, by words; of redacted ones only when it was, and only to all."""
    rows = [comment(n, "bob" if n % 2 else "ann", at=T + n // 2) for n in range(8)]
    await archive.append(Rows(comments=rows, broadcasts=[began()], redactions=[Redaction(ROOM, T + 9, id="e-003")]), [])
    of = await archive.broadcast(ROOM, B)
    assert of is not None

    async def said(before: tuple[int, str] = (2**53, ""), limit: int = 10, **more: str) -> list[str]:
        return [
            each.id if isinstance(each, CommentRow) else f"-{each[0]}" for each in await archive.said(of, before, limit, **more)
        ]

    assert await said() == ["e-007", "e-006", "e-005", "e-004", "-e-003", "e-002", "e-001", "e-000"]
    place = await archive.place(ROOM, "e-005")
    assert place is not None
    assert await said(place, 3) == ["e-004", "-e-003", "e-002"]
    assert await said((T + 1, "")) == ["e-001", "e-000"]
    assert await said(user="bob") == ["e-007", "e-005", "e-001"]
    assert await said(text="TEXT 3") == []
    assert await said(text="TEXT 4", limit=1) == ["e-004"]
    assert await said(user="no\0body") == await said(text="%") == []
    assert await archive.place(ROOM, "e-099") is await archive.place("other", "e-001") is await archive.place(ROOM, "\0") is None


async def test_who_was_there_is_known(archive: SqlArchive) -> None:
    """Whoever spoke or gave in the room, once; nobody of another."""
    other = msgspec.structs.replace(comment(9, "zoe"), room="other")
    await archive.append(
        Rows(comments=[comment(1), comment(2, "bob"), other], money=[money(1, "gift", "cyn"), money(2, "gift")]), []
    )
    assert sorted(await archive.people(ROOM)) == ["ann", "bob", "cyn"]


async def test_words_of_an_erased_person_are_no_top_words(archive: SqlArchive) -> None:
    """Those may be a name. What others said of them counts on, and what was redacted before is not taken off twice."""
    said = [comment(1), comment(2, "bob"), comment(3)]
    for row, text, n in zip(said, ("secret 口红", "口红", "口红"), (4, 1, 1), strict=True):
        row.text, row.n = text, n
    words = [Word(ROOM, B, "secret", 4), Word(ROOM, B, "口红", 6)]
    await archive.append(
        Rows(comments=said, words=words, redactions=[Redaction(ROOM, T + 50, id="e-003")], broadcasts=[began()]), []
    )
    await archive.erase("ann", T + 100)
    assert (await archive.figures(await _of(archive))).words == (("口红", 1),)
    await archive.erase("ann", T + 100)
    assert (await archive.figures(await _of(archive))).words == (("口红", 1),)


async def test_what_was_on_its_way_is_erased_as_well(archive: SqlArchive) -> None:
    """Once after the time, and then nothing here knows who they were: what they do later is theirs to keep."""
    await archive.erase("ann", T)
    await archive.append(Rows(comments=[comment(1)]), [])
    assert await archive.erase_again(T) == 0
    assert await archive.erase_again(T + 1) == 1
    assert [row async for _, row in archive.export("ann")] == []
    await archive.append(Rows(comments=[comment(2)]), [])
    assert await archive.erase_again(T + 1) == 0
    assert len([row async for _, row in archive.export("ann")]) == 1


async def test_what_comes_in_late_is_erased_at_once(archive: SqlArchive) -> None:
    """Nobody reads what was on its way when somebody asked; what they say afterwards is kept, and others' rows are as they were."""
    erased = await archive.erase("ann", T + 2)
    late = [comment(n) for n in (1, 2, 3)]
    paid = [money(1, "gift", ref="ann/c1"), money(9, "gift", ref="ann/c9")]
    await archive.append(Rows(comments=[*late, comment(4, "bob", at=T)], money=paid), [])
    assert [(kind, row["at"]) async for kind, row in archive.export("ann")] == [("comments", T + 3), ("money", T + 9)]
    assert [row["ref"] async for _, row in archive.export(erased.pseudonym)] == [f"{erased.pseudonym}/c1"]
    assert len([row async for _, row in archive.export("bob")]) == 1


async def test_who_asked_is_found_among_many(archive: SqlArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    """When very many asked at once, those whom new rows name are looked for, however many these are."""
    monkeypatch.setattr("livecast.adapters.archive.persons.FEW", 3)
    for n in range(5):
        await archive.erase(f"user{n}", T + 100)
    await archive.append(Rows(broadcasts=[began()], comments=[comment(n, f"user{n}") for n in range(8)]), [])
    assert [each.user for each in await comments_of(archive)] == ["user5", "user6", "user7"]


async def test_what_is_old_is_deleted(archive: SqlArchive) -> None:
    """By class, the oldest first, so many at a time; other classes stay."""
    rows = Rows(comments=[comment(n) for n in range(10)], money=[money(n, "gift") for n in range(10)], broadcasts=[began()])
    await archive.append(rows, [])
    assert await archive.retain({"chat": T + 6, "staff": T}, 4) == 4
    assert await archive.retain({"chat": T + 6}, 4) == 2
    assert await archive.retain({"chat": T + 6}, 4) == 0
    assert [each.id for each in await comments_of(archive)] == ["e-006", "e-007", "e-008", "e-009"]
    assert len([row async for kind, row in archive.export("ann") if kind == "money"]) == 10
