/**
 * One viewer in one room: connects, resumes by itself where it left off, keeps a view of the room, repeats what was asked
 * until it is answered.
 *
 * ```ts
 * const live = new LivecastClient({ url: 'https://live.example', room: 'demo', getToken });
 * live.on('frame', (frame) => show(frame.comments));
 * live.connect();
 * const answer = await live.comment('hello');   // shown, merged, sampled, held, or why not
 * ```
 */

import { CODECS, type CodecName } from './codec';
import { Emitter } from './emitter';
import { Playback } from './playback';
import type {
  Bye, ClientMessage, Desk, ErrorMessage, Frame, JsonObject, Notice, Policy, ServerMessage, Style, Welcome, You,
} from './protocol';
import { after, afterStatus, pause, type Chance, type Step } from './reconnect';
import { Closed, GaveUp, Session, type Answer } from './session';
import {
  openEvents, openFiles, openWebSocket,
  type Ears, type Fetch, type Target, type Transport, type TransportName, type WebSocketMaker,
} from './transport';
import { RoomView } from './view';

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
  /** In place of the global ones: mini-programs, React Native, Node 20 (which has no WebSocket of its own). */
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

const TIMEOUT_MS = 30_000;
/** A connection that held so long was a good one: the next pause is a first one again. */
const GOOD_AFTER_MS = 10_000;
/** A transport is left for the next one after so many failures in a row to hear a welcome… */
const TRIES = 2;
/** … or so many, if it has worked before: then it is not the network that swallows it, but a server that restarts. */
const TRIES_IF_PROVEN = 6;
/** On a fall-back, the best way is tried again at the first reconnect after so long. */
const PREFER_AGAIN_MS = 300_000;
/** After a fresh token could not be had, or was refused. */
const RENEW_AGAIN_MS = 5000;
/** Longest wait that timers take (2^31 - 1 ms). */
const TIMER_MAX_MS = 2_147_000_000;

/** An id for one request: 100 random bits in 20 characters. */
export function newCid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  return Array.from(bytes, (b) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[b & 31]).join("");
}

export class LivecastClient extends Emitter<Events> {
  /** The room as it is now: `state`, `policy`, `recent`, `epoch`, `seq`. */
  readonly view: RoomView;
  readonly room: string;
  connection: Connection;

  private readonly session: Session;
  private readonly playback = new Playback();
  private readonly base: string;
  private readonly chance: Chance;
  private readonly transports: TransportName[];
  private token: string | undefined;
  private link: Transport | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private failures = 0;
  private readonly proven = new Set<TransportName>();
  private way = 0;
  private fellBackAt = 0;
  private openedAt = 0;
  private visit = 0;
  private renewing = false;
  private fresh = false;
  private wanted = false;

  constructor(private readonly options: Options) {
    super();
    const url = options.url ?? globalThis.location?.origin;
    if (!url) throw new TypeError('`url` is needed outside of a page');
    this.room = options.room;
    this.base = `${url.replace(/^ws/, 'http').replace(/\/+$/, '')}/v1/rooms/${encodeURIComponent(options.room)}`;
    this.chance = options.chance ?? Math.random;
    this.session = new Session(this.chance);
    this.view = new RoomView(options.recentMax);
    this.token = options.token;
    const all = options.transports ?? ['websocket', 'sse', 'files'];
    this.transports = all.filter((name) => name !== 'websocket' || this.socketMaker);
    if (!this.transports.length) throw new TypeError('no way to connect: pass `WebSocket` or allow other `transports`');
    if (options.since) this.session.startFrom(options.since);
    this.connection = { state: 'idle', transport: this.transports[0]!, code: 0, reason: '', attempt: 0 };
  }

  // --- Life ----------------------------------------------------------------------------------------------------------

  /** Connect, and stay connected until `close` or `pause`. */
  connect(): this {
    if (!this.wanted && this.connection.state !== 'closed') {
      this.wanted = true;
      void this.open();
    }
    return this;
  }

  /** Connect and wait for the first welcome. Rejects with `Refused` if the server will not have us. */
  async ready(): Promise<this> {
    this.connect();
    if (this.session.open) return this;
    await new Promise<void>((resolve, reject) => {
      const done = () => {
        offWelcome();
        offConnection();
      };
      const offWelcome = this.on('welcome', () => (done(), resolve()));
      const offConnection = this.on('connection', (c) => {
        if (c.state === 'closed') {
          done();
          reject(new Refused(c.code, c.reason));
        }
      });
    });
    return this;
  }

  /** Let go of the connection for now (a page in the background). What is asked stays asked. */
  pause(): void {
    if (!this.wanted) return;
    this.wanted = false;
    this.session.flushTaps();
    this.pump();
    this.drop();
    this.tell({ state: 'paused', code: 1000, reason: '' });
  }

