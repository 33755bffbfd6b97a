/** What a client is told and tells: its options, and the shapes of its events. */

import type { CodecName } from './codec';
import type { Bye, Desk, ErrorMessage, Frame, Notice, Welcome } from './protocol';
import type { Chance } from './reconnect';
import type { Fetch, TransportName, WebSocketMaker } from './transport';

export interface Options {
  /** The node: `https://live.example`. In a page, absent: where the page came from. */
  url?: string;
  room: string;
  /** A JWT. Neither this nor `getToken`: anonymous. */
  token?: string;
  /** Gives fresh tokens; then the token is renewed on the live socket before it expires. */
  getToken?: () => string | Promise<string>;
  /** MessagePack if not said otherwise; JSON is easier to read in a browser's tools. */
  codec?: CodecName;
  /** Which ways to try, in this order; each but the last is left after two failures in a row. All three if not said. */
  transports?: TransportName[];
  /** In place of the global ones: mini-programs, React Native, Node 20 (which has no WebSocket of its own), tests. */
  WebSocket?: WebSocketMaker;
  fetch?: Fetch;
  /** Resume from `EPOCH:SEQ`. */
  since?: string;
  /** Comments that the view remembers. */
  recentMax?: number;
  /** For tests: a random number in [0, 1). */
  chance?: Chance;
}

/**
 * Where the connection stands. `waiting`: lost, and tried again at `retry_at` (of this machine's clock, Unix ms).
 * `closed`: for good, by the server's word `code` (see docs/protocol.md, Closing; 1000 is ours).
 */
export interface Connection {
  state: 'idle' | 'connecting' | 'open' | 'waiting' | 'paused' | 'closed';
  transport: TransportName;
  code: number;
  reason: string;
  attempt: number;
  retry_at?: number;
  redirect?: string;
}

/** A comment of one's own, from the moment it is sent. Later ones with the same `cid` say what became of it. */
export interface OwnComment {
  cid: string;
  text: string;
  at: number;
  /** `sending`, then the verdict (`shown`, `merged`, `sampled`, `held`), an error's code, or `unknown`: no answer in time. */
  state: string;
  /** The comment that it is, or joined. */
  id?: string;
  reply_to?: string;
  retry_after_ms?: number;
}

export interface Events {
  connection: Connection;
  /** Replaces everything known; may come at any time. The view is up to date already. */
  welcome: Welcome;
  /** The room spoke; the view is up to date already. Held back by `setPlaybackDelay`. */
  frame: Frame;
  notice: Notice;
  own: OwnComment;
  /** The server's farewell. */
  bye: Bye;
  /** An error that answers nothing that was asked. */
  error: ErrorMessage;
  /** For staff only. */
  desk: Desk;
}

export interface AskOptions {
  /** Ask again with the one of an earlier try whose outcome is unknown. */
  cid?: string;
  /** Give up after so long. */
  timeout_ms?: number;
}

/** The server will not have us: a bad token, no such room, banned. `code` is the close code (4401…). */
export class Refused extends Error {
  override readonly name = 'Refused';
  constructor(readonly code: number, reason: string) {
    super(reason || String(code));
  }
}

/** Milliseconds of one clock that never steps, where there is one. */
export const monotonic = (): number => globalThis.performance?.now() ?? Date.now();

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * An id for one request: 100 random bits in 20 characters. It has to be unique among one's own and need not be secret, so where
 * there is no `crypto` (mini-programs) ordinary chance will do.
 */
export function newCid(): string {
  const bytes = new Uint8Array(20);
  if ('crypto' in globalThis) crypto.getRandomValues(bytes);
  else for (let i = 0; i < bytes.length; i++) bytes[i] = Math.random() * 256;
  return Array.from(bytes, (b) => LETTERS[b & 31]).join('');
}
