/** What the console knows: the room as the host's own client sees it, what only staff are told, and what is chosen on the page. */

import { LivecastClient, type Desk, type Frame } from '@livecast/client';
import { Api } from '../shared/api';
import { Arming } from '../shared/arming';
import { roomOfAddress } from '../shared/links';
import { tokenOfAddress } from '../shared/token';
import { Acts } from './acts';
import { Drawing } from './drawing';
import { Book, EVERYTHING, type Filter, type Known, type Line } from './lines';
import { Measures } from './measures';
import { Told, type Report } from './told';

export const VIEWS = ['chat', 'queue', 'live', 'shelf', 'drops', 'polls', 'room'] as const;
export type View = (typeof VIEWS)[number];
export type Queue = 'held' | 'reports';

/** People whose names are kept for lists that only have ids. */
const NAMES_MAX = 5000;
const LOOK_MS = 10_000;

export class Console extends Drawing {
  readonly room = roomOfAddress();
  readonly token = tokenOfAddress();
  readonly live = new LivecastClient({ room: this.room, recentMax: 50, ...(this.token ? { token: this.token } : {}) });
  readonly api = new Api(this.room, this.token ?? '');
  readonly acts = new Acts(this.api, () => this.changed('room'));
  readonly told = new Told(this.api, this);
  readonly measures = new Measures(this.api, this.live);
  readonly book = new Book();
  /** What asks for a second press: `remove:ID`… */
  readonly arming = new Arming(() => this.changed('chat', 'queue', 'goods', 'room'));
  /** `ok`, `degraded`, `starting`…; empty: the node does not answer. */
  health: { status: string; degraded: string[] } = { status: 'ok', degraded: [] };

  filter: Filter = EVERYTHING;
  /** The number of the line that is chosen. */
  chosen: number | null = null;
  /** The list stands still behind this line. */
  paused: number | null = null;
  view: View = 'chat';
  side: View = 'live';
  queue: Queue = 'held';
  person: { id: string; name: string } | null = null;
  replyTo: Line | null = null;

  /** Names of people who are only known by their id elsewhere. */
  private readonly names = new Map<string, string>();

  start(): void {
    const { live } = this;
    live.on('welcome', (welcome) => {
      this.book.welcome(welcome.recovered ? [] : welcome.recent);
      this.measures.welcome();
      this.told.fetchAll();
      void this.fetchPast();
      this.changed();
    });
    live.on('frame', (frame) => this.heard(frame));
    live.on('desk', (desk) => this.toldOf(desk as Desk & { users?: Record<string, Known> }));
    live.on('connection', () => this.changed('room'));
    live.on('own', (own) => {
      if (!['sending', 'shown', 'merged', 'held', 'sampled'].includes(own.state)) this.acts.fail(own.state);
    });
    addEventListener('online', () => live.resume());
    setInterval(() => this.everySecond(), 1000);
    setInterval(() => void this.look(), LOOK_MS);
    void this.look();
    live.connect();
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

  get line(): Line | null {
    return this.chosen === null ? null : (this.book.at(this.chosen) ?? null);
  }

  /** Viewers may see them under an alias: then that is what comments and gifts were heard under. */
  nameOf(user: string): string {
    return this.names.get(user) ?? this.names.get(this.book.known.get(user)?.alias ?? '') ?? user;
  }

  // --- Choose --------------------------------------------------------------------------------------------------------

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

  setReply(line: Line | null): void {
    this.replyTo = line?.id ? line : null;
    this.changed('chat');
    if (line) setTimeout(() => document.getElementById('say')?.focus(), 0);
  }

  showPerson(person: { id: string; name: string } | null): void {
    this.person = person;
    this.changed('room');
  }

  // --- Private -------------------------------------------------------------------------------------------------------

  private heard(frame: Frame): void {
    const { told } = this;
    const patch = frame.state;
    this.book.frame(frame);
    this.measures.frame(frame);
    for (const comment of frame.comments ?? []) {
      if (comment.late) told.held = told.held.filter((one) => one.id !== comment.id);
    }
    for (const { u } of [...(frame.gifts ?? []), ...(frame.comments ?? []), ...this.live.view.state.board]) if (u) this.name(u.id, u.name);
    if (frame.gifts) told.fetchSoon('givers', 2000);
    if (frame.redact) told.fetchSoon('reports', 500);
    if (patch?.drops !== undefined) told.fetchSoon('drops', 400);
    if (patch?.polls !== undefined) told.fetchSoon('polls', 400);
    if (patch?.products !== undefined || patch?.on_air !== undefined) told.fetchSoon('products', 200);
    if (frame.comments || frame.merges || frame.redact) this.changed('chat');
    if (patch) this.changed('goods', 'room'); // figures are drawn once a second: calm to look at, and cheap
  }

  private toldOf(desk: Desk & { users?: Record<string, Known> }): void {
    const { told } = this;
    this.book.desk(desk);
    for (const comment of desk.comments ?? []) {
      if (comment.u) this.name(comment.u.id, comment.u.name);
      if (comment.verdict === 'held' && comment.u && !told.held.some((one) => one.id === comment.id)) {
        const about = this.book.known.get(comment.u.id);
        told.held = [...told.held, { id: comment.id, u: comment.u, text: comment.text ?? '', at: comment.at ?? 0, ...(about ? { about } : {}) }];
      }
    }
    if (desk.held !== undefined && desk.held !== told.held.length) told.fetchSoon('held', 800);
    for (const report of (desk.reports ?? []) as unknown as Report[]) {
      told.reports = [report, ...told.reports.filter((one) => one.id !== report.id)];
    }
    this.changed('chat', 'queue');
  }

  private name(user: string, name: string): void {
    if (!name || this.names.get(user) === name) return;
    this.names.delete(user);
    this.names.set(user, name);
    if (this.names.size > NAMES_MAX) this.names.delete(this.names.keys().next().value!);
  }

  private everySecond(): void {
    if (this.live.connection.state !== 'open' || !this.isStaff) return;
    this.measures.everySecond();
    this.changed('live');
    const { told } = this;
    const s = Math.floor(this.live.now() / 1000);
    if (document.hidden) return;
    if (s % 3 === 0) void told.fetch('questions');
    if (s % 3 === 1 && told.drops.some((drop) => ['open', 'sold_out', 'paused'].includes(drop.state))) void told.fetch('drops');
    if (s % 3 === 2 && told.polls.some((poll) => poll.state === 'open')) void told.fetch('polls');
    if (s % 5 === 0 && told.products.length) void told.fetch('products');
    if (s % 15 === 0) for (const what of ['reports', 'held', 'givers'] as const) void told.fetch(what);
    if (s % 60 === 0) void this.fetchPast();
  }

  private async fetchPast(): Promise<void> {
    if (!this.runs) return;
    await this.measures.fetchPast();
    this.changed('live');
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

export const desk = new Console();