  /** Come back after `pause`; while waiting for the next try: try now. */
  resume(): void {
    if (this.connection.state === 'paused') {
      this.wanted = true;
      this.attempt = 0;
      void this.open();
    } else if (this.connection.state === 'waiting') {
      void this.open();
    }
  }

  /** Send collected taps, say goodbye. What is still asked ends with `Closed`. */
  close(): void {
    if (this.connection.state === 'closed') return;
    this.session.flushTaps();
    this.pump();
    this.end(1000, '');
  }

  // --- Look ----------------------------------------------------------------------------------------------------------

  /** How the server sees this client; null before the first welcome. */
  get you(): You | null {
    return this.session.you;
  }

  /** What the room lets its viewers do now. */
  get policy(): Policy | null {
    return this.session.policy;
  }

  /** The last frame heard, `EPOCH:SEQ`: what to resume from. */
  get since(): string | undefined {
    return this.session.since;
  }

  /** Requests without a final answer yet. */
  get waiting(): number {
    return this.session.waiting;
  }

  /** The server's clock, Unix ms: for countdowns. Independent of this machine's clock being right. */
  now(): number {
    return this.session.serverTime(performance.now());
  }

  /** What the picture shows now, in the server's time: `now()` less the player's delay. */
  playbackNow(): number {
    return this.now() - this.playback.delay_ms;
  }

  /** Hold frames back so long: what the player measures between camera and screen. 0: not at all. */
  setPlaybackDelay(delay_ms: number): void {
    this.playback.delay_ms = Math.max(0, delay_ms);
    this.pump();
  }

  // --- Say -----------------------------------------------------------------------------------------------------------

  /** Say something. An `own` event shows it at once, and later what became of it. */
  async comment(
    text: string,
    more: AskOptions & { reply_to?: string; mentions?: string[]; style?: Style; meta?: JsonObject } = {},
  ): Promise<Answer> {
    const { cid = newCid(), timeout_ms = TIMEOUT_MS, reply_to, ...rest } = more;
    const own: OwnComment = { cid, text, at: this.now(), state: 'sending', ...(reply_to ? { reply_to } : {}) };
    this.emit('own', own);
    try {
      const answer = await this.ask({ t: 'comment', text, reply_to, ...rest }, { cid, timeout_ms });
      const retry = answer.error?.retry_after_ms;
      const id = answer.ack?.id;
      this.emit('own', { ...own, state: answer.verdict, ...(id ? { id } : {}), ...(retry ? { retry_after_ms: retry } : {}) });
      return answer;
    } catch (error) {
      this.emit('own', { ...own, state: 'unknown' });
      throw error;
    }
  }

  /** Tap `n` times. Taps are collected, sent a few times a second and not answered. */
  like(n = 1): void {
    this.session.tap(n, performance.now());
    this.pump();
  }

  /** Send a gift: `sent` once the coins are taken for good. Repeated under one `cid` until answered, however long that takes. */
  gift(gift: string, n = 1, more: AskOptions & { to?: string; unit_price?: number; text?: string } = {}): Promise<Answer> {
    const { cid, timeout_ms = Infinity, ...rest } = more;
    return this.ask({ t: 'gift', gift, n, ...rest }, { ...(cid ? { cid } : {}), timeout_ms });
  }

  /** Claim one unit of a drop: `won`, `entered`, `sold_out`… Repeated under one `cid` until answered. */
  claim(drop: string, { cid, timeout_ms = Infinity }: AskOptions = {}): Promise<Answer> {
    return this.ask({ t: 'claim', drop }, { ...(cid ? { cid } : {}), timeout_ms });
  }

  /** Vote for the choice with this index. */
  vote(poll: string, choice: number, options: AskOptions = {}): Promise<Answer> {
    return this.ask({ t: 'vote', poll, choice }, options);
  }

  /** Tell the moderators about a comment or a user. */
  report(what: { comment?: string; user?: string }, reason: string, options: AskOptions = {}): Promise<Answer> {
    return this.ask({ t: 'report', ...what, reason }, options);
  }

  /** Tap on a product; never answered. */
  tap(target: string, n = 1): void {
    this.session.tell({ t: 'tap', target, n });
    this.pump();
  }

  /** Sign an anonymous viewer in, or renew. Later connections use this token too. */
  async signIn(token: string, options: AskOptions = {}): Promise<Answer> {
    if (this.connection.transport !== 'websocket' || !this.session.open) {
      this.token = token; // the other ways carry it with every request
      if (this.link) this.lost({ delay_ms: 0, fresh: false }, 1000, '');
      return { cid: '', ok: true, verdict: 'ok' };
    }
    const answer = await this.ask({ t: 'auth', token }, options);
    if (answer.ok) this.token = token;
    return answer;
  }

