/**
 * A client's side of the conversation, without I/O: messages in, messages out, time as an argument.
 *
 * A `Session` outlives its connections. It knows what was asked and not yet answered, where in the room's frames it is, when
 * to ping, when to send collected taps, and when a connection is no good any more (`broken`). All times given to it are
 * milliseconds of one clock that never steps (`performance.now()`).
 */

import type {
  Ack, Bye, ClientMessage, Desk, ErrorMessage, Frame, Notice, Policy, ServerMessage, Welcome, You,
} from './protocol';
import type { Chance } from './reconnect';

/** Codes after which the same cid is asked again: not done, or outcome unknown. */
const ASK_AGAIN = new Set(['unavailable', 'overloaded']);
/** The server answers within 2 s or says `unavailable`; silence means that an answer was lost. */
const REPEAT_AFTER_MS = 5000;
/** First pause after `unavailable` when the server names none; doubles up to the second figure. */
const RETRY_BASE_MS = 250;
const RETRY_MAX_MS = 5000;
/** Until the policy says otherwise. */
const KEEPALIVE_MS = 40_000;
/** A ping unanswered for so long, or a connection without a welcome: it is dead. */
const SILENCE_MS = 10_000;
/** A pong ahead of us may only be ahead of frames under way; after this they are lost. */
const BEHIND_MS = 2000;
/** Taps are collected for so long: four messages a second at the most. */
export const TAPS_EVERY_MS = 250;
const TAPS_PER_MESSAGE = 100;
/** While there is no connection: more are dropped rather than sent as a flood. */
const TAPS_KEPT = 300;
/** Questions without an answer; more is a caller that does not wait. */
const PENDING_MAX = 1000;
/** A token is renewed with a quarter of its life left, but not more than a minute before its end. */
const RENEW_SHARE = 0.25;
const RENEW_MAX_MS = 60_000;

/** How a request ended. `verdict` is the ack's, or the error's code. */
export interface Answer {
  cid: string;
  /** Whether it was done (an ack), not whether one likes the verdict: `sold_out` is an answer too. */
  ok: boolean;
  verdict: string;
  ack?: Ack;
  error?: ErrorMessage;
}

/** No final answer within the time allowed: whether it was done is unknown. The same `cid` asked again would tell. */
export class GaveUp extends Error {
  override readonly name = 'GaveUp';
  constructor(readonly cid: string) {
    super(`no final answer for ${cid}`);
  }
}

/** The client was closed before an answer came. */
export class Closed extends Error {
  override readonly name = 'Closed';
  constructor(readonly cid = '') {
    super('the client is closed');
  }
}

export type Settle = (result: Answer | GaveUp | Closed) => void;

/** What a session noticed, in order. */
export type Noticed = Welcome | Frame | Notice | Desk | Bye | ErrorMessage;

interface Asked {
  message: ClientMessage;
  settle: Settle;
  deadline: number;
  /** When to send it (again); 0: at the next chance. */
  againAt: number;
  refusals: number;
}

export class Session {
  you: You | null = null;
  policy: Policy | null = null;
  epoch = '';
  seq = 0;
  /** The server's farewell on the present or last connection. */
  bye: Bye | null = null;
  /** Why the connection should be dropped and made anew; empty while it is good. */
  broken = '';
  /** Welcomed on the present connection. */
  open = false;
  /** When to send a fresh token. */
  renewAt = Infinity;
  tapsDropped = 0;

  private readonly asked = new Map<string, Asked>();
  private noticed: Noticed[] = [];
  private out: ClientMessage[] = [];
  private taps = 0;
  private tapsAt = Infinity;
  private connected_ = false;
  private heardAt = 0;
  private pingedAt: number | null = null;
  private behind: { epoch: string; seq: number; until: number } | null = null;
  private keepalive_ms = KEEPALIVE_MS;
  private offset = { ms: 0, error_ms: Infinity };
  private clockAskedAt: number | null = null;

  constructor(private readonly chance: Chance) {}

  // --- Feed ----------------------------------------------------------------------------------------------------------

  /** Where to resume, `EPOCH:SEQ`; undefined before the first welcome. */
  get since(): string | undefined {
    return this.epoch ? `${this.epoch}:${this.seq}` : undefined;
  }

