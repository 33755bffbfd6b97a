"""Characters that stand for others: letters of other scripts that look the same, letters in boxes, traditional for simplified.

Two kinds. `SAME` always counts as the letter it looks like: listed words and texts are folded alike, so a Russian list still finds
Russian words. What only sometimes stands for a letter (a digit within a word, a rare ideograph for a common one) is a second
reading of the text, `reread`, and is tried besides the first one.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

from livecast.core.filter.wechat import WECHAT, WECHAT_LETTERS, read_wechat

# Letters that look like Latin ones in small or capital form, after case folding (Unicode's confusables, the part that people use).
_LATIN: Final = (
    "аa вb сc ԁd еe ғf ԍg нh һh іi їi јj кk ӏl ⅼl мm пn оo рp ԛq ѕs тt цu υu ѵv νv ԝw шw хx уy үy "
    "αa βb ςc δd εe ϝf ηn ιi κk λl μm οo ρp τt χx γy ζz ωw σo "
    "ɑa ᴀa ʙb ᴄc ɔc ᴅd ᴇe ɛe ꜰf ƒf ɡg ɢg ʜh ɪi ıi ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ʀr ꜱs ᴛt ᴜu ʋv ᴠv ᴡw ʏy ᴢz "
    "ħh łl øo đd ðd þp ŧt æa œo ɐa ǝe ʇt ʎy ʍw ɯm ɹr ɥh ɟf ʞk ƃg ᴉi ɾr ʌv"
)
# Arabic letters that are written one for the other, or differ in a mark that many leave out. (Of the marks NFKD says the rest.)
_ARABIC: Final = "ٱا ىي یي ئي ؤو کك ڪك ةه ۀه ہه ەه ھه"
# What else may be taken for a Latin letter: letters of living and dead scripts that stand in such words for nothing else. Derived
# from Unicode's confusables.txt (https://www.unicode.org/Public/security/; its data may be copied under the Unicode License v3,
# (c) Unicode, Inc.). Left out are scripts of which only a digit looks like an o, and Cyrillic letters that look alike in some fonts
# only; the last line is what makers of fancy text use besides.
_CONFUSABLE: Final = (
    "\u0185b \u018dg \u01bds \u01c0l \u0263y \u0269i \u029dj \u03f3j \u03fbm \u0461w \u04bde \u0561w \u0563q \u0566q \u0570h "
    "\u0578n \u057cn \u057du \u057fs \u0581g \u0584f \u0585o \u13a0d \u13a1r \u13a2t \u13a5i \u13a9y \u13aaa \u13abj \u13ace "
    "\u13b1r \u13b3w \u13b7m \u13bbh \u13bdy \u13c0g \u13c2h \u13c3z \u13cfb \u13d2r \u13d4w \u13d5s \u13d9v \u13das \u13del "
    "\u13dfc \u13e2p \u13e6k \u13e7d \u13f3g \u13f4b \u142fv \u144cu \u146dp \u146fd \u1472b \u148dj \u14aal \u1541x \u157ch "
    "\u157dx \u1587r \u15afb \u15b4f \u15c5a \u15ded \u15ead \u15f0m \u15f7b \u16b7x \u16c1l \u16d5k \u16d6m \u1d11o \u1d26r "
    "\u1d83g \u1d8cy \u1e9df \u1effy \u2c85r \u2c8fh \u2c93l \u2c95k \u2c99m \u2c9bn \u2c9fo \u2ca3p \u2ca5c \u2ca7t \u2ca9y "
    "\u2cadx \u2cd1l \u2d38v \u2d39e \u2d4fl \u2d54o \u2d55q \u2d5dx \ua4d0b \ua4d1p \ua4d2d \ua4d3d \ua4d4t \ua4d6g \ua4d7k "
    "\ua4d9j \ua4dac \ua4dcz \ua4ddf \ua4dfm \ua4e0n \ua4e1l \ua4e2s \ua4e3r \ua4e6v \ua4e7h \ua4eaw \ua4ebx \ua4ecy \ua4eea "
    "\ua4f0e \ua4f2l \ua4f3o \ua4f4u \ua647i \ua799f \ua79fu \ua7b5b \uab32e \uab35f \uab3do \uab47r \uab48r \uab4eu \uab52u "
    "\uab53x \uab5ay \U00010282b \U00010286e \U00010287f \U0001028al \U00010290x \U00010292o \U00010295p \U00010296s "
    "\U00010297t \U000102a0a \U000102a1b \U000102a2c \U000102a5f \U000102abo \U000102b0m \U000102b1t \U000102b2y \U000102b4x "
    "\U000102cfh \U000102f5z \U00010301b \U00010302c \U00010309l \U00010311m \U00010315t \U00010317x \U00010320l \U00010322x "
    "\U0001042co \U0001043dc \U00010443l \U00010448s \U00010513n \U00010516o \U00010518k \U0001051cc \U0001051dv \U00010525f "
    "\U00010526l \U00010527x \U000118c0v \U000118c1s \U000118c2f \U000118c3i \U000118c4y \U000118c6e \U000118c8o \U000118c9z "
    "\U000118cee \U000118d2l \U000118d5o \U000118d7o \U000118d8u \U000118dcy \U000118e0o \U000118e5z \U000118e6w \U000118e9c "
    "\U000118ecx \U000118efw \U000118f2c "
    "\u028au \u0268i \u15e9a \u1455c \u15f4e \u144en \u146bq \u1515s \u15efw \u1614z"
)
# Traditional -> simplified, the characters that lists of words in practice consist of. (The meaning is the same.)
_SIMPLIFIED: Final = (
    "買买賣卖錢钱賭赌單单貨货槍枪藥药發发髮发點点網网號号電电話话聯联係系繫系騙骗們们個个這这無无國国實实價价優优紅红現现場场"
    "萬万億亿幣币銀银賬账帳账戶户碼码掃扫關关註注冊册領领獎奖贈赠禮礼費费購购團团會会員员職职業业賺赚貸贷債债務务黃黄裸裸"
    "視视頻频圖图號号約约媽妈爺爷奶奶豬猪雞鸡鴨鸭鳥鸟龜龟婊婊賤贱滾滚殺杀死死傻傻腦脑殘残廢废瘋疯狗狗東东華华語语說说請请"
    "謝谢讓让進进遠远還还選选運运動动學学習习見见親亲長长門门開开閉闭問问間间聞闻馬马騎骑體体麼么為为與与從从來来對对時时"
    "書书樂乐車车輪轮轉转風风飛飞飯饭飲饮館馆魚鱼麗丽麵面齊齐齒齿龍龙衛卫術术衝冲裏里裡里製制複复規规覺觉觀观計计訂订記记"
    "訊讯試试詳详認认誰谁調调談谈論论證证識识譯译議议護护變变質质資资賓宾賞赏賢贤贏赢跡迹躍跃較较輕轻輸输辦办農农過过達达"
    "違违適适遲迟郵邮鄉乡醫医釋释針针鐵铁鐘钟鏡镜閱阅陽阳陰阴陳陈陸陆雖虽雙双雜杂難难雲云靈灵靜静頭头題题願愿類类顧顾顯显"
)

SAME: Final[dict[int, str]] = {
    **{ord(pair[0]): pair[1] for pair in (*_CONFUSABLE.split(), *_LATIN.split())},
    **{ord(a): b for a, b in zip(_SIMPLIFIED[::2], _SIMPLIFIED[1::2], strict=True) if a != b},
    **{ord(pair[0]): pair[1] for pair in _ARABIC.split()},
    ord(WECHAT): WECHAT_LETTERS,
    0x0640: "",  # what draws an Arabic word out
    # Letters in boxes and circles of which NFKD says nothing, and the halves of flags.
    **{first + n: chr(0x61 + n) for first in (0x1F150, 0x1F170, 0x1F1E6) for n in range(26)},
}
"""For `str.translate`, after NFKD and case folding. No value is itself a key, so that translating twice changes nothing."""

# Digits and signs for letters, within a token that has more letters than digits: `sh1t`, not `A55`.
_LEET: Final = str.maketrans("013457@$!|", "oieastasii")
_NO_LETTERS: Final = bytes(c for c in range(128) if not chr(c).isalpha())
_NO_DIGITS: Final = bytes(c for c in range(128) if not chr(c).isdigit())
# It begins with the signs and looks around: a pattern that begins with a set of characters is looked for many times as fast.
_LEET_IN_WORD: Final = re.compile(
    r"[013457@$!|](?:(?<=[A-Za-z][013457@$])|(?<=[013457@$])(?=[A-Za-z])|(?<=[A-Za-z][!|])(?=[A-Za-z]))"
)
# Only those with such a sign in them.
_TOKEN: Final = re.compile(r"(?<![A-Za-z0-9@$])(?=[A-Za-z2689]*[013457@$!|])[A-Za-z0-9@$](?:[A-Za-z0-9@$]|[!|](?=[A-Za-z0-9]))*")
# What is written for another character because it looks like it, where it stands as if it were that: ideographs, except in words of
# their own; signs and letters in the middle of Latin ones.
_STANDS_FOR: Final = re.compile(
    r"(?<![安国國校党黨警军軍帽会會院队隊门門])徽|(?<![蔷薔采紫])薇(?![娅婭娜尔爾])|[溦嶶伩]"
    r"|(?<=[A-Za-z])[μµц¡©¢₵€](?=[A-Za-z])"
)
_FOR: Final = {
    "徽": "微", "薇": "微", "溦": "微", "嶶": "微", "伩": "信",
    "μ": "u", "µ": "u", "ц": "u", "¡": "i", "©": "c", "¢": "c", "₵": "c", "€": "e",
}  # fmt: skip
# Numbers in rings and brackets between ideographs, where nobody counts anything.
_RINGED: Final = "㊗㊙①②③④⑤⑥⑦⑧⑨⑩⓪❶❷❸❹❺❻❼❽❾❿➀➁➂➃➄➅➆➇➈➉➊➋➌➍➎➏➐➑➒➓㈠㈡㈢㈣㈤㈥㈦㈧㈨㈩㊀㊁㊂㊃㊄㊅㊆㊇㊈㊉⑴⑵⑶⑷⑸⑹⑺⑻⑼⒈⒉⒊⒋⒌⒍⒎⒏⒐⓵⓶⓷⓸⓹⓺⓻⓼⓽"
_BETWEEN: Final = re.compile(rf"(?<=[\u4e00-\u9fff])[{_RINGED}]+(?=[\u4e00-\u9fff])")
# A digit between ideographs, where nobody counts anything either: `赌1博`, not `第1名`, `满3送`, `买1个`.
_DIGIT_BETWEEN: Final = re.compile(
    r"[0-9](?<=[\u4e00-\u9fff][0-9])(?<![一二三四五六七八九十百千万两第满减买卖送共约近前后每仅月年日号点到至比打赠抢只].)"
    r"(?=[\ufe0e\ufe0f\u20e3]*[\u4e00-\u9fff])"
    r"(?![一二三四五六七八九十百千万亿个件块元号折日月年天小时分秒点人次条单盒瓶支份双套米斤两寸层倍款位名张岁届级度包只楼期栋克升箱片对组毛角"
    r"世代周星里家口股颗粒台部间遍回场路线声道栏集季章页卷格排桶袋根把座门环档式型色吨送减免楼选比抵枚杯本棵朵顿车节课把罐连])"
)
# A letter or an ideograph in a box or a ring, or a flag, between ideographs: `微🈶信`, `微🇨🇳信`.
_BEYOND: Final = re.compile("[\U00010000-\U0010ffff]")
_BOXED_SIGNS: Final = re.compile("[©®™ℹⓂ]")
_BOXED_BETWEEN: Final = re.compile(
    r"(?:[\U0001f170-\U0001f189\U0001f200-\U0001f265©®™ℹⓂ](?<=[\u4e00-\u9fff].)|[\U0001f1e6-\U0001f1ff]{2}(?<=[\u4e00-\u9fff]..))"
    r"(?=\ufe0f?[\u4e00-\u9fff])"
)
# Letters upside down, which are also written from right to left. Those of the first line have no other use in a chat.
_ONLY_FLIPPED: Final = dict(zip("ɐɔǝɟƃɥᴉɾʞꞁɯɹʇʌʍʎ", "acefghijklmrtvwy", strict=True))
_FLIPPED: Final = str.maketrans({**_ONLY_FLIPPED, **dict(zip("nubqdpmwı", "unqbpdwmi", strict=True))})
_IS_FLIPPED: Final = "".join(_ONLY_FLIPPED)
_FLIP: Final = re.compile(f"[{_IS_FLIPPED}]")
_UPSIDE_DOWN: Final = re.compile(rf"[A-Za-zı]*[{_IS_FLIPPED}][A-Za-zı{_IS_FLIPPED}]+|[A-Za-zı]+[{_IS_FLIPPED}]")
# Letters and signs in their compatibility forms, where one is one: full-width, circled, bold, Roman numerals. (Not digits in rings,
# which are looked through between ideographs.)
_COMPATIBLE: Final = {
    code: plain
    for first, last in ((0x2160, 0x2180), (0x24B6, 0x24EA), (0xFF01, 0xFF5F), (0x1D400, 0x1D800), (0x1F130, 0x1F14A))
    for code in range(first, last)
    if len(plain := normalize("NFKC", chr(code))) == 1 and plain.isascii() and (plain.isalnum() or plain in "+@$|")
} | {0x2795: "+", **{first + n: chr(0x41 + n) for first in (0x1F150, 0x1F170) for n in range(26)}}
_COMPATIBLE_LOOK: Final = re.compile("[\u2160-\u2179\u24b6-\u24e9\u2795\uff0b\uff10-\uff5a]")
_COMPATIBLE_BEYOND: Final = re.compile("[\U0001d400-\U0001d7ff\U0001f130-\U0001f189]")
REREAD: Final = frozenset(_FOR) | frozenset(_RINGED) | frozenset(_ONLY_FLIPPED)
"""Beyond ASCII every character of which a second reading is made, but for `wechat.SOUNDS`."""
_MARKED: Final = re.compile(f"[{''.join(sorted(REREAD))}]")


def reread(text: str) -> str:
    """The text with everything read as the letter that it may stand for; the same object if there is nothing of that kind.

    Character by character: what is found in it stands at the same place in `text`.
    """
    read = plain = text
    if not text.isascii():
        # Most of this is beyond the basic plane, where most text has nothing.
        beyond = _BEYOND.search(text) is not None
        if (beyond or _BOXED_SIGNS.search(text) is not None) and _BOXED_BETWEEN.search(text) is not None:
            read = _BOXED_BETWEEN.sub(lambda found: " " * len(found[0]), text)
        boxed = read is not text
        if (beyond and _COMPATIBLE_BEYOND.search(read) is not None) or _COMPATIBLE_LOOK.search(read) is not None:
            read = read.translate(_COMPATIBLE)
        plain = text if boxed else read
    # A quick look first: most text has nothing of any kind.
    if _LEET_IN_WORD.search(plain) is not None:
        read = _TOKEN.sub(lambda token: _unleet(token[0]), read)
    if not text.isascii():
        if _MARKED.search(plain) is not None:
            read = _STANDS_FOR.sub(lambda found: _FOR.get(found[0], found[0]), read)
            read = _BETWEEN.sub(lambda found: " " * len(found[0]), read)
            if _FLIP.search(plain) is not None:
                read = _UPSIDE_DOWN.sub(lambda found: found[0].translate(_FLIPPED)[::-1], read)
        if _DIGIT_BETWEEN.search(plain) is not None:
            read = _DIGIT_BETWEEN.sub(" ", read)
    read = read_wechat(read)
    return text if read == plain else read


def _unleet(token: str) -> str:
    typed = token.encode()  # tokens are ASCII
    letters, digits = len(typed.translate(None, _NO_LETTERS)), len(typed.translate(None, _NO_DIGITS))
    return token.translate(_LEET) if letters > digits else token
