"""`livecast crowd`: simulated people in a room, and a live view of what becomes of them.

Who does what and when is decided by `livecast.ops.people.people`; here everybody gets a socket of their own. One more, anonymous
client watches the room as a viewer would; latency is measured between a sender's press of the key and that watcher.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

import click
import msgspec
import uvloop
from rich.console import Console
from rich.text import Text

from livecast.client import ClientError, Event, Frame, GaveUp, LivecastClient, Welcome
from livecast.ops.configuration.groups import DEV_KEY
from livecast.ops.people.market import Market
from livecast.ops.people.people import Act, Crowd, Moment, Person
from livecast.ops.people.visitors import Tokens, speaker_options
from livecast.ops.processes.process import raise_file_limit
from livecast.ops.screen.screen import RoomScreen, Style, connection_text
from livecast.ops.screen.terminal import draw, is_live, percentile, say, stop_at_eof, until, until_stopped

STEP_S: Final = 0.05  # finer than a tick, so that comments spread over it
OPENING_MAX: Final = 50  # handshakes under way at once: a crowd, not a storm
LATENCIES_MAX: Final = 2000  # of the last so many comments the percentiles are made
SEQS_MAX: Final = 2000  # frames whose arrival is remembered: over a minute of the busiest room
HOST: Final = Person("crowd-host", "主播小蓝", 0)
ANSWER_S: Final = 15.0
PATIENCE_S: Final = 3.0  # after the end, for answers under way


class CrowdShow:
    """A crowd in a room: sockets, and what became of what was said through them."""

    def __init__(
        self,
        url: str,
        room: str,
        crowd: Crowd,
        tokens: Tokens,
        *,
        host: bool = False,
        market: Market | None = None,
        connect_timeout_s: float = 10.0,
    ) -> None:
        self.screen = RoomScreen(room)
        self.crowd = crowd
        self.verdicts: Counter[str] = Counter()
        self.said = 0
        self.taps = 0
        self.unanswered = 0
        self.trouble = ""
        """Why the last person could not come in."""
        self.latencies_ms: deque[float] = deque(maxlen=LATENCIES_MAX)
        self.watcher = LivecastClient(url, room, listen=self._watch, connect_timeout_s=connect_timeout_s)
        self.on_event: Callable[[Event], None] = lambda _: None
        self._url, self._room, self._tokens = url, room, tokens
        self._people: dict[str, LivecastClient] = {}
        self._host = host
        self.market = market
        self._moment: Moment | None = None
        self._opening = asyncio.Semaphore(OPENING_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._talking: set[asyncio.Task[None]] = set()
        self._arrived_s: dict[int, float] = {}
        self._waiting: dict[int, list[float]] = {}

    @property
    def connected(self) -> int:
        """People with a live socket."""
        return sum(client.connected for client in self._people.values())

    async def run(self, stop: asyncio.Event, duration_s: float | None) -> None:
        """Play until `stop` or for so long, then let everybody get their answers and go."""
        end_s = None if duration_s is None else time.monotonic() + duration_s
        if self._host:
            self._spawn(self._join(HOST, role="host"), self._tasks)
            if self.market is not None:
                self.market.say = self._host_says
        while not stop.is_set() and (end_s is None or time.monotonic() < end_s):
            for act in self.crowd.step(time.monotonic()):
                self._act(act)
            self._on_stage()
            if self.market is not None and self.watcher.connected:
                self.market.step(self.crowd.present, self.watcher.view.state, self._people.get)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STEP_S):
                    await stop.wait()

    async def close(self) -> None:
        """Everybody leaves."""
        if self._talking:
            await asyncio.wait(self._talking, timeout=PATIENCE_S)
        for task in (*self._tasks, *self._talking):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._talking, return_exceptions=True)
        await asyncio.gather(*(self._leave(person_id) for person_id in list(self._people)))
        await self.watcher.close()

    # --- Acts ---------------------------------------------------------------------------------------------------------

    def _act(self, act: Act) -> None:
        client = self._people.get(act.person.id)
        match act.kind:
            case "join":
                self._spawn(self._join(act.person), self._tasks)
            case "leave":
                self._spawn(self._leave(act.person.id), self._tasks)
            case "tap" if client is not None and client.connected:
                client.like(act.n)
                self.taps += act.n
            case "say" if client is not None and client.connected:
                self._spawn(self._say(client, act.text), self._talking)
            case _:
                pass  # still at the door: people do not talk there

    def _on_stage(self) -> None:
        """The host says their line when a moment begins."""
        host, moment = self._people.get(HOST.id), self.crowd.moment
        if host is not None and host.connected and moment is not None and moment is not self._moment:
            self._moment = moment
            self._host_says(moment.line)

    def _host_says(self, line: str) -> None:
        host = self._people.get(HOST.id)
        if host is not None and host.connected:
            self._spawn(self._say(host, line), self._talking)

    async def _join(self, person: Person, **claims: Any) -> None:
        async with self._opening:
            token = await self._tokens.of(person.id, person.name, level=person.level, **claims)
            client = self._people[person.id] = LivecastClient(self._url, self._room, token=token, light=True, connect_timeout_s=30)
            try:
                await client.start()
            except ClientError as error:
                self._people.pop(person.id, None)
                self.trouble = str(error)

    async def _leave(self, person_id: str) -> None:
        client = self._people.pop(person_id, None)
        if client is not None:
            await client.close()

    async def _say(self, client: LivecastClient, text: str) -> None:
        said_s = time.monotonic()
        self.said += 1
        try:
            answer = await client.comment(text, timeout_s=ANSWER_S)
        except (GaveUp, ClientError):
            self.unanswered += 1
            return
        self.verdicts[answer.outcome] += 1
        if answer.outcome == "shown" and answer.ack is not None and answer.ack.seq is not None:
            self._count_latency(answer.ack.seq, said_s)

    def _spawn(self, work: Coroutine[Any, Any, None], group: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work)
        group.add(task)
        task.add_done_callback(group.discard)

    # --- Watching -----------------------------------------------------------------------------------------------------

    def _watch(self, event: Event) -> None:
        now_s = time.monotonic()
        self.screen.take(event, now_s)
        if isinstance(event, Frame):
            self._arrived_s[event.seq] = now_s
            if len(self._arrived_s) > SEQS_MAX:
                del self._arrived_s[next(iter(self._arrived_s))]
            for said_s in self._waiting.pop(event.seq, ()):
                self.latencies_ms.append((now_s - said_s) * 1000)
        elif isinstance(event, Welcome):  # perhaps a new epoch, in which the numbers mean other frames
            self._arrived_s.clear()
            self._waiting.clear()
        self.on_event(event)

    def _count_latency(self, seq: int, said_s: float) -> None:
        """The ack may come before or after the watcher's frame."""
        arrived_s = self._arrived_s.get(seq)
        if arrived_s is not None:
            self.latencies_ms.append((arrived_s - said_s) * 1000)
        elif self.watcher.connected:
            self._waiting.setdefault(seq, []).append(said_s)

    # --- Telling ------------------------------------------------------------------------------------------------------

    def figures(self, now_s: float) -> dict[str, Any]:
        """Where things stand, for machines."""
        return {
            "people": len(self.crowd.present) + self._host,
            "connected": self.connected,
            "said": self.said,
            "verdicts": dict(self.verdicts),
            "unanswered": self.unanswered,
            "under_way": len(self._talking),
            "taps": self.taps,
            "bought": dict(self.market.outcomes) if self.market is not None else {},
            "refused": self.market.trouble if self.market is not None else "",
            "likes": self.screen.likes,
            "viewers": self.screen.viewers,
            "tally": dict(self.screen.tally.counts),
            "frames": self.screen.frames,
            "frames_per_s": round(self.screen.frames_per_s(now_s), 1),
            "latency_p50_ms": round(percentile(self.latencies_ms, 0.5)),
            "latency_p99_ms": round(percentile(self.latencies_ms, 0.99)),
        }

    def line(self, now_s: float) -> str:
        """Where things stand, for a log."""
        f = self.figures(now_s)
        verdicts = " ".join(f"{name}={n}" for name, n in self.verdicts.most_common(6))
        troubles = [self.trouble] if self.trouble and f["connected"] < f["people"] else []
        troubles += [self.market.trouble] if self.market is not None and self.market.trouble else []
        trouble = f" trouble={'; '.join(troubles)!r}" if troubles else ""
        bought = "".join(f" {name}={n}" for name, n in self.market.outcomes.most_common(6)) if self.market is not None else ""
        return (
            f"people={f['connected']}/{f['people']} said={f['said']} {verdicts}{bought} "
            f"unanswered={f['unanswered']} likes={f['likes']} "
            f"frames/s={f['frames_per_s']} p50={f['latency_p50_ms']}ms p99={f['latency_p99_ms']}ms{trouble}"
        )

    def panel(self, now_s: float) -> list[Text]:
        """Where things stand, below the room's picture."""
        f = self.figures(now_s)
        moment = self.crowd.moment
        stage = f"the host {moment.what}" if moment is not None and now_s - moment.at_s < 6 else "—"
        crowd = Text.assemble(
            ("crowd    ", "dim"), (f"{f['connected']:,}", "bold"), f" of {f['people']:,} people connected · on stage: {stage}"
        )
        said = Text.assemble(
            ("said     ", "dim"), (f"{f['said']:,}", "bold"), f" · {f['under_way']} under way · {f['unanswered']} unanswered"
        )
        for name, n in self.verdicts.most_common(6):
            said.append(f" · {name} {n:,}", "dim")
        latency = Text.assemble(
            ("latency  ", "dim"), "p50 ", (f"{f['latency_p50_ms']} ms", "bold"), "  p99 ", (f"{f['latency_p99_ms']} ms", "bold"),
            ("  from a sender's key to another viewer's screen", "dim"),
        )  # fmt: skip
        trouble = [Text(f"trouble  {self.trouble}", "red")] if self.trouble and f["connected"] < f["people"] else []
        return [crowd, said, *self._bought(), latency, *trouble]

    def _bought(self) -> list[Text]:
        if self.market is None:
            return []
        outcomes = " · ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in self.market.outcomes.most_common(8))
        text = Text.assemble(("sale     ", "dim"), outcomes or "—")
        return [text, Text(f"trouble  {self.market.trouble}", "red")] if self.market.trouble else [text]