  /** Go on from where an earlier client was. */
  startFrom(since: string): void {
    const at = since.lastIndexOf(':');
    this.epoch = since.slice(0, at);
    this.seq = Number(since.slice(at + 1));
  }

  /** A connection is there; a welcome should follow. */
  connected(now: number): void {
    this.connected_ = true;
    this.open = false;
    this.bye = null;
    this.broken = '';
    this.out = [];
    this.heardAt = now;
    this.pingedAt = this.behind = this.clockAskedAt = null;
  }

  /** The connection is gone. What was asked stays asked. */
  disconnected(): void {
    this.connected_ = this.open = false;
    this.out = [];
    this.pingedAt = this.behind = this.clockAskedAt = null;
    this.renewAt = Infinity;
  }

  /** The connection lives, though nothing was said (a comment line of an event stream). */
  alive(now: number): void {
    this.heardAt = now;
    this.pingedAt = null;
  }

  /** One message from the server. */
  receive(message: ServerMessage, now: number): void {
    this.alive(now);
    switch (message.t) {
      case 'frame':
        this.frame(message);
        break;
      case 'welcome':
        this.welcome(message, now);
        break;
      case 'ack':
        if (message.you) this.are(message.you, now);
        this.settle({ cid: message.cid, ok: true, verdict: message.verdict, ack: message });
        break;
      case 'error':
        this.error(message, now);
        break;
      case 'pong':
        if (message.cid && this.clockAskedAt !== null) {
          this.learnClock(message.now, (this.clockAskedAt + now) / 2, (now - this.clockAskedAt) / 2);
          this.clockAskedAt = null;
        }
        if (message.epoch !== this.epoch || message.seq > this.seq) {
          this.behind = { epoch: message.epoch, seq: message.seq, until: now + BEHIND_MS };
        }
        break;
      case 'bye':
        this.bye = message;
        this.noticed.push(message);
        break;
      case 'notice':
      case 'desk':
        this.noticed.push(message);
    }
  }

  // --- Ask -----------------------------------------------------------------------------------------------------------

  /** Send `message` (it has a `cid`) until it has a final answer; `settle` is called once. */
  ask(message: ClientMessage & { cid: string }, settle: Settle, deadline: number): void {
    if (this.asked.size >= PENDING_MAX) settle(new GaveUp(message.cid));
    else this.asked.set(message.cid, { message, settle, deadline, againAt: 0, refusals: 0 });
  }

  /** Send something that has no answer, if there is a connection; otherwise it is lost. */
  tell(message: ClientMessage): void {
    if (this.open) this.out.push(message);
  }

  /** Collect `n` likes. */
  tap(n: number, now: number): void {
    const kept = Math.min(this.taps + n, TAPS_KEPT);
    this.tapsDropped += this.taps + n - kept;
    this.taps = kept;
    if (this.tapsAt === Infinity) this.tapsAt = now + TAPS_EVERY_MS;
  }

  /** Send collected likes now. */
  flushTaps(): void {
    while (this.open && this.taps) {
      const n = Math.min(this.taps, TAPS_PER_MESSAGE);
      this.taps -= n;
      this.out.push({ t: 'like', n });
    }
    this.tapsAt = Infinity;
  }

  /** The server's clock at `now`, in Unix ms, as far as known. */
  serverTime(now: number): number {
    return now + this.offset.ms;
  }

  /** Everything still asked is answered with `Closed`. */
  close(): void {
    const all = [...this.asked.values()];
    this.asked.clear();
    for (const { settle, message } of all) settle(new Closed(message.cid));
  }

  /** How much is asked and not answered. */
  get waiting(): number {
    return this.asked.size;
  }

  // --- Drain ---------------------------------------------------------------------------------------------------------

  /** What goes out now. */
  toSend(now: number): ClientMessage[] {
    if (this.open) {
      for (const asked of this.asked.values()) {
        if (asked.againAt <= now) {
          asked.againAt = now + REPEAT_AFTER_MS;
          this.out.push(asked.message);
        }
      }
    }
    const out = this.out;
    this.out = [];
    return out;
  }

  /** What happened since the last call, in order. */
  events(): Noticed[] {
    const out = this.noticed;
    this.noticed = [];
    return out;
  }

