/** What the console knows and does: the room as the host's own client sees it, and beside it what only staff are told. */

import { LivecastClient, type Desk, type Poll, type Product } from '@livecast/client';
import { tokenOfAddress } from '../shared/token';
import { Api, Problem, part, type Page } from './api';
import { add, Book, EVERYTHING, NOTHING, type Filter, type Known, type Line, type Tally } from './lines';
import { Series, type Stored } from './series';
import { t, tOr } from './words';

export interface Held {
  id: string;
  u: Line['u'];
  text: string;
  at: number;
  about?: Known;
}

export interface Report {
  id: string;
  user: string;
  comment?: string;
  text?: string;
  n: number;
  last_at: number;
  reasons: { by: string; reason: string; at: number }[];
}

export interface Question {
  id: string;
  text: string;
  n: number;
  comment?: string;
}

export interface FullDrop {
  id: string;
  rev: number;
  title: string;
  kind: 'coupon' | 'draw';
  state: string;
  stock: number;
  left: number;
  granted: number;
  returned: number;
  reserved: number;
  entrants: number;
  per_user: number;
  opens_at: number | null;
  closes_at: number | null;
  opened_at: number | null;
  closed_at: number | null;
  codes: string;
  codes_held: number;
  order: string;
  test: boolean;
}

export interface FullPoll extends Poll {
  voters: number;
}

export interface FullProduct extends Product {
  id: string;
  taps?: number;
}

export interface Toast {
  id: number;
  text: string;
  bad: boolean;
  undo: (() => Promise<unknown>) | null;
}

/** Parts of the page that are drawn by themselves. */
export type Topic = 'chat' | 'queue' | 'live' | 'goods' | 'room';
export const VIEWS = ['chat', 'queue', 'live', 'shelf', 'drops', 'polls', 'room'] as const;
export type View = (typeof VIEWS)[number];
export type Queue = 'held' | 'reports';

const TOAST_MS = 5000;
/** An undo is offered so long. */
const UNDO_MS = 12_000;
/** One-key mutes last so long. */
export const MUTE_S = 600;
/** Comments of the last so many seconds make up the rate. */
const RATE_S = 10;
/** People whose names are kept for lists that only have ids. */
const NAMES_MAX = 5000;
/** At the most this long ago: what charts can show. */
const PAST_MS = 2 * 3_600_000;

export class Console {
  readonly room = decodeURIComponent(location.pathname.split('/')[2] ?? '');
  readonly token = tokenOfAddress();
  readonly live: LivecastClient;
  readonly api: Api;
  readonly book = new Book();
  readonly series = new Series();
  /** Names of people who are only known by their id elsewhere. */
  readonly names = new Map<string, string>();
  tally: Tally = NOTHING;
  held: Held[] = [];
  reports: Report[] = [];
  questions: Question[] = [];
  drops: FullDrop[] = [];
  polls: FullPoll[] = [];
  products: FullProduct[] = [];
  givers: { place: number; user: string; value: number }[] = [];
  /** Given in this broadcast. */
  coins = 0;
  /** `ok`, `degraded`, `starting`…; empty: the node does not answer. */
  health: { status: string; degraded: string[] } = { status: 'ok', degraded: [] };
  toasts: Toast[] = [];

  filter: Filter = EVERYTHING;
  /** The number of the line that is chosen. */
  chosen: number | null = null;
  /** The list stands still behind this line. */
  paused: number | null = null;
  /** What asks for a second press: `remove:ID`… */
  armed = '';
  view: View = 'chat';
  side: View = 'live';
  queue: Queue = 'held';
  person: { id: string; name: string } | null = null;
  replyTo: Line | null = null;

  private readonly listeners = new Map<() => void, ReadonlySet<Topic>>();
  private readonly due = new Set<Topic>();
  private toastId = 0;
  private disarm: ReturnType<typeof setTimeout> | undefined;
  private readonly fetching = new Map<string, { again: boolean }>();
  private readonly soon = new Map<string, ReturnType<typeof setTimeout>>();
  private recent: { at: number; n: number }[] = [];
  private based = '';

  constructor() {
    this.live = new LivecastClient({ room: this.room, recentMax: 50, ...(this.token ? { token: this.token } : {}) });
    this.api = new Api(this.room, this.token ?? '');
  }

