"""What happens in the scripted room, step by step, and what a client must make of it.

Each step is a function of the stage; the steps build on each other in the order of `STEPS`. A step that raises `Gone` ends the
walk: the client is not there any more.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from livecast.ops.conform.stage import Connection, Gone, Stage
from livecast.wire.messages import Auth, CommentMessage, GiftMessage, Ping

RANDOM_CID_CHARS: Final = 16
"""96 random bits in base 64."""
BACK_WITHIN_S: Final = 45.0
"""Here connections are short, so a careful client waits longer each time: a bound that doubles up to half a minute is usual."""
STAYS_AWAY_S: Final = 5.0
KEEPALIVE_MS: Final = 1500
COMING_MS: Final = 1500
"""The pause a `bye` asks for."""
EARLY: Final = 0.9
"""Clocks differ: nine tenths of a pause are one."""
PAUSE_MS: Final = 200
TOKEN_LIFE_MS: Final = 6000


async def arrive(stage: Stage) -> None:
    """A client connects and is told what the room is like."""
    connection = await stage.arrival(120.0)
    stage.check("it names the codec it speaks", connection.named, "no livecast.v1.… among the subprotocols", weight="should")
    stage.check("it says who it is", connection.token is not None, "the handshake carries no token", weight="should")
    stage.check("a first visit resumes nothing", connection.since is None, f"since={connection.since}")
    for n, text in enumerate(("first", "第二", "third"), 1):
        stage.withhold(comments=[comment(f"c{n}", text)])
    await connection.send(stage.welcome())
    await stage.shows("it shows what the welcome says")


async def follow(stage: Stage) -> None:
    """Frames are put on top of it."""
    await stage.frame(comments=[comment("c4", "four", name="Ann"), comment("c5", "五")], likes={"delta": 7, "total": 107})
    await stage.connection.ping()
    await stage.frame(likes={"delta": 3, "total": 110}, viewers={"connections": 12, "users": 9, "total": 40})
    await stage.shows("comments and likes follow the frames")
    stage.check("it answers the protocol's own pings", await stage.ponged(), "no pong came")


async def strangers(stage: Stage) -> None:
    """A later version of the server says things that nobody knows yet."""
    await stage.connection.send({"t": "weather", "sky": "blue"})
    await stage.frame(
        comments=[{**comment("c6", "six"), "glow": "gold"}],
        confetti={"n": 3},
        events=[{"id": "e1", "type": "x.unheard.of", "at": 0, "data": {"a": [1, {"b": None}]}}],
    )
    await stage.connection.send({"t": "notice", "id": "n1", "kind": "x.unheard.of", "at": 0, "data": {}})
    await stage.shows("unknown messages, parts, kinds and keys do no harm")


async def merge(stage: Stage) -> None:
    """A comment that is shown already is now said by more."""
    await stage.frame(comments=[comment("c7", "666", n=3)], merges=[{"id": "c4", "n": 5}])
    await stage.frame(merges=[{"id": "c7", "n": 21}, {"id": "long gone", "n": 9}])
    await stage.shows("merged comments grow in place; one that is not on screen is left alone")


async def patch(stage: Stage) -> None:
    """The room's state changes by merge patches (RFC 7396)."""
    await stage.frame(state={"title": "Another title", "custom": {"deal": {"left": 2}, "stale": None, "new": [1, 2]}})
    await stage.frame(state={"notice": {"text": "Two for one"}, "custom": {"new": [3]}})
    await stage.shows("patches go deep, null removes, lists are replaced")
    await stage.frame(state={"notice": None})
    await stage.shows("null takes the notice away")


async def combos(stage: Stage) -> None:
    """A gift line counts up; each update says all that went before."""
    await stage.frame(gifts=[combo("g1", 1), combo("g2", 10)])
    await stage.frame(gifts=[combo("g1", 5)])
    await stage.frame(gifts=[combo("g1", 6, done=True)])
    await stage.frame(gifts=[combo("g1", 6, done=True)])
    await stage.shows("one line for each combo, with its last count; `done` once")


async def redact(stage: Stage) -> None:
    """What moderators take away is gone from the screen."""
    await stage.frame(comments=[comment("c8", "buy at evil.example", user="mallory"), comment("c9", "and again", user="mallory")])
    await stage.frame(redact={"comments": ["c5"], "users": []})
    await stage.shows("a redacted comment is gone")
    await stage.frame(redact={"comments": [], "users": ["mallory"]})
    await stage.shows("all comments of a redacted user are gone")


