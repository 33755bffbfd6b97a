/**
 * A layer for the host's streaming software (a browser source in OBS): comments, gift banners and the countdown of the next drop
 * on a transparent ground. Everything about its looks is in the address, see `settings.ts`.
 */

import { LivecastClient, type Combo, type Comment, type Drop } from '@livecast/client';
import { render } from 'preact';
import { useEffect, useReducer } from 'preact/hooks';
import { GiftPicture } from '../shared/icons';
import { clock, count } from '../shared/language';
import { roomOfAddress } from '../shared/links';
import { tokenOfAddress } from '../shared/token';
import { Avatar, useTicking } from '../shared/ui';
import { settingsOf } from './settings';
import { t, tOr } from './words';

const settings = settingsOf(new URLSearchParams(location.search));
const room = roomOfAddress();
const token = tokenOfAddress();
const live = new LivecastClient({ room, recentMax: settings.max, ...(token ? { token } : {}) });
const banners = new Map<string, { combo: Combo; until: number }>();

/** A banner stays so long after its last word; so many at once. */
const BANNER_MS = 5000;
const BANNERS_MAX = 3;

/** Names of the catalogue, for gifts that have none in our words. */
const names = new Map<string, string>();
live.get<{ data: { id: string; name: string }[] }>('/v1/gifts').then(
  ({ data }) => data.forEach(({ id, name }) => names.set(id, name)),
  () => undefined, // no ledger, no gifts
);

live.on('frame', ({ gifts = [] }) => {
  for (const combo of gifts) banners.set(combo.combo, { combo, until: performance.now() + BANNER_MS });
});

function Overlay() {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useTicking(500); // for what goes by itself: old comments, banners, countdowns
  useEffect(() => {
    const off = [live.on('frame', () => draw(0)), live.on('welcome', () => draw(0))];
    return () => off.forEach((each) => each());
  }, []);
  return (
    <main class={`overlay ${settings.side}`}>
      {settings.show.has('drop') && <NextDrop />}
      {settings.show.has('gifts') && <Banners />}
      {settings.show.has('comments') && <Comments />}
    </main>
  );
}

function Comments() {
  const since = settings.keep_s ? live.playbackNow() - settings.keep_s * 1000 : 0;
  const shown = live.view.recent.filter((c) => !c.redacted && (c.at ?? 0) >= since).slice(-settings.max);
  return <ol class="comments">{shown.map((comment) => <Line key={comment.id} comment={comment} />)}</ol>;
}

function Line({ comment: { id, u, text, n = 1, paid } }: { comment: Comment }) {
  return (
    <li class={paid ? 'paid' : ''} data-id={id}>
      <b class={`name ${u?.role ?? ''}`} dir="auto">{u?.name || u?.id}</b>
      <span dir="auto">{text}</span>
      {n > 1 && <b class="n">×{count(n)}</b>}
    </li>
  );
}

function Banners() {
  const now = performance.now();
  for (const [id, { until }] of banners) if (until < now) banners.delete(id);
  const shown = [...banners.values()].sort((a, b) => b.combo.tier - a.combo.tier || b.combo.value - a.combo.value).slice(0, BANNERS_MAX);
  return (
    <div class="banners">
      {shown.map(({ combo: { combo, u, gift, n, tier } }) => (
        <p key={combo} class={`tier${tier}`}>
          <Avatar u={u} />
          <span>{t('gave', { name: u.name || u.id, gift: tOr(`g_${gift}`, names.get(gift) ?? gift) })}</span>
          <GiftPicture gift={gift} tier={tier} />
          <b class="n">×{count(n)}</b>
        </p>
      ))}
    </div>
  );
}

/** The drop that is open, or else the next one. */
function NextDrop() {
  const drops = Object.values(live.view.state.drops);
  const opening = (a: Drop, b: Drop) => (a.opens_at ?? Infinity) - (b.opens_at ?? Infinity);
  const drop = drops.find((d) => d.state === 'open') ?? drops.filter((d) => d.state === 'announced').sort(opening)[0] ?? drops.find((d) => d.state === 'sold_out');
  if (!drop) return null;
  const now = live.playbackNow();
  const until = drop.state === 'announced' ? drop.opens_at : drop.state === 'open' ? drop.closes_at : undefined;
  return (
    <section class={`drop ${drop.state}`}>
      <small>{t(drop.kind === 'draw' ? 'drop_draw' : 'drop_coupon')} · {tOr(`drop_${drop.state}`, drop.state)}</small>
      <b dir="auto">{drop.title}</b>
      {until !== undefined && <p class="countdown">{t(drop.state === 'open' ? 'closes_in' : 'opens_in')} <b>{clock(until - now)}</b></p>}
      {drop.kind === 'coupon' && <p>{t('left', { left: count(drop.left), stock: count(drop.stock) })}</p>}
    </section>
  );
}

const { style } = document.documentElement;
style.setProperty('--size', `${settings.size_px}px`);
style.setProperty('--box', `rgb(0 0 0 / ${settings.box}%)`);
style.setProperty('--words', settings.color);
live.connect();
addEventListener('online', () => live.resume());
render(<Overlay />, document.getElementById('page')!);
