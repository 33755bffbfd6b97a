"""The way out for webhooks, to real servers: bounded in time and bytes, never inside, never elsewhere than asked."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from livecast.adapters.webhook_http import ANSWER_BYTES_MAX, HttpSender, is_public
from support.hooks import Receiver

BODY = b'{"seq":1}'
HEADERS = {"Content-Type": "application/json", "webhook-id": "evt_1"}


@pytest.fixture
async def sender() -> AsyncIterator[HttpSender]:
    """One for development: any address, plain http."""
    made = HttpSender(timeout_s=5, inside=True)
    yield made
    await made.close()


@pytest.fixture
async def strict() -> AsyncIterator[HttpSender]:
    """One as it runs in production."""
    made = HttpSender(timeout_s=5)
    yield made
    await made.close()


# --- Where to ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7",
        "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1",
        "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
        "ff02::1", "not an address", "",
    ],
)  # fmt: skip
def test_what_is_not_public(address: str) -> None:
    """Private, loopback, link-local with the clouds' metadata, multicast, reserved; IPv6 that leads to IPv4 or through NAT64."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_what_is_public(address: str) -> None:
    """The rest."""
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0.0.0.0"])
async def test_nothing_inside_is_reached(strict: HttpSender, host: str, tmp_path: Path) -> None:
    """By whatever name; not even a connection is made. The same receiver is reached by a sender for development."""
    async with Receiver(ssl=certified(tmp_path)) as receiver:
        connections: list[Any] = []
        receiver.watch(connections.append)
        answer = await strict.send(f"https://{host}:{receiver.port}/hook", HEADERS, BODY)
        assert (answer.status, answer.ok) == (0, False)
        assert "is not a public address" in answer.reason or answer.reason in {"the name does not resolve", "that is no URL"}
        assert (receiver.got, connections) == ([], [])


async def test_plain_http_is_for_development(strict: HttpSender) -> None:
    """Outside of it nothing is sent in the clear."""
    async with Receiver() as receiver:
        answer = await strict.send(receiver.url, HEADERS, BODY)
        assert (answer.status, answer.reason, receiver.got) == (0, "only https is delivered to", [])


# --- What is answered -------------------------------------------------------------------------------------------------
async def test_a_body_arrives_as_it_was_sent(sender: HttpSender) -> None:
    """With its headers, as a POST; connections are used again."""
    async with Receiver(lambda n: 204 if n else 200) as receiver:
        connections: list[Any] = []
        receiver.watch(connections.append)
        assert [(await sender.send(receiver.url, HEADERS, BODY)).status for _ in range(3)] == [200, 204, 204]
        assert [body for _, body in receiver.got] == [BODY] * 3
        assert receiver.got[0][0].items() >= HEADERS.items()
        assert len(connections) == 1


def redirected(status: int, to: str, _n: int) -> web.Response:
    """Elsewhere."""
    return web.Response(status=status, headers={"Location": to})


async def test_redirects_are_not_followed(sender: HttpSender) -> None:
    """A receiver cannot send us elsewhere: it has not taken it."""
    for status in (301, 302, 303, 307, 308):
        async with Receiver() as elsewhere, Receiver() as receiver:
            receiver.answers = partial(redirected, status, elsewhere.url)
            answer = await sender.send(receiver.url, HEADERS, BODY)
            assert (answer.status, answer.ok, len(receiver.got), elsewhere.got) == (status, False, 1, [])
            assert "redirects are not followed" in answer.reason


async def test_a_slow_receiver_is_not_waited_for() -> None:
    """No longer than the time there is."""

    async def never() -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    sender = HttpSender(timeout_s=0.3, inside=True)
    async with Receiver(lambda _n: never()) as receiver:
        began = time.monotonic()
        answer = await sender.send(receiver.url, HEADERS, BODY)
        assert (answer.status, answer.reason) == (0, "no answer in time")
        assert answer.took_ms >= 290
        assert time.monotonic() - began < 10
        await sender.close()


