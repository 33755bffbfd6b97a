/** What staff have done: to people and their words, with what waits, and to the room. Each says how it went; `Acts` has the way back. */

import { part } from '../shared/api';
import { desk } from './console';
import type { Line } from './lines';
import type { Held, Question, Report } from './told';
import { t } from './words';

/** One-key mutes last so long. */
export const MUTE_S = 600;

const { acts, api, live, told } = desk;

// --- People and their words ------------------------------------------------------------------------------------------

/** `for_s`: null without an end. */
export function mute(user: string, name: string, for_s: number | null = MUTE_S): Promise<boolean> {
  const body = { user, ...(for_s === null ? {} : { for_s }) };
  return acts.act('POST', 'mutes', body, t('did_mute', { name }), () => api.call('DELETE', `mutes/${part(user)}`));
}

export const unmute = (user: string, name: string): Promise<boolean> => acts.act('DELETE', `mutes/${part(user)}`, undefined, t('did_unmute', { name }));

export const ban = (user: string, name: string): Promise<boolean> =>
  acts.act('POST', 'bans', { user }, t('did_ban', { name }), () => api.call('DELETE', `bans/${part(user)}`));

export const unban = (user: string, name: string): Promise<boolean> => acts.act('DELETE', `bans/${part(user)}`, undefined, t('did_unban', { name }));

export const remove = (comments: string[]): Promise<boolean> => acts.act('POST', 'redactions', { comments }, t('did_remove'));

export const removeAllOf = (user: string, name: string): Promise<boolean> => acts.act('POST', 'redactions', { users: [user] }, t('did_remove_all', { name }));

export function pin(text: string): Promise<boolean> {
  const before = live.view.state.notice;
  const back = () => (before ? api.call('PUT', 'notice', before) : api.call('DELETE', 'notice'));
  return acts.act('PUT', 'notice', { text }, t('did_pin'), back);
}

export function unpin(): Promise<boolean> {
  const before = live.view.state.notice;
  return acts.act('DELETE', 'notice', undefined, t('did_unpin'), before ? () => api.call('PUT', 'notice', before) : null);
}

/** As a comment of one's own, in answer to what is chosen for it. */
export async function say(text: string, to: Line | null): Promise<void> {
  desk.setReply(null);
  await live.comment(text, to ? { reply_to: to.id, mentions: [to.u.id] } : {}).catch(() => acts.fail('unavailable'));
}

// --- What waits ------------------------------------------------------------------------------------------------------

export async function judge(held: Held, action: 'approve' | 'reject'): Promise<void> {
  told.held = told.held.filter((one) => one.id !== held.id);
  desk.changed('queue');
  const done = await acts.act('POST', `held/${part(held.id)}`, { action }, t(action === 'approve' ? 'did_approve' : 'did_reject'));
  if (!done) void told.fetch('held');
  else if (action === 'reject') desk.book.change(held.id, { verdict: 'redacted' });
}

export async function settle(report: Report): Promise<void> {
  told.reports = told.reports.filter((one) => one.id !== report.id);
  desk.changed('queue');
  if (!(await acts.act('DELETE', `reports/${part(report.id)}`, undefined, t('did_settle')))) void told.fetch('reports');
}

/** With words: to those who asked, and if `aloud` to everybody. Without: taken off the list. */
export async function answer(question: Question, text: string, aloud: boolean): Promise<void> {
  if (aloud && text) void live.comment(text, question.comment ? { reply_to: question.comment } : {}).catch(() => acts.fail('unavailable'));
  await acts.act('POST', `questions/${part(question.id)}/answer`, text ? { text } : {}, t('did_answer', { n: question.n }));
  void told.fetch('questions');
}

export async function dismiss(question: Question): Promise<void> {
  told.questions = told.questions.filter((one) => one.id !== question.id);
  desk.changed('queue');
  if (!(await acts.act('POST', `questions/${part(question.id)}/answer`, { quiet: true }, t('did_dismiss')))) void told.fetch('questions');
}

// --- The room --------------------------------------------------------------------------------------------------------

export function setPolicy(patch: Record<string, unknown>): Promise<boolean> {
  const now = live.policy;
  const before = Object.fromEntries(Object.keys(patch).map((key) => [key, now?.[key] ?? null]));
  return acts.act('PATCH', 'policy', patch, t('did_policy'), () => api.call('PATCH', 'policy', before));
}

/** Nobody but staff may speak, and every screen is clean. */
export async function panic(): Promise<void> {
  const mode = live.policy?.mode;
  if (mode && mode !== 'staff') sessionStorage.setItem(modeKey, mode);
  await acts.act('POST', 'panic', {}, t('did_panic'));
}

/** The way back. */
export async function calm(): Promise<void> {
  await acts.act('PATCH', 'policy', { mode: sessionStorage.getItem(modeKey) ?? 'all' }, t('did_calm'));
}

const modeKey = `livecast.mode.${desk.room}`;
