import { expect, test } from 'vitest';
import { inOrder } from '../order';
import type { FullDrop } from '../told';

const drop = (id: string, state: string, more: Partial<FullDrop> = {}) => ({ id, state, ...more }) as FullDrop;
const ids = (drops: readonly FullDrop[]) => drops.map(({ id }) => id).join(' ');

test('what sells comes first, then the next to open, then drafts, then the latest that is over', () => {
  const drops = [
    drop('old', 'closed', { closed_at: 1 }), drop('draft', 'draft'), drop('later', 'announced', { opens_at: 20 }), drop('new', 'settled', { closed_at: 9 }),
    drop('gone', 'sold_out'), drop('soon', 'announced', { opens_at: 10 }), drop('held', 'paused'), drop('now', 'open'), drop('some day', 'announced'),
  ];
  expect(ids(inOrder(drops, {}))).toBe('now held gone soon later some day draft new old');
});

test('frames know better than the list, which stays as it was', () => {
  const drops = [drop('a', 'announced'), drop('b', 'draft')];
  expect(ids(inOrder(drops, { b: { state: 'open' } }))).toBe('b a');
  expect(ids(drops)).toBe('a b');
});

test('what is alike stays as it came', () => {
  expect(ids(inOrder([drop('a', 'open'), drop('b', 'open'), drop('c', 'cancelled'), drop('d', 'cancelled')], {}))).toBe('a b c d');
});
