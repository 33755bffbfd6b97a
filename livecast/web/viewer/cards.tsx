/** The row of cards below the picture: what is given away, asked, and on air. */

import type { Poll } from '@livecast/client';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { count } from '../shared/language';
import { safeLink } from '../shared/links';
import { DropCard } from './drops';
import { room } from './room';
import { Picture, Price } from './shelf';
import { useRoom } from './use-room';
import { t } from './words';
import { callsOut } from './worth';

/** Drops with a card at once: the most urgent. */
const DROPS_MAX = 3;

export function Cards() {
  const { live, account } = useRoom();
  const polls = Object.values(live.view.state.polls);
  const open = polls.filter((poll) => poll.state === 'open').slice(-1);
  const over = open.length ? [] : polls.filter((poll) => account.voted.has(poll.id)).slice(-1);
  const drops = room.drops().slice(0, DROPS_MAX);
  const row = useRef<HTMLDivElement>(null);
  const calling = callsOut(drops);
  useLayoutEffect(() => {
    if (calling) row.current!.scrollLeft = 0; // on a telephone one card fills the row, which stays at the one that was there: a sale would begin unseen
  }, [calling]);
  return (
    <div class="cards" ref={row}>
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
  return (
    <article class="card product" aria-label={t('on_air')}>
      <header><small>{t('on_air')}</small></header>
      <div class="ware">
        <Picture product={product} />
        <div>
          <h2 dir="auto">{product.title}</h2>
          <Price product={product} />
        </div>
      </div>
      {link && <a class="button" href={link} target="_blank" rel="noopener noreferrer" onClick={() => live.tap(on_air!)}>{t('look')}</a>}
    </article>
  );
}

function PollCard({ poll }: { poll: Poll }) {
  const { account } = useRoom();
  const mine = account.voted.get(poll.id);
  const total = poll.choices.reduce((sum, choice) => sum + choice.votes, 0);
  const open = poll.state === 'open';
  const told = mine !== undefined || !open || !room.can('vote');
  return (
    <article class="card poll" aria-label={t('poll')}>
      <header><small>{t(open ? 'poll' : 'poll_over')}</small><small>{t('votes', { n: count(total) })}</small></header>
      <h2 dir="auto">{poll.question}</h2>
      <div class="choices">
        {poll.choices.map((choice, i) => (
          <button key={i} class={`choice${mine === i ? ' chosen' : ''}`} disabled={told} aria-pressed={mine === i} onClick={() => void room.vote(poll.id, i)}>
            {told && total > 0 && <i style={{ width: `${(choice.votes / total) * 100}%` }} />}
            <span dir="auto">{choice.text}</span>
            {told && total > 0 && <b>{Math.round((choice.votes / total) * 100)} %</b>}
          </button>
        ))}
      </div>
    </article>
  );
}
