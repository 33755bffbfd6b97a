/**
 * Keeps one connection: opens it by the best way that works, comes back after an end, and stays away when it is told to.
 *
 * It moves messages between the connection and the session and knows nothing of what they mean. Every opening is a new
 * `visit`; what an earlier one still says is not heard.
 */

import { CODECS } from './codec';
import { monotonic, type Connection, type Options } from './options';
import type { ClientMessage, ServerMessage } from './protocol';
import { after, afterStatus, pause as pauseBelow, type Chance, type Step } from './reconnect';
import type { Session } from './session';
import {
  openEvents, openFiles, openWebSocket,
  type Ears, type Fetch, type Target, type Transport, type TransportName, type WebSocketMaker,
} from './transport';

/** A connection that held so long was a good one: the next pause is a first one again. */
const GOOD_AFTER_MS = 10_000;
/** A transport is left for the next one after so many failures in a row to hear a welcome… */
const TRIES = 2;
/** … or so many, if it has worked before: then it is not the network that swallows it, but a server that restarts. */
const TRIES_IF_PROVEN = 6;
/** On a fall-back, the best way is tried again at the first reconnect after so long. */
const PREFER_AGAIN_MS = 300_000;

/** Whom a keeper tells: `changed` where it stands, `pump` that there may be something to do, `over` before it closes for good. */
export interface Told {
  changed(connection: Connection): void;
  pump(): void;
  over(): void;
}

export class Keeper {
  connection: Connection;
  /** What the next connection signs in with. */
  token: string | undefined;
  /** `https://host/v1/rooms/ROOM`. */
  readonly base: string;

  private readonly transports: TransportName[];
  private readonly proven = new Set<TransportName>();
  private link: Transport | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private wanted = false;
  private fresh = false;
  private attempt = 0;
  private failures = 0;
  private way = 0;
  private fellBackAt = 0;
  private openedAt = 0;
  private visit = 0;

  constructor(private readonly options: Options, private readonly session: Session, private readonly told: Told) {
    const url = options.url ?? globalThis.location?.origin;
    if (!url) throw new TypeError('`url` is needed outside of a page');
    this.base = `${url.replace(/^ws/, 'http').replace(/\/+$/, '')}/v1/rooms/${encodeURIComponent(options.room)}`;
    this.token = options.token;
    const all = options.transports ?? ['websocket', 'sse', 'files'];
    this.transports = all.filter((name) => name !== 'websocket' || this.socketMaker);
    if (!this.transports.length) throw new TypeError('no way to connect: pass `WebSocket` or allow other `transports`');
    this.connection = { state: 'idle', transport: this.transports[0]!, code: 0, reason: '', attempt: 0 };
  }

  get fetch(): Fetch {
    return this.options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  }

  // --- Life ----------------------------------------------------------------------------------------------------------

  connect(): void {
    if (this.wanted || this.connection.state === 'closed') return;
    this.wanted = true;
    void this.open();
  }

  pause(): void {
    if (!this.wanted) return;
    this.wanted = false;
    this.drop();
    this.tell({ state: 'paused', code: 1000, reason: '' });
  }

  resume(): void {
    if (this.connection.state === 'paused') {
      this.wanted = true;
      this.attempt = 0;
      void this.open();
    } else if (this.connection.state === 'waiting') {
      void this.open();
    }
  }

  end(code: number, reason: string, redirect?: string): void {
    this.wanted = false;
    this.drop();
    this.told.over();
    this.tell({ state: 'closed', code, reason, ...(redirect ? { redirect } : {}) });
  }

  /** Make the connection anew at once, with the token as it is now. */
  anew(): void {
    if (this.link) this.lost({ delay_ms: 0, fresh: false }, 1000, '');
  }

  // --- What goes on over it ------------------------------------------------------------------------------------------

  /** A welcome came: this way works. */
  welcomed(): void {
    if (this.connection.state === 'open') return;
    this.failures = 0;
    this.proven.add(this.connection.transport);
    this.tell({ state: 'open', code: 0, reason: '' });
  }

  /** The session holds that this connection is no good any more. True if there was one to give up. */
  giveUp(why: string): boolean {
    if (!this.link) return false;
    this.forgive();
    this.lost({ delay_ms: this.attempt ? pauseBelow(this.attempt, this.chance) : 0, fresh: false }, 1006, why);
    return true;
  }

  send(messages: () => ClientMessage[]): void {
    if (this.link) for (const message of messages()) this.link.send(message);
  }

