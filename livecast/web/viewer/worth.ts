/** Which drops are worth a card, and in which order. */

import type { Drop } from '@livecast/client';

const RANK: Record<string, number> = { open: 0, paused: 1, announced: 2, sold_out: 3, closed: 4, settled: 5 };
const OVER = 4;

/**
 * The most urgent first. Of what is over: what one had a part in, and the latest draw, for everybody to check. (The room keeps
 * them for ten minutes: an evening with a draw each minute would have nothing else to show.)
 */
export function worthACard(drops: readonly Drop[], mine: (drop: Drop) => boolean): Drop[] {
  const latest = drops.findLast((drop) => RANK[drop.state]! >= OVER && drop.commitment);
  return drops
    .filter((drop) => drop.state in RANK && (RANK[drop.state]! < OVER || drop === latest || mine(drop)))
    .sort((a, b) => RANK[a.state]! - RANK[b.state]! || (a.opens_at ?? 0) - (b.opens_at ?? 0));
}

/** What must be seen when it comes: the first card, while it is still to be won. Another one, or another state, is another text. */
export function callsOut([first]: readonly Drop[]): string {
  return first && (first.state === 'open' || first.state === 'announced') ? `${first.id} ${first.state}` : '';
}
