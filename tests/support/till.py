"""A merchant and viewers of a real node over plain HTTP, with the standard library alone: money is moved, drops are sold."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

from support.node import DEV_KEY, NodeProcess, token


class Till:
    """Calls of one room."""

    def __init__(self, node: NodeProcess, room: str) -> None:
        self.node, self.room = node, room
        self._cid = 0

    def ask(self, method: str, path: str, body: Any = None, *, sub: str | None = None, key: bool = True) -> tuple[int, bytes]:
        """Status and body of one call: as a viewer `sub`, with the development key, or as nobody."""
        headers = {"Content-Type": "application/json"}
        if sub is not None:
            headers["Authorization"] = f"Bearer {token(sub)}"
        elif key:
            headers |= DEV_KEY
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.node.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def do(self, method: str, path: str, body: Any = None, **who: Any) -> dict[str, Any]:
        """A call that must succeed, below the room."""
        status, said = self.ask(method, f"/v1/rooms/{self.room}{path}", body, **who)
        assert status in {200, 201}, (method, path, status, said)
        answer: dict[str, Any] = json.loads(said)
        return answer

    def live(self) -> None:
        """Make the room and begin its broadcast."""
        self.do("PUT", "", {})
        self.do("POST", "/start", {})

    def drop(self, **terms: Any) -> str:
        """A drop that is open; its id."""
        made = self.do("POST", "/drops", {"title": "A drop", "kind": "coupon", "stock": 3, **terms})
        self.do("POST", f"/drops/{made['id']}/open")
        return str(made["id"])

    def say(self, sub: str, message: str, **fields: Any) -> dict[str, Any]:
        """A viewer's message and its ack."""
        self._cid += 1
        return self.do("POST", "/messages", {"t": message, "cid": f"till-{self._cid}", **fields}, sub=sub)

    def claim(self, sub: str, drop: str) -> dict[str, Any]:
        """A viewer's click."""
        return self.say(sub, "claim", drop=drop)

    def drawn(self, drop: str) -> None:
        """Close a draw and wait until its result is there."""
        self.do("POST", f"/drops/{drop}/close")
        end = time.monotonic() + 20
        while self.do("GET", f"/drops/{drop}")["state"] != "settled":
            assert time.monotonic() < end, "the draw is not settled"
            time.sleep(0.05)

    def trade(self) -> dict[str, Any]:
        """Some of everything; the winner's answer."""
        self.live()
        status, said = self.ask("POST", f"/v1/wallets/{self.room}-ann/credits", {"tx": "t1", "amount": 50})
        assert status == 201, said
        ann, bob = f"{self.room}-ann", f"{self.room}-bob"
        assert self.say(ann, "gift", gift="heart", n=2)["verdict"] == "sent"
        coupons = self.drop(stock=2, reserve_s=3600, limit_group="g")
        won = self.claim(ann, coupons)
        assert won["verdict"] == "won"
        assert self.claim(bob, coupons)["verdict"] == "won"
        self.do("POST", f"/drops/{coupons}/claims/1/confirm", {"order_id": "o1"})
        self.do("POST", "/orders", {"order_id": "o1", "user": ann, "sku": "s", "amount": 5, "currency": "EUR", "status": "paid",
                                    "drop": coupons, "serial": 1})  # fmt: skip
        return won