async def speak(stage: Stage) -> None:
    """The client says something itself: the answer comes first, then the frame that shows it."""
    await stage.ask("comment", text="hello room")
    said = await stage.heard(CommentMessage)
    stage.check("it says what it was asked to", said.text == "hello room", f"said {said.text!r}")
    stage.check("its cid cannot be guessed", len(said.cid) >= RANDOM_CID_CHARS, f"cid {said.cid!r}", weight="should")
    seq = stage.picture.view.seq + 1
    await stage.connection.send({"t": "ack", "cid": said.cid, "verdict": "shown", "id": "c10", "seq": seq})
    await stage.frame(comments=[comment("c10", "hello room", user="you", name="You")])
    await stage.shows("its own comment is on the screen once")


async def in_doubt(stage: Stage) -> None:
    """The ledger does not answer: the outcome is unknown, and only the same cid settles it."""
    await stage.ask("gift", gift="rose", n=2)
    first = await stage.heard(GiftMessage)
    at = time.monotonic()
    await stage.connection.send(
        {"t": "error", "cid": first.cid, "code": "unavailable", "message": "Try again.", "retry_after_ms": 600}
    )
    again = await stage.heard(GiftMessage)
    waited_ms = (time.monotonic() - at) * 1000
    stage.check("it asks again under the same cid", again.cid == first.cid, f"{first.cid!r}, then {again.cid!r}")
    stage.check("it asks for the same", again == first or again.cid != first.cid, f"{first}, then {again}")
    stage.check(
        "it waits as long as it was told", waited_ms >= 600 * EARLY, f"came back after {waited_ms:.0f} of 600 ms", weight="should"
    )
    await stage.connection.send({"t": "ack", "cid": again.cid, "verdict": "sent", "tx": again.cid, "balance": 980})
    await stage.shows("and goes on")


async def resume(stage: Stage) -> None:
    """The line breaks with a gift unanswered: the client comes back, misses nothing, and asks again."""
    await stage.ask("gift", gift="rose", n=1)
    gift = await stage.heard(GiftMessage)
    connection = await _cut(stage)
    for parts in (
        {"comments": [comment("c11", "while you were away")], "likes": {"delta": 5, "total": 115}},
        {"merges": [{"id": "c11", "n": 4}], "gifts": [combo("g3", 3, done=True)]},
        {"redact": {"comments": ["c1"], "users": []}, "likes": {"delta": 5, "total": 120}},
    ):
        stage.withhold(**parts)
    await connection.send(stage.welcome(missed=3), *stage.picture.frames[-3:])
    again = await stage.heard(GiftMessage)
    stage.check(
        "it asks again for what was not answered, under the same cid", again.cid == gift.cid, f"{gift.cid!r}, then {again.cid!r}"
    )
    await stage.connection.send({"t": "ack", "cid": again.cid, "verdict": "sent", "tx": again.cid, "balance": 970})
    await stage.shows("it missed nothing and has nothing twice")


async def snapshot(stage: Stage) -> None:
    """Away for too long: what the client knew is replaced."""
    connection = await _cut(stage)
    stage.withhold(likes={"delta": 80, "total": 200}, state={"title": "Much later"}, redact={"comments": ["c2"], "users": []})
    stage.withhold(comments=[comment("c12", "you missed this")])
    stage.picture.forget_banners()
    await connection.send(stage.welcome())
    await stage.shows("the snapshot replaces everything")


async def skipped(stage: Stage) -> None:
    """The client was too slow for some frames and is told so on the open socket."""
    stage.withhold(comments=[comment("c13", "skipped over")], likes={"delta": 1, "total": 201})
    stage.picture.forget_banners()
    await stage.connection.send(stage.welcome(reason="skipped"))
    await stage.frame(comments=[comment("c14", "after the gap")])
    await stage.shows("a welcome at any time replaces everything, and frames go on from there")


async def epoch(stage: Stage) -> None:
    """Another process has taken the room over: numbers begin anew."""
    stage.picture.begin()
    await stage.connection.send(stage.welcome(reason="epoch"))
    await stage.frame(comments=[comment("c15", "a new epoch")], gifts=[combo("g1", 1)])
    await stage.shows("it follows into the new epoch")
    connection = await _cut(stage)
    stage.withhold(comments=[comment("c16", "and resumes in it")])
    await connection.send(stage.welcome(missed=1), *stage.picture.frames[-1:])
    await stage.shows("it resumes in the new epoch")


async def keep_alive(stage: Stage) -> None:
    """Silence: is anybody there? And frames that were lost on the way are asked for."""
    connection = stage.connection
    await stage.frame(state={"policy": {"keepalive_ms": KEEPALIVE_MS}})
    ping = await stage.heard(Ping, KEEPALIVE_MS / 1000 * 2 + 3)
    stage.check("it asks after `keepalive_ms` of silence", True)
    view = stage.picture.view
    lost = stage.withhold(comments=[comment("c17", "lost on the way")])
    answer = {"t": "pong", "now": lost["ts"], "epoch": view.epoch, "seq": view.seq}
    await connection.send(answer if ping.cid is None else {**answer, "cid": ping.cid})
    connection = await _comes_back(stage, view.seq - 1)
    await connection.send(stage.welcome(missed=1), lost)
    await stage.frame(state={"policy": {"keepalive_ms": 40_000}})
    await stage.shows("a `seq` above its own makes it fetch what it missed")


