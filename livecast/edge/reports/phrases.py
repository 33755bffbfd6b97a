"""The words of the report's page, in English and in Chinese; and how numbers, times and money are written in each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

Language: TypeAlias = Literal["en", "zh"]

#: Currencies whose smallest unit is not a hundredth (ISO 4217).
EXPONENT: Final = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "VND": 0,
    "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0, "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}  # fmt: skip

PHRASES: Final[dict[str, tuple[str, str]]] = {
    "title": ("Broadcast report", "直播报告"),
    "untitled": ("Untitled broadcast", "未命名直播"),
    "test": ("Rehearsal: counts for nothing", "彩排：不计入统计"),
    "running": ("still on air, figures so far", "直播中，数据截至目前"),
    "room": ("room", "房间"),
    "made": ("made", "生成于"),
    "times": ("all times UTC", "时间均为 UTC"),
    "peak": ("peak viewers", "最高同时在线"),
    "unique": ("unique viewers", "观看人数"),
    "average": ("average viewers", "平均在线"),
    "comments": ("comments", "弹幕"),
    "likes": ("likes", "点赞"),
    "coins": ("coins in gifts", "礼物金币"),
    "orders": ("orders", "订单"),
    "sales": ("sales", "销售额"),
    "audience": ("Audience", "观众"),
    "audience_curve": ("Viewers over the broadcast", "在线人数曲线"),
    "activity": ("Comments, likes and gifts", "弹幕、点赞与礼物"),
    "comments_minute": ("Comments per minute", "每分钟弹幕"),
    "likes_minute": ("Likes per minute", "每分钟点赞"),
    "coins_minute": ("Coins per minute", "每分钟金币"),
    "verdicts": ("Comments by verdict", "弹幕处理结果"),
    "shown": ("shown", "已显示"),
    "merged": ("merged", "已合并"),
    "sampled": ("sampled", "抽样未显示"),
    "held": ("held", "待审"),
    "rejected": ("refused", "已拒绝"),
    "redacted": ("taken off later", "事后撤下"),
    "words": ("Top words", "热词"),
    "givers": ("Top givers", "送礼榜"),
    "user": ("viewer", "用户"),
    "gifts": ("gifts", "礼物数"),
    "value": ("coins", "金币"),
    "drops": ("Drops", "抢购与抽奖"),
    "drop": ("drop", "活动"),
    "granted": ("granted", "发放"),
    "stock": ("stock", "库存"),
    "sold_out_in": ("sold out in", "售罄用时"),
    "claims_s": ("claims/s, busiest", "每秒领取（峰值）"),
    "units": ("what became of them", "后续状态"),
    "funnel": ("From card to order", "从展示到下单"),
    "product": ("product", "商品"),
    "seen": ("shown to", "展示人数"),
    "on_air": ("on air", "展示时长"),
    "taps": ("taps", "点击"),
    "claims": ("claims", "领取"),
    "worth": ("worth", "金额"),
    "sales_minute": ("Sales by minute", "每分钟销售额"),
    "polls": ("Polls", "投票"),
    "votes": ("votes", "票"),
    "moderation": ("Moderation", "管理"),
    "acts": ("what staff did", "管理操作"),
    "times_n": ("times", "次数"),
    "blocked": ("blocked by the word filter", "被词库拦截"),
    "none": ("none", "无"),
    "test_mark": ("test", "测试"),
    "state": ("state", "状态"),
    "verdict": ("verdict", "结果"),
    "n": ("number", "数量"),
    "cancelled": ("cancelled", "已取消"),
}
#: Words of the protocol as people say them; what is not here stays as it is.
STATES: Final[dict[str, tuple[str, str]]] = {
    "live": ("live", "直播中"), "paused": ("paused", "暂停"), "ended": ("ended", "已结束"), "scheduled": ("scheduled", "预告"),
    "open": ("open", "进行中"), "sold_out": ("sold out", "售罄"), "closed": ("closed", "已关闭"), "settled": ("settled", "已结算"),
    "announced": ("announced", "已预告"), "draft": ("draft", "草稿"),
    "granted": ("granted", "已发放"), "reserved": ("reserved", "已预留"), "confirmed": ("bought", "已购买"),
    "released": ("released", "已释放"), "expired": ("lapsed", "已过期"), "revoked": ("revoked", "已收回"),
    "rate_limited": ("too fast", "发送过快"), "slow_mode": ("slow mode", "慢速模式"), "repeated_text": ("repeated", "重复内容"),
    "blocked": ("blocked words", "违禁词"), "muted": ("muted", "已禁言"), "room_not_live": ("not live", "未开播"),
    "forbidden": ("the room's mode", "房间发言限制"), "unauthorized": ("not signed in", "未登录"),
    "not_found": ("to nothing", "对象不存在"), "unavailable": ("no answer in time", "未及时答复"),
    "spend_limit": ("spending limit", "消费限额"),
    "not_allowed": ("not allowed", "无权限"), "too_large": ("too long", "过长"), "invalid": ("empty", "空内容"),
    "overloaded": ("overload", "过载"), "conflict": ("conflict", "冲突"),
    "mute": ("mute", "禁言"), "unmute": ("unmute", "解除禁言"), "ban": ("ban", "封禁"), "unban": ("unban", "解除封禁"),
    "redact": ("take off", "撤下弹幕"), "panic": ("panic button", "一键清屏"), "appoint": ("appoint a moderator", "任命房管"),
    "dismiss": ("dismiss a moderator", "撤销房管"), "judge_held": ("judge a held comment", "审核弹幕"),
    "settle_report": ("settle a report", "处理举报"), "policy": ("change the policy", "修改规则"),
    "answer_question": ("answer a question", "回答提问"),
    "put_room": ("set the room up", "设置直播间"), "patch_room": ("change the room", "修改直播间"),
    "custom": ("change custom data", "修改自定义数据"),
    "start": ("start", "开播"), "pause": ("pause", "暂停直播"), "resume": ("go on", "恢复直播"), "end": ("end", "下播"),
    "notice": ("pin a line", "置顶公告"), "clear_notice": ("unpin the line", "取消公告"),
    "filter": ("change the word filter", "修改词库"), "filter_removed": ("take the word filter away", "删除词库"),
    "forget_user": ("forget a user", "删除用户数据"), "open_poll": ("open a poll", "发起投票"),
    "close_poll": ("close a poll", "结束投票"),
    "put_product": ("put a product up", "上架商品"), "patch_product": ("change a product", "修改商品"),
    "delete_product": ("take a product off", "下架商品"), "on_air": ("show a card", "讲解商品"),
}  # fmt: skip


def phrase(language: Language, name: str) -> str:
    """A phrase of the page."""
    return PHRASES[name][language == "zh"]


def said(language: Language, word: str) -> str:
    """A word of the protocol, as people say it."""
    both = STATES.get(word)
    return word.replace("_", " ") if both is None else both[language == "zh"]


def language_of(wanted: str | None, accept: str) -> Language:
    """The one asked for, else the first of `Accept-Language` that we have, by its weight (RFC 9110, 12.5.4); else English."""
    if wanted in {"en", "zh"}:
        return "zh" if wanted == "zh" else "en"
    weighed: list[tuple[float, int, str]] = []
    for place, item in enumerate(accept.split(",")[:20]):
        name, _, parameters = item.strip().partition(";")
        quality = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", parameters)
        weighed.append((-float(quality[1]) if quality else -1.0, place, name.lower()[:2]))
    ours = [name for weight, _, name in sorted(weighed) if name in {"en", "zh"} and weight < 0]
    return "zh" if ours[:1] == ["zh"] else "en"


def number(value: float) -> str:
    """With thousands apart, as both languages write it."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def money(value: Mapping[str, int]) -> str:
    """Amounts by currency, in its main unit."""
    return " + ".join(f"{_main(amount, currency)} {currency}".strip() for currency, amount in sorted(value.items())) or "0"


def main_units(amount: int, currency: str) -> float:
    """An amount in a currency's main unit: for drawing, not for adding up."""
    return float(amount / 10 ** EXPONENT.get(currency, 2))


def _main(amount: int, currency: str) -> str:
    digits = EXPONENT.get(currency, 2)
    whole, rest = divmod(abs(amount), 10**digits)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole:,}" + (f".{rest:0{digits}}" if digits else "")


def clock(at: int | None, *, day: bool = False) -> str:
    """A moment, UTC: the time of day, or with the day before it."""
    if at is None:
        return "–"
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M" if day else "%H:%M:%S")


def duration(language: Language, ms: int | None) -> str:
    """A length of time, with what matters of it."""
    if ms is None:
        return "–"
    hour, minute, second = ("h", "min", "s") if language == "en" else ("小时", "分", "秒")
    if ms < 60_000:
        return f"{ms / 1000:.1f} {second}"
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} {hour} {minutes} {minute}" if hours else f"{minutes} {minute} {seconds} {second}"