async def run_crowd(
    url: str,
    room: str,
    *,
    viewers: int = 100,
    rate: float = 8.0,
    likes: float = 40.0,
    duration_s: float | None = None,
    seed: int | None = None,
    token_secret: str | None = None,
    api_key: str | None = None,
    host: bool = False,
    buy: bool = False,
    gifts: float = 0.0,
    sale: bool = False,
    style: Style = "plain",
    quiet: bool = False,
    until_eof: bool = False,
    connect_timeout_s: float = 10.0,
    console: Console | None = None,
) -> int:
    """Send a crowd into `room` until stopped (Ctrl-C, SIGTERM) or for `duration_s`. Returns the exit status.

    `host`: one of them is the host, who says what happens on the stage. `buy`: people click on drops, vote and send `gifts` (so
    many a second). `sale`: there is something to buy: a shelf, a drop every minute, now and then a poll and a draw; that needs an
    API key (`--dev` has one that everybody knows). `until_eof`: stop when standard input ends, which it does when the process at
    its other end dies, however it dies.
    """
    raise_file_limit()
    console = console or Console()
    # Ids follow from the seed: two crowds in one room must not be the same people.
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    crowd = Crowd(viewers=viewers, rate=rate, likes=likes, seed=seed)
    key = api_key or DEV_KEY if sale else None
    async with (
        Tokens(url, room, token_secret=token_secret, api_key=api_key) as tokens,
        Market(url, room, api_key=key, gifts=gifts, buyers=viewers, seed=seed) as market,
    ):
        show = CrowdShow(
            url,
            room,
            crowd,
            tokens,
            host=host,
            market=market if buy or sale or gifts else None,
            connect_timeout_s=connect_timeout_s,
        )
        with until_stopped() as stop:
            if until_eof:
                stop_at_eof(stop)
            try:
                await until(show.watcher.start(), stop)
                drawing = asyncio.create_task(_tell(show, style, console, stop, quiet=quiet))
                await show.run(stop, duration_s)
                stop.set()
                await drawing
            except ClientError as error:
                click.echo(f"livecast crowd: {error}", err=True)
                return 1
            finally:
                await show.close()
    if style == "json":
        say(msgspec.json.encode({"end": True, **show.figures(time.monotonic())}).decode())
    elif not quiet:
        console.print(f"{room}: {connection_text(show.screen.connection)}", highlight=False)
        console.print("comments", show.screen.tally.text())
        for text in show.panel(time.monotonic())[1:]:
            console.print(text)
    return 0


