/** A drop as a card: when it opens, how much is left, what is missing, one's claim and what became of it. */

import type { Drop } from '@livecast/client';
import { useState } from 'preact/hooks';
import { CheckIcon } from '../shared/icons';
import { clock, count } from '../shared/language';
import { Copy, useTicking } from '../shared/ui';
import type { Missing, Prize } from './account';
import { Proof } from './proof';
import { reason, room } from './room';
import { t, tOr } from './words';

/** Below so little time a countdown is drawn to the picture's beat. */
const CLOSE_MS = 10_000;

export function DropCard({ drop }: { drop: Drop }) {
  useTicking(250);
  const { live, account } = room;
  const [proof, setProof] = useState(false);
  const now = live.playbackNow();
  const outcome = account.outcomes.get(drop.id);
  const held = account.held(drop.id);
  const entry = account.entry(drop.id);
  const prize = held[0];
  const verdict = outcome?.verdict === 'claiming' ? undefined : prize ? 'won' : (outcome?.verdict ?? (entry ? 'entered' : undefined));
  const lost = verdict === 'entered' && entry?.state === 'drawn' && !entry.won.length; // that it is drawn does not say who won
  const open = drop.state === 'open';
  const over = drop.state === 'closed' || drop.state === 'settled' || drop.state === 'cancelled';
  const had = verdict === 'entered' || verdict === 'limit' || (verdict === 'won' && Math.max(1, held.length) >= drop.per_user);
  const busy = outcome?.verdict === 'claiming';
  const gone = drop.stock ? (drop.stock - drop.left) / drop.stock : 0;
  const draws = drop.kind === 'draw';
  return (
    <article class={`card drop ${drop.state}${verdict === 'won' ? ' won' : ''}`} data-drop={drop.id} aria-label={drop.title}>
      <header>
        <small>{t(draws ? 'drop_draw' : 'drop_coupon')}</small>
        <small class="state">{tOr(`drop_${drop.state}`, drop.state)}</small>
      </header>
      <h2 dir="auto">{drop.title}</h2>
      {!draws && verdict !== 'won' && (
        <div class="bar" role="img" aria-label={t('left', { left: drop.left, stock: drop.stock })}><i style={{ width: `${gone * 100}%` }} /></div>
      )}
      <p class="figures">
        <span>{draws ? t('prizes_n', { n: count(drop.stock) }) : t('left', { left: count(drop.left), stock: count(drop.stock) })}</span>
        {drop.state === 'announced' && drop.opens_at && <Countdown word={t('opens_in')} ms={drop.opens_at - now} />}
        {open && drop.closes_at && <Countdown word={t('closes_in')} ms={drop.closes_at - now} />}
      </p>
      <div role="status" aria-live="polite">
        {verdict && <p class={`outcome ${lost ? 'lost' : verdict}`}>{lost ? t('o_not_drawn') : told(drop, verdict, prize ?? outcome?.answer?.ack)}</p>}
        <Won prize={prize ?? outcome?.answer?.ack} />
      </div>
      {!had && !over && <Conditions drop={drop} missing={account.missing(drop.id)} />}
      {!had && ['open', 'announced', 'paused'].includes(drop.state) && (
        <button class="primary" disabled={!open || busy || !room.can('claim')} onClick={() => void account.claim(drop)}>
          {busy ? t('claiming') : open ? t(draws ? 'enter' : 'claim') : t('soon')}
        </button>
      )}
      {!!drop.winners?.length && <p class="winners" dir="auto">{t('winners')}: {drop.winners.map(({ u }) => u.name || u.id).join(', ')}</p>}
      {drop.result && <button class="check" onClick={() => setProof(true)}>{t('check_draw')}</button>}
      {proof && <Proof drop={drop} onClose={() => setProof(false)} />}
    </article>
  );
}

function Countdown({ word, ms }: { word: string; ms: number }) {
  return <span class={`countdown${ms < CLOSE_MS ? ' close' : ''}`}>{word} <b>{clock(ms)}</b></span>;
}

/** What the winner has to hold in hand: the code, how long it is reserved, the receipt. */
export function Won({ prize }: { prize: Partial<Prize> | undefined }) {
  if (!prize?.serial) return null;
  return (
    <div class="won-unit">
      {prize.code && <p class="code"><span>{t('code')}</span> <code>{prize.code}</code> <Copy text={prize.code} /></p>}
      {prize.expires_at && <p class="until">{t('until', { time: new Date(prize.expires_at).toLocaleTimeString() })}</p>}
      {prize.receipt && <p><a class="receipt" href={`/receipt#${prize.receipt}`} target="_blank" rel="noopener">{t('receipt')}</a></p>}
    </div>
  );
}

/** What became of a claim, in words. */
function told(drop: Drop, verdict: string, unit: { serial?: number; of?: number } | undefined): string {
  if (verdict === 'won' && drop.kind === 'draw') return t('o_drawn');
  return tOr(`o_${verdict}`, t('failed', { why: reason(verdict) }), { serial: unit?.serial ?? '', of: unit?.of ?? drop.stock });
}

/** What a drop asks for, each met or not. */
function Conditions({ drop, missing }: { drop: Drop; missing: Missing[] | undefined }) {
  const rules = Object.entries(drop.eligibility ?? {}).filter(([, need]) => need !== null && need !== false);
  if (!rules.length) return null;
  return (
    <ul class="conditions" aria-label={t('conditions')}>
      {rules.map(([rule, need]) => {
        const lacks = missing?.filter((m) => m.rule === rule || m.rule.startsWith(`${rule}.`));
        return lacks?.length ? (
          lacks.map((m) => <li key={m.rule} class="missing">{wanted(m)}</li>)
        ) : (
          <li key={rule} class={missing && room.signedIn ? 'met' : ''}>{missing && room.signedIn && <CheckIcon />}{plainly(rule, need)}</li>
        );
      })}
    </ul>
  );
}

const plain = (value: unknown) => (typeof value === 'number' || typeof value === 'string' ? value : '');

/** One condition that is not met yet. */
const wanted = ({ rule, have, need }: Missing): string => tOr(`r_${rule}`, t('r_fact'), { have: plain(have), need: plain(need) });

/** One condition, whether met or not. */
const plainly = (rule: string, need: unknown): string => tOr(`c_${rule}`, t('r_fact'), { need: plain(need) });
