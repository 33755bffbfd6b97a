"""What the simulated crowd says: written for this project, in the words of live rooms, Chinese and English mixed."""

from __future__ import annotations

from typing import Final

#: Kind of moment -> (what the host does, what they say, what the room shouts; the first ones most).
MOMENTS: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "reveal": (
        "shows the next product",
        "下一件来了，看看这个颜色！ Here comes the next one.",
        ("好看", "哇", "这个好看", "好看！", "绝了", "so pretty", "omg", "来了来了", "想要"),
    ),
    "price": (
        "names the price",
        "今天直播间专属价，只要99！ Only tonight.",
        ("多少钱", "666", "这么便宜？", "冲", "买买买", "上链接", "take my money", "wow", "真的假的"),
    ),
    "drop": (
        "announces a drop",
        "三分钟后抢券，准备好你们的手速。 Coupons in three minutes.",
        ("想要", "冲冲冲", "1", "抢", "准备好了", "ready", "给我留一件", "手速手速", "111"),
    ),
    "joke": (
        "tells a joke",
        "我妈问我为什么老对着手机说话…… My mother thinks I talk to myself.",
        ("哈哈哈", "哈哈哈哈哈", "笑死", "lol", "hahaha", "😂😂😂", "主播太逗了", "hhhh"),
    ),
    "hello": (
        "greets the room",
        "欢迎新来的朋友，扣个来了让我看看！ Welcome, where are you from?",
        ("来了", "晚上好", "主播好", "hi", "hello from Berlin", "打卡", "第一次来", "good evening"),
    ),
    "proof": (
        "tests it on camera",
        "我们现场泡水给大家看。 Let's put it under water.",
        ("666", "牛", "厉害", "真材实料", "nice", "respect", "这质量可以", "666666", "信了"),
    ),
}

CHATTER: Final = (
    "这件有几个颜色",
    "灯光好舒服",
    "主播嗓子要注意休息呀",
    "上次买的那件已经穿旧了，还想再来一件",
    "声音有点小",
    "终于赶上直播了",
    "背景音乐是什么",
    "我妈也在看",
    "刚下班，来得及吗",
    "给新来的朋友解释一下呗",
    "昨天那款还会返场吗",
    "屏幕前的我已经心动了",
    "弹幕好热闹",
    "这个角度看最清楚",
    "朋友推荐来的",
    "just got here, what did I miss",
    "watching from the train",
    "my sister has the blue one and loves it",
    "that colour suits you",
    "the audio is great today",
    "ok this is actually useful",
    "second time here, hi again",
    "can't decide between the two",
    "adding it to the cart",
    "greetings from Lisbon",
    "love the honest reviews",
    "my wallet says no but my heart says yes",
)

QUESTIONS: Final = (
    "身高165穿什么码？",
    "有没有大码",
    "几天能发货？",
    "支持七天无理由吗",
    "敏感肌能用吗？",
    "和上一款有什么区别？",
    "可以机洗吗",
    "送运费险吗？",
    "这个会掉色吗",
    "学生党买哪个划算？",
    "does it ship to Canada?",
    "what size are you wearing?",
    "is it waterproof?",
    "how long is the warranty?",
    "any discount for two?",
    "is the zip metal?",
    "which one is better for travel?",
)

SURNAMES: Final = ("小", "阿", "老", "大", "")
GIVEN: Final = (
    "鱼", "月亮", "橘子", "星河", "北风", "栗子", "芝麻", "云朵", "可乐",
    "豆豆", "山竹", "椰子", "晚晚", "七七", "青柠", "团子", "南瓜", "麦子",
)  # fmt: skip
HANDLES: Final = (
    "mira", "joon", "tomas", "leila", "pixel", "oskar", "nori", "bea", "sunny",
    "kofi", "ines", "ravi", "yuki", "elif", "marlo", "wren", "dani", "zoe",
)  # fmt: skip
