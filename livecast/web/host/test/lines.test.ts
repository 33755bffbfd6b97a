import { describe, expect, test } from 'vitest';
import type { Comment, Desk, Frame } from '@livecast/client';
import { add, Book, EVERYTHING, fitting, LINES_MAX, NOTHING, type Known, type Line } from '../lines';

const comment = (id: string, text = id, more: Partial<Comment> = {}): Comment => ({ id, u: { id: `u-${id}`, name: `Name ${id}` }, text, at: 1000, ...more });
const frame = (parts: Partial<Frame>): Frame => ({ t: 'frame', epoch: 'e', seq: 1, ts: 1000, ...parts });
const texts = (lines: readonly Line[]) => lines.map((line) => `${line.text} ${line.verdict}`);

describe('the book of comments', () => {
  test('what was shown, left out and said before is in the order in which it came', () => {
    const book = new Book();
    book.welcome([comment('a'), comment('b')]);
    book.frame(frame({ comments: [comment('c')] }));
    book.desk({ t: 'desk', comments: [{ ...comment('', 'spam'), verdict: 'sampled' }, { ...comment('h'), verdict: 'held' }], held: 1 });
    expect(texts(book.lines)).toEqual(['a shown', 'b shown', 'c shown', 'spam sampled', 'h held']);
  });

  test('numbers grow, what is held is shown late in its place, what is redacted stays to be seen as such', () => {
    const book = new Book();
    book.frame(frame({ comments: [comment('a'), comment('b')] }));
    book.desk({ t: 'desk', comments: [{ ...comment('h'), verdict: 'held' }] });
    const before = book.lines[1];
    book.frame(frame({ merges: [{ id: 'a', n: 7 }], comments: [comment('h', 'h', { late: true })], redact: { users: ['u-b'] } }));
    expect(book.get('a')?.n).toBe(7);
    expect(book.get('h')).toMatchObject({ verdict: 'shown', late: true });
    expect(book.get('b')?.verdict).toBe('redacted');
    expect(book.lines[1]).not.toBe(before);
    book.frame(frame({ redact: { comments: ['a', 'never heard of'] } }));
    expect(texts(book.lines)).toEqual(['a redacted', 'b redacted', 'h shown']);
  });

  test('a welcome in between doubles nothing', () => {
    const book = new Book();
    book.frame(frame({ comments: [comment('a'), comment('b')] }));
    book.welcome([comment('b'), comment('c')]);
    expect(texts(book.lines)).toEqual(['a shown', 'b shown', 'c shown']);
  });

  test('it is bounded, and finds its lines after the first have gone', () => {
    const book = new Book();
    for (let i = 0; i < LINES_MAX + 600; i++) book.frame(frame({ comments: [comment(`c${i}`)] }));
    expect(book.lines.length).toBeLessThanOrEqual(LINES_MAX + 500);
    expect(book.get('c0')).toBeUndefined();
    book.frame(frame({ merges: [{ id: 'c3000', n: 4 }, { id: 'c0', n: 9 }] }));
    expect(book.get('c3000')).toMatchObject({ text: 'c3000', n: 4 });
    expect(book.at(book.lines[5]!.no)).toBe(book.lines[5]);
  });

  test('while it stands still more is kept, and let go of afterwards', () => {
    const book = new Book();
    book.frame(frame({ comments: [comment('read')] }));
    book.paused = true;
    for (let i = 0; i < 2 * LINES_MAX; i++) book.frame(frame({ comments: [comment(`c${i}`)] }));
    expect(book.get('read')).toBeDefined();
    book.paused = false;
    book.frame(frame({ comments: [comment('next')] }));
    expect(book.lines.length).toBe(LINES_MAX);
    expect(book.get('read')).toBeUndefined();
    expect(book.get('next')).toBe(book.lines.at(-1));
  });

  test('what is known of people comes with the desk', () => {
    const book = new Book();
    const known: Known = { new: true, watched_s: 3, violations: 2, gifted: false };
    book.desk({ t: 'desk', comments: [], users: { ann: known } } as Desk & { users: Record<string, Known> });
    expect(book.known.get('ann')).toEqual(known);
  });
});

test('where viewers see aliases, what is known and what is redacted goes for both names', () => {
  const book = new Book();
  const known: Known = { new: false, watched_s: 3, violations: 1, gifted: false, alias: 'a_x' };
  book.frame(frame({ comments: [comment('a', 'shown', { u: { id: 'a_x', name: 'X' } })] }));
  const left = { ...comment('', 'left out', { u: { id: 'ann', name: 'X' } }), verdict: 'sampled' };
  book.desk({ t: 'desk', comments: [left], users: { ann: known } } as Desk & { users: Record<string, Known> });
  expect(book.known.get('a_x')).toBe(known);
  book.frame(frame({ redact: { users: ['a_x'] } }));
  expect(texts(book.lines)).toEqual(['shown redacted', 'left out redacted']);
});

describe('the filter', () => {
  const book = new Book();
  book.frame(frame({ comments: [comment('a', '多少钱', { lane: 0 }), comment('b', 'How MUCH?')] }));
  book.desk({ t: 'desk', comments: [{ ...comment('', 'merged one'), verdict: 'merged' }] });
  const texts = (filter: Partial<typeof EVERYTHING>, until: number | null = null) => fitting(book.lines, { ...EVERYTHING, ...filter }, until).map((l) => l.text);

  test('merged ones are in the numbers already', () => expect(texts({})).toEqual(['多少钱', 'How MUCH?']));
  test('by verdict', () => expect(texts({ verdicts: new Set(['merged']) })).toEqual(['merged one']));
  test('by lane', () => expect(texts({ lanes: new Set([0]) })).toEqual(['多少钱']));
  test('by words, whatever their case, in text and name', () => {
    expect(texts({ words: ' much ' })).toEqual(['How MUCH?']);
    expect(texts({ words: 'name a' })).toEqual(['多少钱']);
  });
  test('paused behind a line', () => expect(texts({}, 0)).toEqual(['多少钱']));
});

test('tallies add up, refusals by their code', () => {
  const once = add(NOTHING, { in: 5, shown: 2, merged: 1, rejected: { muted: 2 } });
  expect(add(once, { in: 2, held: 1, rejected: { muted: 1 } })).toEqual({ in: 7, shown: 2, merged: 1, sampled: 0, held: 1, rejected: { muted: 3 } });
  expect(NOTHING.rejected).toEqual({});
});
