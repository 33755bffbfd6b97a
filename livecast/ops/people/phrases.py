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

#: `{…}` is filled from `SLOTS`, so that two people rarely say the same by chance.
CHATTER: Final = (
    "{color}的那件灯光下好好看",
    "主播嗓子要注意休息呀",
    "上次买的{thing}已经穿旧了，还想再来一件",
    "声音有点小",
    "终于赶上直播了，从{hour}点等到现在",
    "背景音乐是什么",
    "我妈也在看，她说要{color}的",
    "刚下班，来得及吗",
    "给新来的朋友解释一下呗",
    "昨天那款{thing}还会返场吗",
    "屏幕前的我已经心动了",
    "弹幕好热闹",
    "这个角度看{thing}最清楚",
    "{city}的朋友推荐来的",
    "{city}有一起看的吗",
    "已经买了{number}个了",
    "just got here, what did I miss",
    "watching from {town}",
    "my sister has the {colour} one and loves it",
    "that {colour} suits you",
    "the audio is great today",
    "ok this {item} is actually useful",
    "time number {number} here, hi again",
    "can't decide between {colour} and the other one",
    "adding {number} to the cart",
    "greetings from {town}",
    "my wallet says no but my heart says {colour} {item}",
    "{town} says hi",
)

QUESTIONS: Final = (
    "身高1{number}{digit}穿什么码？",
    "{thing}有没有大码",
    "有{color}的吗？",
    "{city}几天能发货？",
    "{thing}支持七天无理由吗",
    "敏感肌能用吗？",
    "{color}的和上一款有什么区别？",
    "{thing}可以机洗吗",
    "到{city}送运费险吗？",
    "{color}的会掉色吗",
    "学生党买{color}还是原色？",
    "does it ship to {town}?",
    "what size are you wearing?",
    "is the {item} waterproof?",
    "how long is the warranty on the {item}?",
    "any discount for {number}?",
    "is the {colour} one still in stock?",
    "which {item} is better for travel?",
)

SLOTS: Final[dict[str, tuple[str, ...]]] = {
    "color": ("白色", "黑色", "米色", "雾蓝", "墨绿", "酒红", "奶茶色", "樱粉"),
    "thing": ("外套", "卫衣", "帆布包", "保温杯", "面膜", "围巾", "台灯", "耳机", "行李箱"),
    "city": ("成都", "杭州", "西安", "长沙", "厦门", "沈阳", "昆明", "南京", "青岛"),
    "hour": ("六", "七", "八", "九"),
    "number": ("2", "3", "4", "5", "6", "7"),
    "digit": ("0", "2", "3", "5", "7", "8"),
    "town": ("Lisbon", "Berlin", "Toronto", "Osaka", "Nairobi", "Lima", "Oslo", "Manila", "Accra", "Hanoi"),
    "colour": ("blue", "black", "cream", "green", "red", "grey", "white"),
    "item": ("jacket", "hoodie", "bag", "bottle", "mask", "scarf", "lamp", "headset", "suitcase"),
}

SURNAMES: Final = ("小", "阿", "老", "大", "")
GIVEN: Final = (
    "鱼", "月亮", "橘子", "星河", "北风", "栗子", "芝麻", "云朵", "可乐",
    "豆豆", "山竹", "椰子", "晚晚", "七七", "青柠", "团子", "南瓜", "麦子",
)  # fmt: skip
HANDLES: Final = (
    "mira", "joon", "tomas", "leila", "pixel", "oskar", "nori", "bea", "sunny",
    "kofi", "ines", "ravi", "yuki", "elif", "marlo", "wren", "dani", "zoe",
)  # fmt: skip
