/** What belongs to the viewer: coins, prizes, places in draws, what is missing for a drop, what became of a claim or a vote. */

import type { Answer, Drop, LivecastClient } from '@livecast/client';

export interface Prize {
  drop: string;
  title: string;
  kind: 'coupon' | 'draw';
  serial: number;
  of: number;
  code?: string;
  state: string;
  at: number;
  expires_at?: number;
  order_id?: string;
  receipt?: string;
}

/** A place in a pot. */
export interface Entry {
  drop: string;
  title: string;
  kind: 'coupon' | 'draw';
  number: number;
  nonce: string;
  at: number;
  state: 'open' | 'frozen' | 'drawn' | 'cancelled';
  won: number[];
}

export interface Missing {
  rule: string;
  have: unknown;
  need: unknown;
}

interface Me {
  balance?: number;
  votes?: { poll: string; choice: number }[];
  claims?: Prize[];
  entries?: Entry[];
  eligibility?: Record<string, { eligible: boolean | null; missing: Missing[] }>;
}

/** What became of one's claim of a drop. `claiming`: not known yet. */
export interface Outcome {
  verdict: string;
  answer?: Answer;
}

/** States of a unit that is still one's own. */
export const HELD = new Set(['granted', 'reserved', 'confirmed']);

const COMMITMENT = 'livecast.commitment.';

export class Account {
  readonly outcomes = new Map<string, Outcome>();
  readonly voted = new Map<string, number>();
  private me: Me = {};
  private asking = false;
  private askAgain = false;

  constructor(private readonly live: LivecastClient, private readonly changed: () => void) {}

  get balance(): number | undefined {
    return this.me.balance ?? this.live.you?.balance;
  }

  set balance(coins: number | undefined) {
    if (coins === undefined) return;
    this.me = { ...this.me, balance: coins };
    this.changed();
  }

  get prizes(): Prize[] {
    return this.me.claims ?? [];
  }

  /** Places in pots that are not drawn yet, or were drawn without luck. */
  get entries(): Entry[] {
    return (this.me.entries ?? []).filter((entry) => entry.won.length === 0);
  }

  entry(drop: string): Entry | undefined {
    return this.me.entries?.find((entry) => entry.drop === drop);
  }

  /** Whether one is in the pot of this drop, which was drawn, and does not know yet with what luck. */
  waitsFor({ id, result }: Drop): boolean {
    return !!result && this.outcomes.get(id)?.verdict === 'entered' && this.entry(id)?.state !== 'drawn' && this.held(id).length === 0;
  }

  /** Units of a drop that are one's own now, the latest first. */
  held(drop: string): Prize[] {
    return this.prizes.filter((prize) => prize.drop === drop && HELD.has(prize.state)).sort((a, b) => b.serial - a.serial);
  }

  /** What is missing for a claim: what the last one said, or what HTTP says before any; undefined if it is not known. */
  missing(drop: string): Missing[] | undefined {
    const eligible = this.me.eligibility?.[drop];
    return eligible && eligible.eligible !== null ? eligible.missing : this.outcomes.get(drop)?.answer?.ack?.missing;
  }

  /** Ask for one unit. */
  async claim(drop: Drop): Promise<void> {
    this.outcomes.set(drop.id, { verdict: 'claiming' });
    this.changed();
    try {
      const answer = await this.live.claim(drop.id);
      this.outcomes.set(drop.id, { verdict: answer.verdict, answer });
      await this.refresh();
    } catch {
      this.outcomes.delete(drop.id); // the page is closing
    }
    this.changed();
  }

  /** Vote; a refusal is the answer, null without one. */
  async vote(poll: string, choice: number): Promise<Answer | null> {
    this.voted.set(poll, choice);
    this.changed();
    const answer = await this.live.vote(poll, choice).catch(() => null);
    if (!answer?.ok && answer?.verdict !== 'already_voted') this.voted.delete(poll);
    this.changed();
    return answer;
  }

  /** What HTTP knows of us. */
  async refresh(): Promise<void> {
    if (!this.live.you || this.live.you.anonymous) return;
    this.askAgain = this.asking; // what is under way may have been answered before what we are about to hear of
    if (this.asking) return;
    this.asking = true;
    try {
      this.me = await this.live.get<Me>('me');
      for (const { poll, choice } of this.me.votes ?? []) this.voted.set(poll, choice);
      for (const { drop, serial, state } of this.prizes) {
        if (!HELD.has(state) && this.outcomes.get(drop)?.answer?.ack?.serial === serial) this.outcomes.delete(drop); // lapsed, or taken back
      }
      this.changed();
    } catch {
      // not now: asked again with the next welcome, notice or condition
    } finally {
      this.asking = false;
    }
    if (this.askAgain) await this.refresh();
  }

  /** Remember the commitments that drops are announced with: nothing else shows later that a seed was fixed before. */
  keepCommitments(drops: Drop[]): void {
    for (const { id, commitment, result } of drops) {
      const key = `${COMMITMENT}${this.live.room}.${id}`;
      if (commitment && !result && remembered(key) === null) remember(key, commitment);
    }
  }

  commitment(drop: string): string | null {
    return remembered(`${COMMITMENT}${this.live.room}.${drop}`);
  }
}

/** For this tab: a draw is over in minutes. */
function remembered(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key: string, value: string): void {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    // then the draw is checked without it
  }
}