async def test_a_huge_answer_is_not_read(sender: HttpSender) -> None:
    """What counts is its status; the rest stays with the receiver, also where it is small packed and huge unpacked."""
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 1_000_000_000:
            await response.write(b"x" * 65_536)
            sent += 65_536
        return response

    async with Receiver() as receiver:
        receiver.handler = flood
        answer = await sender.send(receiver.url, HEADERS, BODY)
        assert answer.ok
        await receiver.until(lambda: not receiver.open_requests, "end of the flood")
        assert sent < 50_000_000
        packed = gzip.compress(b"0" * 10_000_000)
        assert len(packed) < ANSWER_BYTES_MAX
        receiver.handler = None
        receiver.answers = lambda _n: web.Response(body=packed, headers={"Content-Encoding": "gzip"})
        connections: list[Any] = []
        receiver.watch(connections.append)
        for _ in range(2):
            assert (await sender.send(receiver.url, HEADERS, BODY)).status == 200
        assert len(connections) == 1  # it was short enough to be read to its end


async def test_a_head_without_end_is_not_read(sender: HttpSender) -> None:
    """A header longer than its bound is no answer."""
    async with Receiver(lambda _n: web.Response(headers={"X-Long": "x" * 100_000})) as receiver:
        answer = await sender.send(receiver.url, HEADERS, BODY)
        assert (answer.status, answer.ok) in {(0, False), (400, False)}


async def test_nobody_there(sender: HttpSender) -> None:
    """A reason in words, no exception."""
    async with Receiver() as receiver:
        url = receiver.url
    answer = await sender.send(url, HEADERS, BODY)
    assert (answer.status, answer.reason) == (0, "no connection: Connection refused")
    assert (await sender.send("https://nobody.invalid/", HEADERS, BODY)).reason == "the name does not resolve"
    assert (await sender.send("https://[broken/", HEADERS, BODY)).status == 0


@pytest.mark.parametrize(("said", "heard"), [("7", 7), ("", None), ("-3", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
async def test_when_to_come_back(sender: HttpSender, said: str, heard: int | None) -> None:
    """Seconds; anything else is nothing said."""
    async with Receiver(lambda _n: web.Response(status=503, headers={"Retry-After": said})) as receiver:
        assert (await sender.send(receiver.url, HEADERS, BODY)).retry_after_s == heard


# --- TLS --------------------------------------------------------------------------------------------------------------
def certified(where: Path, name: str = "127.0.0.1") -> ssl.SSLContext:
    """A server's context with a certificate that it signed itself, kept as `where`/cert.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (where / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (where / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(where / "cert.pem", where / "key.pem")
    return context


async def test_a_certificate_must_be_valid_for_the_name(sender: HttpSender, tmp_path: Path) -> None:
    """One that nobody vouches for, or of another name, gets no body."""
    async with Receiver(ssl=certified(tmp_path)) as receiver:
        answer = await sender.send(receiver.url, HEADERS, BODY)
        assert answer.status == 0
        assert answer.reason.startswith("TLS: self")
        assert receiver.got == []
        trusting = HttpSender(timeout_s=5, inside=True, trust=ssl.create_default_context(cafile=tmp_path / "cert.pem"))
        assert (await trusting.send(receiver.url, HEADERS, BODY)).ok
        await trusting.close()
    async with Receiver(ssl=certified(tmp_path, "shop.example")) as receiver:
        trusting = HttpSender(timeout_s=5, inside=True, trust=ssl.create_default_context(cafile=tmp_path / "cert.pem"))
        answer = await trusting.send(receiver.url, HEADERS, BODY)
        assert (answer.status, receiver.got) == (0, [])
        assert answer.reason.startswith("TLS: IP address mismatch")
        await trusting.close()
    async with Receiver() as receiver:
        answer = await sender.send(receiver.url.replace("http:", "https:"), HEADERS, BODY)
        assert answer.status == 0
        assert answer.reason.startswith("TLS: ")
