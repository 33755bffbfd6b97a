/** What the page knows: the client, and beside its view what only this page needs. Components read it and hear `changed`. */

import { LivecastClient, seenAs, type Answer, type Combo, type Comment, type Drop, type Frame, type Notice, type OwnComment } from '@livecast/client';
import { mediaLink, roomOfAddress } from '../shared/links';
import { tokenOfAddress } from '../shared/token';
import { Account } from './account';
import { linesOf, type Line } from './lines';
import { worthACard } from './worth';
import { t, tOr } from './words';

export interface Gift {
  id: string;
  name: string;
  price: number;
  tier: number;
}

/** Own comments that are remembered for the list. */
const OWN_MAX = 30;
/** A banner stays so long after its last word. */
const BANNER_MS = 4000;
/** Clicks on the same gift are collected for so long, and sent as one. */
const GIFT_MS = 350;
/** A short word at the edge of the screen. */
const TOAST_MS = 4500;
/** While a drop asks for something, or lots are drawn, how often one's progress is asked for. */
const PROGRESS_MS = 5000;

const query = new URLSearchParams(location.search);

export class Room {
  readonly name = roomOfAddress();
  /** The video, if there is one that the page may load. */
  readonly src = mediaLink(query.get('src'));
  readonly wanted = query.has('src');
  /** Whether frames are held back by the player's delay. */
  readonly inStep = query.get('sync') !== 'off';
  readonly live: LivecastClient;
  readonly account: Account;
  readonly own = new Map<string, OwnComment>();
  readonly banners = new Map<string, { combo: Combo; until: number }>();
  gifts: Gift[] = [];
  toasts: { id: number; text: string; bad: boolean }[] = [];
  replyTo: Comment | null = null;
  private listeners = new Set<() => void>();
  private scheduled = false;
  private giving = new Map<string, { n: number }>();
  private toastId = 0;

  constructor() {
    const token = tokenOfAddress();
    this.live = new LivecastClient({ room: this.name, recentMax: 120, ...(token ? { token } : {}) });
    this.account = new Account(this.live, () => this.changed());
    const { live } = this;
    live.on('own', (own) => this.noteOwn(own));
    live.on('frame', (frame) => this.heard(frame));
    live.on('notice', (notice) => this.told(notice));
    live.on('connection', () => this.changed());
    live.on('welcome', () => {
      this.account.keepCommitments(Object.values(live.view.state.drops));
      void this.account.refresh();
      this.changed();
    });
    addEventListener('online', () => live.resume());
    addEventListener('pagehide', () => live.pause());
    addEventListener('pageshow', (event) => event.persisted && live.resume());
    addEventListener('hashchange', () => void this.renew());
    setInterval(() => this.tidy(), 500);
    setInterval(() => this.progress(), PROGRESS_MS);
    void this.catalogue();
    live.connect();
  }

  // --- Hear ----------------------------------------------------------------------------------------------------------

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Draw anew, once for all that changed by the next picture. */
  changed(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    const draw = () => {
      this.scheduled = false;
      for (const listener of this.listeners) listener();
    };
    if (document.hidden) setTimeout(draw, 250);
    else requestAnimationFrame(draw);
  }

  // --- Look ----------------------------------------------------------------------------------------------------------

  get signedIn(): boolean {
    return this.live.you !== null && !this.live.you.anonymous;
  }

  can(kind: string): boolean {
    return this.live.you?.can.includes(kind) ?? false;
  }

  lines(): Line[] {
    return linesOf(this.live.view.recent, this.own.values(), this.live.you);
  }

  /** Drops worth a card, the most urgent first. */
  drops(): Drop[] {
    const { account } = this;
    return worthACard(Object.values(this.live.view.state.drops), ({ id }) => account.outcomes.has(id) || account.held(id).length > 0 || account.entry(id) !== undefined);
  }

  // --- Do ------------------------------------------------------------------------------------------------------------

  /** Say it; a refusal stays in the list for a moment. */
  async say(text: string, mentions: string[] = [], style?: Comment['style']): Promise<boolean> {
    const replied = this.replyTo;
    this.replyTo = null;
    const called = [...new Set([...(replied?.u ? [replied.u.id] : []), ...mentions])].slice(0, 5);
    const answer = await this.live
      .comment(text, { ...(replied ? { reply_to: replied.id } : {}), ...(called.length ? { mentions: called } : {}), ...(style ? { style } : {}) })
      .catch(() => null);
    return answer?.ok ?? false;
  }

  /** One more of this gift; quick clicks become one gift of many. With a text it is a paid comment, and goes alone. */
  give(gift: Gift, text = ''): void {
    if (text) {
      void this.send(gift, 1, text);
      return;
    }
    const pending = this.giving.get(gift.id);
    if (pending) {
      pending.n += 1;
      return;
    }
    const entry = { n: 1 };
    this.giving.set(gift.id, entry);
    setTimeout(() => {
      this.giving.delete(gift.id);
      void this.send(gift, entry.n);
    }, GIFT_MS);
  }

  async vote(poll: string, choice: number): Promise<void> {
    const answer = await this.account.vote(poll, choice);
    if (!answer?.ok) this.fail(answer);
  }

