/** What the page of a room says. */

import { speak } from '../shared/language';
import * as shared from '../shared/words';

const EN = {
  ...shared.EN,
  watching: '{n} watching', likes: '{n} likes', chat: 'Chat', say: 'Say something…', send: 'Send', like: 'Like', gifts: 'Gifts',
  prizes: 'My prizes', settings: 'Settings', balance: '{n} coins',
  slow_way: 'Connected the slow way',
  ended_room: 'The broadcast has ended.', go_on: 'Go on here', banned: 'You can no longer watch this room.',
  expired: 'Your sign-in has expired. Open the room again from your app.', refused: 'You are not let in here.',
  no_room: 'There is no such room.', closed: 'The connection was closed ({code}).', newer: 'New comments',
  sign_in: 'You are watching as a guest. Sign in to comment, give and win.', guest: 'Join as a test viewer',
  reply: 'Reply', report: 'Report', replying: 'Replying to {name}', reported: 'Thank you. The moderators will look at it.',
  report_why: 'What is wrong with it?', report_spam: 'Advertising or spam', report_insult: 'Insults or hate', report_fraud: 'Fraud',
  report_other: 'Something else',
  more: 'More about the comment of {name}', people: '{n} people',
  st_sending: 'sending…', st_sampled: 'Chat is busy: only you see this', st_held: 'waits for a moderator', st_merged: 'joined with others',
  st_unknown: 'no answer',
  gift_to: 'Send a gift', price: '{n} coins', price_1: '1 coin', top: 'Top givers',
  claim: 'Get it now', enter: 'Take part', soon: 'Soon', claiming: 'One moment…',
  o_won: 'You won! No. {serial} of {of}', o_entered: 'You are in the draw. Good luck!', o_sold_out: 'Sold out. Maybe next time!',
  o_limit: 'You already have yours.', o_not_open: 'Not open yet.', o_closed: 'It is over.', o_not_eligible: 'Not yet:',
  r_liked: 'like {need} times (now {have})', r_min_watch_s: 'watch for {need} s (now {have})', r_min_level: 'level {need} (now {have})',
  r_commented: 'say “{need}” in the chat', r_gifted: 'send a gift', r_fact: 'a condition of the shop',
  code: 'Your code', until: 'Reserved until {time}', won_draw: 'You won in the draw! See your prizes.',
  reserve_end: 'A reservation of yours ends soon.',
  no_prizes: 'Nothing yet. Watch out for flash sales and draws!', unit: 'No. {serial} of {of}',
  vote: 'Vote', votes: '{n} votes', poll: 'Poll', poll_over: 'Poll closed', voted: 'You voted',
  on_air: 'Now on air', look: 'Look at it', flying: 'Flying comments', density: 'How many', opacity: 'Opacity', low: 'Few', mid: 'Some', all: 'All',
  notice: 'Notice',
};

const ZH: typeof EN = {
  ...shared.ZH,
  watching: '{n} 人在看', likes: '{n} 个赞', chat: '聊天', say: '说点什么…', send: '发送', like: '点赞', gifts: '礼物',
  prizes: '我的奖品', settings: '设置', balance: '{n} 金币',
  slow_way: '已通过备用线路连接',
  ended_room: '直播已结束。', go_on: '点此继续', banned: '你无法继续观看该直播间。',
  expired: '登录已过期，请从应用重新进入直播间。', refused: '无权进入该直播间。',
  no_room: '没有这个直播间。', closed: '连接已关闭（{code}）。', newer: '有新评论',
  sign_in: '你正以游客身份观看，登录后可以评论、送礼和抢购。', guest: '以测试观众身份加入',
  reply: '回复', report: '举报', replying: '回复 {name}', reported: '谢谢，管理员会尽快查看。',
  report_why: '哪里有问题？', report_spam: '广告或刷屏', report_insult: '辱骂或仇恨', report_fraud: '欺诈', report_other: '其他',
  more: '关于 {name} 的评论', people: '{n} 人',
  st_sending: '发送中…', st_sampled: '聊天太热闹，仅自己可见', st_held: '等待审核', st_merged: '已与大家合并',
  st_unknown: '没有回应',
  gift_to: '送礼物', price: '{n} 金币', price_1: '1 金币', top: '贡献榜',
  claim: '立即抢', enter: '参与抽奖', soon: '即将开始', claiming: '请稍候…',
  o_won: '抢到了！第 {serial} 份，共 {of} 份', o_entered: '已参与抽奖，祝你好运！', o_sold_out: '已抢光，下次再来！', o_limit: '你已经有一份了。', o_not_open: '还没有开始。',
  o_closed: '已经结束。', o_not_eligible: '还差一点：',
  r_liked: '点赞 {need} 次（现在 {have}）', r_min_watch_s: '观看 {need} 秒（现在 {have}）', r_min_level: '等级 {need}（现在 {have}）', r_commented: '在聊天里说“{need}”',
  r_gifted: '送一个礼物', r_fact: '商家的条件',
  code: '你的兑换码', until: '保留至 {time}', won_draw: '你中奖了！请看“我的奖品”。', reserve_end: '你有一份保留即将到期。',
  no_prizes: '还没有奖品，留意抢购和抽奖吧！', unit: '第 {serial} 份，共 {of} 份',
  vote: '投票', votes: '{n} 票', poll: '投票', poll_over: '投票已结束', voted: '已投票',
  on_air: '正在讲解', look: '去看看', flying: '弹幕', density: '数量', opacity: '不透明度', low: '少', mid: '适中', all: '全部', notice: '公告',
};

export type Word = keyof typeof EN;
export const { t, tOr } = speak(EN, ZH);
