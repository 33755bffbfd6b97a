"""Following a room by its files, against a real HTTP server that keeps a few."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgpack
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from livecast.client import Frame, FrameFiles, Refused, Unreachable, Welcome, frame_files
from support.stage import Prompt, comment, frame, welcome

OF_A_VIEWER = {"t", "you", "conn", "reason", "recovered"}  # what a welcome has and a snapshot has not


class Shelf:
    """A room as files. What is not there is not there: nothing is held, so that tests need not wait."""

    def __init__(self, epoch: str = "epochAAA", first: int = 1, last: int = 0) -> None:
        self.epoch, self.first, self.last = epoch, first, last
        self.snapshot_seq: int | None = None  # one before the first frame, if not said otherwise
        self.asked: list[str] = []
        self.fail = 0
        app = web.Application()
        app.router.add_get("/v1/rooms/r/{kind:frames|bundles}/{epoch}/{name}", self._file)
        app.router.add_get("/v1/rooms/r/frames/head", self._head)
        app.router.add_get("/v1/rooms/r/snapshot", self._snapshot)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self.server.make_url("/"))

    async def _file(self, request: web.Request) -> web.Response:
        self.asked.append(request.path.removeprefix("/v1/rooms/r"))
        if self.fail:
            self.fail -= 1
            return web.Response(status=503)
        number, suffix = request.match_info["name"].split(".")
        bundle = request.match_info["kind"] == "bundles"
        seqs = range(max(1, int(number) * 10), int(number) * 10 + 10) if bundle else range(int(number), int(number) + 1)
        if request.match_info["epoch"] != self.epoch or seqs[-1] > self.last:
            return web.Response(status=404)
        if seqs[0] < self.first:
            return web.Response(status=410)
        bodies = [frame(seq, self.epoch, comments=[comment(seq)]) for seq in seqs]
        body: Any = bodies if bundle else bodies[0]
        return web.Response(body=msgpack.packb(body) if suffix == "msgpack" else json.dumps(body).encode())

    async def _head(self, _: web.Request) -> web.Response:
        return web.json_response({"epoch": self.epoch, "seq": self.last, "tick_ms": 200})

    async def _snapshot(self, _: web.Request) -> web.Response:
        seq = self.first - 1 if self.snapshot_seq is None else self.snapshot_seq
        body = {key: value for key, value in welcome(self.epoch, seq).items() if key not in OF_A_VIEWER}
        return web.json_response(body)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_a_snapshot_then_every_frame(codec: Literal["json", "msgpack"]) -> None:
    """One file per frame, in order, in both forms."""
    shelf = Shelf(last=3)
    async with shelf.server, FrameFiles(shelf.url, "r", codec=codec, rng=Prompt()) as files:
        reader = aiter(files)
        got = [await anext(reader) for _ in range(4)]
    assert isinstance(got[0], Welcome)
    assert [one.seq for one in got[1:] if isinstance(one, Frame)] == [1, 2, 3]
    assert shelf.asked == [f"/frames/epochAAA/{seq}.{codec}" for seq in (1, 2, 3)]


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_bundles_bring_ten_at_a_time(codec: Literal["json", "msgpack"]) -> None:
    """The first bundle holds nine; what of a bundle the snapshot has already is skipped."""
    shelf = Shelf(last=19)
    shelf.snapshot_seq = 4
    async with shelf.server, FrameFiles(shelf.url, "r", codec=codec, bundles=True, rng=Prompt()) as files:
        reader = aiter(files)
        got = [await anext(reader) for _ in range(16)]
    assert [one.seq for one in got] == [4, *range(5, 20)]
    assert shelf.asked == [f"/bundles/epochAAA/{k}.{codec}" for k in (0, 1)]


async def test_what_is_left_of_a_bundle_comes_one_by_one_where_nothing_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader by bundles waits for the tenth frame as long as the room speaks, and no longer; then goes on in whole bundles."""
    monkeypatch.setattr(frame_files, "AGAIN_S", 0.01)
    monkeypatch.setattr(frame_files, "LOOK_MAX_S", 0.05)
    shelf = Shelf(last=12)
    async with shelf.server, FrameFiles(shelf.url, "r", bundles=True, rng=Prompt()) as files:
        reader = aiter(files)
        assert [(await anext(reader)).seq for _ in range(13)] == [0, *range(1, 13)]
        shelf.last = 29
        assert [(await anext(reader)).seq for _ in range(17)] == [*range(13, 30)]
    epoch = shelf.epoch
    assert shelf.asked == [
        f"/bundles/{epoch}/0.json",
        *(f"/frames/{epoch}/{seq}.json" for seq in (10, 11, 12)),
        *(f"/bundles/{epoch}/{k}.json" for k in (1, 2)),
    ]


async def test_a_bundle_reader_notices_a_new_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks the room may have begun anew, or gone on so far that its bundles are no longer kept."""
    monkeypatch.setattr(frame_files, "AGAIN_S", 0.01)
    monkeypatch.setattr(frame_files, "LOOK_MAX_S", 0.05)
    shelf = Shelf(last=9)
    async with shelf.server, FrameFiles(shelf.url, "r", bundles=True, rng=Prompt()) as files:
        reader = aiter(files)
        assert [(await anext(reader)).seq for _ in range(10)] == [0, *range(1, 10)]
        shelf.epoch, shelf.last = "epochBBB", 0
        assert (await anext(reader)).epoch == "epochBBB"
        shelf.first, shelf.last = 30, 39
        assert [(await anext(reader)).seq for _ in range(11)] == [29, *range(30, 40)]
        assert files.snapshots == 3


async def test_a_new_epoch_and_an_aged_frame_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the frames do not go on there is a snapshot again."""
    monkeypatch.setattr(frame_files, "AGAIN_S", 0.0)
    shelf = Shelf(last=2)
    async with shelf.server, FrameFiles(shelf.url, "r", rng=Prompt()) as files:
        reader = aiter(files)
        assert [type(await anext(reader)) for _ in range(3)] == [Welcome, Frame, Frame]
        shelf.epoch, shelf.first, shelf.last = "epochBBB", 8, 8
        fresh = [await anext(reader) for _ in range(2)]
        assert [(type(one), one.epoch) for one in fresh] == [(Welcome, "epochBBB"), (Frame, "epochBBB")]
        shelf.first, shelf.last = 20, 20
        assert [type(await anext(reader)) for _ in range(2)] == [Welcome, Frame]
        assert files.snapshots == 3
        assert files.seq == 20


async def test_failures_are_tried_again_and_end() -> None:
    """A few failures are bridged; a server that stays away is called unreachable, a refusal is raised at once."""
    shelf = Shelf(last=1)
    shelf.fail = 3
    async with shelf.server:
        async with FrameFiles(shelf.url, "r", rng=Prompt()) as files:
            reader = aiter(files)
            assert [type(await anext(reader)) for _ in range(2)] == [Welcome, Frame]
        async with FrameFiles(shelf.url, "other", rng=Prompt()) as files:
            with pytest.raises(Refused):
                await anext(aiter(files))
    async with FrameFiles("http://127.0.0.1:9", "r", rng=Prompt()) as files:
        with pytest.raises(Unreachable):
            await files.head()
