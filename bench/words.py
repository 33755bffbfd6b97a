"""What does the word filter cost: a comment alone, and what a node takes in with it?

Method. (a) 20,000 words (made of common characters, none of them in the texts; 30 % of them in Latin letters) judge comments of
200 characters, Chinese and English, and short ones, in this process; of each text the best of several rounds counts, so that
a neighbour on the machine does not. (b) The same words as the platform's filter of a node that 500 viewers write comments to (as in
`bench/ingest.py`), against the same node without: verdicts per second of its CPU.

Does not show. Texts in which words are found: those take the long way, with places in the text, some 30 µs. English texts with
letters of listed words inside of others do so, too.
"""

from __future__ import annotations

import random
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bench.ingest import KINDS, flood
from bench.report import Row, run
from bench.service import KEY, Service
from livecast.core.filter.filters import Filter, FilterLists

WORDS: Final = 20_000
COMMENT_CHARS: Final = 200
ZH: Final = (
    "主播这个口红多少钱啊好漂亮想要有没有优惠，今天下单什么时候发货？上次买的那个颜色特别好看，家里人都喜欢！"
    "能不能再便宜一点点，谢谢主播。"
)
EN: Final = "the price of this lipstick is lovely, can you show me another colour please? how long does shipping to Berlin take! "


def lists(seed: int = 4) -> FilterLists:
    """20,000 words that no text here has."""
    rng = random.Random(seed)
    common = [chr(c) for c in range(0x4E00, 0x6000) if chr(c) not in ZH]
    words = dict.fromkeys("".join(rng.choices(common, k=rng.randint(2, 5))) for _ in range(WORDS * 7 // 10))
    while len(words) < WORDS:
        words["".join(rng.choices("bcdfghjklmnpqrstvwxz", k=rng.randint(5, 9)))] = None
    listed = tuple(words)
    return FilterLists(block=listed[::2], mask=listed[1::4], hold=listed[3::4])


def texts(of: str, chars: int, seed: int = 5) -> list[str]:
    """Comments of that many characters, each cut from another place."""
    rng = random.Random(seed)
    long = of * (chars // len(of) + 2)
    return [long[at : at + chars] for at in (rng.randrange(len(of)) for _ in range(100))]


def per_comment_us(judge: Callable[[str], object], comments: Sequence[str], rounds: int) -> float:
    """Microseconds a comment, of each the best round."""
    total_ns = 0
    for text in comments:
        best = 10**9
        for _ in range(rounds):
            start = time.perf_counter_ns()
            judge(text)
            best = min(best, time.perf_counter_ns() - start)
        total_ns += best
    return total_ns / len(comments) / 1000


def measure(quick: bool) -> list[Row]:
    """A row for the filter alone, one for the node."""
    rounds = 5 if quick else 50
    written = lists()
    alone = Filter(written)
    whole = Filter(msgspec.structs.replace(written, links="hold", phones="mask"))
    figures = {
        name: (per_comment_us(alone.judge, comments, rounds), per_comment_us(whole.judge, comments, rounds))
        for name, comments in (
            ("zh", texts(ZH, COMMENT_CHARS)),
            ("en", texts(EN, COMMENT_CHARS)),
            ("short", texts(ZH, 12)),
        )
    }
    rows = [
        Row(
            f"words: {WORDS:,} of them, a comment of {COMMENT_CHARS} characters",
            "≤ 20 µs",
            f"{figures['zh'][0]:.1f} µs",
            f"Chinese; English {figures['en'][0]:.1f} µs, of 12 characters {figures['short'][0]:.1f} µs; with links and numbers "
            f"{figures['zh'][1]:.1f}, {figures['en'][1]:.1f}, {figures['short'][1]:.1f} µs",
        )
    ]
    _, _, window = KINDS["comment"]
    crowd, seconds = (100, 1.5) if quick else (500, 5.0)
    # In turns, and the best of each: what else runs on the machine comes and goes.
    rates = [
        [flood("comment", crowd, seconds, window, 1, prepare).per_core for prepare in (None, listing(written))]
        for _ in range(1 if quick else 2)
    ]
    without, filtered = (max(each) for each in zip(*rates, strict=True))
    rows.append(
        Row(
            "words: comments a node takes in, with that filter",
            "≤ 15 % fewer",
            f"{1 - filtered / without:.0%} fewer",
            f"{filtered:,.0f} against {without:,.0f} per second of one core; words, links and numbers",
        )
    )
    return rows


def listing(written: FilterLists) -> Callable[[Service], None]:
    """What makes the words the filter of a node, with links and numbers."""

    def put(service: Service) -> None:
        service.ask("PUT", "/v1/filters/platform", {"links": "hold", "phones": "mask"})
        for name, words in (("block", written.block), ("mask", written.mask), ("hold", written.hold)):
            head = {"Authorization": f"Bearer {KEY}", "Content-Type": "text/plain"}
            url = f"{service.base}/v1/filters/platform/{name}"
            with urllib.request.urlopen(
                urllib.request.Request(url, "\n".join(words).encode(), head, method="PUT"), timeout=20
            ) as done:
                if len(words) not in msgspec.json.decode(done.read()).values():
                    raise SystemExit(f"bench: not all words of {name} were taken")

    return put


if __name__ == "__main__":
    run([("words", measure)])