  /**
   * Send any message that has an answer, and repeat it under the same `cid` until the answer is a final one. Rejects with
   * `GaveUp` after `timeout_ms` (the outcome is unknown), with `Closed` if the client ends meanwhile.
   */
  ask(message: ClientMessage, { cid = newCid(), timeout_ms = TIMEOUT_MS }: AskOptions = {}): Promise<Answer> {
    if (this.connection.state === 'closed') return Promise.reject(new Closed(cid));
    return new Promise((resolve, reject) => {
      const settle = (result: Answer | GaveUp | Closed) => (result instanceof Error ? reject(result) : resolve(result));
      this.session.ask({ ...message, cid }, settle, performance.now() + timeout_ms);
      this.pump();
    });
  }

  /** GET what belongs to the room or the deployment over HTTP as this viewer: `me`, `drops/ID/draw`, `/v1/gifts`. */
  async get<T>(path: string): Promise<T> {
    const url = path.startsWith('/') ? this.base.replace(/\/v1\/rooms\/.*$/, path) : `${this.base}/${path}`;
    const response = await this.fetch(url, { headers: this.token ? { authorization: `Bearer ${this.token}` } : {} });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return (await response.json()) as T;
  }

  // --- Private: connections ------------------------------------------------------------------------------------------

  private get socketMaker(): WebSocketMaker | undefined {
    return this.options.WebSocket ?? (globalThis as { WebSocket?: WebSocketMaker }).WebSocket;
  }

  private get fetch(): Fetch {
    return this.options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  }

  private async open(): Promise<void> {
    this.drop();
    const visit = this.visit;
    if (this.way > 0 && performance.now() - this.fellBackAt > PREFER_AGAIN_MS) this.way = this.failures = 0;
    this.openedAt = 0;
    const transport = this.transports[this.way]!;
    this.tell({ state: 'connecting', transport, attempt: this.attempt });
    const { getToken } = this.options;
    if (getToken && (this.fresh || this.token === undefined)) {
      try {
        this.token = await getToken();
        this.fresh = false;
      } catch (error) {
        if (visit === this.visit) this.lost({ delay_ms: pause(this.attempt, this.chance), fresh: true }, 1006, `no token: ${String(error)}`);
        return;
      }
      if (visit !== this.visit) return;
    }
    const target: Target = { room: this.base, token: this.token, since: this.session.since };
    const mine = <Args extends unknown[]>(act: (...args: Args) => void) => (...args: Args) => void (visit === this.visit && act(...args));
    const ears: Ears = {
      connected: mine(() => {
        this.openedAt = performance.now();
        this.session.connected(performance.now());
        this.pump();
      }),
      message: mine((message: ServerMessage) => {
        this.session.receive(message, performance.now());
        this.pump();
      }),
      alive: mine(() => this.session.alive(performance.now())),
      closed: mine((code: number, status?: number, retryAfter_ms = 0) => this.ended(code, status, retryAfter_ms)),
    };
    this.session.connected(performance.now()); // from here on its patience runs, for a handshake that never ends too
    try {
      if (transport === 'websocket') this.link = openWebSocket(this.socketMaker!, CODECS[this.options.codec ?? 'msgpack'], target, ears);
      else if (transport === 'sse') this.link = openEvents(this.fetch, target, ears);
      else this.link = openFiles(this.fetch, target, ears);
    } catch (error) {
      this.lost({ delay_ms: pause(this.attempt, this.chance), fresh: false }, 1006, String(error));
      return;
    }
    this.schedule();
  }

  /** The connection ended by itself. */
  private ended(code: number, status: number | undefined, retryAfter_ms: number): void {
    const { bye } = this.session;
    this.forgive();
    if (status === 401 && this.options.getToken && this.attempt === 0) {
      this.lost({ delay_ms: 0, fresh: true }, 4401, '');
      return;
    }
    const real = bye?.code ?? code;
    const step =
      status === undefined
        ? after(real, bye, this.attempt, this.options.getToken !== undefined, this.chance)
        : afterStatus(status, retryAfter_ms, this.attempt, this.chance);
    const reason = bye?.reason ?? (status ? `HTTP ${status}` : '');
    // Before any welcome a final word may be a middleman's who does not speak this: only refusals of our own are believed.
    const last = this.way === this.transports.length - 1;
    if ('stop' in step && (bye || this.openedAt || last || status !== undefined)) this.end(step.stop, reason, bye?.redirect);
    else this.lost('stop' in step ? { delay_ms: pause(this.attempt, this.chance), fresh: false } : step, real, reason);
  }

