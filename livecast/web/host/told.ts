/** What staff read over HTTP beside what comes by itself: what waits, what is sold, who gave. Fetched when something hints at a change. */

import type { Poll, Product } from '@livecast/client';
import { Problem, type Api, type Page } from '../shared/api';
import type { Topic } from './drawing';
import type { Known, Line } from './lines';

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

/** What asks for the newest once more, when it was asked for while an answer was under way. */
const AGAIN_MS = 300;

export type What = 'held' | 'reports' | 'questions' | 'drops' | 'polls' | 'products' | 'givers';

/** Who asks: what staff may read differs, and is not known before the welcome. */
export interface Reader {
  readonly isStaff: boolean;
  /** Whether they run the show. */
  readonly runs: boolean;
  changed(...topics: Topic[]): void;
}

export class Told {
  held: Held[] = [];
  reports: Report[] = [];
  questions: Question[] = [];
  drops: FullDrop[] = [];
  polls: FullPoll[] = [];
  products: FullProduct[] = [];
  givers: { place: number; user: string; value: number }[] = [];
  /** Given in this broadcast. */
  coins = 0;
  private readonly fetching = new Map<What, { again: boolean }>();
  private readonly soon = new Map<What, ReturnType<typeof setTimeout>>();

  constructor(private readonly api: Api, private readonly reader: Reader) {}

  /** Fetch it; what is asked for meanwhile is fetched once more. */
  async fetch(what: What): Promise<void> {
    const busy = this.fetching.get(what);
    if (busy) {
      busy.again = true;
      return;
    }
    const { topic, runs, get } = FETCHES[what];
    if (!this.reader.isStaff || (runs && !this.reader.runs)) return;
    const mine = { again: false };
    this.fetching.set(what, mine);
    try {
      Object.assign(this, await get(this.api));
      this.reader.changed(topic);
    } catch (why) {
      if (!(why instanceof Problem)) throw why; // the next round asks again; the connection's own word says what is wrong
    } finally {
      this.fetching.delete(what);
    }
    if (mine.again) this.fetchSoon(what, AGAIN_MS);
  }

  /** Fetch it in a moment, once for all who ask until then. */
  fetchSoon(what: What, delay_ms: number): void {
    if (this.soon.has(what)) return;
    this.soon.set(what, setTimeout(() => {
      this.soon.delete(what);
      void this.fetch(what);
    }, delay_ms));
  }

  fetchAll(): void {
    for (const what of Object.keys(FETCHES) as What[]) void this.fetch(what);
  }
}

interface Fetching {
  topic: Topic;
  /** Only for those who run the show. */
  runs?: boolean;
  get: (api: Api) => Promise<Partial<Told>>;
}

const list = async <T>(api: Api, path: string, limit = 200): Promise<T[]> => (await api.get<Page<T>>(`${path}?limit=${limit}`)).data;

const FETCHES: Record<What, Fetching> = {
  held: { topic: 'queue', get: async (api) => ({ held: await list<Held>(api, 'held') }) },
  reports: { topic: 'queue', get: async (api) => ({ reports: await list<Report>(api, 'reports') }) },
  questions: { topic: 'queue', get: async (api) => ({ questions: await list<Question>(api, 'questions') }) },
  drops: { topic: 'goods', get: async (api) => ({ drops: await list<FullDrop>(api, 'drops', 50) }) },
  polls: { topic: 'goods', get: async (api) => ({ polls: await list<FullPoll>(api, 'polls', 50) }) },
  products: { topic: 'goods', get: async (api) => ({ products: await list<FullProduct>(api, 'products') }) },
  givers: {
    topic: 'live', runs: true,
    get: async (api) => {
      const [board, earnings] = await Promise.all([api.get<{ data: Told['givers'] }>('leaderboard?limit=10'), api.get<{ value: number }>('earnings')]);
      return { givers: board.data, coins: earnings.value };
    },
  },
};
