/** What the entry says. */

import { speak } from '../shared/language';
import * as shared from '../shared/words';

const EN = {
  ...shared.EN,
  entry_title: 'livecast', entry_dev: 'A node for development. Everything here uses secrets that everybody knows.', entry_room: 'Room',
  entry_watch: 'Watch as a viewer', entry_anon: 'Watch as a guest', entry_api: 'Control plane', entry_open: 'Open', entry_name: 'Your name', entry_more: 'More pages',
  entry_host: 'Host console', entry_merchant: 'Merchant panel', entry_overlay: 'Overlay for OBS',
};

const ZH: typeof EN = {
  ...shared.ZH,
  entry_title: 'livecast', entry_dev: '开发节点：这里的密钥人人皆知，仅供试用。', entry_room: '直播间', entry_watch: '以观众身份观看', entry_anon: '以游客身份观看', entry_api: '控制接口',
  entry_open: '打开', entry_name: '你的名字', entry_more: '更多页面', entry_host: '主播控制台', entry_merchant: '商家后台', entry_overlay: 'OBS 叠加层',
};

export const { t } = speak(EN, ZH);