  start(): void {
    const { live } = this;
    live.on('welcome', (welcome) => {
      this.book.welcome(welcome.recovered ? [] : welcome.recent);
      this.series.welcome(live.view.state, live.now());
      for (const topic of ['held', 'reports', 'questions', 'drops', 'polls', 'products', 'givers', 'stats'] as const) void this.fetch(topic);
      this.changed();
    });
    live.on('frame', (frame) => {
      const { state } = live.view;
      this.book.frame(frame);
      this.series.frame(frame, state.drops);
      if (frame.tally) {
        this.tally = add(this.tally, frame.tally as Partial<Tally>);
        this.recent.push({ at: frame.ts, n: (frame.tally as Partial<Tally>).in ?? 0 });
      }
      for (const comment of frame.comments ?? []) {
        if (comment.late && this.held.some((one) => one.id === comment.id)) this.held = this.held.filter((one) => one.id !== comment.id);
      }
      for (const { u } of [...(frame.gifts ?? []), ...(frame.comments ?? []), ...state.board]) if (u) this.name(u.id, u.name);
      if (frame.gifts) this.fetchSoon('givers', 2000);
      if (frame.redact) this.fetchSoon('reports', 500);
      const patch = frame.state;
      if (patch?.drops !== undefined) this.fetchSoon('drops', 400);
      if (patch?.polls !== undefined) this.fetchSoon('polls', 400);
      if (patch?.products !== undefined || patch?.on_air !== undefined) this.fetchSoon('products', 200);
      if (frame.comments || frame.merges || frame.redact) this.changed('chat');
      if (patch) this.changed('goods', 'room'); // figures are drawn once a second: calm to look at, and cheap
    });
    live.on('desk', (desk) => {
      this.book.desk(desk as Desk & { users?: Record<string, Known> });
      for (const comment of desk.comments ?? []) {
        if (comment.u) this.name(comment.u.id, comment.u.name);
        if (comment.verdict === 'held' && comment.u && !this.held.some((one) => one.id === comment.id)) {
          const about = this.book.known.get(comment.u.id);
          this.held = [...this.held, { id: comment.id, u: comment.u, text: comment.text ?? '', at: comment.at ?? 0, ...(about ? { about } : {}) }];
        }
      }
      if (desk.held !== undefined && desk.held !== this.held.length) this.fetchSoon('held', 800);
      for (const report of (desk.reports ?? []) as unknown as Report[]) {
        this.reports = [report, ...this.reports.filter((one) => one.id !== report.id)];
      }
      this.changed('chat', 'queue');
    });
    live.on('connection', () => this.changed('room'));
    live.on('own', (own) => {
      if (!['sending', 'shown', 'merged', 'held', 'sampled'].includes(own.state)) this.fail(own.state);
    });
    addEventListener('online', () => live.resume());
    setInterval(() => this.everySecond(), 1000);
    setInterval(() => void this.look(), 10_000);
    void this.look();
    live.connect();
  }

  // --- Hear ----------------------------------------------------------------------------------------------------------

  subscribe(listener: () => void, topics: readonly Topic[]): () => void {
    this.listeners.set(listener, new Set(topics));
    return () => void this.listeners.delete(listener);
  }

  /** Draw what shows these topics (none named: everything), once for all that changed by the next picture. */
  changed(...topics: Topic[]): void {
    const idle = this.due.size === 0;
    for (const topic of topics.length ? topics : (['chat', 'queue', 'live', 'goods', 'room'] as const)) this.due.add(topic);
    if (!idle) return;
    const draw = () => {
      const due = new Set(this.due);
      this.due.clear();
      for (const [listener, wanted] of [...this.listeners]) if ([...wanted].some((topic) => due.has(topic))) listener();
    };
    if (document.hidden) setTimeout(draw, 500);
    else requestAnimationFrame(draw);
  }

  // --- Look ----------------------------------------------------------------------------------------------------------

  get role(): string {
    const { you, view } = this.live;
    if (!you) return '';
    const { moderators } = view.state as { moderators?: { id: string }[] | null };
    return you.role === 'viewer' && moderators?.some((one) => one.id === you.id) ? 'moderator' : you.role;
  }

  /** Whether the caller runs the show: broadcast, policy, shelf, polls, drops, figures. Moderators only keep it civil. */
  get runs(): boolean {
    return this.role === 'host' || this.role === 'merchant';
  }

  get isStaff(): boolean {
    return this.runs || this.role === 'moderator';
  }

