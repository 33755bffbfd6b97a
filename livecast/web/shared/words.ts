/** Words that several pages need: of people, broadcasts, drops, units, gifts, and why something did not work. */

export const EN = {
  live: 'Live', scheduled: 'Not yet live', paused: 'Paused', ended: 'Ended', close: 'Close', cancel: 'Cancel', copy: 'Copy', copied: 'Copied',
  language: '中文', failed: 'That did not work: {why}', again: 'Try again', sure: 'Sure?',
  host: 'Host', moderator: 'Moderator', merchant: 'Shop', service: 'Service', you: 'You',
  e_muted: 'you are muted', e_rate_limited: 'too fast', e_slow_mode: 'slow mode: again in {s} s', e_repeated_text: 'you just said that',
  e_blocked: 'not allowed here', e_room_not_live: 'the broadcast is not live', e_insufficient_funds: 'not enough coins',
  e_price_changed: 'the price has changed', e_spend_limit: 'spending limit reached', e_unavailable: 'not available now',
  e_overloaded: 'too busy now', e_unauthorized: 'sign in first', e_not_allowed: 'not allowed for you', e_forbidden: 'not allowed now',
  e_too_large: 'too long', e_invalid: 'not possible', e_conflict: 'not possible any more', e_already_voted: 'you voted already', e_other: '{code}',
  drop_coupon: 'Flash sale', drop_draw: 'Lucky draw', drop_open: 'Open', drop_announced: 'Soon', drop_paused: 'Paused', drop_sold_out: 'Sold out',
  drop_closed: 'Closed', drop_settled: 'Over', drop_cancelled: 'Cancelled', opens_in: 'Opens in', closes_in: 'Closes in',
  left: '{left} of {stock} left',
  s_granted: 'Yours', s_reserved: 'Reserved', s_confirmed: 'Bought', s_released: 'Given back', s_expired: 'Expired', s_revoked: 'Taken back',
  g_rose: 'Rose', g_heart: 'Heart', g_rocket: 'Rocket', gave: '{name} sent {gift}', waiting: 'Connection lost. Trying again…',
  offline: 'You are offline', connecting: 'Connecting…',
};

export const ZH: typeof EN = {
  live: '直播中', scheduled: '尚未开播', paused: '已暂停', ended: '已结束', close: '关闭', cancel: '取消', copy: '复制', copied: '已复制', language: 'English',
  failed: '没有成功：{why}', again: '重试', sure: '确定？',
  host: '主播', moderator: '房管', merchant: '商家', service: '系统', you: '我',
  e_muted: '你已被禁言', e_rate_limited: '太快了', e_slow_mode: '慢速模式：{s} 秒后可再发', e_repeated_text: '刚刚说过了', e_blocked: '内容不允许', e_room_not_live: '尚未开播',
  e_insufficient_funds: '金币不足', e_price_changed: '价格有变', e_spend_limit: '已达消费上限', e_unavailable: '暂时不可用', e_overloaded: '太忙了，请稍后',
  e_unauthorized: '请先登录', e_not_allowed: '没有权限', e_forbidden: '当前不允许', e_too_large: '太长了', e_invalid: '无法完成', e_conflict: '已无法完成',
  e_already_voted: '你已投过票', e_other: '{code}',
  drop_coupon: '限时抢购', drop_draw: '幸运抽奖', drop_open: '进行中', drop_announced: '即将开始', drop_paused: '已暂停', drop_sold_out: '已抢光', drop_closed: '已结束',
  drop_settled: '已结束', drop_cancelled: '已取消', opens_in: '距开抢', closes_in: '距结束', left: '剩余 {left} / {stock}',
  s_granted: '已获得', s_reserved: '已保留', s_confirmed: '已购买', s_released: '已退回', s_expired: '已过期', s_revoked: '已收回',
  g_rose: '玫瑰', g_heart: '爱心', g_rocket: '火箭', gave: '{name} 送出 {gift}', waiting: '连接已断开，正在重试…', offline: '当前没有网络', connecting: '正在连接…',
};