async def _tell(show: CrowdShow, style: Style, console: Console, stop: asyncio.Event, *, quiet: bool) -> None:
    """The view while it goes on: the room's picture, or a line a second."""
    if style == "live" and not quiet:
        await draw(console, lambda height: show.screen.picture(time.monotonic(), height, show.panel(time.monotonic())), stop)
        return
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await stop.wait()
        now_s = time.monotonic()
        line = msgspec.json.encode(show.figures(now_s)).decode() if style == "json" else show.line(now_s)
        if not quiet and not stop.is_set() and not say(line):
            stop.set()


@click.command()
@click.option("--room", required=True, metavar="R", help="The room to go to.")
@click.option("--viewers", type=click.IntRange(1, 20_000), default=100, show_default=True, metavar="N", help="People at once.")
@click.option(
    "--rate", type=click.FloatRange(0, 10_000), default=8.0, show_default=True, metavar="R", help="Comments per second, on average."
)
@click.option(
    "--likes",
    type=click.FloatRange(0, 1_000_000),
    default=40.0,
    show_default=True,
    metavar="R",
    help="Taps per second, on average.",
)
@click.option(
    "--duration", "duration_s", type=click.FloatRange(0.1), metavar="S", help="Stop after so many seconds; without it, on Ctrl-C."
)
@click.option("--seed", type=int, metavar="N", help="The same seed is the same crowd; without it, always another one.")
@click.option("--plain", "style", flag_value="plain", help="One line a second; the default where there is no terminal.")
@click.option("--json", "style", flag_value="json", help="One JSON object a second.")
@click.option("--quiet", is_flag=True, help="Say nothing at all.")
@click.option("--host", is_flag=True, help="One more person is the host and says what happens on the stage (needs a host's token).")
@click.option("--buy", is_flag=True, help="People click on drops, enter draws and vote in polls. They take what there is.")
@click.option("--gifts", type=click.FloatRange(0, 1000), default=0.0, show_default=True, metavar="R", help="Gifts per second.")
@click.option(
    "--sale", is_flag=True, help="And the host sells: a shelf, a drop every minute, polls, draws (needs an API key, or --dev's)."
)
@click.option("--until-eof", is_flag=True, hidden=True)
@speaker_options
def command(*, style: Style | None, **options: Any) -> None:
    """Send a simulated crowd into a room.

    People watch, chat, shout the same short words when something happens on the stage, ask questions, tap likes in waves,
    come and go. Shows the room as a viewer sees it, and what became of every comment.

    \b
    Examples:
      livecast crowd --room demo
      livecast crowd --room demo --viewers 1000 --rate 60 --likes 500 --duration 60
      livecast crowd --room demo --json --duration 30 | jq .latency_p99_ms
    """  # noqa: D301 - click wants the control character, not its name
    console = Console()
    chosen: Style = style or ("live" if is_live(console) else "plain")
    raise SystemExit(uvloop.run(run_crowd(style=chosen, console=console, **options)))
