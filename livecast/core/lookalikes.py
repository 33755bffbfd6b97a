"""Characters that stand for others: letters of other scripts that look the same, letters in boxes, traditional for simplified.

Two kinds. `SAME` always counts as the letter it looks like: listed words and texts are folded alike, so a Russian list still finds
Russian words. What only sometimes stands for a letter (a digit within a word, a rare ideograph for a common one) is a second
reading of the text, `reread`, and is tried besides the first one.
"""

from __future__ import annotations

import re
from typing import Final

# Letters that look like Latin ones in small or capital form, after case folding (Unicode's confusables, the part that people use).
_LATIN: Final = (
    "аa вb сc ԁd еe ғf ԍg нh һh іi їi јj кk ӏl ⅼl мm пn оo рp ԛq ѕs тt цu υu ѵv νv ԝw шw хx уy үy "
    "αa βb ςc δd εe ϝf ηn ιi κk λl μm οo ρp τt χx γy ζz ωw σo "
    "ɑa ᴀa ʙb ᴄc ɔc ᴅd ᴇe ɛe ꜰf ƒf ɡg ɢg ʜh ɪi ıi ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ʀr ꜱs ᴛt ᴜu ʋv ᴠv ᴡw ʏy ᴢz "
    "ħh łl øo đd ðd þp ŧt æa œo ɐa ǝe ʇt ʎy ʍw ɯm ɹr ɥh"
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
    **{ord(pair[0]): pair[1] for pair in _LATIN.split()},
    **{ord(a): b for a, b in zip(_SIMPLIFIED[::2], _SIMPLIFIED[1::2], strict=True) if a != b},
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
# Ideographs that are written for a common one because they look like it, except in words of their own.
_IDEOGRAPHS: Final = re.compile(r"(?<![安国國校党黨警军軍帽会會院队隊门門])徽|(?<![蔷薔采紫])薇(?![娅婭娜尔爾])|[溦嶶伩]")
FOR: Final = {"徽": "微", "薇": "微", "溦": "微", "嶶": "微", "伩": "信"}


def reread(text: str) -> str:
    """The text with everything read as the letter that it may stand for; the same object if there is nothing of that kind.

    Character by character: what is found in it stands at the same place in `text`.
    """
    read = text
    # A quick look first: most text has nothing of either kind.
    if _LEET_IN_WORD.search(text) is not None:
        read = _TOKEN.sub(lambda token: _unleet(token[0]), read)
    if not text.isascii() and any(map(text.__contains__, FOR)):
        read = _IDEOGRAPHS.sub(lambda found: FOR.get(found[0], found[0]), read)
    return text if read == text else read


def _unleet(token: str) -> str:
    typed = token.encode()  # tokens are ASCII
    letters, digits = len(typed.translate(None, _NO_LETTERS)), len(typed.translate(None, _NO_DIGITS))
    return token.translate(_LEET) if letters > digits else token
