/** In which order a host sees drops: what sells first, then what will, then what has. */

import type { FullDrop } from './told';

const RANKS = ['open', 'paused', 'sold_out', 'announced', 'draft'];
const LAST = RANKS.length;

const rank = (state: string) => {
  const at = RANKS.indexOf(state);
  return at < 0 ? LAST : at;
};

/** `states`: what frames said since the list was read, by id. Those to come: the next one first; those that are over: the latest. */
export function inOrder(drops: readonly FullDrop[], states: Readonly<Record<string, { state: string } | undefined>>): FullDrop[] {
  const rankOf = (drop: FullDrop) => rank(states[drop.id]?.state ?? drop.state);
  return [...drops].sort((one, other) => {
    const apart = rankOf(one) - rankOf(other);
    if (apart !== 0) return apart;
    return rankOf(one) === LAST ? (other.closed_at ?? 0) - (one.closed_at ?? 0) : (one.opens_at ?? Infinity) - (other.opens_at ?? Infinity) || 0;
  });
}
