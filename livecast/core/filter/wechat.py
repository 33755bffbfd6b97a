"""WeChat, as people write it whose word for it is listed: by its sound, in pieces, as one letter, with a heart.

Whoever lists `微信` wants people to stay in the room, and no word is dressed up as often. What is a word of its own (prestige,
satellite; the letter of a singer beside a heart) counts only where an account is told: behind what adds somebody, or before
something of six or more with a digit in it.
"""

from __future__ import annotations

import re
from typing import Final

WECHAT: Final = "\ufdd0"
"""Stands in a second reading for the one letter that WeChat is written as (`加v`): nobody's character, and two letters."""
WECHAT_LETTERS: Final = "微信"

_NAME: Final = r"(?=[A-Za-z_-]{0,19}[0-9])[A-Za-z0-9_-]{6}"
_ACCOUNT: Final = rf"[\s:：号號是]{{0,3}}{_NAME}"
"""The name of an account, and what stands before it behind a word for WeChat."""
SOUNDS: Final = "葳崴徾訫伈亻威芯卫"
"""One of these is in everything that `_SOUNDS_LIKE` finds. Ideographs that stand for themselves nearly always."""
# By its sound, or in pieces. It begins with a set of characters, as such patterns are looked for many times as fast; `加` is `add`.
_SOUNDS_LIKE: Final = re.compile(
    rf"[{SOUNDS}](?:(?<=[葳崴徾])(?=[信訫伈])|(?<=[微薇徽葳崴徾][訫伈])|(?<=[微薇]亻)(?=言)"
    r"|(?:(?<=威)(?=信)|(?<=卫)星)"
    r"(?:(?<=加威)(?<!增加.)(?<!添加.)(?<!更加.)|(?<=加[我个下]威)|(?<=[+＋➕]威)"
    rf"|(?<=威)(?=信号?[\s:：]{{0,3}}{_NAME})"
    r"|(?<=加卫星)(?<!增加..)(?<!添加..)|(?<=加[我个下]卫星)|(?<=[+＋➕]卫星))"
    r"|(?<=加[微薇]芯)(?<!增加..)(?<!添加..)|(?<=加[我个下][微薇]芯))"
)
_SOUNDED: Final = {**dict.fromkeys("葳崴徾威", "微"), **dict.fromkeys("訫伈芯亻", "信"), "卫星": "微信"}
# Hearts are read as the second syllable. (A capital V with one is a singer's.)
_HEARTS: Final = "\u2661\u2665\u2764\U0001f493-\U0001f49f\U0001f5a4\U0001f90d\U0001f90e\U0001f9e1\U0001fa75-\U0001fa77"
_HEART: Final = re.compile(rf"(?<![A-Za-z0-9])(?:v|[V微薇威維维](?=.\ufe0f?{_ACCOUNT}))[{_HEARTS}]")
_LETTERS: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:[vVwW][xX](?![A-Za-z0-9])|[vVwW](?=[.*·_~\u2190-\u2bff\ufe0f\U0001f1e6-\U0001faff-]{0,3}信))"
)
# Not what verifies somebody, and no neckline, face or shape.
_ADDED: Final = re.compile(
    r"(?:(加)([我个下]?[\W_]{0,3})[vVw]|(?<![A-Za-z0-9+])(\+)([我个下]?[\W_]{0,3})[vV])(?![A-Za-z0-9]|认证|用户|博主|[脸臉领領型字形])"
)
_SPELLED: Final = re.compile(
    r"(?<![A-Za-z])(?:[wW][eE][iI][._-]?[xX][iI][nN]|[wW][eE][cC][hH][aA][tT])(?![A-Za-z])"
    rf"|(?<![A-Za-z0-9])[vVwW][xX](?=\s?[:：]\s?{_ACCOUNT})"
)
# Apart it is also somebody's name, in English.
_SPELLED_APART: Final = re.compile(r"(?<![A-Za-z])[wW][eE][iI]\s{1,2}[xX][iI][nN](?![A-Za-z])")
_INITIAL: Final = re.compile("[vVwW]")
_BEFORE_HEARTS: Final = "v微薇威維维"


def read_wechat(text: str) -> str:
    """The text with everything read as `微信` that it may stand for. Character by character: places stay."""
    foreign = not text.isascii()
    if foreign and _SOUNDS_LIKE.search(text) is not None:
        text = _SOUNDS_LIKE.sub(lambda found: _SOUNDED[found[0]], text)
    small = text.lower() if foreign or _INITIAL.search(text) is not None else ""
    # What has no such letters has nothing of the rest: looking for those is many times as fast as looking for it.
    if foreign and any(map(small.__contains__, _BEFORE_HEARTS)) and _HEART.search(text) is not None:
        text = _HEART.sub(WECHAT_LETTERS, text)
    if "v" not in small and "w" not in small:
        return text
    if "xin" in small or "chat" in small or "vx" in small or "wx" in small:
        text = _SPELLED.sub(_spread, text)
        if foreign:
            text = _SPELLED_APART.sub(_spread, text)
    if foreign and ("信" in small or "x" in small):
        text = _LETTERS.sub(_spread, text)
    if "加" in small or "+" in small:
        text = _ADDED.sub(lambda found: f"加{found[2] or found[4] or ''}{WECHAT}", text)
    return text


def _spread(found: re.Match[str]) -> str:
    """Both characters over as much room, or the first one where there is room for one: the second stands there already."""
    room = len(found[0])
    return WECHAT_LETTERS[:room] if room <= len(WECHAT_LETTERS) else WECHAT_LETTERS[0] + " " * (room - 2) + WECHAT_LETTERS[1]
