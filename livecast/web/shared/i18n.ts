/** Words in two languages. The choice: `?lang=`, what was chosen before, the browser's. */

const EN = {
  live: 'Live', scheduled: 'Not yet live', paused: 'Paused', ended: 'Ended',
  watching: '{n} watching', likes: '{n} likes', chat: 'Chat', say: 'Say something…', send: 'Send', like: 'Like', gifts: 'Gifts',
  prizes: 'My prizes', settings: 'Settings', close: 'Close', language: '中文', balance: '{n} coins',
  connecting: 'Connecting…', waiting: 'Connection lost. Trying again…', slow_way: 'Connected the slow way', offline: 'You are offline',
  ended_room: 'The broadcast has ended.', go_on: 'Go on here', banned: 'You can no longer watch this room.',
  expired: 'Your sign-in has expired. Open the room again from your app.', refused: 'You are not let in here.',
  no_room: 'There is no such room.', closed: 'The connection was closed ({code}).', again: 'Try again', newer: 'New comments',
  sign_in: 'You are watching as a guest. Sign in to comment, give and win.', guest: 'Join as a test viewer',
  reply: 'Reply', report: 'Report', replying: 'Replying to {name}', cancel: 'Cancel', reported: 'Thank you. The moderators will look at it.',
  report_why: 'What is wrong with it?', report_spam: 'Advertising or spam', report_insult: 'Insults or hate', report_fraud: 'Fraud', report_other: 'Something else',
  host: 'Host', moderator: 'Moderator', merchant: 'Shop', service: 'Service', you: 'You', more: 'More about the comment of {name}', people: '{n} people',
  st_sending: 'sending…', st_sampled: 'Chat is busy: only you see this', st_held: 'waits for a moderator', st_merged: 'joined with others',
  st_unknown: 'no answer', failed: 'That did not work: {why}',
  e_muted: 'you are muted', e_rate_limited: 'too fast', e_slow_mode: 'slow mode: once every {s} s', e_repeated_text: 'you just said that', e_blocked: 'not allowed here',
  e_room_not_live: 'the broadcast is not live', e_insufficient_funds: 'not enough coins', e_price_changed: 'the price has changed', e_spend_limit: 'spending limit reached',
  e_unavailable: 'not available now', e_overloaded: 'too busy now', e_unauthorized: 'sign in first', e_not_allowed: 'not allowed for you', e_forbidden: 'not allowed now',
  e_too_large: 'too long', e_invalid: 'not possible', e_conflict: 'not possible any more', e_already_voted: 'you voted already', e_other: '{code}',
  gave: '{name} sent {gift}', gift_to: 'Send a gift', price: '{n} coins', price_1: '1 coin', top: 'Top givers',
  drop_coupon: 'Flash sale', drop_draw: 'Lucky draw', opens_in: 'Opens in', closes_in: 'Closes in', left: '{left} of {stock} left', claim: 'Get it now', enter: 'Take part', soon: 'Soon', claiming: 'One moment…',
  drop_open: 'Open', drop_announced: 'Soon', drop_paused: 'Paused', drop_sold_out: 'Sold out', drop_closed: 'Closed', drop_settled: 'Over', drop_cancelled: 'Cancelled',
  o_won: 'You won! No. {serial} of {of}', o_entered: 'You are in the draw. Good luck!', o_sold_out: 'Sold out. Maybe next time!', o_limit: 'You already have yours.', o_not_open: 'Not open yet.', o_closed: 'It is over.', o_not_eligible: 'Not yet:',
  r_liked: 'like {need} times (now {have})', r_min_watch_s: 'watch for {need} s (now {have})', r_min_level: 'level {need} (now {have})', r_commented: 'say “{need}” in the chat', r_gifted: 'send a gift', r_fact: 'a condition of the shop',
  code: 'Your code', copy: 'Copy', copied: 'Copied', until: 'Reserved until {time}', won_draw: 'You won in the draw! See your prizes.', reserve_end: 'A reservation of yours ends soon.',
  no_prizes: 'Nothing yet. Watch out for flash sales and draws!', unit: 'No. {serial} of {of}',
  s_granted: 'Yours', s_reserved: 'Reserved', s_confirmed: 'Bought', s_released: 'Given back', s_expired: 'Expired', s_revoked: 'Taken back',
  vote: 'Vote', votes: '{n} votes', poll: 'Poll', poll_over: 'Poll closed', voted: 'You voted',
  on_air: 'Now on air', look: 'Look at it', flying: 'Flying comments', density: 'How many', opacity: 'Opacity', low: 'Few', mid: 'Some', all: 'All', notice: 'Notice',
  g_rose: 'Rose', g_heart: 'Heart', g_rocket: 'Rocket',
  entry_title: 'livecast', entry_dev: 'A node for development. Everything here uses secrets that everybody knows.', entry_room: 'Room', entry_watch: 'Watch as a viewer', entry_anon: 'Watch as a guest', entry_api: 'Control plane', entry_open: 'Open', entry_name: 'Your name',
};
type Words = typeof EN;
export type Word = keyof Words;

