"""The room log on Redis or Valkey. A commit is one call of `lua/commit.lua`, whose header says what it does."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from livecast.adapters.bounds import REMEMBERED_BYTES_MAX, ROOM_ACTS_MAX
from livecast.adapters.redis import keys, messages
from livecast.adapters.redis.lane import Lane
from livecast.adapters.redis.server import Argument, RedisServer, Script
from livecast.core.nodes.formats import FORMAT
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.ports import Commit, Committed, Entry, Fenced, OutOfOrder, Published, Stored, StoreError, WrongFormat

COMMIT = Script("commit.lua", keys=12)
REGAIN = Script("regain.lua", keys=1)
BATCH_MS = 5
"""Commits within this share a pipeline. Measured on a loaded two-core machine: 300 µs of our CPU for a call alone, 97 in a
pipeline of 5, 61 of 25, 50 of 100. 1,000 busy rooms make pipelines of 25; twice as long would add 5 ms to every comment of
a busy process and save a sixth."""
USERS_TTL_S = 7 * 24 * 3600
"""A broadcast's distinct users (12 KiB) are dropped a week after the last new one; the figure itself stays in the room."""

_POSITION: Final = re.compile(r"\d{1,20}-\d{1,20}")


class RedisRoomLog:
    """`ports.RoomLog` on a store. `close` ends its own calls; the server is the composition root's to close.

    With `record_bytes_max` each commit leaves a record for the archive (`redis/records.py` reads them), so many bytes per shard.
    """

    def __init__(self, server: RedisServer, *, record_bytes_max: int = 0) -> None:
        self._server = server
        self._record_bytes_max = record_bytes_max
        at = self._place_of if server.address.form == "cluster" else None
        self._commits = Lane(self._run_commits, gap_ms=BATCH_MS, deadline_s=server.deadline_s, place_of=at)

    def on_reborn(self, tell: Callable[[Collection[int]], None]) -> None:
        """Say so when shards are served by another process than before."""
        places = [self._server.route(keys.owner(shard)) for shard in range(SHARDS)]

        def started_again(place: str) -> None:
            tell([shard for shard in range(SHARDS) if self._server.route(keys.owner(shard)) == place])

        def moved() -> None:
            before = places[:]
            places[:] = [self._server.route(keys.owner(shard)) for shard in range(SHARDS)]
            elsewhere = [shard for shard in range(SHARDS) if before[shard] not in {"", places[shard]}]
            if elsewhere:
                tell(elsewhere)

        self._server.reborn.append(started_again)
        self._server.moved.append(moved)

    async def take(self, shard: int, token: str) -> None:
        """Make `token` the owner of `shard`."""
        await self._server.run("SET", keys.owner(shard), token)

    async def regain(self, shard: int, former: str, token: str) -> bool:
        """Make `token` the owner of `shard` if `former` is, or nobody."""
        return bool(await self._server.script(REGAIN, keys.owner(shard), former, token))

    async def load(self, room: str) -> Stored | None:
        """The room with its remembered answers, in one moment's picture."""
        last, snapshot, log, said = await self._server.transact([*_picture(room), ("XRANGE", keys.of_room("said", room), "-", "+")])
        return _stored(last, snapshot, log, [body for _, (_, body, *_) in said])

    async def read(self, room: str) -> Stored | None:
        """The room without its remembered answers, in one moment's picture."""
        last, snapshot, log = await self._server.transact(_picture(room))
        return _stored(last, snapshot, log, [])

    async def commit(self, commit: Commit) -> Committed:
        """One call of the script, in a pipeline with others."""
        answer: list[Any] = await self._commits.call(*_commit_keys(commit), *_commit_arguments(commit, self._record_bytes_max))
        match answer:
            case [b"OK", int(users)]:
                return Committed(users_total=users)
            case [b"FENCED"]:
                raise Fenced(f"shard {shard_of(commit.room)} has another owner")
            case [b"ORDER", bytes(epoch), int(number)]:
                raise OutOfOrder(f"{commit.room}: {commit.epoch}:{commit.number} does not follow {epoch.decode()}:{number}")
            case _:
                raise StoreError(f"the commit script answered {answer!r}")

    async def heads(self, rooms: Sequence[str]) -> list[tuple[str, int] | None]:
        """Where each of them stands, in one round trip."""
        found = (
            await self._server.pipeline([("HMGET", keys.of_room("room", room), "epoch", "seq") for room in rooms]) if rooms else []
        )
        return [None if epoch is None or seq is None else (epoch.decode(), int(seq)) for epoch, seq in found]

    async def rooms(self, after: str, limit: int) -> list[tuple[str, bytes]]:
        """Summaries in order of room id, merged from all shards.

        Each shard is asked for a little more than its share. What lies beyond the end of a shard's part may be preceded by
        rooms not yet asked for, so it is left for the next round.
        """
        found: list[str] = []
        while len(found) < limit:
            names, whole = await self._ids(after, share=max(4, 2 * (limit - len(found)) // SHARDS))
            found += names
            if whole or not names:
                break
            after = names[-1]
        return await self._with_summaries(found[:limit])

    async def acts(self, room: str, before: str, limit: int) -> list[tuple[str, bytes]]:
        """What staff did, from the stream of their commits."""
        end = f"({before}" if _POSITION.fullmatch(before) else "+"
        entries = await self._server.run("XREVRANGE", keys.of_room("acts", room), end, "-", "COUNT", limit)
        return [(id_.decode(), fields[1]) for id_, fields in entries]

    async def close(self) -> None:
        """Commits under way raise `Unavailable`."""
        await self._commits.close()

    def _place_of(self, call: Sequence[Argument]) -> str:
        return self._server.route(str(call[0]))

    async def _run_commits(self, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        return await self._server.run_script(COMMIT, calls)

    async def _ids(self, after: str, share: int) -> tuple[list[str], bool]:
        """Room ids above `after`, sorted, without gaps; and whether they are all there are."""
        low = f"({after}" if after else "-"
        parts: list[list[bytes]] = await self._server.pipeline(
            [("ZRANGE", keys.of_shard("rooms", shard), low, "+", "BYLEX", "LIMIT", 0, share) for shard in range(SHARDS)]
        )
        cut_short = [part[-1] for part in parts if len(part) == share]
        horizon = min(cut_short, default=None)
        ids = sorted(room for part in parts for room in part if horizon is None or room <= horizon)
        return [room.decode() for room in ids], horizon is None

    async def _with_summaries(self, rooms: list[str]) -> list[tuple[str, bytes]]:
        if not rooms:
            return []
        summaries = await self._server.pipeline([("HGET", keys.of_shard("summaries", shard_of(room)), room) for room in rooms])
        return [(room, summary) for room, summary in zip(rooms, summaries, strict=True) if summary is not None]


def _picture(room: str) -> list[Sequence[Argument]]:
    return [
        ("HMGET", keys.of_room("room", room), "epoch", "number", "seq", "snapshot_number", "format"),
        ("GET", keys.of_room("snapshot", room)),
        ("XRANGE", keys.of_room("log", room), "-", "+"),
    ]


def _stored(last: list[bytes | None], snapshot: bytes | None, log: list[Any], remembered: list[bytes]) -> Stored | None:
    epoch, number, seq, snapshot_number, written_in = last
    if int(written_in or 1) > FORMAT:
        raise WrongFormat(f"the room is written in format {int(written_in or 1)} by a later version, and this one knows {FORMAT}")
    if epoch is None or number is None or seq is None or snapshot is None or snapshot_number is None:
        return None
    return Stored(
        epoch=epoch.decode(),
        number=int(number),
        seq=int(seq),
        snapshot=snapshot,
        snapshot_number=int(snapshot_number),
        entries=tuple(_entry(id_, fields) for id_, fields in log),
        remembered=tuple(remembered),
    )


def _entry(id_: bytes, fields: list[bytes]) -> Entry:
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    return Entry(number=int(id_.split(b"-")[0]), seq=int(named[b"s"]), frame=named.get(b"f"), private=named.get(b"p"))


def _commit_keys(commit: Commit) -> tuple[str, ...]:
    tag = f"{{s{shard_of(commit.room)}}}"
    room = commit.room
    return (
        f"{tag}:owner",
        f"{tag}:room:{room}",
        f"{tag}:snapshot:{room}",
        f"{tag}:log:{room}",
        f"{tag}:said:{room}",
        f"{tag}:users:{room}:{commit.broadcast}",
        f"{tag}:rooms",
        f"{tag}:summaries",
        f"{tag}:out:{room}",
        f"{tag}:records",
        f"{tag}:recorded",
        f"{tag}:acts:{room}",
    )


def _commit_arguments(commit: Commit, record_bytes_max: int) -> tuple[Argument, ...]:
    return (
        commit.token,
        commit.epoch,
        commit.number,
        commit.seq,
        commit.at,
        commit.frame or b"",
        commit.private or b"",
        commit.remembered or b"",
        commit.remember_ms,
        REMEMBERED_BYTES_MAX,
        commit.snapshot or b"",
        commit.keep_from,
        commit.broadcast,
        USERS_TTL_S,
        commit.summary or b"",
        commit.room,
        message_of(commit),
        record_bytes_max,
        commit.counts_for,
        commit.notes or b"",
        commit.acts or b"",
        ROOM_ACTS_MAX,
        *commit.new_users,
    )


def message_of(commit: Commit) -> bytes:
    """What followers get: the frame, or word of a new epoch, with answers for viewers elsewhere; or nothing."""
    begins = commit.snapshot if commit.number == 1 else None
    if commit.frame is None and begins is None and not commit.replies:
        return b""
    return messages.encode_published(Published(commit.room, commit.epoch, commit.seq, commit.frame, begins), commit.replies)
