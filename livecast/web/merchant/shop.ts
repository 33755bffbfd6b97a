/** What the panel knows: who looks at it, which rooms and drops there are, and what to say about the last act. */

import { Api, part, Problem, type Page } from '../shared/api';
import { tokenOfAddress } from '../shared/token';
import { t, tOr } from './words';

export interface Caller { kind: 'key' | 'staff' | 'viewer'; id: string; scopes: string[]; rooms: string[]; merchant?: string; name?: string; role?: string }
export interface RoomCard { id: string; title: string; status: string }
export interface Drop {
  id: string; title: string; kind: string; state: string; stock: number; left: number; granted: number; reserved: number;
  opens_at: number | null; closes_at: number | null; test?: boolean; room: string;
}
export const VIEWS = ['drops', 'claims', 'hooks', 'access'] as const;
export type View = (typeof VIEWS)[number];

const KEPT = 'livecast.merchant.key';
const REFRESH_MS = 5000;
/** Rooms whose drops are asked for at once. */
const AT_ONCE = 6;

class Shop {
  caller: Caller | null = null;
  rooms: RoomCard[] = [];
  drops: Drop[] = [];
  view: View = 'drops';
  chosen: Drop | null = null;
  updated = 0;
  loaded = false;
  /** Why nobody is signed in. */
  refusal = '';
  said: { text: string; bad: boolean } | null = null;
  api: Api | null = null;
  private readonly listeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.listeners) listener();
  }

  may(scope: string): boolean {
    return this.caller?.scopes.includes(scope) ?? false;
  }

  /** With a key that was typed in, or with what the address or this tab holds. */
  async enter(key = tokenOfAddress() ?? kept()): Promise<void> {
    if (!key) return;
    this.api = new Api('', key);
    try {
      this.caller = await this.api.get<Caller>('/v1/caller');
      if (key.startsWith('lck_')) keep(key);
      this.refusal = '';
      await this.refresh();
    } catch (why) {
      this.out(why instanceof Problem && why.status < 500 && why.status > 0 ? t('refused') : explain(why));
    }
    this.changed();
  }

  out(why = ''): void {
    clearTimeout(this.timer);
    keep('');
    Object.assign(this, { caller: null, api: null, rooms: [], drops: [], chosen: null, loaded: false, refusal: why, view: 'drops' });
    this.changed();
  }

  show(view: View, drop?: Drop): void {
    this.view = view;
    if (drop) this.chosen = drop;
    this.changed();
  }

  /** Rooms and their drops, now and every few seconds while the page can be seen. */
  async refresh(): Promise<void> {
    clearTimeout(this.timer);
    const { api } = this;
    if (!api) return;
    try {
      if (document.visibilityState === 'visible') await this.look(api);
    } catch (why) {
      if (why instanceof Problem && why.status === 401) return this.out(t('refused'));
      this.say(explain(why), true);
    }
    if (api === this.api) this.timer = setTimeout(() => void this.refresh(), REFRESH_MS);
  }

  /** Do something, and say how it went. */
  async act<T>(method: string, path: string, body?: unknown): Promise<T | null> {
    try {
      const done = await this.api!.call<T>(method, path, body);
      this.say(t('did'), false);
      void this.refresh();
      return done;
    } catch (why) {
      this.say(explain(why), true);
      return null;
    }
  }

  say(text: string, bad: boolean): void {
    this.said = { text, bad };
    this.changed();
  }

  private async look(api: Api): Promise<void> {
    const rooms: RoomCard[] = [];
    if (this.may('rooms:read')) {
      let cursor: string | null = '';
      do {
        const page: Page<RoomCard> = await api.get(`/v1/rooms?limit=200${cursor && `&cursor=${part(cursor)}`}`);
        rooms.push(...page.data);
        cursor = page.next_cursor;
      } while (cursor);
    }
    const drops: Drop[] = [];
    for (let at = 0; this.may('drops:read') && at < rooms.length; at += AT_ONCE) {
      const pages = await Promise.all(rooms.slice(at, at + AT_ONCE).map(async ({ id }) => {
        const page = await api.get<Page<Omit<Drop, 'room'>>>(`/v1/rooms/${part(id)}/drops?limit=200`);
        return page.data.map((drop) => ({ ...drop, room: id }));
      }));
      drops.push(...pages.flat());
    }
    if (api !== this.api) return;
    this.rooms = rooms;
    this.drops = drops.sort((a, b) => rank(a) - rank(b) || (b.opens_at ?? 0) - (a.opens_at ?? 0));
    this.chosen = this.chosen && (drops.find((one) => one.id === this.chosen!.id && one.room === this.chosen!.room) ?? this.chosen);
    this.updated = Date.now();
    this.loaded = true;
    this.changed();
  }
}

const ORDER = ['open', 'paused', 'announced', 'sold_out', 'draft', 'closed', 'settled', 'cancelled'];
const rank = ({ state }: Drop): number => ORDER.indexOf(state);

/** Why something did not work, in words. */
export function explain(why: unknown): string {
  const problem = why instanceof Problem ? why : new Problem(0, String(why), '', []);
  const fault = problem.errors.map(({ pointer, detail }) => `${pointer}: ${detail}`).join('; ');
  return t('failed', { why: fault || problem.detail || tOr(`e_${problem.code}`, problem.code) });
}

function kept(): string | undefined {
  try {
    return sessionStorage.getItem(KEPT) ?? undefined;
  } catch {
    return undefined; // not allowed here: it is asked for again after a reload
  }
}

function keep(key: string): void {
  try {
    if (key) sessionStorage.setItem(KEPT, key);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // as above
  }
}

export const shop = new Shop();
