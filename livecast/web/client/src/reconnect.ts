/**
 * Whether and when to come back after a connection ended, without I/O.
 *
 * Pauses are drawn with full jitter: a random moment below a bound that doubles, so that an audience that was cut off together
 * does not come back together.
 */

import type { Bye } from './protocol';

/** Bound of the first pause: an audience of thousands comes back over three seconds. */
export const FIRST_MS = 3000;
/** Bound of any later one. */
export const LAST_MS = 30_000;

/** Close codes after which coming back as the same client is pointless, unless the `bye` says otherwise. */
const FINAL = new Set([4002, 4003, 4010, 4400, 4401, 4403, 4404, 1002, 1003, 1007, 1009, 1010]);
const TOKEN_EXPIRED = 4001;
const NOT_AUTHENTICATED = 4401;
const TOO_SLOW = 4008;

/** What to do next: come back after `delay_ms` (with a fresh token if `fresh`), or stay away. */
export type Step = { delay_ms: number; fresh: boolean } | { stop: number };

/** A random number in [0, 1). */
export type Chance = () => number;

/** Full jitter below 3, 6, 12, 24, 30, 30… seconds. */
export const pause = (attempt: number, chance: Chance): number =>
  chance() * Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));

/**
 * What to do after a close with `code` (1006: none), the `attempt`-th in a row without a good connection in between.
 * `canRenew`: there is a source of fresh tokens, which turns an expired or refused token into a single new try.
 */
export function after(code: number, bye: Bye | null, attempt: number, canRenew: boolean, chance: Chance): Step {
  if (code === TOKEN_EXPIRED || code === NOT_AUTHENTICATED) {
    if (canRenew && (code === TOKEN_EXPIRED || attempt === 0)) {
      return { delay_ms: attempt ? pause(attempt, chance) : 0, fresh: true };
    }
    return { stop: code };
  }
  if (bye ? !bye.reconnect : FINAL.has(code)) return { stop: code };
  // Never sooner than told; later if it goes on and on.
  if (bye?.retry_after_ms !== undefined) {
    return { delay_ms: Math.max(bye.retry_after_ms, attempt ? pause(attempt, chance) : 0), fresh: false };
  }
  // Too slow: nothing is wrong with the server, only do not come back in step with others.
  return { delay_ms: code === TOO_SLOW && attempt === 0 ? chance() * 1000 : pause(attempt, chance), fresh: false };
}

/** What to do after an HTTP `status` where a stream or file was asked for. */
export function afterStatus(status: number, retryAfter_ms: number, attempt: number, chance: Chance): Step {
  if (status === 429 || status >= 500) return { delay_ms: retryAfter_ms + pause(attempt, chance), fresh: false };
  return { stop: status === 204 ? 4010 : 4000 + status };
}
