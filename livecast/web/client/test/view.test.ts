import { describe, expect, test } from 'vitest';
import type { Frame } from '../src/protocol';
import { RoomView, type Snapshot } from '../src/view';
import { vectors } from './vectors';

interface Row {
  name: string;
  recent_max: number;
  snapshot: Snapshot;
  frames: Frame[];
  then: { taken: boolean; seq: number; state: object; policy: object; recent: object[] }[];
}

describe('the view says what the server says after the same frames', () => {
  test.each(vectors<Row>('view'))('$name', (row) => {
    const view = new RoomView(row.recent_max);
    view.reset(row.snapshot);
    const before = JSON.stringify(row.snapshot);
    row.frames.forEach((frame, i) => {
      const taken = view.apply(frame);
      const { seq, state, policy, recent } = view;
      expect(JSON.parse(JSON.stringify({ taken, seq, state, policy, recent }))).toEqual(row.then[i]);
    });
    expect(JSON.stringify(row.snapshot)).toBe(before);
  });
});

test('a patch never reaches a prototype', () => {
  const view = new RoomView();
  view.reset(vectors<Row>('view')[0]!.snapshot);
  view.apply(JSON.parse('{"t":"frame","epoch":"e","seq":3,"ts":1,"state":{"__proto__":{"owned":1},"custom":{"__proto__":{"owned":1}}}}') as Frame);
  expect(({} as { owned?: number }).owned).toBeUndefined();
});
