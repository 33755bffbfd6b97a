/**
 * A room as of one frame, built from a welcome and the frames after it.
 *
 * After the same frames it says the same as the server's own view: both are held against `tests/wire/vectors/view.json`.
 */

import type { Comment, Frame, Json, JsonObject, Policy, RoomState } from './protocol';

/** What a room says of itself before its first broadcast; a patch that takes a member away leads back here. */
const DEFAULTS: RoomState = {
  broadcast: '',
  title: '',
  status: 'scheduled',
  hosts: [],
  likes: 0,
  viewers: { connections: 0, users: 0, total: 0 },
  products: {},
  on_air: null,
  notice: null,
  board: [],
  drops: {},
  polls: {},
  gifts: { rev: 0, url: '/v1/gifts' },
  custom: {},
};

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A merge patch (RFC 7396) applied; neither argument is changed. */
export function merge(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const merged: Map<string, Json> = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, merge(merged.get(key), value));
  }
  return Object.fromEntries(merged); // a key like __proto__ is a key like any other
}

/** What a view begins with. */
export interface Snapshot {
  epoch: string;
  seq: number;
  state: RoomState;
  policy: Policy;
  recent: Comment[];
}

export class RoomView {
  epoch = '';
  /** The last frame that is part of this view. */
  seq = 0;
  state: RoomState = DEFAULTS;
  policy: Policy = {} as Policy;
  /** The last comments, oldest first. */
  recent: readonly Comment[] = [];

  /** `recentMax`: how many comments are remembered. */
  constructor(private readonly recentMax = 100) {}

  /** Begin anew. */
  reset(snapshot: Snapshot): void {
    this.epoch = snapshot.epoch;
    this.seq = snapshot.seq;
    this.state = { ...DEFAULTS, ...snapshot.state };
    this.policy = snapshot.policy;
    this.recent = snapshot.recent;
  }

  /** Take the next frame in. False, and nothing changed, if it is of another epoch, known already, or after a hole. */
  apply(frame: Frame): boolean {
    if (frame.epoch !== this.epoch || frame.seq !== this.seq + 1) return false;
    this.seq = frame.seq;
    if (frame.state) {
      const { policy, ...patch } = frame.state;
      this.state = { ...DEFAULTS, ...(merge(this.state as unknown as Json, patch) as unknown as RoomState) };
      if (policy !== undefined) this.policy = merge(this.policy, policy) as Policy;
    }
    if (frame.likes) this.state = { ...this.state, likes: frame.likes.total };
    if (frame.viewers) this.state = { ...this.state, viewers: frame.viewers };
    this.recent = advance(this.recent, frame, this.recentMax);
    return true;
  }
}

/** The last comments after a frame: new ones, larger numbers, less what was redacted. */
function advance(recent: readonly Comment[], frame: Frame, max: number): readonly Comment[] {
  if (frame.comments?.length) recent = max > 0 ? [...recent, ...frame.comments].slice(-max) : [];
  if (frame.merges?.length) {
    const grown = new Map(frame.merges.map((m) => [m.id, m.n]));
    recent = recent.map((c) => (grown.has(c.id) ? { ...c, n: grown.get(c.id)! } : c));
  }
  if (frame.redact) {
    const comments = new Set(frame.redact.comments);
    const users = new Set(frame.redact.users);
    recent = recent
      .filter((c) => !comments.has(c.id) && !(c.u && users.has(c.u.id)))
      .map((c) => (c.reply_to && (comments.has(c.reply_to.id) || users.has(c.reply_to.u.id)) ? without(c) : c));
  }
  return recent;
}

/** A reply without the words it repeats. */
function without({ reply_to: _, ...comment }: Comment): Comment {
  return comment;
}
