import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Arming } from '../arming';

describe('what cannot be taken back', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('is done by the second press of the same, and asked for anew after that', () => {
    const arming = new Arming(() => undefined);
    expect([arming.press('a'), arming.press('a'), arming.press('a')]).toEqual([false, true, false]);
  });

  test('a press of something else asks about that instead', () => {
    const arming = new Arming(() => undefined);
    expect([arming.press('a'), arming.press('b'), arming.press('a')]).toEqual([false, false, false]);
    expect(arming.what).toBe('a');
  });

  test('is forgotten after four seconds, counted from the last press, and each change is told', () => {
    const seen: string[] = [];
    const arming = new Arming(() => seen.push(arming.what));
    arming.press('a');
    vi.advanceTimersByTime(3000);
    arming.press('b');
    vi.advanceTimersByTime(3999);
    expect(arming.what).toBe('b');
    vi.advanceTimersByTime(1);
    expect(arming.press('b')).toBe(false);
    expect(seen).toEqual(['a', 'b', '', 'b']);
  });
});