  /** When to call `tick` and `toSend` next, if nothing else happens. Never too late. */
  nextTimer(): number {
    let at = this.open ? this.tapsAt : Infinity;
    for (const asked of this.asked.values()) at = Math.min(at, asked.deadline, this.open ? asked.againAt : Infinity);
    if (this.connected_) at = Math.min(at, this.patience(), this.behind?.until ?? Infinity);
    return at;
  }

  /** Let time pass: give up what took too long, ping, notice a dead or lagging connection, send taps. */
  tick(now: number): void {
    for (const [cid, asked] of this.asked) {
      if (asked.deadline <= now) {
        this.asked.delete(cid);
        asked.settle(new GaveUp(cid));
      }
    }
    if (!this.connected_) return;
    if (now >= this.patience()) {
      if (this.open && this.pingedAt === null) {
        this.pingedAt = now;
        this.out.push({ t: 'ping' });
      } else {
        this.broken = 'the server is silent';
      }
    }
    if (this.behind && now >= this.behind.until) this.broken = 'frames were lost on the way';
    if (now >= this.tapsAt) this.flushTaps();
  }

  // --- Private -------------------------------------------------------------------------------------------------------

  /** When the silence is too long: to be broken by a ping, or after one to be taken as the end. */
  private patience(): number {
    if (!this.open) return this.heardAt + SILENCE_MS;
    return this.pingedAt === null ? this.heardAt + this.keepalive_ms : this.pingedAt + SILENCE_MS;
  }

  private welcome(welcome: Welcome, now: number): void {
    const first = !this.open;
    this.open = true;
    this.behind = null;
    this.epoch = welcome.epoch;
    this.seq = welcome.seq;
    this.heed(welcome.policy);
    // How long it was under way is not known: good enough until the first pong, and never ahead of the server.
    this.learnClock(welcome.now, now, SILENCE_MS);
    if (welcome.you) this.are(welcome.you, now);
    if (first) {
      for (const asked of this.asked.values()) asked.againAt = 0; // what is not answered is asked again
      if (this.taps) this.tapsAt = now;
      this.clockAskedAt = now;
      this.out.push({ t: 'ping', cid: 'clock' });
    }
    this.noticed.push(welcome);
  }

  private heed(policy: Policy): void {
    this.policy = policy;
    this.keepalive_ms = Math.max(1000, policy.keepalive_ms || KEEPALIVE_MS);
  }

  private learnClock(server: number, at: number, error_ms: number): void {
    if (error_ms <= this.offset.error_ms) this.offset = { ms: server - at, error_ms };
  }

  private are(you: You, now: number): void {
    this.you = you;
    if (you.expires_at === undefined || you.expires_at === null) {
      this.renewAt = Infinity;
    } else {
      const left = Math.max(0, you.expires_at - this.serverTime(now));
      this.renewAt = now + left - Math.min(RENEW_MAX_MS, left * RENEW_SHARE);
    }
  }

  private frame(frame: Frame): void {
    if (!this.open || (frame.epoch === this.epoch && frame.seq <= this.seq)) return; // an old one again
    if (frame.epoch !== this.epoch || frame.seq !== this.seq + 1) {
      this.broken = `frame ${frame.epoch}:${frame.seq} after ${this.since}`;
      return;
    }
    this.seq = frame.seq;
    const policy = frame.state?.policy;
    if (policy && typeof policy === 'object' && this.policy) this.heed({ ...this.policy, ...policy } as Policy);
    if (this.behind && this.behind.epoch === this.epoch && this.behind.seq <= this.seq) this.behind = null;
    this.noticed.push(frame);
  }

  private error(error: ErrorMessage, now: number): void {
    const asked = error.cid === undefined ? undefined : this.asked.get(error.cid);
    if (!asked) {
      this.noticed.push(error);
    } else if (ASK_AGAIN.has(error.code)) {
      // Not before it was told, and not all who were told the same at once.
      const told = error.retry_after_ms;
      const pause = told || Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** ++asked.refusals);
      asked.againAt = now + (told ? pause * (1 + 0.5 * this.chance()) : pause * (0.5 + this.chance()));
    } else {
      this.settle({ cid: error.cid!, ok: false, verdict: error.code, error });
    }
  }

  private settle(answer: Answer): void {
    const asked = this.asked.get(answer.cid);
    this.asked.delete(answer.cid);
    asked?.settle(answer);
  }
}
