"""Who gets in: handshakes at a bounded rate, connections bounded per address and per user, pages from the right origins."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil
from urllib.parse import urlsplit

from livecast.edge.door.headcount import KINDS, Headcount, OwnHeadcount, Table
from livecast.edge.rules import EdgeRules


class Rate:
    """A token bucket kept as one number, the time at which it will be full again (GCRA). Times in ms."""

    __slots__ = ("_burst_ms", "_full_at", "_interval_ms")

    def __init__(self, per_s: float, burst: int) -> None:
        self._interval_ms = 1000 / per_s
        self._burst_ms = (burst - 1) * self._interval_ms
        self._full_at = 0.0

    def take(self, now: int) -> int:
        """Take one: 0, or (nothing taken) how many ms until there is one."""
        late = max(0.0, self._full_at - now)
        if late > self._burst_ms:
            return ceil(late - self._burst_ms)
        self._full_at = now + late + self._interval_ms
        return 0


class Admission:
    """The counts of one node, in one process or several. Every method is a few dictionary look-ups."""

    def __init__(self, rules: EdgeRules) -> None:
        self._by_address: Headcount = OwnHeadcount()
        self._by_user: Headcount = OwnHeadcount()
        self._http_by_address: Headcount = OwnHeadcount()
        self.keep_to(rules)

    def keep_to(self, rules: EdgeRules) -> None:
        """These bounds hold from now on. Who is inside stays; connections are counted while there is a bound for them."""
        self._rules = rules
        self._handshakes = Rate(rules.handshakes_per_s, rules.handshakes_burst) if rules.handshakes_per_s else None
        self._proxies = tuple(ip_network(network, strict=False) for network in rules.trusted_proxies)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in rules.origins)
        self.knows_addresses = bool(rules.connections_per_address or rules.http_connections_per_address or rules.trusted_proxies)
        """Whether anybody asks for addresses at all: finding out a peer's costs a system call."""

    def count_together(self, table: Table, row: int) -> None:
        """Count connections with the other processes of this node from now on; to be said before the first."""
        self._by_address, self._by_user, self._http_by_address = (table.headcount(kind, row) for kind in range(KINDS))

    def handshake(self, now: int) -> int:
        """0: come in. Otherwise: full, try again in so many ms (503, `Retry-After`)."""
        return 0 if self._handshakes is None else self._handshakes.take(now)

    def hold(self, address: str, user: str | None) -> bool:
        """Count a connection in; False (and nothing counted) if its address or user has too many. `user` None: anonymous."""
        rules, site = self._rules, _site(address)
        if rules.connections_per_address and not self._by_address.take(site, rules.connections_per_address):
            return False
        if user is not None and not self.sign_in(user):
            self._by_address.remove(site)
            return False
        return True

    def release(self, address: str, user: str | None) -> None:
        """Count a connection out, with what it was held by."""
        self._by_address.remove(_site(address))
        if user is not None:
            self._by_user.remove(user)

    def hold_http(self, address: str) -> bool:
        """Count a connection of plain HTTP in; False (and nothing counted) if its address has too many. Proxies have no bound."""
        if not self._rules.http_connections_per_address or self._trusts(address):
            return True
        return self._http_by_address.take(_site(address), self._rules.http_connections_per_address)

    def release_http(self, address: str) -> None:
        """Count it out."""
        self._http_by_address.remove(_site(address))

    def sign_in(self, user: str) -> bool:
        """A connection held as anonymous is `user`'s from now on; False if the user has too many."""
        return not self._rules.connections_per_user or self._by_user.take(user, self._rules.connections_per_user)

    def origin_allowed(self, origin: str | None, host: str) -> bool:
        """Whether a page of `origin` may connect to us at `host` (the Host header). No origin: not a page, allowed.

        Without a configured list a page may connect to the host that it came from itself. The scheme is not compared then:
        behind a proxy that ends TLS we do not know our own.
        """
        if origin is None:
            return True
        origin = origin.lower().rstrip("/")
        if self._origins:
            return "*" in self._origins or origin in self._origins
        try:
            return urlsplit(origin).netloc == host.lower()
        except ValueError:
            return False  # such as `http://[`: no origin of any page

    def address(self, peer: str, forwarded_for: str) -> str:
        """The client's address: `peer`, or behind trusted proxies the rightmost untrusted entry of `X-Forwarded-For`.

        What stands further left was written by the client and is not believed.
        """
        address = _unwrapped(peer)
        hops = forwarded_for.split(",") if forwarded_for else []
        while hops and self._trusts(address):
            hop = hops.pop().strip()
            if not _is_address(hop):
                break  # a trusted proxy would not write this: stay with whom we know
            address = _unwrapped(hop)
        return address

    def _trusts(self, address: str) -> bool:
        if not self._proxies or not _is_address(address):
            return False
        ip = ip_address(address)
        return any(_contains(network, ip) for network in self._proxies)


def _contains(network: IPv4Network | IPv6Network, ip: IPv4Address | IPv6Address) -> bool:
    return ip.version == network.version and ip in network


def _unwrapped(address: str) -> str:
    """The IPv4 address that a socket for both families gives as `::ffff:1.2.3.4`; any other as it is."""
    if not address.lower().startswith(("::ffff:", "0")) or not _is_address(address):
        return address
    return str(getattr(ip_address(address), "ipv4_mapped", None) or address)


def _site(address: str) -> str:
    """What an address counts as: an IPv6 client owns a whole /64, so all of that is one."""
    if ":" not in address:
        return address
    address = _unwrapped(address)
    if not _is_address(address) or ":" not in address:
        return address
    return str(ip_network((address.partition("%")[0], 64), strict=False))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