const ZH: Words = {
  live: '直播中', scheduled: '尚未开播', paused: '已暂停', ended: '已结束',
  watching: '{n} 人在看', likes: '{n} 个赞', chat: '聊天', say: '说点什么…', send: '发送', like: '点赞', gifts: '礼物',
  prizes: '我的奖品', settings: '设置', close: '关闭', language: 'English', balance: '{n} 金币',
  connecting: '正在连接…', waiting: '连接已断开，正在重试…', slow_way: '已通过备用线路连接', offline: '当前没有网络',
  ended_room: '直播已结束。', go_on: '点此继续', banned: '你无法继续观看该直播间。',
  expired: '登录已过期，请从应用重新进入直播间。', refused: '无权进入该直播间。',
  no_room: '没有这个直播间。', closed: '连接已关闭（{code}）。', again: '重试', newer: '有新评论',
  sign_in: '你正以游客身份观看，登录后可以评论、送礼和抢购。', guest: '以测试观众身份加入',
  reply: '回复', report: '举报', replying: '回复 {name}', cancel: '取消', reported: '谢谢，管理员会尽快查看。',
  report_why: '哪里有问题？', report_spam: '广告或刷屏', report_insult: '辱骂或仇恨', report_fraud: '欺诈', report_other: '其他',
  host: '主播', moderator: '房管', merchant: '商家', service: '系统', you: '我', more: '关于 {name} 的评论', people: '{n} 人',
  st_sending: '发送中…', st_sampled: '聊天太热闹，仅自己可见', st_held: '等待审核', st_merged: '已与大家合并',
  st_unknown: '没有回应', failed: '没有成功：{why}',
  e_muted: '你已被禁言', e_rate_limited: '太快了', e_slow_mode: '慢速模式：每 {s} 秒一条', e_repeated_text: '刚刚说过了', e_blocked: '内容不允许',
  e_room_not_live: '尚未开播', e_insufficient_funds: '金币不足', e_price_changed: '价格有变', e_spend_limit: '已达消费上限',
  e_unavailable: '暂时不可用', e_overloaded: '太忙了，请稍后', e_unauthorized: '请先登录', e_not_allowed: '没有权限', e_forbidden: '当前不允许',
  e_too_large: '太长了', e_invalid: '无法完成', e_conflict: '已无法完成', e_already_voted: '你已投过票', e_other: '{code}',
  gave: '{name} 送出 {gift}', gift_to: '送礼物', price: '{n} 金币', price_1: '1 金币', top: '贡献榜',
  drop_coupon: '限时抢购', drop_draw: '幸运抽奖', opens_in: '距开抢', closes_in: '距结束', left: '剩余 {left} / {stock}', claim: '立即抢', enter: '参与抽奖', soon: '即将开始', claiming: '请稍候…',
  drop_open: '进行中', drop_announced: '即将开始', drop_paused: '已暂停', drop_sold_out: '已抢光', drop_closed: '已结束', drop_settled: '已结束', drop_cancelled: '已取消',
  o_won: '抢到了！第 {serial} 份，共 {of} 份', o_entered: '已参与抽奖，祝你好运！', o_sold_out: '已抢光，下次再来！', o_limit: '你已经有一份了。', o_not_open: '还没有开始。', o_closed: '已经结束。', o_not_eligible: '还差一点：',
  r_liked: '点赞 {need} 次（现在 {have}）', r_min_watch_s: '观看 {need} 秒（现在 {have}）', r_min_level: '等级 {need}（现在 {have}）', r_commented: '在聊天里说“{need}”', r_gifted: '送一个礼物', r_fact: '商家的条件',
  code: '你的兑换码', copy: '复制', copied: '已复制', until: '保留至 {time}', won_draw: '你中奖了！请看“我的奖品”。', reserve_end: '你有一份保留即将到期。',
  no_prizes: '还没有奖品，留意抢购和抽奖吧！', unit: '第 {serial} 份，共 {of} 份',
  s_granted: '已获得', s_reserved: '已保留', s_confirmed: '已购买', s_released: '已退回', s_expired: '已过期', s_revoked: '已收回',
  vote: '投票', votes: '{n} 票', poll: '投票', poll_over: '投票已结束', voted: '已投票',
  on_air: '正在讲解', look: '去看看', flying: '弹幕', density: '数量', opacity: '不透明度', low: '少', mid: '适中', all: '全部', notice: '公告',
  g_rose: '玫瑰', g_heart: '爱心', g_rocket: '火箭',
  entry_title: 'livecast', entry_dev: '开发节点：这里的密钥人人皆知，仅供试用。', entry_room: '直播间', entry_watch: '以观众身份观看', entry_anon: '以游客身份观看', entry_api: '控制接口', entry_open: '打开', entry_name: '你的名字',
};

export type Language = 'en' | 'zh-CN';

const KEY = 'livecast.lang';
const asked = new URLSearchParams(location.search).get('lang') ?? remembered(KEY) ?? navigator.language;
export let language: Language = asked.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
document.documentElement.lang = language;

/** The words for this, `{…}` filled in. */
export function t(word: Word, values: Record<string, string | number> = {}): string {
  const text = (language === 'zh-CN' ? ZH : EN)[word];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

/** The words for a name that comes from outside, or what else to say. */
export function tOr(word: string, otherwise: string, values: Record<string, string | number> = {}): string {
  return Object.hasOwn(EN, word) ? t(word as Word, values) : otherwise;
}

/** From one language to the other. */
export function switchLanguage(): void {
  language = language === 'en' ? 'zh-CN' : 'en';
  document.documentElement.lang = language;
  remember(KEY, language);
}

const compact: Record<Language, Intl.NumberFormat> = {
  en: new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }),
  'zh-CN': new Intl.NumberFormat('zh-CN', { notation: 'compact', maximumFractionDigits: 1 }),
};

/** A figure that fits: 12.3K, 1.2万. */
export const count = (n: number): string => (n < 10_000 ? n.toLocaleString(language) : compact[language].format(n));

/** An amount in the smallest unit of its currency. */
export function money(amount: number, currency: string): string {
  try {
    const format = new Intl.NumberFormat(language, { style: 'currency', currency });
    return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
  } catch {
    return `${amount} ${currency}`; // not a currency that is known here
  }
}

/** Storage that may be forbidden (private windows): then nothing is remembered. */
export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // nothing depends on it
  }
}
