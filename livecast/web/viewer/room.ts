/** What the page knows: the client, and beside its view what only this page needs. Components read it and hear `changed`. */

import { LivecastClient, type Answer, type Combo, type Comment, type Drop, type OwnComment } from '@livecast/client';
import { tokenOfAddress } from '../shared/token';
import { t, tOr } from './words';

/** A line of the list: a comment of the room's, or one's own that nobody else sees (yet). */
export interface Line {
  key: string;
  comment: Comment;
  mine: boolean;
  /** What is known of one's own, if it is not simply shown. */
  state: OwnComment | null;
}

export interface Prize {
  drop: string;
  serial: number;
  of: number;
  code?: string;
  state: string;
  at: number;
  expires_at?: number;
  title?: string;
}

export interface Me {
  balance?: number;
  claims?: Prize[];
  eligibility?: Record<string, { eligible: boolean; missing: Missing[] }>;
}

export interface Missing {
  rule: string;
  have: unknown;
  need: unknown;
}

export interface Gift {
  id: string;
  name: string;
  price: number;
  tier: number;
}

/** What became of one's claim of a drop. */
export interface Outcome {
  verdict: string;
  answer?: Answer;
}

/** Own comments that are remembered for the list. */
const OWN_MAX = 30;
/** A banner stays so long after its last word. */
const BANNER_MS = 4000;
/** Clicks on the same gift are collected for so long, and sent as one. */
const GIFT_MS = 350;
/** A short word at the edge of the screen. */
const TOAST_MS = 4500;

const query = new URLSearchParams(location.search);

export class Room {
  readonly name = decodeURIComponent(location.pathname.split('/')[2] ?? '');
  readonly src = query.get('src');
  readonly live: LivecastClient;
  readonly own = new Map<string, OwnComment>();
  readonly banners = new Map<string, { combo: Combo; until: number }>();
  readonly outcomes = new Map<string, Outcome>();
  readonly voted = new Map<string, number>();
  gifts: Gift[] = [];
  me: Me = {};
  toasts: { id: number; text: string; bad: boolean }[] = [];
  replyTo: Comment | null = null;
  private listeners = new Set<() => void>();
  private scheduled = false;
  private giving = new Map<string, { n: number; timer: ReturnType<typeof setTimeout> }>();
  private toastId = 0;

