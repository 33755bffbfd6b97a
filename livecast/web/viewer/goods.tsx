/** What is given away, asked, and on air: drops, polls, the pinned product, one's prizes. */

import type { Drop, Poll } from '@livecast/client';
import { useEffect, useState } from 'preact/hooks';
import { BagIcon, GiftPicture } from '../shared/icons';
import { clock, count, money } from '../shared/language';
import { Copy, Dialog, useTicking } from '../shared/ui';
import { reason, room, type Missing } from './room';
import { useRoom } from './use-room';
import { t, tOr, type Word } from './words';

export function Cards() {
  const { live } = useRoom();
  const polls = Object.values(live.view.state.polls);
  const drops = room.drops().slice(0, 3);
  const open = polls.filter((poll) => poll.state === 'open').slice(-1);
  const over = open.length ? [] : polls.filter((poll) => room.voted.has(poll.id)).slice(-1);
  return (
    <div class="cards">
      {drops.map((drop) => <DropCard key={drop.id} drop={drop} />)}
      {[...open, ...over].map((poll) => <PollCard key={poll.id} poll={poll} />)}
      <OnAir />
    </div>
  );
}

function OnAir() {
  const { live } = useRoom();
  const { on_air, products } = live.view.state;
  const product = on_air === null ? undefined : products[on_air];
  if (!product) return null;
  const link = safeLink(product.url);
  const image = product.image && safeLink(product.image)?.startsWith(location.origin) ? product.image : undefined;
  return (
    <article class="card product" aria-label={t('on_air')}>
      {image ? <img src={image} alt="" /> : <span class="picture"><BagIcon /></span>}
      <div>
        <small>{t('on_air')}</small>
        <h2 dir="auto">{product.title}</h2>
        {product.price && (
          <p>
            <b class="cost">{money(product.price.amount, product.price.currency)}</b>{' '}
            {product.list_price && <s>{money(product.list_price.amount, product.list_price.currency)}</s>}
          </p>
        )}
      </div>
      {link && <a class="button" href={link} target="_blank" rel="noopener noreferrer" onClick={() => live.tap(on_air!)}>{t('look')}</a>}
    </article>
  );
}

/** An address that may be opened: http(s) and nothing else. */
function safeLink(url: string | undefined): string | undefined {
  if (!url) return undefined;
  try {
    const parsed = new URL(url, location.href);
    return parsed.protocol === 'https:' || parsed.protocol === 'http:' ? parsed.href : undefined;
  } catch {
    return undefined;
  }
}

function DropCard({ drop }: { drop: Drop }) {
  useTicking(250);
  const { live } = room;
  const now = live.playbackNow();
  const outcome = room.outcomes.get(drop.id);
  const opensIn = drop.opens_at ? drop.opens_at - now : null;
  const closesIn = drop.closes_at ? drop.closes_at - now : null;
  const open = drop.state === 'open';
  const settled = outcome && ['won', 'entered', 'limit'].includes(outcome.verdict);
  const busy = outcome?.verdict === 'claiming';
  const able = open && room.can('claim') && !settled && !busy;
  const gone = drop.stock ? (drop.stock - drop.left) / drop.stock : 0;
  const missing = outcome?.answer?.ack?.missing ?? (open && !settled ? room.me.eligibility?.[drop.id]?.missing : undefined);
  return (
    <article class={`card drop ${drop.state}${outcome?.verdict === 'won' ? ' won' : ''}`} data-drop={drop.id} aria-label={drop.title}>
      <header>
        <small>{t(drop.kind === 'draw' ? 'drop_draw' : 'drop_coupon')}</small>
        <small class="state">{tOr(`drop_${drop.state}`, drop.state)}</small>
      </header>
      <h2 dir="auto">{drop.title}</h2>
      {outcome?.verdict !== 'won' && <div class="bar" role="img" aria-label={t('left', { left: drop.left, stock: drop.stock })}><i style={{ width: `${gone * 100}%` }} /></div>}
      <p class="figures">
        <span>{t('left', { left: count(drop.left), stock: count(drop.stock) })}</span>
        {drop.state === 'announced' && opensIn !== null && <span class="countdown">{t('opens_in')} <b>{clock(opensIn)}</b></span>}
        {open && closesIn !== null && <span class="countdown">{t('closes_in')} <b>{clock(closesIn)}</b></span>}
      </p>
      <div role="status" aria-live="polite">
        {outcome && outcome.verdict !== 'claiming' && <p class={`outcome ${outcome.verdict}`}>{told(drop, outcome.verdict, outcome.answer?.ack)}</p>}
        {outcome?.answer?.ack?.code && (
          <p class="code"><span>{t('code')}</span> <code>{outcome.answer.ack.code}</code> <Copy text={outcome.answer.ack.code} /></p>
        )}
        {outcome?.answer?.ack?.expires_at && <p>{t('until', { time: new Date(outcome.answer.ack.expires_at).toLocaleTimeString() })}</p>}
      </div>
      {!!missing?.length && !settled && <ul class="missing">{missing.map((m) => <li key={m.rule}>{wanted(m as Missing)}</li>)}</ul>}
      {!settled && ['open', 'announced', 'paused'].includes(drop.state) && (
        <button class="primary" disabled={!able} onClick={() => void room.claim(drop)}>
          {busy ? t('claiming') : open ? t(drop.kind === 'draw' ? 'enter' : 'claim') : t('soon')}
        </button>
      )}
    </article>
  );
}

