/** What the page of a receipt says. */

import { speak } from '../shared/language';
import * as shared from '../shared/words';

const EN = {
  ...shared.EN,
  title: 'Receipt', unit: 'Unit {serial} of {of}', checking: 'Checking the signature…', valid: 'This receipt is genuine.', not_valid: 'This receipt is NOT valid.',
  test: 'It is from a test drop: there is nothing to hand out for it.', none: 'Paste a receipt to check it.', paste: 'Receipt', check: 'Check',
  f_form: 'It has not the form of a receipt, or was cut short.', f_algorithm: 'It is not signed the way receipts are.',
  f_key: 'It was signed by nobody known here: forged, or of another service.', f_signature: 'Its signature does not fit: it was changed, or is forged.',
  f_lapsed: 'Its reservation has run out.', f_keys: 'The public keys could not be fetched. Try again later.',
  winner: 'Winner', shop: 'Merchant', room: 'Room', drop: 'Drop', won_at: 'Won at', until: 'Reserved until', sku: 'Article', id: 'Receipt no.',
  code: 'Does this code go with it?', code_yes: 'Yes, this code was handed out with it.', code_no: 'No, it is another code.',
  how: 'Checked in this browser, with the public keys of {host}. Nothing about the receipt was sent anywhere.',
};

const ZH: typeof EN = {
  ...shared.ZH,
  title: '凭证', unit: '第 {serial} 份，共 {of} 份', checking: '正在验证签名…', valid: '此凭证真实有效。', not_valid: '此凭证无效！',
  test: '来自测试活动，不能兑换任何东西。', none: '粘贴凭证即可验证。', paste: '凭证', check: '验证',
  f_form: '不是凭证，或内容不完整。', f_algorithm: '签名方式与凭证不符。',
  f_key: '签名者不明：伪造，或来自其他服务。', f_signature: '签名不符：内容被改动，或为伪造。',
  f_lapsed: '保留时间已过。', f_keys: '无法获取公钥，请稍后再试。',
  winner: '获得者', shop: '商家', room: '直播间', drop: '活动', won_at: '获得时间', until: '保留至', sku: '商品', id: '凭证编号',
  code: '兑换码是否与它相符？', code_yes: '相符，这个码是随它发出的。', code_no: '不相符，是另一个码。',
  how: '已在本浏览器中用 {host} 的公钥验证，凭证内容没有发送到任何地方。',
};

export const { t, tOr } = speak(EN, ZH);
