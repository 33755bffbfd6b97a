"""What is sold in a simulated broadcast, as a value: ask `step(now)` what the host does next on the shelf, with coupons, a poll
and a draw. Same seed, same evening.
"""

from __future__ import annotations

import random
from typing import Any, Final

from msgspec import Struct

TITLE: Final = "今晚专场：外套、耳机、好物随手带 · Jackets, sound and small things"
#: (id, title, price, list price) in fen.
SHELF: Final = (
    ("jacket", "轻羽绒外套 Light down jacket", 29_900, 59_900),
    ("headset", "降噪耳机 Noise-cancelling headset", 19_900, 32_900),
    ("bottle", "保温杯 500 ml Flask", 5_900, 9_900),
    ("scarf", "羊毛围巾 Wool scarf", 8_900, 15_900),
    ("lamp", "阅读台灯 Reading lamp", 12_900, 19_900),
)
POLLS: Final = (
    ("先看哪一件？ Which one next?", ("外套 jacket", "耳机 headset", "台灯 lamp")),
    ("最喜欢哪个颜色？ Your colour?", ("雾蓝 blue", "墨绿 green", "奶茶 cream", "黑色 black")),
    ("返场还是上新？ Again or new?", ("返场 again", "上新 new")),
)
KEYWORD: Final = "想要"

#: Seconds from the beginning to the first, and from one to the next.
SHELF_AT: Final = (1.0, 40.0)
DROP_AT: Final = (10.0, 60.0)
POLL_AT: Final = (30.0, 95.0)
DRAW_AT: Final = (52.0, 180.0)
COUNTDOWN_S: Final = 10.0
DROP_OPEN_S: Final = 25.0
POLL_OPEN_S: Final = 25.0
DRAW_OPEN_S: Final = 30.0


class Deed(Struct, frozen=True):
    """A call of the control plane, below `/v1/rooms/{room}`, and what the host says with it.

    `then`: another call that is made below what this one has created, for example `announce`.
    """

    method: str
    path: str
    body: dict[str, Any]
    line: str = ""
    then: str = ""


class Sale:
    """One evening's plan. Times are Unix seconds."""

    def __init__(self, *, seed: int = 1, buyers: int = 100) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - a simulation: the same seed must give the same evening
        self._buyers = buyers
        self._next: dict[str, float] = {}
        self._count = {"shelf": 0, "drop": 0, "poll": 0, "draw": 0}

    def step(self, now: float) -> list[Deed]:
        """What is due."""
        if not self._next:
            self._next = {"shelf": now + SHELF_AT[0], "drop": now + DROP_AT[0], "poll": now + POLL_AT[0], "draw": now + DRAW_AT[0]}
            return self._open()
        every = {"shelf": SHELF_AT[1], "drop": DROP_AT[1], "poll": POLL_AT[1], "draw": DRAW_AT[1]}
        deeds: list[Deed] = []
        for what, at in self._next.items():
            if now >= at:
                self._next[what] = now + every[what]
                self._count[what] += 1
                deeds.append({"shelf": self._show, "drop": self._drop, "poll": self._poll, "draw": self._draw}[what](now))
        return deeds

    # --- Private ------------------------------------------------------------------------------------------------------

    def _open(self) -> list[Deed]:
        deeds = [Deed("PATCH", "", {"title": TITLE})]
        for order, (id_, title, price, list_price) in enumerate(SHELF):
            amounts = {"price": _yuan(price), "list_price": _yuan(list_price)}
            deeds.append(
                Deed("PUT", f"/products/{id_}", {"title": title, "sku": id_, "status": "on_sale", "order": order, **amounts})
            )
        return deeds

    def _show(self, _now: float) -> Deed:
        id_, title, price, _ = SHELF[(self._count["shelf"] - 1) % len(SHELF)]
        return Deed("PUT", "/on-air", {"product": id_}, f"{title}，今晚 {price // 100} 元。 Tonight for ¥{price // 100}.")

    def _drop(self, now: float) -> Deed:
        nth = self._count["drop"]
        off = self._rng.choice((10, 20, 30, 50))
        stock = max(3, round(self._buyers * self._rng.uniform(0.15, 0.4)))
        times = {"opens_at": _ms(now + COUNTDOWN_S), "closes_at": _ms(now + COUNTDOWN_S + DROP_OPEN_S)}
        body: dict[str, Any] = {"title": f"立减 {off} 元 · ¥{off} off", "kind": "coupon", "stock": stock, **times}
        body["sku"] = self._rng.choice(SHELF)[0]
        line = f"十秒后抢券，{stock} 张！ {stock} coupons in ten seconds."
        if nth % 3 == 0:
            body["eligibility"] = {"commented": KEYWORD}
            line = f"扣“{KEYWORD}”的朋友才能抢！ Say “{KEYWORD}” to take part: {stock} coupons in ten seconds."
        return Deed("POST", "/drops", body, line, "announce")

    def _poll(self, now: float) -> Deed:
        question, choices = POLLS[(self._count["poll"] - 1) % len(POLLS)]
        body = {"question": question, "choices": list(choices), "closes_at": _ms(now + POLL_OPEN_S)}
        return Deed("POST", "/polls", body, f"投个票：{question}")

    def _draw(self, now: float) -> Deed:
        body = {
            "title": "幸运抽奖 · Lucky draw", "kind": "draw", "stock": 3, "codes": "none",
            "opens_at": _ms(now + COUNTDOWN_S / 2), "closes_at": _ms(now + COUNTDOWN_S / 2 + DRAW_OPEN_S),
        }  # fmt: skip
        return Deed("POST", "/drops", body, "抽奖开始，抽三位！ Three of you win tonight.", "announce")


def _yuan(fen: int) -> dict[str, Any]:
    return {"amount": fen, "currency": "CNY"}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