  constructor() {
    const token = tokenOfAddress();
    this.live = new LivecastClient({ room: this.name, recentMax: 120, ...(token ? { token } : {}) });
    const { live } = this;
    live.on('own', (own) => {
      this.own.set(own.cid, own);
      if (this.own.size > OWN_MAX) this.own.delete(this.own.keys().next().value!);
      this.changed();
    });
    live.on('frame', (frame) => {
      for (const combo of frame.gifts ?? []) this.banners.set(combo.combo, { combo, until: performance.now() + BANNER_MS });
      if (frame.redact) {
        const gone = new Set(frame.redact.comments);
        const mine = frame.redact.users?.includes(live.you?.id ?? '');
        for (const [cid, own] of this.own) if (mine || gone.has(own.id ?? '')) this.own.delete(cid);
        if (this.replyTo && gone.has(this.replyTo.id)) this.replyTo = null;
      }
      this.changed();
    });
    live.on('welcome', () => {
      void this.refresh();
      this.changed();
    });
    live.on('connection', () => this.changed());
    live.on('notice', (notice) => {
      if (notice.kind === 'draw.won') this.toast(t('won_draw'));
      if (notice.kind === 'reservation.expiring') this.toast(t('reserve_end'));
      if (notice.kind === 'muted') this.toast(t('failed', { why: t('e_muted') }), true);
      const balance = (notice.data as { balance?: unknown } | null)?.balance;
      if (notice.kind === 'wallet' && typeof balance === 'number') this.me = { ...this.me, balance };
      if (notice.kind.startsWith('draw') || notice.kind.startsWith('reservation')) void this.refresh();
      this.changed();
    });
    addEventListener('online', () => live.resume());
    addEventListener('pagehide', () => live.pause());
    addEventListener('pageshow', (event) => event.persisted && live.resume());
    live.get<{ data: Gift[] }>('/v1/gifts').then(
      ({ data }) => {
        this.gifts = data;
        this.changed();
      },
      () => undefined, // no ledger, no gifts
    );
    setInterval(() => this.tidy(), 500);
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

  get balance(): number | undefined {
    return this.me.balance ?? this.live.you?.balance;
  }

  /** Room and own comments as one list, in the order to show. */
  lines(): Line[] {
    const recent = this.live.view.recent.filter((c) => !c.redacted);
    const known = new Set(recent.map((c) => c.id));
    const mine = new Map<string, OwnComment>();
    const apart: OwnComment[] = [];
    for (const own of this.own.values()) {
      if (own.id !== undefined && known.has(own.id)) mine.set(own.id, own);
      else if (own.state !== 'shown' && own.state !== 'merged') apart.push(own);
    }
    const me = this.live.you?.id;
    const lines: Line[] = recent.map((comment) => {
      const own = mine.get(comment.id) ?? null;
      return { key: comment.id, comment, mine: own !== null || comment.u?.id === me, state: own?.state === 'merged' ? own : null };
    });
    for (const own of apart) {
      const at = lines.findLastIndex((line) => (line.comment.at ?? 0) <= own.at);
      const u = { id: me ?? '', name: this.live.you?.name ?? '' };
      lines.splice(own.state === 'sending' ? lines.length : at + 1, 0, {
        key: own.cid, comment: { id: '', u, text: own.text, at: own.at }, mine: true, state: own,
      });
    }
    return lines;
  }

  /** Drops worth a card, the most urgent first. */
  drops(): Drop[] {
    const rank: Record<string, number> = { open: 0, paused: 1, announced: 2, sold_out: 3, closed: 4, settled: 5 };
    return Object.values(this.live.view.state.drops)
      .filter((d) => d.state in rank && (rank[d.state]! < 3 || this.outcomes.has(d.id) || d.state === 'sold_out'))
      .sort((a, b) => rank[a.state]! - rank[b.state]! || (a.opens_at ?? 0) - (b.opens_at ?? 0));
  }

  // --- Do ------------------------------------------------------------------------------------------------------------

  /** Say it; a refusal stays in the list for a moment. */
  async say(text: string): Promise<boolean> {
    const replied = this.replyTo;
    this.replyTo = null;
    const more = replied?.u ? { reply_to: replied.id, mentions: [replied.u.id] } : {};
    const answer = await this.live.comment(text, more).catch(() => null);
    return answer?.ok ?? false;
  }

  /** One more of this gift; quick clicks become one gift of many. */
  give(gift: Gift): void {
    const pending = this.giving.get(gift.id);
    if (pending) {
      pending.n += 1;
      return;
    }
    const entry = { n: 1, timer: setTimeout(() => void this.send(gift, entry), GIFT_MS) };
    this.giving.set(gift.id, entry);
  }

  async claim(drop: Drop): Promise<void> {
    this.outcomes.set(drop.id, { verdict: 'claiming' });
    this.changed();
    try {
      const answer = await this.live.claim(drop.id);
      this.outcomes.set(drop.id, { verdict: answer.verdict, answer });
      if (answer.verdict === 'won' || answer.verdict === 'entered') void this.refresh();
    } catch {
      this.outcomes.delete(drop.id); // the page is closing
    }
    this.changed();
  }

  async vote(poll: string, choice: number): Promise<void> {
    this.voted.set(poll, choice);
    this.changed();
    const answer = await this.live.vote(poll, choice).catch(() => null);
    if (!answer?.ok) {
      if (answer?.verdict !== 'already_voted') this.voted.delete(poll);
      this.fail(answer);
    }
  }

  async report(comment: Comment, reason: string): Promise<void> {
    const answer = await this.live.report({ comment: comment.id }, reason).catch(() => null);
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
    location.reload();
  }

  /** What HTTP knows of us: prizes, balance, what is missing. */
  async refresh(): Promise<void> {
    if (!this.signedIn) return;
    try {
      this.me = await this.live.get<Me>('me');
      this.changed();
    } catch {
      // not now: the next welcome asks again
    }
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

  private async send(gift: Gift, entry: { n: number }): Promise<void> {
    this.giving.delete(gift.id);
    const answer = await this.live.gift(gift.id, entry.n, { unit_price: gift.price }).catch(() => null);
    if (answer?.ok) this.me = { ...this.me, ...(answer.ack?.balance === undefined ? {} : { balance: answer.ack.balance }) };
    else this.fail(answer);
    this.changed();
  }

  private fail(answer: Answer | null): void {
    const why = answer ? reason(answer.verdict) : t('e_unavailable');
    this.toast(t('failed', { why }), true);
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