  /** A connection that held for a while was a good one: what went wrong before it does not count any more. */
  private forgive(): void {
    if (this.openedAt && performance.now() - this.openedAt > GOOD_AFTER_MS) this.attempt = 0;
  }

  /** Come back as `step` says, perhaps another way. */
  private lost(step: Exclude<Step, { stop: number }>, code: number, reason: string): void {
    const heard = this.session.open;
    this.drop();
    this.failures = heard ? 0 : this.failures + 1;
    const tries = this.proven.has(this.connection.transport) ? TRIES_IF_PROVEN : TRIES;
    if (this.failures >= tries && this.way < this.transports.length - 1) {
      this.way += 1;
      this.failures = 0;
      this.fellBackAt = performance.now();
    }
    this.fresh ||= step.fresh;
    this.attempt += 1;
    this.tell({ state: 'waiting', code, reason, attempt: this.attempt, retry_at: Date.now() + step.delay_ms });
    this.retry = setTimeout(() => void this.open(), step.delay_ms);
    this.schedule();
  }

  private end(code: number, reason: string, redirect?: string): void {
    this.wanted = false;
    this.drop();
    clearTimeout(this.timer);
    this.deliver(this.playback.flush());
    this.session.close();
    this.tell({ state: 'closed', code, reason, ...(redirect ? { redirect } : {}) });
  }

  /** Let go of the connection, if there is one; whatever it still says is not heard. */
  private drop(): void {
    this.visit += 1;
    clearTimeout(this.retry);
    this.link?.close();
    this.link = null;
    this.session.disconnected();
  }

  private tell(change: Partial<Connection> & Pick<Connection, 'state'>): void {
    const { retry_at: _, redirect: __, ...kept } = this.connection;
    this.connection = { ...kept, ...change };
    this.emit('connection', this.connection);
  }

  // --- Private: what goes on over a connection -------------------------------------------------------------------------

  /** Hand on what the session noticed, send what it has to say, and be back when it wants to be woken. */
  private pump(): void {
    if (this.connection.state === 'closed') return;
    const now = performance.now();
    this.session.tick(now);
    for (const event of this.session.events()) {
      switch (event.t) {
        case 'frame':
          this.playback.push(event);
          break;
        case 'welcome':
          this.welcome(event);
          break;
        default:
          this.emit(event.t, event as never);
      }
    }
    this.deliver(this.playback.due(this.session.serverTime(now)));
    if (this.session.broken && this.link) {
      this.forgive();
      this.lost({ delay_ms: this.attempt ? pause(this.attempt, this.chance) : 0, fresh: false }, 1006, this.session.broken);
      return;
    }
    if (this.link) for (const message of this.session.toSend(now)) this.link.send(message);
    if (now >= this.session.renewAt) void this.renew();
    this.schedule();
  }

  private schedule(): void {
    clearTimeout(this.timer);
    const now = performance.now();
    const renewAt = this.renewing || !this.options.getToken ? Infinity : this.session.renewAt;
    const wait = Math.min(this.session.nextTimer() - now, renewAt - now, this.playback.wait(this.session.serverTime(now)));
    if (wait !== Infinity) this.timer = setTimeout(() => this.pump(), Math.min(TIMER_MAX_MS, Math.max(0, wait)));
  }

  private welcome(welcome: Welcome): void {
    this.deliver(this.playback.flush());
    // What was missed follows as frames if it was recovered: then the comments known so far stay.
    this.view.reset({ ...welcome, recent: welcome.recovered ? [...this.view.recent] : welcome.recent });
    if (this.connection.state !== 'open') {
      this.failures = 0;
      this.proven.add(this.connection.transport);
      this.tell({ state: 'open', code: 0, reason: '' });
    }
    this.emit('welcome', welcome);
  }

  private deliver(frames: Frame[]): void {
    for (const frame of frames) if (this.view.apply(frame)) this.emit('frame', frame);
  }

  /** Keep the live connection signed in: a fresh token before the present one expires. */
  private async renew(): Promise<void> {
    const { getToken } = this.options;
    if (!getToken || this.renewing) return;
    this.renewing = true;
    try {
      const token = await getToken();
      if (this.connection.transport === 'websocket') await this.signIn(token, { timeout_ms: 10_000 });
      else this.token = token;
    } catch {
      // no token now: tried again below, and at the latest when the server closes with 4001
    } finally {
      this.session.renewAt = Math.max(this.session.renewAt, performance.now() + RENEW_AGAIN_MS);
      this.renewing = false;
      this.schedule();
    }
  }
}

/** The server will not have us: a bad token, no such room, banned. `code` is the close code (4401…). */
export class Refused extends Error {
  override readonly name = 'Refused';
  constructor(readonly code: number, reason: string) {
    super(reason || String(code));
  }
}
