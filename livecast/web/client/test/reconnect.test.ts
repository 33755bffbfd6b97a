import { describe, expect, test } from 'vitest';
import type { Bye } from '../src/protocol';
import { after, afterStatus, pause } from '../src/reconnect';

const bye = (code: number, more: Partial<Bye> = {}): Bye => ({ t: 'bye', code, reason: '', reconnect: true, ...more });
const half = () => 0.5;

test('pauses double up to half a minute', () => {
  expect([0, 1, 2, 3, 4, 100].map((n) => pause(n, half))).toEqual([1500, 3000, 6000, 12_000, 15_000, 15_000]);
  expect(pause(3, () => 0)).toBe(0);
});

describe('after a close', () => {
  test.each([
    ['lost', 1006, null, 0, false, { delay_ms: 1500, fresh: false }],
    ['the server says when', 4000, bye(4000, { retry_after_ms: 700 }), 0, false, { delay_ms: 700, fresh: false }],
    ['… but not for ever', 4000, bye(4000, { retry_after_ms: 700 }), 1, false, { delay_ms: 3000, fresh: false }],
    ['… and never sooner', 4000, bye(4000, { retry_after_ms: 9000 }), 1, false, { delay_ms: 9000, fresh: false }],
    ['too slow', 4008, null, 0, false, { delay_ms: 500, fresh: false }],
    ['banned', 4003, null, 0, true, { stop: 4003 }],
    ['ended', 4010, bye(4010, { reconnect: false }), 0, true, { stop: 4010 }],
    ['expired, and a new token to be had', 4001, bye(4001, { reconnect: false }), 0, true, { delay_ms: 0, fresh: true }],
    ['expired, and none', 4001, null, 0, false, { stop: 4001 }],
    ['refused once', 4401, null, 0, true, { delay_ms: 0, fresh: true }],
    ['refused again', 4401, null, 1, true, { stop: 4401 }],
    ['the server would have us all the same', 4003, bye(4003), 0, false, { delay_ms: 1500, fresh: false }],
    ['not now', 4503, null, 2, false, { delay_ms: 6000, fresh: false }],
  ] as const)('%s', (_name, code, farewell, attempt, canRenew, step) => {
    expect(after(code, farewell, attempt, canRenew, half)).toEqual(step);
  });
});

test('HTTP statuses', () => {
  expect(afterStatus(503, 2000, 0, half)).toEqual({ delay_ms: 3500, fresh: false });
  expect(afterStatus(404, 0, 0, half)).toEqual({ stop: 4404 });
  expect(afterStatus(204, 0, 0, half)).toEqual({ stop: 4010 });
});