/** What became of a claim, in words. */
function told(drop: Drop, verdict: string, ack: { serial?: number; of?: number } | undefined): string {
  const values = { serial: ack?.serial ?? '', of: ack?.of ?? drop.stock };
  return tOr(`o_${verdict}`, t('failed', { why: reason(verdict) }), values);
}

/** One condition that is not met yet. */
function wanted({ rule, have, need }: Missing): string {
  const plain = (value: unknown) => (typeof value === 'number' || typeof value === 'string' ? value : '');
  return tOr(`r_${rule}`, t('r_fact'), { have: plain(have), need: plain(need) });
}

function PollCard({ poll }: { poll: Poll }) {
  const { voted } = useRoom();
  const mine = voted.get(poll.id);
  const total = poll.choices.reduce((sum, choice) => sum + choice.votes, 0);
  const open = poll.state === 'open';
  const told = mine !== undefined || !open || !room.can('vote');
  return (
    <article class="card poll" aria-label={t('poll')}>
      <header><small>{t(open ? 'poll' : 'poll_over')}</small><small>{t('votes', { n: count(total) })}</small></header>
      <h2 dir="auto">{poll.question}</h2>
      <div class="choices">
        {poll.choices.map((choice, i) => (
          <button key={choice.text} class={`choice${mine === i ? ' chosen' : ''}`} disabled={told} aria-pressed={mine === i} onClick={() => void room.vote(poll.id, i)}>
            {told && total > 0 && <i style={{ width: `${(choice.votes / total) * 100}%` }} />}
            <span dir="auto">{choice.text}</span>
            {told && total > 0 && <b>{Math.round((choice.votes / total) * 100)} %</b>}
          </button>
        ))}
      </div>
    </article>
  );
}

export function Prizes({ onClose }: { onClose: () => void }) {
  const { me, live } = useRoom();
  useEffect(() => void room.refresh(), []);
  const drops = live.view.state.drops;
  const claims = me.claims ?? [];
  return (
    <Dialog title={t('prizes')} onClose={onClose}>
      {claims.length === 0 && <p>{t('no_prizes')}</p>}
      <ul class="prizes">
        {claims.map((prize) => (
          <li key={`${prize.drop}/${prize.serial}`}>
            <div><b dir="auto">{drops[prize.drop]?.title ?? prize.title ?? t('drop_coupon')}</b> <small>{tOr(`s_${prize.state}` as Word, prize.state)}</small></div>
            <small>{t('unit', { serial: prize.serial, of: prize.of })}</small>
            {prize.code && <p class="code"><code>{prize.code}</code> <Copy text={prize.code} /></p>}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

/** A gift by its name in this language, or the catalogue's. */
export const giftName = (gift: string): string => tOr(`g_${gift}`, room.gifts.find((g) => g.id === gift)?.name ?? gift);

export function Tray({ onClose }: { onClose: () => void }) {
  const { gifts, balance } = useRoom();
  const [given, setGiven] = useState<Record<string, number>>({});
  return (
    <Dialog title={t('gift_to')} onClose={onClose}>
      {!room.can('gift') && <p>{t('sign_in')}</p>}
      <div class="tray">
        {gifts.map((gift) => (
          <button key={gift.id} disabled={!room.can('gift')} data-gift={gift.id}
            onClick={() => { room.give(gift); setGiven({ ...given, [gift.id]: (given[gift.id] ?? 0) + 1 }); }}>
            <span class="face"><GiftPicture gift={gift.id} tier={gift.tier} /></span>
            <span>{giftName(gift.id)}</span>
            <small>{t(gift.price === 1 ? 'price_1' : 'price', { n: count(gift.price) })}</small>
            {!!given[gift.id] && <b class="n">×{given[gift.id]}</b>}
          </button>
        ))}
      </div>
      {balance !== undefined && <p class="balance">{t('balance', { n: count(balance) })}</p>}
    </Dialog>
  );
}