  // --- Private -------------------------------------------------------------------------------------------------------

  private get socketMaker(): WebSocketMaker | undefined {
    return this.options.WebSocket ?? (globalThis as { WebSocket?: WebSocketMaker }).WebSocket;
  }

  private get chance(): Chance {
    return this.options.chance ?? Math.random;
  }

  private async open(): Promise<void> {
    this.drop();
    const visit = this.visit;
    if (this.way > 0 && monotonic() - this.fellBackAt > PREFER_AGAIN_MS) this.way = this.failures = 0;
    this.openedAt = 0;
    const transport = this.transports[this.way]!;
    this.tell({ state: 'connecting', transport, attempt: this.attempt });
    const { getToken } = this.options;
    if (getToken && (this.fresh || this.token === undefined) && !(await this.renewed(getToken, visit))) return;
    const target: Target = { room: this.base, token: this.token, since: this.session.since };
    this.session.connected(monotonic()); // from here on its patience runs, for a handshake that never ends too
    try {
      this.link = this.openBy(transport, target, this.ears(visit));
    } catch (error) {
      this.lost({ delay_ms: pauseBelow(this.attempt, this.chance), fresh: false }, 1006, String(error));
    }
    this.told.pump();
  }

  /** Get a token. False: this visit is over. */
  private async renewed(getToken: () => string | Promise<string>, visit: number): Promise<boolean> {
    try {
      this.token = await getToken();
      this.fresh = false;
    } catch (error) {
      const delay_ms = pauseBelow(this.attempt, this.chance);
      if (visit === this.visit) this.lost({ delay_ms, fresh: true }, 1006, `no token: ${String(error)}`);
      return false;
    }
    return visit === this.visit;
  }

  private openBy(transport: TransportName, target: Target, ears: Ears): Transport {
    if (transport === 'websocket') return openWebSocket(this.socketMaker!, CODECS[this.options.codec ?? 'msgpack'], target, ears);
    return transport === 'sse' ? openEvents(this.fetch, target, ears) : openFiles(this.fetch, target, ears);
  }

  private ears(visit: number): Ears {
    const mine = <Args extends unknown[]>(act: (...args: Args) => void) => (...args: Args) => void (visit === this.visit && act(...args));
    return {
      connected: mine(() => {
        this.openedAt = monotonic();
        this.session.connected(this.openedAt);
        this.told.pump();
      }),
      message: mine((message: ServerMessage) => {
        this.session.receive(message, monotonic());
        this.told.pump();
      }),
      alive: mine(() => this.session.alive(monotonic())),
      closed: mine((code: number, status?: number, retryAfter_ms = 0) => this.ended(code, status, retryAfter_ms)),
    };
  }

  /** The connection ended by itself. */
  private ended(code: number, status: number | undefined, retryAfter_ms: number): void {
    const { bye } = this.session;
    const canRenew = this.options.getToken !== undefined;
    this.forgive();
    if (status === 401 && canRenew && this.attempt === 0) {
      this.lost({ delay_ms: 0, fresh: true }, 4401, '');
      return;
    }
    const real = bye?.code ?? code;
    const step =
      status === undefined
        ? after(real, bye, this.attempt, canRenew, this.chance)
        : afterStatus(status, retryAfter_ms, this.attempt, this.chance);
    const reason = bye?.reason ?? (status ? `HTTP ${status}` : '');
    // Before any welcome a final word may be a middleman's who does not speak this: only refusals of our own are believed.
    const last = this.way === this.transports.length - 1;
    if (!('stop' in step)) this.lost(step, real, reason);
    else if (bye || this.openedAt || last || status !== undefined) this.end(step.stop, reason, bye?.redirect);
    else this.lost({ delay_ms: pauseBelow(this.attempt, this.chance), fresh: false }, real, reason);
  }

  /** A connection that held for a while was a good one: what went wrong before it does not count any more. */
  private forgive(): void {
    if (this.openedAt && monotonic() - this.openedAt > GOOD_AFTER_MS) this.attempt = 0;
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
      this.fellBackAt = monotonic();
    }
    this.fresh ||= step.fresh;
    this.attempt += 1;
    this.tell({ state: 'waiting', code, reason, attempt: this.attempt, retry_at: Date.now() + step.delay_ms });
    this.retry = setTimeout(() => void this.open(), step.delay_ms);
    this.told.pump();
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
    this.told.changed(this.connection);
  }
}
