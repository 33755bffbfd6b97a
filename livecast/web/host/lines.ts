/** What was said, as staff see it: everything of a tick with what became of it. Pure: messages in, lines out. */

import type { Comment, Desk, Frame, Person } from '@livecast/client';

export type Verdict = 'shown' | 'merged' | 'sampled' | 'held' | 'blocked' | 'redacted';
export const VERDICTS: readonly Verdict[] = ['shown', 'sampled', 'merged', 'held', 'blocked', 'redacted'];

/** One comment. Lines are replaced, never changed, so that what is drawn knows by identity whether it is up to date. */
export interface Line {
  /** Rises by one with each line: the order in which they came. */
  no: number;
  /** Empty where the room gave none: what was merged, sampled or blocked. */
  id: string;
  u: Person;
  text: string;
  at: number;
  n: number;
  /** 0 staff, 1 who paid, 2 with a level or badge, 3 everybody. */
  lane: number;
  verdict: Verdict;
  late: boolean;
  reply_to: Comment['reply_to'];
  paid: Comment['paid'];
}

/** What is known of somebody, as `desk` messages and `GET …/users/{user}` say it. */
export interface Known {
  new: boolean;
  watched_s: number;
  violations: number;
  gifted: boolean;
  orders?: number;
  bought?: string[];
  /** As whom viewers see them, where they see no ids. */
  alias?: string;
}

/** Lines kept: at 40 a second the last minute and more; whoever wants to go further back searches. */
export const LINES_MAX = 3000;
/** … or so many while the list stands still: what is read must not go away under the reader. Some 5 MB. */
export const PAUSED_MAX = 12_000;
/** Dropped at once, so that the list does not move with every line. */
const DROPPED = 500;
const KNOWN_MAX = 2000;

export class Book {
  private kept: Line[] = [];
  private next = 0;
  private readonly places = new Map<string, number>();
  readonly known = new Map<string, Known>();
  /** The list stands still. */
  paused = false;
  private readonly behind = new Map<string, string>();

  /** Oldest first. */
  get lines(): readonly Line[] {
    return this.kept;
  }

  get(id: string): Line | undefined {
    const no = this.places.get(id);
    return no === undefined ? undefined : this.at(no);
  }

  /** The line with this number, unless it is gone. */
  at(no: number): Line | undefined {
    const first = this.kept[0]?.no ?? 0;
    return this.kept[no - first];
  }

  /** A welcome: comments that are not known yet. What is here stays, being more than a welcome has. */
  welcome(recent: readonly Comment[]): void {
    for (const comment of recent) if (!this.places.has(comment.id)) this.add(comment, 'shown');
  }

  frame(frame: Frame): void {
    for (const comment of frame.comments ?? []) {
      if (comment.redacted) continue;
      if (this.places.has(comment.id)) this.change(comment.id, { verdict: 'shown', late: comment.late ?? false });
      else this.add(comment, 'shown');
    }
    for (const { id, n } of frame.merges ?? []) this.change(id, { n });
    for (const id of frame.redact?.comments ?? []) this.change(id, { verdict: 'redacted' });
    const users = new Set(frame.redact?.users);
    for (const user of frame.redact?.users ?? []) users.add(this.behind.get(user) ?? user);
    if (users.size) {
      this.kept = this.kept.map((line) => (users.has(line.u.id) && line.verdict !== 'redacted' ? { ...line, verdict: 'redacted' } : line));
    }
  }

  desk(desk: Desk & { users?: Record<string, Known> }): void {
    for (const comment of desk.comments ?? []) {
      if (!comment.id || !this.places.has(comment.id)) this.add(comment, comment.verdict as Verdict);
    }
    for (const [user, known] of Object.entries(desk.users ?? {})) this.learn(user, known);
  }

  learn(user: string, known: Known): void {
    this.known.delete(user);
    this.known.set(user, known);
    if (known.alias) {
      this.known.set(known.alias, known);
      this.behind.set(known.alias, user);
    }
    for (const map of [this.known, this.behind]) if (map.size > KNOWN_MAX) map.delete(map.keys().next().value!);
  }

  /** What became of one, as far as it is here. */
  change(id: string, change: Partial<Line>): void {
    const line = this.get(id);
    if (line) this.kept[line.no - this.kept[0]!.no] = { ...line, ...change };
  }

  private add(comment: Comment, verdict: Verdict): void {
    const { id = '', u, text = '', at = 0, n = 1, lane = 3, late = false, reply_to, paid } = comment;
    if (!u) return;
    const no = this.next++;
    this.kept.push({ no, id, u, text, at, n, lane, verdict, late, reply_to, paid });
    if (id) this.places.set(id, no);
    const max = this.paused ? PAUSED_MAX : LINES_MAX;
    if (this.kept.length > max + DROPPED) {
      for (const line of this.kept.splice(0, this.kept.length - max)) if (line.id) this.places.delete(line.id);
    }
  }
}

/** Which lines to show. */
export interface Filter {
  verdicts: ReadonlySet<Verdict>;
  lanes: ReadonlySet<number>;
  /** In the text, the name or the id. */
  words: string;
}

export const EVERYTHING: Filter = { verdicts: new Set(VERDICTS.filter((v) => v !== 'merged')), lanes: new Set([0, 1, 2, 3]), words: '' };

/** The lines that fit, up to the number `until` (the list is paused there) if there is one. */
export function fitting(lines: readonly Line[], filter: Filter, until: number | null): Line[] {
  const words = filter.words.trim().toLowerCase();
  const all = filter.lanes.size === 4;
  return lines.filter(
    (line) =>
      (until === null || line.no <= until) &&
      filter.verdicts.has(line.verdict) &&
      (all || filter.lanes.has(line.lane)) &&
      (!words || line.text.toLowerCase().includes(words) || line.u.name.toLowerCase().includes(words) || line.u.id.toLowerCase().includes(words)),
  );
}

/** `in = shown + merged + sampled + held + Σ rejected`, added up. */
export interface Tally {
  in: number;
  shown: number;
  merged: number;
  sampled: number;
  held: number;
  rejected: Record<string, number>;
}

export const NOTHING: Tally = { in: 0, shown: 0, merged: 0, sampled: 0, held: 0, rejected: {} };

export function add(tally: Tally, more: Partial<Tally>): Tally {
  const rejected = { ...tally.rejected };
  for (const [code, n] of Object.entries(more.rejected ?? {})) rejected[code] = (rejected[code] ?? 0) + n;
  const sum = (name: 'in' | 'shown' | 'merged' | 'sampled' | 'held') => tally[name] + (more[name] ?? 0);
  return { in: sum('in'), shown: sum('shown'), merged: sum('merged'), sampled: sum('sampled'), held: sum('held'), rejected };
}
