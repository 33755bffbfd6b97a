"""The word filter: finds words however they are dressed up, and leaves alone what only looks like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.filter.contacts import links, phones, plainly
from livecast.core.filter.lookalikes import reread
from livecast.core.filter.reading import Reading, calm_look, skeleton
from livecast.core.filter.words import WordFilter, fold

FILTER = WordFilter(
    block=["fuck", "傻逼", "ass", "🖕", "kill yourself", "сука"],
    mask=["加微信", "shit"],
    hold=["혐오", "どろぼう"],
)


@pytest.mark.parametrize(
    "text",
    [
        "fuck",
        "FUCK you",
        "ｆｕｃｋ",
        "ⓕⓤⓒⓚ",
        "f u c k",
        "F.u-c K!",
        "f*u*c*k",
        "fuuuuuck",
        "fffuuuccckkk",
        "fu\u0301c\u0323k",
        "ƒuck fuck",
        "fu.ck",
        "so fuck\nthat",
        "你是傻逼",
        "傻 逼",
        "傻*逼*",
        "傻傻逼逼",
        "傻。。逼",
        "an ass!",
        "asssss",
        "🖕🖕",
        "kill yourself",
        "KILL   YOURSELF",
        "k i l l y o u r s e l f",
        "cука сука",
        "fuck kids",
        "off fuck",
        "pass asses ass",
    ],
)
def test_a_listed_word_is_found_in_disguise(text: str) -> None:
    """Full-width, accented, spaced, dotted, repeated: blocked all the same."""
    assert FILTER.check(text) == "block"
    assert FILTER.judge(text)[0] == "block"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "class",
        "was sent",
        "as",
        "as soon as",
        "grass assembles",
        "the pen is here",
        "skill yourselves",
        "kill yo urself",
        "fu ck",
        "傻子",
        "혐",
        "666",
    ],
)
def test_what_only_contains_its_letters_passes(text: str) -> None:
    """Words of scripts with spaces are found as whole words only, and repeats do not make short words of long ones."""
    assert FILTER.judge(text) == (None, text)


def test_a_repeated_letter_is_found_only_as_often_as_listed() -> None:
    """More is a disguise, less is another word, in scripts without spaces too."""
    words = WordFilter(block=["傻傻", "boob"])
    assert [words.check(t) for t in ("傻傻", "傻傻傻", "傻", "boob", "booooob", "bob")] == [
        "block",
        "block",
        None,
        "block",
        "block",
        None,
    ]


def test_syllables_are_not_taken_apart() -> None:
    """Hangul folds to its letters, but a syllable is not found inside another one."""
    words = WordFilter(block=["가"])
    assert words.check("가다") == "block"
    assert words.check("각다") is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("加微信123", "***123"),
        ("oh shit, 加 微 信!", "oh ****, *****!"),
        ("SHIIIIT", "*******"),
        ("no shitake", "no shitake"),
    ],
)
def test_masking_covers_the_word_and_nothing_else(text: str, shown: str) -> None:
    """Stars stand exactly where the word stood, whatever it was dressed in."""
    assert FILTER.judge(text) == (None if shown == text else "mask", shown)


def test_the_severest_word_decides() -> None:
    """Block before hold before mask; what is held is masked too."""
    assert FILTER.judge("shit 혐오") == ("hold", "**** 혐오")
    assert FILTER.check("shit 혐오 fuck") == "block"
    assert FILTER.check("どろぼう") == "hold"
    assert FILTER.check("とろほう") is None


def test_an_empty_filter_lets_everything_pass() -> None:
    """No words, and words of nothing, find nothing."""
    assert WordFilter(block=["", "  "]).judge("anything") == (None, "anything")


@given(st.text(max_size=30))
def test_the_quick_look_misses_nothing(text: str) -> None:
    """Both ways of folding agree on the letters, so that what the quick look passes over the slow one would too."""
    assert skeleton(fold(text).letters) == skeleton(text)


#: What most comments consist of, and what could be taken for it.
NEAR = (
    "aAbwWdDoOtT 09@$!|,.。点·•:/／：一两陸壹ｏ〇傻逼微徽買威信加卫星芯訫"
    "かがガ한，！？～…“é①Ⅷⓐսſɐɔı🈶أـ\u064b\u0301\u200b\n\U00020bb7"
)


@given(st.text(NEAR, max_size=30))
def test_the_short_way_leads_to_the_same(text: str) -> None:
    """Ordinary text is undressed by a shorter way, to the same letters; calm text has nothing that its name says it has not."""
    reading = Reading(text)
    assert reading.look == skeleton(fold(text).letters)
    look = calm_look(text)
    if look is not None:
        assert reading.calm
        assert look == reading.look
    if reading.calm:
        assert links(plainly(text)) == phones(plainly(text)) == []
        assert reread(text) is text
        assert reading.again is None


@pytest.mark.parametrize("text", ["多少钱啊，想要", "hello there, lovely", "OK 好的", "谢谢！"])
def test_what_is_calm(text: str) -> None:
    """Most of what people say is."""
    assert Reading(text).calm


def test_the_shortest_way_is_for_most_chinese_comments() -> None:
    """It is gone for these, and by no text that has letters of another script."""
    assert calm_look("好好看啊啊啊，想要！") == "好看啊想要".encode()
    assert calm_look("OK 好的") is calm_look("www点") is calm_look("加v信") is calm_look("价格：１００") is None


@pytest.mark.parametrize(
    "text",
    ["www", "d o t", "taobao。com", "cheap点com", "一三八零零一三八零零零", "我的 v x", "加 V", "A55", "好！@", "ｗｗｗ", "徽章"],
)
def test_what_is_not_calm(text: str) -> None:
    """Whatever an address, a number or a second reading could be made of."""
    assert not Reading(text).calm


@given(st.text(max_size=10), st.sampled_from(["傻逼", "сука", "fuck"]), st.text(max_size=10), st.data())
def test_noise_between_the_letters_does_not_help(before: str, word: str, after: str, data: st.DataObject) -> None:
    """A listed word with anything invisible or repeated put into it, standing apart, is always found."""
    noise = st.sampled_from(["", "\u200b", ".", "*", "·", "\u0301", "\u00ad"])
    dressed = "".join(letter * data.draw(st.integers(1, 3)) + data.draw(noise) for letter in word)
    assert FILTER.check(f"{before} {dressed} {after}") == "block"


LOOKS = WordFilter(block=["fuck", "微信", "加微", "买号", "sex", "shit", "ass", "сука", "scam", "赌博", "代开发票", "أحمق"])


@pytest.mark.parametrize(
    "text",
    [
        "fцck",
        "FUСК",
        "ғυᴄᴋ you",
        "ꜰᴜᴄᴋ",
        "🅵🆄🅲🅺",
        "🇫🇺🇨🇰",
        "𝖋𝖚𝖈𝖐",
        "s3x",
        "sh1t happens",
        "5EX",
        "$hit",
        "@ss",
        "加薇信",
        "加徽信",
        "加 溦 信",
        "微伩",
        "買號",
        "出售買号",
        "СУКА",
        "cyka",
        "fսck",
        "ꮪhit",
        "ꓢhit",
        "FUᑕK",
        "ᖴᑌᑕK",
        "fʊck",
        "fμck",
        "fµck",
        "fu©k",
        "sh¡t",
        "微①信",
        "微㈠⑵信",
        "加vx",
        "加VX聊",
        "v信",
        "加V",
        "葳信",
        "微訫",
        "微亻言",
        "加威信",
        "快加我威信吧",
        "➕威信",
        "威信：abc_1234",
        "威信号 13800001111",
        "加我卫星",
        "加微芯",
        "微1信",
        "微1\ufe0f\u20e3信",
        "赌5博",
        "代3开4发5票",
        "微🈶信",
        "赌㊙博",
        "أَحْمَق",
        "أحـمـق",
        "ـأحمقـ",
        "احمق",
        "اَح۠مق",
        "ʞɔnɟ",
        "so ɯɐɔs it is",
        "ɟսck",
    ],
)
def test_look_alikes_are_found(text: str) -> None:
    """Letters of other scripts, in boxes, upside down; digits in words; rare ideographs for common ones, traditional for
    simplified, WeChat by its sound; Arabic with and without its vowels.
    """
    assert LOOKS.check(text) == "block"


@pytest.mark.parametrize(
    "text",
    [
        "Galaxy A55",
        "A55 有货吗",
        "55 and 5",
        "安徽信号不好",
        "国徽信物",
        "薇娅信得过",
        "微笑 相信",
        "我相信微商",
        "iPhone15 Pro",
        "1s3x4d5",
        "Привет как дела, это очень круто",
        "Καλημέρα σε όλους",
        "買了好多東西",
        "🇨🇳 🇺🇸",
        "cosmos sexton",
        "assassin's class",
        "주문했어요 배송 빨라요",
        "すごい！かわいい",
        "2333333",
        "主播好美，这个多少钱",
        "Scunthorpe United",
        "vx100 手机",
        "MVX 好用",
        "my vx is broken",
        "方案①信得过",
        "5 μm",
        "Հայերեն լեզու",
        "他在村里很有威信",
        "增加威信",
        "威信扫地",
        "威信2019年的报告",
        "卫星电视",
        "微芯科技",
        "微1号信封",
        "打赌3次 博物馆",
        "代开3个发票",
        "第1名",
        "买1送1，满3减1",
        "احمد قال مرحبا",
        "أحمقـون",
        "ʃɔː",
        "🈶货 信你",
        "Ꮳꮃꭹ ꭶꮼꮒꭿꮝꮧ",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Telephone models, provinces, names, other languages."""
    assert LOOKS.judge(text) == (None, text)


def test_masking_covers_what_only_looks_like_it() -> None:
    """At the very place."""
    words = WordFilter(mask=["微信", "shit"])
    assert words.judge("加 薇信 sh1t!") == ("mask", "加 ** ****!")
    assert words.judge("我加威信 微1信 ʇᴉɥs.") == ("mask", "我加** *** ****.")


def test_a_listed_emoji_is_no_letter() -> None:
    """`🅰` listed does not forbid the article."""
    words = WordFilter(block=["🅰", "🇹🇼"])
    assert words.check("a nice day") is None
    assert words.check("blood type 🅰") == "block"
    assert words.check("tw") is None


@pytest.mark.parametrize("selector", ["\ufe00", "\ufe0e", "\ufe0f", "\U000e0100", "\U000e01ef", "\u180b"])
def test_variation_selectors_hide_nothing(selector: str) -> None:
    """They may follow an ideograph and change nothing that anybody sees; the text they stand in is masked with them."""
    words = WordFilter(block=["傻逼"], mask=["垃圾"])
    assert words.judge(f"你傻{selector}逼")[0] == "block"
    masked = words.judge(f"真垃{selector}圾啊")[1]
    assert (masked[0], masked[-1], set(masked[1:-1])) == ("真", "啊", {"*"})
