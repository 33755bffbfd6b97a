/** Frames held back by the delay of the player, so that a countdown matches the picture. */

import type { Frame } from './protocol';

/** Frames held at most: three minutes of a busy room. Beyond it the oldest are let through early. */
const HELD_MAX = 900;

export class Playback {
  delay_ms = 0;
  private held: Frame[] = [];

  /** Hold a frame. */
  push(frame: Frame): void {
    this.held.push(frame);
  }

  /** The frames whose time has come by `serverNow` (Unix ms of the server), in order. */
  due(serverNow: number): Frame[] {
    let n = Math.max(0, this.held.length - HELD_MAX);
    while (n < this.held.length && (this.delay_ms <= 0 || this.held[n]!.ts + this.delay_ms <= serverNow)) n++;
    return this.held.splice(0, n);
  }

  /** All of them, at once. */
  flush(): Frame[] {
    return this.held.splice(0);
  }

  /** In how many ms the next one is due; infinite if none waits. */
  wait(serverNow: number): number {
    return this.held.length ? Math.max(0, this.held[0]!.ts + this.delay_ms - serverNow) : Infinity;
  }
}
