import type { Comment, OwnComment } from '@livecast/client';
import { describe, expect, test } from 'vitest';
import { linesOf, namesLike, pinned } from '../lines';

const you = { id: 'ann', name: 'Ann', role: 'viewer', anonymous: false, can: [] };
const said = (id: string, u: string, more: Partial<Comment> = {}): Comment => ({ id, u: { id: u, name: u.toUpperCase() }, text: id, at: Number(id.slice(1)), ...more });
const own = (cid: string, state: string, more: Partial<OwnComment> = {}): OwnComment => ({ cid, text: cid, at: 2, state, ...more });
const shown = (all: Comment[], owns: OwnComment[], who: typeof you & { alias?: string } = you) =>
  linesOf(all, owns, who).map(({ key, mine, state }) => `${key}${mine ? ' mine' : ''}${state ? ` ${state.state}` : ''}`);

describe('the list', () => {
  test('what is being sent comes last; what nobody else sees stays where it was said', () => {
    const all = [said('c1', 'bo'), said('c2', 'bo'), said('c9', 'bo')];
    expect(shown(all, [own('x', 'sampled'), own('y', 'sending'), own('z', 'muted', { at: 0 })])).toEqual(['z mine muted', 'c1', 'c2', 'x mine sampled', 'c9', 'y mine sending']);
  });

  test('once the room shows it there is one line, and one that was joined says so', () => {
    expect(shown([said('c1', 'ann'), said('c2', 'bo')], [own('x', 'shown', { id: 'c1' }), own('y', 'merged', { id: 'c2' })])).toEqual(['c1 mine', 'c2 mine merged']);
  });

  test('an answer that overtakes its frame shows nothing twice', () => {
    expect(shown([], [own('x', 'shown', { id: 'c7' })])).toEqual([]);
  });

  test('redacted ones are not there, and with an alias one knows oneself by it', () => {
    expect(shown([said('c1', 'a_x'), said('c2', 'ann'), { id: 'c3', redacted: true }], [], { ...you, alias: 'a_x' })).toEqual(['c1 mine', 'c2']);
  });
});

test('paid comments are pinned as long as their gifts bought, the dearest first', () => {
  const paid = (value: number, pin_s: number) => ({ paid: { gift: 'g', value, pin_s } });
  const all = [said('c1', 'a', paid(10, 10)), said('c2', 'b', paid(1000, 60)), said('c3', 'c', paid(1, 0)), said('c4', 'd')];
  expect(pinned(all, 5000).map((c) => c.id)).toEqual(['c2', 'c1']);
  expect(pinned(all, 10_001).map((c) => c.id)).toEqual(['c2']);
  expect(pinned(all, 60_002)).toEqual([]);
});

test('people are offered by the beginning of their names, the latest first, never oneself', () => {
  const all = [said('c1', 'bo'), said('c2', 'bob'), said('c3', 'cy'), said('c4', 'ann'), said('c5', 'bo')];
  expect(namesLike(all, 'B', you, 5).map(({ id }) => id)).toEqual(['bo', 'bob']);
  expect(namesLike(all, 'a', you, 5)).toEqual([]);
  expect(namesLike(all, 'b', you, 1)).toHaveLength(1);
});
