"""The client with the service itself at the other end: three ways to follow a room, one content."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from livecast.client import Connection, Event, EventStream, Frame, FrameFiles, LivecastClient, Refused, Welcome
from support.node import NodeProcess, token
from support.stage import Prompt, until


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """One node for all tests, each in rooms of its own. One kills it and starts it again."""
    with NodeProcess() as process:
        yield process


def content(frames: list[Frame]) -> dict[int, Any]:
    """Frames by number, as plain values."""
    return {frame.seq: msgspec.to_builtins(frame) for frame in frames}


async def collect(source: LivecastClient | EventStream | FrameFiles, into: list[Frame]) -> None:
    """Keep the frames of a follower."""
    async for message in source:
        if isinstance(message, Frame):
            into.append(message)  # noqa: PERF401 - they are looked at while they come


async def test_sockets_streams_and_files_tell_the_same(node: NodeProcess) -> None:
    """MessagePack, JSON and compressed sockets, SSE, frame files and bundles: equal frames under equal numbers."""
    room = "c-same"
    got: list[list[Frame]] = [[] for _ in range(6)]
    async with (
        LivecastClient(node.base, room, token=token("ada")) as ada,
        LivecastClient(node.base, room, codec="json") as by_json,
        LivecastClient(node.base, room, deflate=True) as by_deflate,
        EventStream(node.base, room) as stream,
        FrameFiles(node.base, room, codec="msgpack") as files,
        FrameFiles(node.base, room, bundles=True) as bundles,
    ):
        followers: tuple[LivecastClient | EventStream | FrameFiles, ...] = (ada, by_json, by_deflate, stream, files, bundles)
        readers = [asyncio.create_task(collect(source, frames)) for source, frames in zip(followers, got, strict=True)]
        await until(lambda: stream.connections == 1 and files.snapshots == 1 and bundles.snapshots == 1)
        # The first bundle is complete with frame 9; after quiet everything said is a frame of its own.
        while ada.view.seq < 12:
            assert (await ada.like_counted(1)).ok
            await ada.comment(f"word {ada.view.seq}")
        last = ada.view.seq
        await until(lambda: all(frames and frames[-1].seq >= last for frames in got[:5]) and bundles.seq >= 9, 15)
        for reader in readers:
            reader.cancel()
    reference = content(got[0])
    for frames in got[1:]:
        numbers = [frame.seq for frame in frames]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        mine = content(frames)
        assert {seq: mine[seq] for seq in mine.keys() & reference.keys()} == {
            seq: reference[seq] for seq in mine.keys() & reference.keys()
        }
        assert len(mine.keys() & reference.keys()) >= 5  # the first few may have been in the welcome already


async def test_the_view_is_what_a_newcomer_is_told(node: NodeProcess) -> None:
    """A view built from frames equals the snapshot that somebody gets who comes later."""
    async with LivecastClient(node.base, "c-view", token=token("ada")) as ada:
        for text in ("one", "two", "three"):
            assert (await ada.comment(text)).ok
        assert (await ada.like_counted(30)).ack.counted == 30  # type: ignore[union-attr]  # an answer that is ok has one
        async with LivecastClient(node.base, "c-view") as late:
            await until(lambda: ada.since == late.since and ada.view.state["viewers"] == late.view.state["viewers"])
            assert ada.view.state == late.view.state
            assert ada.view.policy == late.view.policy
            assert [comment.text for comment in late.view.recent] == ["one", "two", "three"]
            assert ada.view.recent == late.view.recent


async def test_a_restart_costs_a_welcome_and_no_answer(node: NodeProcess) -> None:
    """Kill -9 of the node: the client comes back by itself to a new epoch with the old totals, and what it asked is answered."""
    events: list[Event] = []
    async with LivecastClient(node.base, "c-restart", token=token("ada"), listen=events.append, rng=Prompt(0.05)) as ada:
        assert (await ada.comment("before")).outcome == "shown"
        await ada.like_counted(5)
        epoch = ada.view.epoch
        node.kill()
        asked = asyncio.create_task(ada.comment("meanwhile", timeout_s=40))
        await until(lambda: not ada.connected)
        await asyncio.to_thread(node.start)
        assert (await asked).outcome == "shown"
        assert ada.view.epoch != epoch
        assert ada.view.state["likes"] == 5
        assert [comment.text for comment in ada.view.recent] == ["before", "meanwhile"]
    assert [event.state for event in events if isinstance(event, Connection)].count("open") == 2
    assert [event.recovered for event in events if isinstance(event, Welcome)] == [False, False]


async def test_a_resumed_client_misses_nothing(node: NodeProcess) -> None:
    """Away for a while, back with `since`: every frame in between, in order."""
    async with LivecastClient(node.base, "c-resume", token=token("bob")) as bob:
        async with LivecastClient(node.base, "c-resume") as ada:
            await until(lambda: ada.connected)
            since = ada.since
        for text in ("one", "two", "three"):
            await bob.comment(text)
        heard: list[Event] = []
        async with LivecastClient(node.base, "c-resume", since=since, listen=heard.append) as again:
            await until(lambda: again.since == bob.since)
    welcome = next(event for event in heard if isinstance(event, Welcome))
    texts = [comment.text for event in heard if isinstance(event, Frame) for comment in event.comments]
    assert welcome.recovered
    assert texts == ["one", "two", "three"]


async def test_a_token_is_renewed_past_its_end(node: NodeProcess) -> None:
    """The socket outlives the token it was opened with, and its holder may still speak."""
    calls = 0

    async def get_token() -> str:
        nonlocal calls
        calls += 1
        return token("ada", ttl_s=2 if calls == 1 else 3600)

    async with LivecastClient(node.base, "c-renew", get_token=get_token) as ada:
        first = ada.you.expires_at if ada.you else None
        await until(lambda: calls == 2 and ada.you and ada.you.expires_at != first, 10)
        await asyncio.sleep(1.5)  # past the first token's end: time itself is what is tested
        assert (await ada.comment("still here")).ok
        assert ada.connections == 1


async def test_refusals_carry_their_reason(node: NodeProcess) -> None:
    """A bad token, another room's token."""
    for bad, code in (("nonsense", 4401), (token("ada", ttl_s=-5), 4401), (token("ada", rooms=["other"]), 4403)):
        with pytest.raises(Refused) as refused:
            await LivecastClient(node.base, "c-refused", token=bad).start()
        assert refused.value.code == code
