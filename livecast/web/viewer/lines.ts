/** The list of comments: the room's, and in between one's own that nobody else sees (yet). */

import { seenAs, type Comment, type OwnComment, type You } from '@livecast/client';

export interface Line {
  key: string;
  comment: Comment;
  mine: boolean;
  /** What is known of one's own, if it is not simply shown. */
  state: OwnComment | null;
}

/** Room and own comments as one list, in the order to show. */
export function linesOf(all: readonly Comment[], owns: Iterable<OwnComment>, you: You | null): Line[] {
  const recent = all.filter((c) => !c.redacted);
  const known = new Set(recent.map((c) => c.id));
  const mine = new Map<string, OwnComment>();
  const apart: OwnComment[] = [];
  for (const own of owns) {
    if (own.id !== undefined && known.has(own.id)) mine.set(own.id, own);
    else if (own.state !== 'shown' && own.state !== 'merged') apart.push(own);
  }
  const lines: Line[] = recent.map((comment) => {
    const own = mine.get(comment.id) ?? null;
    return { key: comment.id, comment, mine: own !== null || (!!you && comment.u?.id === seenAs(you)), state: own?.state === 'merged' ? own : null };
  });
  for (const own of apart) {
    const at = lines.findLastIndex((line) => (line.comment.at ?? 0) <= own.at);
    const comment = { id: '', u: { id: seenAs(you) ?? '', name: you?.name ?? '' }, text: own.text, at: own.at };
    lines.splice(own.state === 'sending' ? lines.length : at + 1, 0, { key: own.cid, comment, mine: true, state: own });
  }
  return lines;
}

/** Paid comments that are pinned at `now`, the dearest first. */
export function pinned(all: readonly Comment[], now: number): Comment[] {
  return all
    .filter((c) => c.paid && !c.redacted && c.paid.pin_s > 0 && (c.at ?? 0) + c.paid.pin_s * 1000 > now)
    .sort((a, b) => b.paid!.value - a.paid!.value);
}

/** People of the list whose names begin so, the latest first, each once. */
export function namesLike(all: readonly Comment[], begin: string, you: You | null, max: number): { id: string; name: string }[] {
  const found = new Map<string, string>();
  const wanted = begin.toLowerCase();
  for (let i = all.length - 1; i >= 0 && found.size < max; i--) {
    const u = all[i]!.u;
    if (u?.name && u.id !== seenAs(you) && u.name.toLowerCase().startsWith(wanted)) found.set(u.id, u.name);
  }
  return [...found].map(([id, name]) => ({ id, name }));
}