  /** Comments a second that came in lately. */
  get rate(): number {
    return this.recent.reduce((sum, { n }) => sum + n, 0) / RATE_S;
  }

  get line(): Line | null {
    return this.chosen === null ? null : (this.book.at(this.chosen) ?? null);
  }

  nameOf(user: string): string {
    return this.names.get(user) ?? user;
  }

  // --- Do: the desk --------------------------------------------------------------------------------------------------

  choose(no: number | null): void {
    this.chosen = no;
    this.changed('chat');
  }

  /** The list stands still, or goes on. */
  pause(on: boolean): void {
    this.paused = on ? (this.book.lines.at(-1)?.no ?? null) : null;
    this.book.paused = this.paused !== null;
    this.changed('chat');
  }

  setFilter(filter: Partial<Filter>): void {
    this.filter = { ...this.filter, ...filter };
    this.changed('chat');
  }

  /** What cannot be taken back asks for a second press: true the second time. */
  sure(what: string): boolean {
    clearTimeout(this.disarm);
    if (this.armed === what) {
      this.armed = '';
      this.changed('chat', 'queue', 'goods', 'room');
      return true;
    }
    this.armed = what;
    this.disarm = setTimeout(() => {
      this.armed = '';
      this.changed('chat', 'queue', 'goods', 'room');
    }, 4000);
    this.changed('chat', 'queue', 'goods', 'room');
    return false;
  }

  mute(user: string, name: string, for_s: number | null = MUTE_S): Promise<boolean> {
    const body = { user, ...(for_s === null ? {} : { for_s }) };
    return this.act('POST', 'mutes', body, t('did_mute', { name }), () => this.api.call('DELETE', `mutes/${part(user)}`));
  }

  unmute(user: string, name: string): Promise<boolean> {
    return this.act('DELETE', `mutes/${part(user)}`, undefined, t('did_unmute', { name }));
  }

  ban(user: string, name: string): Promise<boolean> {
    return this.act('POST', 'bans', { user }, t('did_ban', { name }), () => this.api.call('DELETE', `bans/${part(user)}`));
  }

  unban(user: string, name: string): Promise<boolean> {
    return this.act('DELETE', `bans/${part(user)}`, undefined, t('did_unban', { name }));
  }

  remove(comments: string[]): Promise<boolean> {
    return this.act('POST', 'redactions', { comments }, t('did_remove'));
  }

  removeAllOf(user: string, name: string): Promise<boolean> {
    return this.act('POST', 'redactions', { users: [user] }, t('did_remove_all', { name }));
  }

  pin(text: string): Promise<boolean> {
    const before = this.live.view.state.notice;
    const back = () => (before ? this.api.call('PUT', 'notice', before) : this.api.call('DELETE', 'notice'));
    return this.act('PUT', 'notice', { text }, t('did_pin'), back);
  }

  unpin(): Promise<boolean> {
    const before = this.live.view.state.notice;
    return this.act('DELETE', 'notice', undefined, t('did_unpin'), before ? () => this.api.call('PUT', 'notice', before) : null);
  }

  reply(line: Line | null): void {
    this.replyTo = line?.id ? line : null;
    this.changed('chat');
    if (line) setTimeout(() => document.getElementById('say')?.focus(), 0);
  }

  async say(text: string): Promise<void> {
    const to = this.replyTo;
    this.replyTo = null;
    this.changed('chat');
    await this.live.comment(text, to ? { reply_to: to.id, mentions: [to.u.id] } : {}).catch(() => this.fail('unavailable'));
  }

  // --- Do: what waits ------------------------------------------------------------------------------------------------

  async judge(held: Held, action: 'approve' | 'reject'): Promise<void> {
    this.held = this.held.filter((one) => one.id !== held.id);
    this.changed('queue');
    const done = await this.act('POST', `held/${part(held.id)}`, { action }, t(action === 'approve' ? 'did_approve' : 'did_reject'));
    if (!done) void this.fetch('held');
    else if (action === 'reject') this.book.change(held.id, { verdict: 'redacted' });
  }

  async settle(report: Report): Promise<void> {
    this.reports = this.reports.filter((one) => one.id !== report.id);
    this.changed('queue');
    if (!(await this.act('DELETE', `reports/${part(report.id)}`, undefined, t('did_settle')))) void this.fetch('reports');
  }

