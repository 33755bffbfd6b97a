/** How the broadcast goes in figures: steps for the charts, what became of comments, how many a second; from before the page was opened too. */

import type { Frame, LivecastClient } from '@livecast/client';
import { part, Problem, type Api, type Page } from '../shared/api';
import { add, NOTHING, type Tally } from './lines';
import { Series, type Stored } from './series';

/** Comments of the last so many seconds make up the rate. */
const RATE_S = 10;
/** At the most this long ago: what charts can show. */
const PAST_MS = 2 * 3_600_000;

export class Measures {
  readonly series = new Series();
  tally: Tally = NOTHING;
  private recent: { at: number; n: number }[] = [];
  /** The broadcast whose beginning is part of the tally. */
  private based = '';

  constructor(private readonly api: Api, private readonly live: LivecastClient) {}

  /** Comments a second that came in lately. */
  get rate(): number {
    return this.recent.reduce((sum, { n }) => sum + n, 0) / RATE_S;
  }

  welcome(): void {
    this.series.welcome(this.live.view.state, this.live.now());
  }

  frame(frame: Frame): void {
    this.series.frame(frame, this.live.view.state.drops);
    const tally = frame.tally as Partial<Tally> | undefined;
    if (!tally) return;
    this.tally = add(this.tally, tally);
    this.recent.push({ at: frame.ts, n: tally.in ?? 0 });
  }

  everySecond(): void {
    const now = this.live.now();
    this.recent = this.recent.filter(({ at }) => at > now - RATE_S * 1000);
    this.series.tick(now);
  }

  /** What the archive has of this broadcast. */
  async fetchPast(): Promise<void> {
    try {
      const now = this.live.now();
      const from = Math.max(Math.floor(now) - PAST_MS, this.live.view.state.started_at ?? 0);
      this.series.load((await this.api.get<{ data: Stored[] }>(`stats?from=${from}&step=10000`)).data, now);
      await this.fetchTally();
    } catch (why) {
      if (!(why instanceof Problem)) throw why; // asked again within a minute
    }
  }

  /** The tally of the broadcast so far, once: what came before this page was opened. */
  private async fetchTally(): Promise<void> {
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
  }
}
