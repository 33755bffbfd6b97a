"""Who gets in: rates and counts with time in the test's hand, origins, and whose word on addresses counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.edge.door.admission import Admission, Rate
from livecast.edge.rules import EdgeRules


def test_rate_as_a_table():
    """A burst at once, then one per interval; a refusal says when, takes nothing, and is right to the millisecond."""
    rate = Rate(per_s=10, burst=3)
    for at, wait in [(0, 0), (0, 0), (0, 0), (0, 100), (50, 50), (99, 1), (100, 0), (100, 100), (1000, 0), (1000, 0), (1000, 0)]:
        assert rate.take(at) == wait, at
    assert rate.take(1000) == 100


@given(st.lists(st.integers(0, 300), min_size=1, max_size=200), st.integers(1, 50), st.integers(1, 20))
def test_rate_is_never_exceeded(gaps, per_s, burst):
    """Whenever asked: over any span no more than the burst and what the span earns is granted; waiting as told suffices."""
    rate, now, granted = Rate(per_s, burst), 0, []
    for gap in gaps:
        now += gap
        wait = rate.take(now)
        if wait:
            assert rate.take(now + wait - 1) or wait == 1 or rate.take(now + wait) == 0
            now += wait
        else:
            granted.append(now)
    for i, begin in enumerate(granted):
        for j in range(i, len(granted)):
            assert j - i + 1 <= burst + (granted[j] - begin) * per_s / 1000 + 1e-6


def test_connections_are_counted_in_and_out():
    """An address and a user have their own limits; a refusal counts nothing; what goes out makes room again."""
    admission = Admission(EdgeRules(connections_per_address=3, connections_per_user=2))
    assert admission.hold("1.1.1.1", "ada")
    assert admission.hold("2.2.2.2", "ada")
    assert not admission.hold("1.1.1.1", "ada")
    assert admission.hold("1.1.1.1", None)
    assert admission.hold("1.1.1.1", "bob")
    assert not admission.hold("1.1.1.1", "cyd")
    assert admission.hold("2.2.2.2", "cyd")  # the refusal did not count
    assert admission.sign_in("cyd")
    assert not admission.sign_in("cyd")
    admission.release("1.1.1.1", "ada")
    assert admission.hold("1.1.1.1", "ada")
    for address, user in [("1.1.1.1", "ada"), ("2.2.2.2", "ada"), ("1.1.1.1", None), ("1.1.1.1", "bob"), ("2.2.2.2", "cyd")]:
        admission.release(address, user)
    admission.release("2.2.2.2", "cyd")
    assert not admission._by_address
    assert not admission._by_user


def test_an_ipv6_client_is_its_network():
    """A client owns a /64 and may take any address of it: they count as one."""
    admission = Admission(EdgeRules(connections_per_address=1))
    assert admission.hold("2001:db8::1", None)
    assert not admission.hold("2001:db8::2", None)
    assert admission.hold("2001:db8:0:1::1", None)
    admission.release("2001:db8::2", None)
    assert admission.hold("2001:db8::3", None)


def test_an_ipv4_client_of_a_socket_for_both_families_is_itself():
    """Where the node listens on `::`, IPv4 clients have mapped addresses: each is as much its own as on an IPv4 socket."""
    admission = Admission(EdgeRules(connections_per_address=1))
    assert admission.hold("::ffff:1.2.3.4", None)
    assert admission.hold("::ffff:1.2.3.5", None)
    assert not admission.hold("1.2.3.4", None)
    admission.release("1.2.3.4", None)
    assert admission.hold("0:0:0:0:0:ffff:102:304", None)
    assert not admission.hold("::ffff:1.2.3.4", None)


def test_limits_off():
    """0 is off: nothing is counted, and nobody asks for addresses."""
    admission = Admission(
        EdgeRules(connections_per_address=0, connections_per_user=0, http_connections_per_address=0, handshakes_per_s=0)
    )
    assert all(admission.hold("1.1.1.1", "ada") for _ in range(1000))
    assert all(admission.hold_http("1.1.1.1") for _ in range(1000))
    assert not any(admission.handshake(0) for _ in range(100_000))
    assert not admission._by_address
    assert not admission.knows_addresses


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((), None, True),
        ((), "https://live.example", True),
        ((), "http://LIVE.example", True),
        ((), "https://live.example:8443", False),
        ((), "https://evil.example", False),
        ((), "null", False),
        ((), "http://[", False),
        ((), "https://live.example.evil.example", False),
        (("https://shop.example",), "https://shop.example", True),
        (("https://shop.example/",), "https://Shop.Example", True),
        (("https://shop.example",), "http://shop.example", False),
        (("https://shop.example",), "https://live.example", False),
        (("*",), "https://anywhere.example", True),
        (("https://shop.example",), None, True),
    ],
)
def test_origins(origins, origin, allowed):
    """Without a list a page may reach its own host only; with one, exactly the listed; clients that are no pages always."""
    assert Admission(EdgeRules(origins=origins)).origin_allowed(origin, "live.example") is allowed


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("9.9.9.9", "1.2.3.4", "9.9.9.9"),  # nobody we trust said so
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),  # the left one is the client's own invention
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", "10.0.0.3 , 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "1.2.3.4, nonsense", "10.0.0.1"),
        ("10.0.0.1", "nonsense, 1.2.3.4", "1.2.3.4"),
        ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("::ffff:9.9.9.9", "1.2.3.4", "9.9.9.9"),
        ("10.0.0.1", "::ffff:1.2.3.4, ::FFFF:10.0.0.2", "1.2.3.4"),
        ("2001:db8::5", "2001:db8:1::7", "2001:db8:1::7"),
    ],
)
def test_addresses_behind_proxies(peer, forwarded, client):
    """The rightmost address that is no trusted proxy is the client's; what a client writes itself stands further left."""
    admission = Admission(EdgeRules(trusted_proxies=("10.0.0.0/8", "2001:db8::/48")))
    assert admission.address(peer, forwarded) == client
