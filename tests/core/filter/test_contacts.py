"""Links and telephone numbers: found however they are written, and nothing else taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.filter import contacts
from livecast.core.filter.filters import Filter, FilterLists, Layers, layered


def links(text: str) -> list[contacts.Span]:
    """In a text as it was typed."""
    return contacts.links(contacts.plainly(text))


def phones(text: str) -> list[contacts.Span]:
    """In a text as it was typed."""
    return contacts.phones(contacts.plainly(text))


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example/x?y=1",
        "看这里 http://a.cn",
        "www.cheap-stuff.com",
        "WWW。cheap。com",
        "taobao.com",
        "去 taobao。com 买",
        "tａobao．ｃｏｍ",
        "cheap点com",
        "cheap點 cn",
        "cheap dot com",
        "cheap(dot)com",
        "t.me/cheap",
        "t。me／cheap",
        "shop.cheap.top/deal",
        "https：／／a.cn",
        "cheap․com",
        "cheap‧com",
        "cheap⋅com",
        "cheap∙cn",
        "cheap・com",
    ],
)
def test_links_are_found(text: str) -> None:
    """With full-width dots and slashes, with words for dots."""
    assert links(text)


@pytest.mark.parametrize(
    "text",
    [
        "ok.thanks",
        "3.5折",
        "19.99",
        "v1.2.3",
        "。。。",
        "好的。谢谢。",
        "晚上8点来",
        "等一点",
        "e.g. this",
        "no. really",
        "2024.11.11",
        "a.b",
        "主播：你好",
        "me.too",
        "wait...what",
    ],
)
def test_other_dots_are_none(text: str) -> None:
    """Sentences, prices, dates, times."""
    assert links(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "13800138000",
        "加我 138 0013 8000",
        "138-0013-8000",
        "１３８００１３８０００",
        "①③⑧⓪⓪①③⑧⓪⓪⓪",
        "一三八零零一三八零零零",
        "幺三八洞洞幺三八洞洞洞",
        "+86 13912345678",
        "8613912345678",
        "1.3.9.1.2.3.4.5.6.7.8",
        "+44 20 7946 0958",
        "+1 (415) 555-2671",
        "tel15912345678!",
        "㈠㈢㈧〇〇㈠㈢㈧〇〇〇",
        "⒈⒊⒏⒐⒐⒈⒊⒏⒐⒐⒈",
        "❶❸❽❶❸❽❶❸❽❶❸",
        "1️⃣3️⃣8️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣",
        "一❤️三❤️八❤️零零13800❤0",
        "☎138 ☆ 0013 ☆ 8000",
        "1③8零零⒈三800〇",
        "幺叁捌 洞洞 ①㈢⑻ 零零零",
    ],
)
def test_telephone_numbers_are_found(text: str) -> None:
    """In whatever digits, with whatever between them."""
    assert phones(text)


@pytest.mark.parametrize(
    "text",
    [
        "666666666666",
        "11111111111",
        "88888888888888",
        "233333333333",
        "18888888888888",
        "订单 202411110001234567",
        "1234567890123456",
        "12345678901",
        "99元两件，199三件",
        "2024-11-11 20:00",
        "一二三四五六七八九十",
        "138",
        "10000000000",
        "第一、二、三名各得一份，第四、五、六、七、八、九名各得半份",
        "①好看②便宜③包邮④七天退⑤不褪色⑥好洗",
        "⭐⭐⭐⭐⭐ 5 ⭐⭐⭐⭐⭐ 12345",
        "1️⃣ 号 2️⃣ 号 3️⃣ 号链接",
    ],
)
def test_other_digits_are_none(text: str) -> None:
    """Cheers, orders, prices, dates."""
    assert phones(text) == []


def test_the_rules_of_a_filter() -> None:
    """Each by itself; masked ones leave stars in their very place."""
    lists = FilterLists(block=("scam",), links="hold", phones="mask")
    assert Filter(lists).judge("call 13912345678 now") == ("mask", "call *********** now")
    assert Filter(lists).judge("see a-shop.com") == ("hold", "see a-shop.com")
    assert Filter(lists).judge("scam a-shop.com")[0] == "block"
    assert Filter(FilterLists()).judge("13912345678 a-shop.com") == (None, "13912345678 a-shop.com")


def test_layers_of_filters() -> None:
    """The severest decides, and all masks count."""
    layers = Layers([Filter(FilterLists(mask=("one",))), Filter(FilterLists(mask=("two",), hold=("three",)))])
    assert layers.judge("one two four") == ("mask", "*** *** four")
    assert layers.judge("one three") == ("hold", "*** three")
    text = "four"
    assert layers.judge(text) == (None, text)
    assert layers.judge(text)[1] is text
    assert layered([]) is None


@given(st.text(max_size=60))
def test_spans_lie_within_the_text(text: str) -> None:
    """Whatever comes."""
    for start, end in (*links(text), *phones(text)):
        assert 0 <= start < end <= len(text)


PIECES = [
    *("t", "me", "www", "taobao", "com", "shop", "点", "。", ".", "(dot)", "[dot]", "dot", "：", ":", "//", "／／", "/x"),
    *("13", "8", "o", "0", "一", "三", "零", "①", "+44", "-", "，", "（", "）", "好", "1", "2", "3", "4", "5", "6", "7", "8", " "),
]


@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
def test_the_quick_looks_miss_nothing(text: str) -> None:
    """What they pass over the patterns would not find either, nor would they in the text's compatibility form."""
    plain = "".join(map(contacts._plain, text))
    assert links(text) == [found.span() for found in contacts._LINK.finditer(plain)]
    read = plain.translate(contacts.NUMERALS)
    numbers = [*contacts._MOBILE.finditer(read), *contacts._INTERNATIONAL.finditer(read)]
    assert phones(text) == sorted(found.span() for found in numbers if contacts._is_number(found[0]))
