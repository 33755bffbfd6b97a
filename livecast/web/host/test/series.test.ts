import { describe, expect, test } from 'vitest';
import type { Combo, Drop, Frame, RoomState } from '@livecast/client';
import { Series, STEP_MS, STEPS_MAX } from '../series';

const T = 1_700_000_000_000;
const frame = (at: number, parts: Partial<Frame>): Frame => ({ t: 'frame', epoch: 'e', seq: 1, ts: T + at, ...parts });
const drop = (left: number, stock = 10): Record<string, Drop> => ({ d: { id: 'd', title: 'd', kind: 'coupon', state: 'open', stock, left, per_user: 1 } });
const state = (left: number) => ({ drops: drop(left), viewers: { connections: 3, users: 2, total: 2 } }) as unknown as RoomState;
const combo = (n: number, more: Partial<Combo> = {}): Combo => ({ combo: 'c', u: { id: 'a', name: 'A' }, gift: 'rose', n, value: n, tier: 1, done: false, ...more });

describe('figures over time', () => {
  test('frames fill the step that they are in; the audience is the highest, the rest adds up', () => {
    const series = new Series();
    series.frame(frame(0, { likes: { delta: 3, total: 3 }, tally: { in: 4, shown: 2 }, viewers: { connections: 9, users: 8, total: 8 } }), {});
    series.frame(frame(4000, { likes: { delta: 2, total: 5 }, viewers: { connections: 5, users: 4, total: 8 } }), {});
    series.frame(frame(STEP_MS, { viewers: { connections: 2, users: 1, total: 8 } }), {});
    expect(series.points).toMatchObject([{ at: T, likes: 5, comments: 4, shown: 2, users: 8 }, { at: T + STEP_MS, likes: 0, users: 1 }]);
  });

  test('steps in which nothing happened are there, with the audience as it was', () => {
    const series = new Series();
    series.frame(frame(0, { viewers: { connections: 9, users: 8, total: 8 } }), {});
    series.tick(T + 3 * STEP_MS + 1);
    expect(series.points.map((p) => [p.at - T, p.users, p.likes])).toEqual([0, 1, 2, 3].map((n) => [n * STEP_MS, 8, 0]));
  });

  test('combos count by what they grew, also when one update was missed or comes twice', () => {
    const series = new Series();
    for (const n of [1, 2, 2, 5]) series.frame(frame(0, { gifts: [combo(n)] }), {});
    series.frame(frame(0, { gifts: [combo(5, { done: true })] }), {});
    expect(series.points[0]!.gift_value).toBe(5);
  });

  test('claims are what is left less; stock that is added is none, nor a unit that comes back', () => {
    const series = new Series();
    series.welcome(state(10), T);
    const told = frame(0, { state: { drops: {} } });
    series.frame(told, drop(7));
    series.frame(told, drop(27, 30));
    expect(series.points[0]!.claims).toBe(3);
    series.frame(told, drop(25, 30));
    series.frame(told, drop(26, 30));
    expect(series.points[0]!.claims).toBe(5);
    series.frame(told, { ...drop(26, 30), new: { ...drop(4, 5).d!, id: 'new' } });
    expect(series.points[0]!.claims).toBe(6);
  });

  test('the archive fills in what was before, and the present stays as frames told it', () => {
    const series = new Series();
    series.frame(frame(5 * STEP_MS, { likes: { delta: 9, total: 9 } }), {});
    const past = (at: number, users: number | null) => ({ at: T + at, connections: users, users, comments: 1, shown: 1, likes: 1, gift_value: 0, claims: 0 });
    series.load([past(0, 4), past(3 * STEP_MS, null), past(5 * STEP_MS, 4)], T + 5 * STEP_MS);
    expect(series.points.map((p) => [(p.at - T) / STEP_MS, p.likes, p.users])).toEqual([[0, 1, 4], [1, 0, 4], [2, 0, 4], [3, 1, 4], [4, 0, 4], [5, 9, 0]]);
  });

  test('it is bounded', () => {
    const series = new Series();
    for (let i = 0; i < STEPS_MAX + 50; i++) series.tick(T + i * STEP_MS);
    expect(series.points.length).toBe(STEPS_MAX);
    expect(series.points.at(-1)!.at).toBe(T + (STEPS_MAX + 49) * STEP_MS);
  });
});
