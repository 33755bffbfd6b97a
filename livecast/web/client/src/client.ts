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

import { Emitter } from './emitter';
import { Keeper } from './keeper';
import { Refused, monotonic, newCid, type AskOptions, type Connection, type Events, type Options, type OwnComment } from './options';
import { Playback } from './playback';
import type { ClientMessage, Frame, JsonObject, Policy, Style, Welcome, You } from './protocol';
import { Closed, Session, type Answer, type GaveUp } from './session';
import { RoomView } from './view';

const TIMEOUT_MS = 30_000;
/** After a fresh token could not be had, or was refused. */
const RENEW_AGAIN_MS = 5000;
/** Longest wait that timers take (2^31 - 1 ms). */
const TIMER_MAX_MS = 2_147_000_000;

export class LivecastClient extends Emitter<Events> {
  /** The room as it is now: `state`, `policy`, `recent`, `epoch`, `seq`. */
  readonly view: RoomView;
  readonly room: string;

  private readonly session: Session;
  private readonly keeper: Keeper;
  private readonly playback = new Playback();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private renewing = false;

  constructor(private readonly options: Options) {
    super();
    this.room = options.room;
    this.view = new RoomView(options.recentMax);
    this.session = new Session(options.chance ?? Math.random);
    if (options.since) this.session.startFrom(options.since);
    this.keeper = new Keeper(options, this.session, {
      changed: (connection) => this.emit('connection', connection),
      pump: () => this.pump(),
      over: () => this.over(),
    });
  }

  // --- Life ----------------------------------------------------------------------------------------------------------

  /** Connect, and stay connected until `close` or `pause`. */
  connect(): this {
    this.keeper.connect();
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
      const offConnection = this.on('connection', ({ state, code, reason }) => {
        if (state !== 'closed') return;
        done();
        reject(new Refused(code, reason));
      });
    });
    return this;
  }

  /** Let go of the connection for now (a page in the background). What is asked stays asked. */
  pause(): void {
    this.session.flushTaps();
    this.pump();
    this.keeper.pause();
  }

  /** Come back after `pause`; while waiting for the next try: try now. */
  resume(): void {
    this.keeper.resume();
  }

  /** Send collected taps, say goodbye. What is still asked ends with `Closed`. */
  close(): void {
    if (this.connection.state === 'closed') return;
    this.session.flushTaps();
    this.pump();
    this.keeper.end(1000, '');
  }

  // --- Look ----------------------------------------------------------------------------------------------------------

  /** Where the connection stands. */
  get connection(): Connection {
    return this.keeper.connection;
  }

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
    return this.session.serverTime(monotonic());
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
    this.session.tap(n, monotonic());
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
      this.keeper.token = token; // the other ways carry it with every request
      this.keeper.anew();
      return { cid: '', ok: true, verdict: 'ok' };
    }
    const answer = await this.ask({ t: 'auth', token }, options);
    if (answer.ok) this.keeper.token = token;
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
      this.session.ask({ ...message, cid }, settle, monotonic() + timeout_ms);
      this.pump();
    });
  }

  /** GET what belongs to the room or the deployment over HTTP as this viewer: `me`, `drops/ID/draw`, `/v1/gifts`. */
  async get<T>(path: string): Promise<T> {
    const { base, token } = this.keeper;
    const url = path.startsWith('/') ? base.replace(/\/v1\/rooms\/.*$/, path) : `${base}/${path}`;
    const response = await this.keeper.fetch(url, { headers: token ? { authorization: `Bearer ${token}` } : {} });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return (await response.json()) as T;
  }

  // --- Private -------------------------------------------------------------------------------------------------------

  /** Hand on what the session noticed, send what it has to say, and be back when it wants to be woken. */
  private pump(): void {
    if (this.connection.state === 'closed') return;
    const now = monotonic();
    this.session.tick(now);
    for (const event of this.session.events()) {
      if (event.t === 'frame') this.playback.push(event);
      else if (event.t === 'welcome') this.welcome(event);
      else this.emit(event.t, event as never);
    }
    this.deliver(this.playback.due(this.session.serverTime(now)));
    if (this.session.broken && this.keeper.giveUp(this.session.broken)) return;
    this.keeper.send(() => this.session.toSend(now));
    if (now >= this.session.renewAt) void this.renew();
    this.schedule();
  }

  private schedule(): void {
    clearTimeout(this.timer);
    const now = monotonic();
    const renewAt = this.renewing || !this.options.getToken ? Infinity : this.session.renewAt;
    const wait = Math.min(this.session.nextTimer() - now, renewAt - now, this.playback.wait(this.session.serverTime(now)));
    if (wait !== Infinity) this.timer = setTimeout(() => this.pump(), Math.min(TIMER_MAX_MS, Math.max(0, wait)));
  }

  private welcome(welcome: Welcome): void {
    this.deliver(this.playback.flush());
    // What was missed follows as frames if it was recovered: then the comments known so far stay.
    this.view.reset({ ...welcome, recent: welcome.recovered ? [...this.view.recent] : welcome.recent });
    this.keeper.welcomed();
    this.emit('welcome', welcome);
  }

  /** The connection is closed for good. */
  private over(): void {
    clearTimeout(this.timer);
    this.deliver(this.playback.flush());
    this.session.close();
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
      else this.keeper.token = token;
    } catch {
      // no token now: tried again below, and at the latest when the server closes with 4001
    } finally {
      this.session.renewAt = Math.max(this.session.renewAt, monotonic() + RENEW_AGAIN_MS);
      this.renewing = false;
      this.schedule();
    }
  }
}
