"""How a node comes to stores that others have used before it, or use beside it: it reads what they say of their format, and raises
that to its own. Nobody is there yet whom this could disturb: it owns nothing and is open to no viewer.

Rules for whoever edits this file:
- A node shows a sign of life first and looks at the mark then; the mark is raised in one step with a look at who is there. So of
  two that come at the same moment one always sees the other.
- Who cannot read what is there, or would write what a living node cannot read, writes nothing and goes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from livecast.core.nodes.formats import Knows, cannot_read, fits, raised, too_new, too_old
from livecast.core.nodes.membership import Beat
from livecast.facts import Observer, Trouble
from livecast.ports import Formats, Roster, StoreError, WrongFormat

LOOK_S: Final = 0.2
"""How often those are looked at who may be dead."""
SLACK_S: Final = 5.0
"""How much longer than a node takes to be dead a node that comes waits for those whom it cannot judge."""
WATCH_S: Final = 5.0
"""How often a running node reads the mark. It was raised over a node that slept when it was judged: it must not go on."""
FIRST_COUNT: Final = -1_000
"""The numbers of the first signs lie below those that a node shows once it wants shards, which begin with 1."""
UNREADABLE_SIGNS: Final = "somebody on the same stores shows signs of life that cannot be read: look which versions run there"


async def enter(
    *,
    me: str,
    formats: Formats,
    roster: Roster,
    mine: Knows,
    dead_after_s: float,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> None:
    """Come to a rooms' store. Raises `WrongFormat` if this node must not, `Unavailable`."""
    first: dict[str, tuple[int, float]] = {}
    end_s = monotonic_s() + dead_after_s + SLACK_S
    beat = Beat(FIRST_COUNT, leaving=True, version=mine.version, format=mine.format)  # it is there, and wants no shards
    try:
        while not await _entered(me, beat, formats, roster, mine, dead_after_s, monotonic_s(), first):
            if monotonic_s() > end_s:
                raise WrongFormat(UNREADABLE_SIGNS)  # noqa: TRY301 - it ends like all others
            await asyncio.sleep(LOOK_S)
            beat = replace(beat, count=beat.count + 1)
    except WrongFormat:
        await roster.forget(me, beat)
        raise


async def _entered(  # noqa: PLR0917 - one look of `enter`
    me: str,
    beat: Beat,
    formats: Formats,
    roster: Roster,
    mine: Knows,
    dead_after_s: float,
    now_s: float,
    first: dict[str, tuple[int, float]],
) -> bool:
    """One look; False: look again. `first`: the number of each node's first sign that was seen, and when."""
    beats = await roster.beat(me, beat)
    mark = await formats.mark()
    if mark is not None and not fits(mark, mine):
        raise WrongFormat(too_new("the rooms' store", mark, mine))
    wanted = raised(mark, mine)
    if wanted == mark:
        return True
    old = cannot_read({name: each for name, each in beats.items() if name != me}, mine)
    living = {name: each for name, each in old.items() if first.setdefault(name, (each.count, now_s))[0] != each.count}
    if living:
        raise WrongFormat(too_old(living, mine))
    if any(now_s - first[name][1] < dead_after_s for name in old):
        return False
    return await formats.put(mark, wanted, beats.keys())


async def settle(where: str, formats: Formats, mine: Knows) -> None:
    """Come to a store that nobody else uses, or whose users the rooms' store knows. Raises `WrongFormat`, `Unavailable`."""
    while True:
        mark = await formats.mark()
        if mark is not None and not fits(mark, mine):
            raise WrongFormat(too_new(where, mark, mine))
        wanted = raised(mark, mine)
        if wanted == mark or await formats.put(mark, wanted):
            return
        await asyncio.sleep(LOOK_S)  # another node has just raised it


class FormatWatch:
    """Reads the mark of the rooms' store as long as it runs; `leave` is called, once, with why this node must not go on."""

    def __init__(
        self, *, formats: Formats, mine: Knows, observer: Observer, leave: Callable[[str], None], watch_s: float = WATCH_S
    ) -> None:
        self._formats = formats
        self._mine = mine
        self._observer = observer
        self._leave = leave
        self._watch_s = watch_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="watch the format")

    def stop(self) -> None:
        """No more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._watch_s)
            try:
                mark = await self._formats.mark()
            except WrongFormat as fault:  # somebody wrote there by hand: that ends nobody's evening
                self._observer.observe(Trouble("the mark of the store cannot be read", "rooms", str(fault), "error"))
                continue
            except StoreError:
                continue  # others say that it does not answer
            if mark is not None and not fits(mark, self._mine):
                self._leave(too_new("the rooms' store", mark, self._mine))
                return
