/** Figures over time, in steps of ten seconds: what the archive has, gone on with by what frames tell. Pure. */

import type { Drop, Frame, RoomState } from '@livecast/client';

export const STEP_MS = 10_000;
/** Two hours; what is longer ago is in the report. */
export const STEPS_MAX = 720;

/** A step from `at` on. `users`, `connections`: the highest in it; the rest is added up. */
export interface Point {
  at: number;
  connections: number;
  users: number;
  comments: number;
  shown: number;
  likes: number;
  gift_value: number;
  claims: number;
}

/** As `GET …/stats` has it: null where nothing changed. */
export type Stored = Omit<Point, 'connections' | 'users'> & { connections: number | null; users: number | null };

const start = (at: number): number => Math.floor(at / STEP_MS) * STEP_MS;
const empty = (at: number, before: Point | undefined): Point => ({
  at, connections: before?.connections ?? 0, users: before?.users ?? 0, comments: 0, shown: 0, likes: 0, gift_value: 0, claims: 0,
});

export class Series {
  points: Point[] = [];
  private readonly combos = new Map<string, number>();
  private readonly left = new Map<string, { left: number; stock: number }>();

  /** What the archive says, for steps that are over; the last ones stay as frames told them. */
  load(stored: readonly Stored[], now: number): void {
    const live = this.points.filter((p) => p.at >= start(now) - STEP_MS);
    const until = live[0]?.at ?? start(now);
    const merged: Point[] = [];
    for (const one of stored) {
      if (one.at >= until) break;
      const before = merged.at(-1);
      this.fill(merged, one.at);
      merged.push({ ...one, connections: one.connections ?? before?.connections ?? 0, users: one.users ?? before?.users ?? 0 });
    }
    if (merged.length && live.length) this.fill(merged, live[0]!.at);
    this.points = [...merged, ...live].slice(-STEPS_MAX);
  }

  /** How things stand before frames come: from here on changes of `left` are claims. */
  welcome(state: RoomState, now: number): void {
    this.left.clear();
    for (const drop of Object.values(state.drops)) this.left.set(drop.id, { left: drop.left, stock: drop.stock });
    const point = this.step(now);
    point.users = Math.max(point.users, state.viewers.users);
    point.connections = Math.max(point.connections, state.viewers.connections);
  }

  /** One frame, and the room's drops after it. */
  frame(frame: Frame, drops: Record<string, Drop>): void {
    const fresh = !this.points.length || this.points.at(-1)!.at < start(frame.ts);
    const point = this.step(frame.ts);
    if (frame.viewers) {
      point.users = fresh ? frame.viewers.users : Math.max(point.users, frame.viewers.users);
      point.connections = fresh ? frame.viewers.connections : Math.max(point.connections, frame.viewers.connections);
    }
    const tally = frame.tally as { in?: number; shown?: number } | undefined;
    point.comments += tally?.in ?? 0;
    point.shown += tally?.shown ?? 0;
    point.likes += frame.likes?.delta ?? 0;
    for (const combo of frame.gifts ?? []) {
      point.gift_value += Math.max(0, combo.value - (this.combos.get(combo.combo) ?? 0));
      if (combo.done) this.combos.delete(combo.combo);
      else this.combos.set(combo.combo, combo.value);
    }
    if (frame.state?.drops) point.claims += this.claimed(drops);
  }

  /** Time passes, also when nothing happens: the last step is the present one. */
  tick(now: number): void {
    this.step(now);
  }

  private claimed(drops: Record<string, Drop>): number {
    let claims = 0;
    for (const drop of Object.values(drops)) {
      const before = this.left.get(drop.id) ?? { left: drop.stock, stock: drop.stock };
      // Stock that is added or taken away is no claim; neither is a unit that comes back.
      claims += Math.max(0, before.left - drop.left + drop.stock - before.stock);
      this.left.set(drop.id, { left: drop.left, stock: drop.stock });
    }
    return claims;
  }

  private step(now: number): Point {
    const at = start(now);
    const last = this.points.at(-1);
    if (last && last.at >= at) return last;
    if (last) this.fill(this.points, at);
    const point = empty(at, last);
    this.points.push(point);
    if (this.points.length > STEPS_MAX) this.points = this.points.slice(-STEPS_MAX);
    return point;
  }

  /** Steps in which nothing happened, up to `at`. */
  private fill(points: Point[], at: number): void {
    for (let last = points.at(-1); last && last.at + STEP_MS < at; last = points.at(-1)) {
      if (at - last.at > STEPS_MAX * STEP_MS) return;
      points.push(empty(last.at + STEP_MS, last));
    }
  }
}