  async report(what: { comment: string } | { user: string }, reason: string): Promise<void> {
    const answer = await this.live.report(what, reason).catch(() => null);
    if (answer?.ok) this.toast(t('reported'));
    else this.fail(answer);
  }

  /** In development anybody may have a token. */
  async joinAsTest(): Promise<void> {
    const sub = `guest-${Math.random().toString(36).slice(2, 8)}`;
    const response = await fetch('/v1/tokens', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer lck_dev_dev' },
      body: JSON.stringify({ sub, name: sub }),
    });
    if (!response.ok) return;
    const { token } = (await response.json()) as { token: string };
    location.hash = `token=${token}`;
  }

  toast(text: string, bad = false): void {
    const id = ++this.toastId;
    this.toasts = [...this.toasts.slice(-2), { id, text, bad }];
    setTimeout(() => {
      this.toasts = this.toasts.filter((one) => one.id !== id);
      this.changed();
    }, TOAST_MS);
    this.changed();
  }

  // --- Private -------------------------------------------------------------------------------------------------------

  private noteOwn(own: OwnComment): void {
    this.own.set(own.cid, own);
    if (this.own.size > OWN_MAX) this.own.delete(this.own.keys().next().value!);
    this.changed();
  }

  private heard(frame: Frame): void {
    for (const combo of frame.gifts ?? []) this.banners.set(combo.combo, { combo, until: performance.now() + BANNER_MS });
    if (frame.redact) {
      const gone = new Set(frame.redact.comments);
      const mine = frame.redact.users?.includes(seenAs(this.live.you) ?? '');
      for (const [cid, own] of this.own) if (mine || gone.has(own.id ?? '')) this.own.delete(cid);
      if (this.replyTo && gone.has(this.replyTo.id)) this.replyTo = null;
    }
    if (typeof frame.state?.broadcast === 'string') this.own.clear(); // what was said in the one before is its own
    if (frame.state?.drops) {
      this.account.keepCommitments(Object.values(this.live.view.state.drops));
      const stepped = Object.values(frame.state.drops as Record<string, { state?: string } | null>).some((drop) => drop?.state);
      if (stepped) void this.account.refresh();
    }
    if (frame.state?.gifts) void this.catalogue();
    this.changed();
  }

  private told({ kind, data }: Notice): void {
    const said = (data ?? {}) as { balance?: unknown; reason?: unknown; text?: unknown };
    if (kind === 'draw.won') this.toast(t('won_draw'));
    if (kind === 'reservation.expiring') this.toast(t('reserve_end'));
    if (kind === 'muted') this.toast(t('muted_now'), true);
    if (kind === 'unmuted') this.toast(t('unmuted'));
    if (kind === 'comment.rejected') this.toast(t('rejected'), true);
    if (kind === 'question.answered') this.toast(typeof said.text === 'string' ? `${t('answered')} ${said.text}` : t('answered'));
    if (kind === 'wallet' && typeof said.balance === 'number') this.account.balance = said.balance;
    if (kind.startsWith('draw') || kind.startsWith('reservation')) void this.account.refresh();
    this.changed();
  }

  /** An app whose web view shows this page gives a new token by the address: the live socket goes on with it. */
  private async renew(): Promise<void> {
    const token = tokenOfAddress();
    if (!token) return;
    const answer = this.live.connection.state === 'closed' ? null : await this.live.signIn(token).catch(() => null);
    if (!answer?.ok) location.reload(); // closed for good, or another person: the page begins anew, as who is signed in now
    else await this.account.refresh();
    this.changed();
  }

  private async send(gift: Gift, n: number, text = ''): Promise<void> {
    const answer = await this.live.gift(gift.id, n, { unit_price: gift.price, ...(text ? { text } : {}) }).catch(() => null);
    if (answer?.ok) this.account.balance = answer.ack?.balance;
    else this.fail(answer);
    this.changed();
  }

  private async catalogue(): Promise<void> {
    try {
      this.gifts = (await this.live.get<{ data: Gift[] }>('/v1/gifts')).data;
      this.changed();
    } catch {
      // no ledger, no gifts
    }
  }

  private fail(answer: Answer | null): void {
    this.toast(t('failed', { why: answer ? reason(answer.verdict) : t('e_unavailable') }), true);
  }

  /** Whether a drop asks its claimants for something that one may still be about to do. */
  private conditions(): boolean {
    return Object.values(this.live.view.state.drops).some(
      (d) => ['announced', 'open', 'paused'].includes(d.state) && Object.keys(d.eligibility ?? {}).length > 0 && this.account.held(d.id).length < d.per_user,
    );
  }

  private progress(): void {
    if (!document.hidden && this.live.connection.state === 'open' && (this.conditions() || Object.values(this.live.view.state.drops).some((drop) => this.account.waitsFor(drop)))) void this.account.refresh();
  }

  private tidy(): void {
    const now = performance.now();
    let gone = false;
    for (const [id, banner] of this.banners) {
      if (banner.until < now) gone = this.banners.delete(id) || gone;
    }
    if (gone) this.changed();
  }
}

/** An error's code in words. */
export const reason = (code: string, s = 0): string => tOr(`e_${code}`, code, { s });

export const room = new Room();
