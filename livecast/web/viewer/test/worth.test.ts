import type { Drop } from '@livecast/client';
import { describe, expect, test } from 'vitest';
import { callsOut, worthACard } from '../worth';

const drop = (id: string, state: string, more: Partial<Drop> = {}): Drop => ({ id, title: id, kind: 'coupon', state, stock: 1, left: 1, per_user: 1, ...more });
const draw = (id: string, state: string, more: Partial<Drop> = {}) => drop(id, state, { kind: 'draw', commitment: 'c', ...more });
const ids = (drops: Drop[], ...mine: string[]) => worthACard(drops, ({ id }) => mine.includes(id)).map(({ id }) => id);

describe('the cards of drops', () => {
  test('what can be won comes first, then what is to come, the sooner the earlier', () => {
    const all = [draw('over', 'settled'), drop('later', 'announced', { opens_at: 9 }), drop('soon', 'announced', { opens_at: 5 }), drop('gone', 'sold_out'), drop('now', 'open')];
    expect(ids(all)).toEqual(['now', 'soon', 'later', 'gone', 'over']);
  });

  test('drafts, what was cancelled and what is not known have none', () => {
    expect(ids([drop('a', 'draft'), drop('b', 'cancelled'), drop('c', 'something new')])).toEqual([]);
  });

  test('of what is over there are the latest draw and those one had a part in', () => {
    const all = [draw('mine', 'settled'), draw('old', 'settled'), drop('sale', 'closed'), drop('bought', 'closed'), draw('latest', 'settled')];
    expect(ids(all, 'mine', 'bought')).toEqual(['bought', 'mine', 'latest']);
  });

  test('what is first calls out when it comes and when it opens, and no more once it is over', () => {
    const said = ['announced', 'open', 'sold_out', 'closed'].map((state) => callsOut(worthACard([drop('a', state)], () => true)));
    expect(said).toEqual(['a announced', 'a open', '', '']);
    expect(callsOut([])).toBe('');
  });
});