  /** With words: to those who asked, and if `aloud` to everybody. Without: taken off the list. */
  async answer(question: Question, text: string, aloud: boolean): Promise<void> {
    if (aloud && text) void this.live.comment(text, question.comment ? { reply_to: question.comment } : {}).catch(() => this.fail('unavailable'));
    await this.act('POST', `questions/${part(question.id)}/answer`, text ? { text } : {}, t('did_answer', { n: question.n }));
    void this.fetch('questions');
  }

  async dismiss(question: Question): Promise<void> {
    this.questions = this.questions.filter((one) => one.id !== question.id);
    await this.act('POST', `questions/${part(question.id)}/answer`, { quiet: true }, t('did_dismiss'));
  }

  // --- Do: the room --------------------------------------------------------------------------------------------------

  policy(patch: Record<string, unknown>): Promise<boolean> {
    const now = this.live.policy;
    const before = Object.fromEntries(Object.keys(patch).map((key) => [key, now?.[key] ?? null]));
    return this.act('PATCH', 'policy', patch, t('did_policy'), () => this.api.call('PATCH', 'policy', before));
  }

  /** Nobody but staff may speak, and every screen is clean. */
  async panic(): Promise<void> {
    const mode = this.live.policy?.mode;
    if (mode && mode !== 'staff') sessionStorage.setItem(`livecast.mode.${this.room}`, mode);
    await this.act('POST', 'panic', {}, t('did_panic'));
  }

  /** The way back. */
  async calm(): Promise<void> {
    const mode = sessionStorage.getItem(`livecast.mode.${this.room}`) ?? 'all';
    await this.act('PATCH', 'policy', { mode }, t('did_calm'));
  }

  // --- Do: anything --------------------------------------------------------------------------------------------------

  /** Have it done and say so; what went wrong is said too, and false. */
  async act(method: string, path: string, body: unknown, done: string, undo: (() => Promise<unknown>) | null = null): Promise<boolean> {
    try {
      await this.api.call(method, path, body);
      if (done) this.toast(done, false, undo);
      return true;
    } catch (why) {
      this.refused(why);
      return false;
    }
  }

  refused(why: unknown): void {
    if (why instanceof Problem) this.fail(why.code, why.errors[0]?.detail || why.detail);
    else throw why;
  }

  fail(code: string, detail = ''): void {
    const known = tOr(`e_${code}`, code);
    const plain = ['invalid', 'conflict', 'forbidden', 'not_found'].includes(code) && detail;
    this.toast(t('failed', { why: plain ? `${known} (${detail})` : known }), true);
  }

  toast(text: string, bad = false, undo: (() => Promise<unknown>) | null = null): void {
    const id = ++this.toastId;
    this.toasts = [...this.toasts.slice(-3), { id, text, bad, undo }];
    setTimeout(() => this.gone(id), undo ? UNDO_MS : TOAST_MS);
    this.changed('room');
  }

  /** Take the last thing back that can be, or the one of this message. */
  async undo(id?: number): Promise<void> {
    const toast = id === undefined ? this.toasts.findLast((one) => one.undo) : this.toasts.find((one) => one.id === id);
    if (!toast?.undo) return;
    this.gone(toast.id);
    try {
      await toast.undo();
      this.toast(t('undone'));
    } catch (why) {
      this.refused(why);
    }
  }

  /** Fetch what staff read over HTTP; what is asked for meanwhile is fetched once more. */
  async fetch(what: What): Promise<void> {
    const busy = this.fetching.get(what);
    if (busy) {
      busy.again = true;
      return;
    }
    if (!this.isStaff || (!this.runs && FETCHES[what].runs)) return;
    const mine = { again: false };
    this.fetching.set(what, mine);
    try {
      await FETCHES[what].get(this);
      this.changed(FETCHES[what].topic);
    } catch (why) {
      if (!(why instanceof Problem)) throw why; // the next round asks again; the connection's own word says what is wrong
    } finally {
      this.fetching.delete(what);
    }
    if (mine.again) this.fetchSoon(what, 300);
  }

  fetchSoon(what: What, delay_ms: number): void {
    if (this.soon.has(what)) return;
    this.soon.set(what, setTimeout(() => {
      this.soon.delete(what);
      void this.fetch(what);
    }, delay_ms));
  }

