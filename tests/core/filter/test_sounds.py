"""Chinese words half in pinyin, and WeChat as one letter: found, and English beside them left alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecast.core.filter.filters import Filter, FilterLists
from livecast.core.filter.lookalikes import reread
from livecast.core.filter.pinyin import readings
from livecast.core.filter.sounds import Sounds
from livecast.core.filter.wechat import read_wechat
from livecast.core.filter.words import WordFilter, fold

WORDS = ["微信", "加微", "色情", "傻逼", "操你妈", "妈的", "我们", "打听", "华信", "绿色", "重口味", "长城", "南宁人"]
MIXED = WordFilter(block=WORDS)


@pytest.mark.parametrize(
    "text",
    [
        "wei信",
        "微xin",
        "Wei 信",
        "ｗｅｉ信",
        "wеi信",
        "w e i 信",
        "wei❤信",
        "加我wei信聊",
        "ok wei信",
        "色qing",
        "se情",
        "SE.情",
        "cao你妈",
        "操nima",
        "cao你ma",
        "操 ni ma",
        "caonima",
        "cao ni ma",
        "CAO NI MA!",
        "sha逼",
        "lv色",
        "lü色",
        "chong口味",
        "chang城",
        "nanning人",
        "南ning人",
    ],
)
def test_a_word_half_in_pinyin_is_found(text: str) -> None:
    """In whatever letters, with whatever between them; from three syllables on also where nothing else is left of it."""
    assert MIXED.check(text) == "block"


@pytest.mark.parametrize(
    "text",
    [
        "wei",
        "xin",
        "weight",
        "basement",
        "Scunthorpe",
        "classic",
        "Essex",
        "made in China",
        "women",
        "dating",
        "Huawei信号不好",
        "Huawei 信号",
        "Li Wei 信不信",
        "我要wei",
        "情人 se",
        "微 xing",
        "newei信",
        "man妈",
        "seqing",
        "shabi",
        "caonimal",
        "cao cao",
        "信wei",
        "se qing",
        "iPhone色",
        "nan人",
    ],
)
def test_what_sounds_so_beside_chinese_is_left_alone(text: str) -> None:
    """Parts of other words, names, and two syllables alone."""
    assert MIXED.judge(text) == (None, text)


def test_what_is_looked_for_by_its_sound_is_for_the_list_to_say() -> None:
    """`off`: as it is written; `full`: two syllables, too, which are some English words."""
    written, full = WordFilter(block=WORDS, pinyin="off"), WordFilter(block=WORDS, pinyin="full")
    assert [written.check(text) for text in ("色qing", "caonima", "色情")] == [None, None, "block"]
    assert [full.check(text) for text in ("色qing", "seqing", "se qing", "shabi", "women")] == ["block"] * 5
    assert full.check("sequin") is None
    assert Filter(FilterLists(block=("色情",), pinyin="off")).judge("色qing") == (None, "色qing")
    assert Filter(FilterLists(block=("色情",))).judge("今天天气真好啊，色qing")[0] == "block"


def test_masking_covers_the_syllables() -> None:
    """All of them, and nothing beside them."""
    words = WordFilter(mask=["微信", "操你妈"])
    assert words.judge("加wei 信123, cao你ma!") == ("mask", "加*****123, ******!")
    assert words.judge("我的weixin号") == ("mask", "我的******号")


@pytest.mark.parametrize(
    "text",
    [
        "v❤",
        "加v❤️",
        "V❤abc123",
        "+v",
        "+V聊",
        "＋ｖ",
        "➕v",
        "加ｖ",
        "加Ⓥ",
        "加❤v",
        "加我 v",
        "weixin",
        "加wei xin",
        "WeChat",
        "vx: tom_88",
        "微🇨🇳信",
        "微🅰信",
        "微ℹ️信",
        "薇❤️：abc_123",
    ],
)
def test_wechat_as_people_write_it(text: str) -> None:
    """For whoever lists it."""
    assert WordFilter(block=["微信"]).check(text) == "block"


@pytest.mark.parametrize(
    "text",
    [
        "加V认证",
        "羊毛+V领",
        "面霜+V脸精华",
        "大V，信得过",
        "大V 信号",
        "金泰亨V❤",
        "V❤️",
        "小微❤",
        "Wei Xin is a singer",
        "C++ v2",
        "a+v",
        "1+V",
        "TV信号",
        "we chat a lot",
        "vivo手机",
        "加油v587",
        "love❤V",
        "luv❤",
    ],
)
def test_other_letters_are_no_wechat(text: str) -> None:
    """Necklines, verified users, singers, signals."""
    assert WordFilter(block=["微信", "加微"]).judge(text) == (None, text)


def test_one_letter_for_wechat_is_all_that_it_stands_for_and_no_more() -> None:
    """`加v` is the word, the word with what adds, and the half of it that lists have, too; it begins nothing else."""
    for listed in ("微信", "加微", "加微信"):
        assert WordFilter(block=[listed]).check("快加v吧") == "block"
    assert WordFilter(block=["信吧"]).check("快加v吧") is None


@given(st.text("vVwWxXeiin加+信微❤️我 :a1我", max_size=20))
def test_places_stay(text: str) -> None:
    """What is read otherwise stands where it stood."""
    assert len(read_wechat(text)) == len(reread(text)) == len(text)


@settings(max_examples=40)
@given(st.lists(st.sampled_from("微信色情傻逼操你妈的女重长南宁"), min_size=2, max_size=5, unique=True), st.data())
def test_every_mixture_is_found(word: list[str], data: st.DataObject) -> None:
    """Whichever characters are spelled, as long as one is left."""
    spelled = data.draw(st.lists(st.booleans(), min_size=len(word), max_size=len(word)).filter(lambda s: not all(s)))
    text = "".join(data.draw(st.sampled_from(readings()[c])) if latin else c for c, latin in zip(word, spelled, strict=True))
    assert WordFilter(block=["".join(word)]).check(text) == "block"


def test_a_place_is_told_in_folded_letters() -> None:
    """Of two words with the same pair each where it is whole."""
    sounds = Sounds([(0, "微信"), (1, "微信号"), (2, "的微信")])
    assert sorted(set(sounds.find(fold("加wei信号").letters))) == [(0, 1, 5), (1, 1, 6)]
    assert not sounds.near("weight")
    assert sounds.near("我的微xin")


@pytest.mark.parametrize(
    "word", ["ⅲ" * 100, "㍿" * 100, "ﷺ" * 100, "微" * 100, "微信" * 50, "\ufdd0", "v\ufdd0", "\U0010ffff" * 100]
)
def test_no_listed_word_is_too_odd(word: str) -> None:
    """Whatever a list may have in it, it loads and is found: a host's list must not be what keeps a room from waking."""
    for pinyin in ("off", "mixed", "full"):
        assert WordFilter(block=[word], pinyin=pinyin).check(word) == "block"


def test_every_syllable_is_one() -> None:
    """The table is whole: ideographs on the one side, pinyin on the other, the usual reading first."""
    table = readings()
    assert len(table) > 8_000
    assert all(len(c) == 1 and "\u4e00" <= c <= "\u9fff" for c in table)
    assert all(s.isascii() and s.isalpha() and 1 <= len(s) <= 6 for said in table.values() for s in said)
    assert [table[c] for c in "微信行的绿"] == [("wei",), ("xin",), ("xing", "hang", "heng"), ("de", "di"), ("lv",)]