async def goodbye(stage: Stage) -> None:
    """The server goes away for a moment, and is too busy when the client comes back."""
    connection, at = stage.connection, time.monotonic()
    stage.refuse = 503
    await connection.bye(4000, "The server is going away.", reconnect=True, retry_after_ms=COMING_MS)
    knocked_at = await stage.knock(BACK_WITHIN_S)
    stage.refuse = None
    waited_ms = (knocked_at - at) * 1000
    stage.check(
        "it comes back no sooner than it was told", waited_ms >= COMING_MS * EARLY, f"after {waited_ms:.0f} of {COMING_MS} ms"
    )
    connection = await stage.arrival(BACK_WITHIN_S)
    paused_ms = (connection.at - knocked_at) * 1000
    stage.check(
        "it does not hammer a door that says 503", paused_ms >= PAUSE_MS, f"again after {paused_ms:.0f} ms", weight="should"
    )
    _resumes(stage, connection, stage.picture.view.seq)
    await connection.send(stage.welcome(missed=0))
    await stage.shows("and shows the same as before")


async def renew(stage: Stage) -> None:
    """The token ends soon: a client that can get another one signs in anew on the open socket."""
    welcome = stage.welcome(reason="skipped")
    welcome["you"] = {**welcome["you"], "expires_at": welcome["now"] + TOKEN_LIFE_MS}
    stage.picture.forget_banners()
    await stage.connection.send(welcome)
    try:
        auth = await stage.heard(Auth, TOKEN_LIFE_MS / 1000)
    except Gone as gone:
        stage.check(
            "it renews its token before the end", False, f"{gone} (its life: {TOKEN_LIFE_MS / 1000:.0f} s)", weight="should"
        )
        return
    stage.check("it renews its token before the end", True, weight="should")
    you = {**welcome["you"], "expires_at": welcome["now"] + 3_600_000}
    await stage.connection.send({"t": "ack", "cid": auth.cid, "verdict": "ok", "you": you})
    await stage.shows("and goes on")


async def banned(stage: Stage) -> None:
    """Put out of the room: a client does not knock again."""
    await stage.connection.bye(4003, "You were put out of this room.", reconnect=False, retry_after_ms=0)
    try:
        await stage.arrival(STAYS_AWAY_S)
    except Gone:
        stage.check("it stays away", True)
    else:
        stage.check("it stays away", False, "it connected again")


# --- Props ------------------------------------------------------------------------------------------------------------


def comment(id_: str, text: str, *, user: str = "ann", name: str = "Ann", n: int = 1) -> dict[str, Any]:
    """A comment as frames have it."""
    said = {"id": id_, "u": {"id": user, "name": name}, "text": text, "at": 1_700_000_000_000}
    return said if n == 1 else {**said, "n": n}


def combo(id_: str, n: int, *, done: bool = False) -> dict[str, Any]:
    """A gift line as frames have it."""
    giver = {"id": "ann", "name": "Ann"}
    return {"combo": id_, "u": giver, "gift": "rose", "n": n, "value": 10 * n, "tier": 1, "done": done}


async def _cut(stage: Stage) -> Connection:
    """Break the line; the connection with which the client comes back."""
    stage.connection.cut()
    return await _comes_back(stage, stage.picture.view.seq)


async def _comes_back(stage: Stage, seq: int) -> Connection:
    connection = await stage.arrival(BACK_WITHIN_S)
    _resumes(stage, connection, seq)
    return connection


def _resumes(stage: Stage, connection: Connection, seq: int) -> None:
    want = f"{stage.picture.view.epoch}:{seq}"
    stage.check("it resumes behind the last frame it saw", connection.since == want, f"since={connection.since}, should be {want}")


# --- The walk ---------------------------------------------------------------------------------------------------------
Step = Callable[[Stage], Awaitable[None]]
STEPS: Final[tuple[Step, ...]] = (
    arrive, follow, strangers, merge, patch, combos, redact, speak, in_doubt, resume, snapshot, skipped, epoch, keep_alive, goodbye,
    renew, banned,
)  # fmt: skip


async def walk(stage: Stage, steps: tuple[Step, ...] = STEPS) -> bool:
    """All steps; False if the client was lost on the way (which is noted)."""
    for step in steps:
        stage.begin(step.__name__.replace("_", " "))
        try:
            await step(stage)
        except Gone as gone:
            stage.check("it is still there", False, str(gone))
            return False
    return True