  /** The tally of the broadcast so far, once: what came before this page was opened. */
  async base(): Promise<void> {
    const { broadcast } = this.live.view.state;
    if (!broadcast || this.based === broadcast) return;
    const before = this.based;
    this.based = broadcast;
    if (before) {
      this.tally = NOTHING; // a new broadcast: nothing came before it
      return;
    }
    const [latest] = (await this.api.get<Page<{ id: string }>>('broadcasts?limit=1')).data;
    if (latest?.id !== broadcast) return; // so new that the archive has nothing of it
    const { comments } = await this.api.get<{ comments: Partial<Tally> }>(`report?broadcast=${part(broadcast)}`);
    this.tally = add(this.tally, comments);
    this.changed('live');
  }

  stats(): Promise<{ data: Stored[] }> {
    const now = Math.floor(this.live.now());
    const from = Math.max(now - PAST_MS, this.live.view.state.started_at ?? 0);
    return this.api.get(`stats?from=${from}&step=10000`);
  }

  // --- Private -------------------------------------------------------------------------------------------------------

  private name(user: string, name: string): void {
    if (!name || this.names.get(user) === name) return;
    this.names.delete(user);
    this.names.set(user, name);
    if (this.names.size > NAMES_MAX) this.names.delete(this.names.keys().next().value!);
  }

  private gone(id: number): void {
    this.toasts = this.toasts.filter((one) => one.id !== id);
    this.changed('room');
  }

  private everySecond(): void {
    if (this.live.connection.state !== 'open' || !this.isStaff) return;
    const now = this.live.now();
    this.recent = this.recent.filter(({ at }) => at > now - RATE_S * 1000);
    this.series.tick(now);
    this.changed('live');
    const s = Math.floor(now / 1000);
    if (document.hidden) return;
    if (s % 3 === 0) void this.fetch('questions');
    if (s % 3 === 1 && this.drops.some((drop) => ['open', 'sold_out', 'paused'].includes(drop.state))) void this.fetch('drops');
    if (s % 3 === 2 && this.polls.some((poll) => poll.state === 'open')) void this.fetch('polls');
    if (s % 5 === 0 && this.products.length) void this.fetch('products');
    if (s % 15 === 0) for (const what of ['reports', 'held', 'givers'] as const) void this.fetch(what);
    if (s % 60 === 0) void this.fetch('stats');
  }

  private async look(): Promise<void> {
    try {
      const response = await fetch('/readyz', { cache: 'no-store' });
      const said = (await response.json()) as { status?: string; degraded?: string[] };
      this.health = { status: said.status ?? String(response.status), degraded: said.degraded ?? [] };
    } catch {
      this.health = { status: '', degraded: [] };
    }
    this.changed('room');
  }
}

type What = 'held' | 'reports' | 'questions' | 'drops' | 'polls' | 'products' | 'givers' | 'stats';

interface Fetching {
  topic: Topic;
  /** Only for those who run the show. */
  runs?: boolean;
  get: (of: Console) => Promise<void>;
}

const all = async <T>(of: Console, path: string): Promise<T[]> => (await of.api.get<Page<T>>(`${path}?limit=200`)).data;

const FETCHES: Record<What, Fetching> = {
  held: { topic: 'queue', get: async (of) => void (of.held = await all<Held>(of, 'held')) },
  reports: { topic: 'queue', get: async (of) => void (of.reports = await all<Report>(of, 'reports')) },
  questions: { topic: 'queue', get: async (of) => void (of.questions = await all<Question>(of, 'questions')) },
  drops: { topic: 'goods', get: async (of) => void (of.drops = (await of.api.get<Page<FullDrop>>('drops?limit=50')).data) },
  polls: { topic: 'goods', get: async (of) => void (of.polls = (await of.api.get<Page<FullPoll>>('polls?limit=50')).data) },
  products: { topic: 'goods', get: async (of) => void (of.products = await all<FullProduct>(of, 'products')) },
  givers: {
    topic: 'live', runs: true,
    get: async (of) => {
      const [board, earnings] = await Promise.all([
        of.api.get<{ data: Console['givers'] }>('leaderboard?limit=10'), of.api.get<{ value: number }>('earnings'),
      ]);
      of.givers = board.data;
      of.coins = earnings.value;
    },
  },
  stats: {
    topic: 'live', runs: true,
    get: async (of) => {
      of.series.load((await of.stats()).data, of.live.now());
      of.changed('live');
      await of.base();
    },
  },
};

export const desk = new Console();
