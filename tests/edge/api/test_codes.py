"""Lists of codes over HTTP: streamed, taken whole or not at all, with the number of every line that is wrong."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from livecast.edge.money import code_list
from support.house import Answer
from support.shop import Shop

DROPS = "/v1/rooms/r1/drops"


async def listed(shop: Shop, stock: int = 3, **config: Any) -> str:
    """The path of a new drop that takes a list."""
    if (await shop.call("GET", "/v1/rooms/r1")).status == 404:
        await shop.live_room("r1")
    body = {"title": "x", "kind": "coupon", "stock": stock, "codes": "list", **config}
    return f"{DROPS}/{(await shop.call('POST', DROPS, json=body)).json['id']}"


async def upload(shop: Shop, path: str, text: Any) -> Answer:
    """The answer to an upload."""
    return await shop.call("PUT", f"{path}/codes", data=text, headers={"Content-Type": "text/plain"})


async def test_a_list_is_taken_and_replaced(shop: Shop) -> None:
    """200 with the drop and how many codes it holds; line ends of either kind, a BOM and empty lines at the end do no harm."""
    path = await listed(shop)
    taken = await upload(shop, path, "\ufeffA-1\r\nB-2\r\nC-3\r\n\r\n".encode())
    assert (taken.status, taken.json["codes_held"]) == (200, 3)
    assert (await upload(shop, path, b"D\nE\nF\nG")).json["codes_held"] == 4
    drop = path.rpartition("/")[2]
    assert list(shop.ledger._drops["r1"][drop].codes) == ["D", "E", "F", "G"]


async def test_repeated_codes_are_refused_with_their_lines(shop: Shop) -> None:
    """422 with each line that repeats an earlier one, also one far behind; the drop keeps what it had."""
    path = await listed(shop)
    await upload(shop, path, b"X\nY\nZ\n")
    lines = [f"code-{k}" for k in range(5000)]
    lines[4], lines[4999] = lines[0], lines[1]
    refused = await upload(shop, path, "\n".join(lines).encode())
    assert (refused.status, refused.code) == (422, "invalid")
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/5", "/5000"]
    assert "Line 5 " in refused.json["errors"][0]["detail"]
    assert (await shop.call("GET", path)).json["codes_held"] == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"A\n\nB\n", 2), (b"A\n\xff\n", 2), (b"A\nB\x00\n", 2), (b"A\n" + b"x" * 129 + b"\n", 2), (b"A\n" + b"x" * 100_000, 2)],
)
async def test_wrong_lines_are_told(shop: Shop, text: bytes, line: int) -> None:
    """Empty ones between others, what is not UTF-8, not readable or too long: 422 with the line's number."""
    refused = await upload(shop, await listed(shop), text)
    assert (refused.status, refused.code) == (422, "invalid")
    assert refused.json["errors"][0]["pointer"] == f"/{line}"


async def test_a_drop_opens_with_enough_codes_only(shop: Shop) -> None:
    """Fewer codes than stock: conflict; once it is open, no list is taken any more; nor by a drop that makes its own codes."""
    path = await listed(shop)
    await upload(shop, path, b"A\nB\n")
    assert (await shop.call("POST", f"{path}/open")).code == "conflict"
    await upload(shop, path, b"A\nB\nC\n")
    assert (await shop.call("POST", f"{path}/open")).status == 200
    assert (await upload(shop, path, b"A\nB\nC\n")).code == "conflict"
    assert (await upload(shop, await listed(shop, codes="generated"), b"A\n")).code == "conflict"
    assert (await upload(shop, await listed(shop), b"")).status == 422


async def test_a_list_has_64_mib_at_most(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Declared, it is refused unread; undeclared, as soon as it is over."""
    path = await listed(shop)
    head = f"PUT {path}/codes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.key}\r\nContent-Length: {2**26 + 1}\r\n\r\n"
    assert (await shop.raw(head.encode(), wait_s=0.5)).startswith(b"HTTP/1.1 413 ")
    monkeypatch.setattr(code_list, "LIST_BYTES_MAX", 100_000)

    async def endless() -> AsyncIterator[bytes]:
        for k in range(100_000):
            yield b"code-%d\n" % k

    assert (await upload(shop, path, endless())).status == 413
    assert (await shop.call("GET", path)).json["codes_held"] == 0


async def test_only_texts_are_lists(shop: Shop) -> None:
    """415 for JSON and for what is compressed."""
    path = await listed(shop)
    assert (await shop.call("PUT", f"{path}/codes", json={"codes": ["A"]})).status == 415
    headers = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    assert (await shop.call("PUT", f"{path}/codes", data=gzip.compress(b"A\n"), headers=headers)).status == 415


async def test_a_large_list_goes_through(shop: Shop) -> None:
    """Far more than any other body may have, in the order of its lines."""
    path = await listed(shop, stock=100_000)
    taken = await upload(shop, path, io.BytesIO("\n".join(f"code-{k:06}" for k in range(100_000)).encode()))
    assert (taken.status, taken.json["codes_held"]) == (200, 100_000)
    codes = shop.ledger._drops["r1"][path.rpartition("/")[2]].codes
    assert (codes[0], codes[99_999]) == ("code-000000", "code-099999")


@pytest.mark.parametrize(("bound", "said"), [("SILENCE_S", "Nothing came"), ("UPLOAD_S", "did not come within")])
async def test_a_list_that_does_not_come_is_given_up(shop: Shop, monkeypatch: pytest.MonkeyPatch, bound: str, said: str) -> None:
    """A body that stops, and one of which a little comes again and again: 408, and the connection is closed."""
    monkeypatch.setattr(code_list, bound, 0.5)
    path = await listed(shop)
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    head = f"PUT {path}/codes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.key}\r\nContent-Length: 1000000\r\n\r\n"
    writer.write(head.encode())

    async def drip() -> None:
        while bound == "UPLOAD_S":
            writer.write(b"A")
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(10):
        answer = await reader.read()
    dripping.cancel()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert said.encode() in answer
