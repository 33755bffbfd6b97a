/**
 * What clients and servers say to each other, as types. Shapes and bounds are those of docs/protocol.md.
 *
 * Readers ignore what they do not know: every object may carry more than is named here. Times are Unix milliseconds.
 */

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** Somebody as other viewers see them. What is at its default is left out. */
export interface Person {
  id: string;
  name: string;
  role?: string;
  level?: number;
  badges?: string[];
  avatar?: string;
  anonymous?: boolean;
}

/** How a comment wants to look. */
export interface Style {
  /** 0 to 0xFFFFFF. */
  color?: number;
  mode?: 'scroll' | 'top' | 'bottom';
}

/** One line on the screen. A redacted one, in a replayed frame, is `{id, redacted}` and nothing else. */
export interface Comment {
  id: string;
  u?: Person;
  text?: string;
  at?: number;
  /** So many people said it; absent: one. */
  n?: number;
  style?: Style | null;
  /** 0 staff, 1 who paid, 2 with a level or badge, 3 (absent) everybody. */
  lane?: number;
  reply_to?: { id: string; u: Person; text: string } | null;
  mentions?: string[];
  meta?: JsonObject | null;
  paid?: { gift: string; value: number; pin_s: number } | null;
  late?: boolean;
  redacted?: boolean;
}

/** One person's run of the same gift; `n` and `value` are of the whole run so far. */
export interface Combo {
  combo: string;
  u: Person;
  to?: string;
  gift: string;
  n: number;
  value: number;
  tier: number;
  done: boolean;
}

export interface Viewers {
  connections: number;
  users: number;
  total: number;
}

export interface Drop {
  id: string;
  title: string;
  kind: 'coupon' | 'draw';
  state: string;
  stock: number;
  left: number;
  opens_at?: number;
  closes_at?: number;
  per_user: number;
  eligibility?: JsonObject;
  order?: string;
  sku?: string;
  meta?: JsonObject;
  commitment?: string;
  result?: JsonObject;
  /** Who won a draw, as far as the room tells: masked names come without an id. */
  winners?: { u: { id?: string; name: string }; serial: number }[];
  test?: boolean;
}

export interface Poll {
  id: string;
  question: string;
  choices: { text: string; votes: number }[];
  state: 'open' | 'closed';
  closes_at?: number;
  results: 'live' | 'after_close';
}

export interface Product {
  title: string;
  price?: { amount: number; currency: string };
  list_price?: { amount: number; currency: string };
  image?: string;
  url?: string;
  sku?: string;
  status?: string;
  order?: number;
}

/** The public state of a room. */
export interface RoomState {
  broadcast: string;
  title: string;
  status: 'scheduled' | 'live' | 'paused' | 'ended';
  starts_at?: number;
  started_at?: number;
  ended_at?: number;
  redirect?: string;
  hosts: { id: string; name?: string; avatar?: string }[];
  likes: number;
  viewers: Viewers;
  products: Record<string, Product>;
  on_air: string | null;
  notice: { text: string; until?: number } | null;
  board: { u: Person; value?: number }[];
  drops: Record<string, Drop>;
  polls: Record<string, Poll>;
  gifts: { rev: number | string; url: string };
  custom: JsonObject;
}

/** What viewers may do. */
export interface Policy {
  tick_ms: number;
  keepalive_ms: number;
  comment_max_chars: number;
  slow_mode_s: number;
  mode: string;
  min_level: number;
  like_max_per_s: number;
  anonymous: 'off' | 'read' | 'like';
  [key: string]: Json;
}

/** How the server sees this client. */
export interface You {
  id: string;
  /** What everybody sees instead of `id`, where the room hides its users. */
  alias?: string;
  name: string;
  role: string;
  anonymous: boolean;
  can: string[];
  expires_at?: number;
  balance?: number;
}

/** Under which id frames show oneself: so one's own comments and mentions are told. */
export function seenAs(you: You | null | undefined): string | undefined {
  return you?.alias ?? you?.id;
}

export interface Welcome {
  t: 'welcome';
  v: number;
  room: string;
  reason: string;
  conn?: string;
  you?: You;
  epoch: string;
  seq: number;
  recovered: boolean;
  state: RoomState;
  recent: Comment[];
  policy: Policy;
  now: number;
}

export interface Frame {
  t: 'frame';
  epoch: string;
  seq: number;
  ts: number;
  comments?: Comment[];
  merges?: { id: string; n: number }[];
  likes?: { delta: number; total: number };
  gifts?: Combo[];
  viewers?: Viewers;
  activity?: JsonObject;
  events?: { id: string; type: string; at: number; data: Json; u?: Person }[];
  state?: JsonObject;
  redact?: { comments?: string[]; users?: string[] };
  tally?: JsonObject;
}

/** What became of a request: its verdict, and beside it what that verdict needs. */
export interface Ack {
  t: 'ack';
  cid: string;
  verdict: string;
  id?: string;
  seq?: number;
  counted?: number;
  you?: You;
  tx?: string;
  balance?: number;
  serial?: number;
  of?: number;
  code?: string;
  receipt?: string;
  expires_at?: number;
  nonce?: string;
  opens_in_ms?: number;
  missing?: { rule: string; have: Json; need: Json }[];
}

export interface ErrorMessage {
  t: 'error';
  code: string;
  message: string;
  cid?: string;
  retry_after_ms?: number;
  field?: string;
}

export interface Notice {
  t: 'notice';
  id: string;
  kind: string;
  at: number;
  data: Json;
}

export interface Pong {
  t: 'pong';
  cid?: string;
  now: number;
  epoch: string;
  seq: number;
}

export interface Bye {
  t: 'bye';
  code: number;
  reason: string;
  reconnect: boolean;
  retry_after_ms?: number;
  redirect?: string;
}

/** For staff: what the lanes left out, how many comments wait, what was reported. */
export interface Desk {
  t: 'desk';
  comments?: (Comment & { verdict: string })[];
  held?: number;
  reports?: Json[];
}

export type ServerMessage = Welcome | Frame | Ack | ErrorMessage | Notice | Pong | Bye | Desk;

/** Anything a client may say; `t` names the kind. */
export type ClientMessage = { t: string; cid?: string } & Record<string, unknown>;
