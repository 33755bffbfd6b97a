/** Words of the merchant's panel. */

import { speak } from '../shared/language';
import { EN as SHARED_EN, ZH as SHARED_ZH } from '../shared/words';

const EN = {
  ...SHARED_EN,
  panel: 'Merchant', sign_in: 'Sign in with an API key of yours, or open the link with a merchant’s token that your platform gave you.',
  key: 'API key', key_kept: 'Kept in this tab until you close it, and sent to this node alone.', enter: 'Sign in', leave: 'Sign out', dev_in: 'Use the key of --dev',
  refused: 'This key or token is not taken any more.', views: 'Views', view_drops: 'Drops', view_claims: 'Claims', view_hooks: 'Webhooks', view_access: 'Access',
  room: 'Room', title: 'Title', state: 'State', stock: 'Left', granted: 'Won', reserved: 'Reserved', opens: 'Opens', closes: 'Closes', all_rooms: 'All rooms', all_states: 'All states',
  no_drops: 'No drops in these rooms.', no_rooms: 'No rooms yet. They are made by PUT /v1/rooms/{id}, or when somebody joins in --dev.', no_right: 'This needs the scope {scope}.',
  announce: 'Announce', open: 'Open', pause: 'Pause', resume: 'Resume', close_drop: 'Close', cancel_drop: 'Cancel', see_claims: 'Claims', csv: 'CSV', d_draft: 'Draft', test: 'TEST',
  choose: 'Choose a drop to see who won.', serial: 'No.', user: 'User', code: 'Code', at: 'Won at', until: 'Held until', order: 'Order', no_claims: 'Nothing was won yet.', more: 'More', find_user: 'User id', find: 'Find',
  confirm: 'Confirm', release: 'Release', revoke: 'Revoke', order_id: 'Order number', reason: 'Reason', return_stock: 'Put it back on sale', did: 'Done.', save: 'Save',
  add_hook: 'New webhook', url: 'Address (https)', events: 'Events, one a line', of_rooms: 'Rooms, one a line (ids or globs)', no_hooks: 'Nobody is told of anything yet.',
  secret_once: 'The secret. It is shown this once:', enabled: 'enabled', disabled: 'disabled', pending: '{n} waiting', dead: '{n} given up', failing: 'failing since {time}', because: 'disabled: {why}',
  send_test: 'Send a test', rotate: 'New secret', enable: 'Enable', disable: 'Disable', remove: 'Delete', deliveries: 'Deliveries', no_deliveries: 'None.', replay: 'Send again', attempts: 'Tries', answered: 'Answer',
  t_pending: 'waiting', t_delivered: 'taken', t_dead: 'given up', t_delivering: 'under way', next_try: 'next try {time}', event: 'Event', when: 'When',
  who: 'Who you are', kind_key: 'API key', kind_staff: 'Staff token', of_merchant: 'Seller', scopes: 'What you may do', reaches: 'Rooms you reach', every_room: 'every room', only_of: 'only rooms of {merchant}',
  updated: 'As of {time}',
};

const ZH: typeof EN = {
  ...SHARED_ZH,
  panel: '商家后台', sign_in: '请用你的 API 密钥登录，或打开平台发给你的、带商家令牌的链接。',
  key: 'API 密钥', key_kept: '只保存在本标签页，关闭即失效，且只发送给本节点。', enter: '登录', leave: '退出', dev_in: '使用 --dev 的密钥',
  refused: '密钥或令牌已失效。', views: '视图', view_drops: '抢购', view_claims: '领取记录', view_hooks: 'Webhook', view_access: '权限',
  room: '直播间', title: '标题', state: '状态', stock: '剩余', granted: '已领', reserved: '占位', opens: '开始', closes: '结束', all_rooms: '全部直播间', all_states: '全部状态',
  no_drops: '这些直播间还没有抢购。', no_rooms: '还没有直播间。用 PUT /v1/rooms/{id} 创建；--dev 下有人进入时自动创建。', no_right: '需要权限 {scope}。',
  announce: '预告', open: '开抢', pause: '暂停', resume: '继续', close_drop: '结束', cancel_drop: '取消', see_claims: '领取记录', csv: 'CSV', d_draft: '草稿', test: '测试',
  choose: '选择一场抢购，查看谁抢到了。', serial: '序号', user: '用户', code: '券码', at: '领取时间', until: '保留至', order: '订单', no_claims: '还没有人抢到。', more: '更多', find_user: '用户 ID', find: '查找',
  confirm: '确认', release: '释放', revoke: '收回', order_id: '订单号', reason: '原因', return_stock: '退回库存', did: '已完成。', save: '保存',
  add_hook: '新建 Webhook', url: '地址（https）', events: '事件，每行一个', of_rooms: '直播间，每行一个（ID 或通配）', no_hooks: '还没有任何接收方。',
  secret_once: '签名密钥，只显示这一次：', enabled: '启用', disabled: '停用', pending: '{n} 条等待', dead: '{n} 条放弃', failing: '自 {time} 起失败', because: '已停用：{why}',
  send_test: '发送测试', rotate: '更换密钥', enable: '启用', disable: '停用', remove: '删除', deliveries: '投递记录', no_deliveries: '没有记录。', replay: '重新投递', attempts: '次数', answered: '应答',
  t_pending: '等待', t_delivered: '已接收', t_dead: '已放弃', t_delivering: '投递中', next_try: '{time} 重试', event: '事件', when: '时间',
  who: '当前身份', kind_key: 'API 密钥', kind_staff: '员工令牌', of_merchant: '商家', scopes: '可以做什么', reaches: '可访问的直播间', every_room: '全部直播间', only_of: '仅限商家 {merchant} 的直播间',
  updated: '更新于 {time}',
};

export type Word = keyof typeof EN;
export const { t, tOr } = speak(EN, ZH);
