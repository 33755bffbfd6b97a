/** The picture, or a drawn stage in its place, and all that plays over it: flying comments, gift banners, hearts. */

import { seenAs, type Frame } from '@livecast/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { GiftPicture } from '../shared/icons';
import { clock, count } from '../shared/language';
import { Avatar, Dialog, useTicking } from '../shared/ui';
import { Flying } from './flying';
import { burst, heartsFor } from './hearts';
import { room } from './room';
import { giftName } from './tray';
import { useRoom } from './use-room';
import { Video } from './video';
import { t } from './words';

export const flying = new Flying((comment) => !!room.live.you && comment.u?.id === seenAs(room.live.you));

/** Banners at once: the largest. */
const BANNERS_MAX = 3;
/** A word on who came or bought stays so long. */
const NEWS_MS = 3500;
/** Of the board, as faces over the picture. */
const FACES_MAX = 3;

export function Stage() {
  const { live } = useRoom();
  const layer = useRef<HTMLDivElement>(null);
  const hearts = useRef<HTMLDivElement>(null);
  const [dark, setDark] = useState(room.wanted && !room.src);
  useEffect(() => {
    const detach = flying.attach(layer.current!);
    const off = live.on('frame', (frame) => {
      flying.take(frame);
      if (frame.likes) burst(hearts.current, heartsFor(frame.likes.delta), 400);
    });
    return () => {
      off();
      detach();
    };
  }, []);
  const { state } = live.view;
  const host = state.hosts[0];
  const status = state.status;
  return (
    <section class="stage" aria-label={state.title || room.name}>
      {room.src && !dark ? <Video src={room.src} onFail={() => setDark(true)} /> : <Drawn />}
      {dark && <p class="no-picture" role="status">{t('no_picture')}</p>}
      <div class="flying" ref={layer} aria-hidden="true" />
      <div class="top">
        <div class="about">
          {host && <Avatar u={host} />}
          <div>
            <h1 dir="auto">{state.title || room.name}</h1>
            <p>{live.view.epoch ? <><span class={`status ${status}`}>{t(status)}</span> {t('watching', { n: count(state.viewers.users) })}</> : live.connection.state !== 'closed' && t('connecting')}</p>
          </div>
        </div>
        <Board />
      </div>
      {status !== 'live' && <Curtain />}
      <div class="low">
        <News />
        <Banners />
      </div>
      <div class="hearts" ref={hearts} aria-hidden="true" />
    </section>
  );
}

/** In place of a camera: a shop's stage. It stands still, so that a machine without a GPU has time for what moves over it. */
function Drawn() {
  return (
    <div class="drawn" aria-hidden="true">
      <i class="light a" /><i class="light b" /><i class="light c" /><i class="floor" />
      <svg class="scene" viewBox="0 0 400 300" preserveAspectRatio="xMidYMax meet">
        <ellipse cx="200" cy="286" rx="170" ry="14" fill="#0006" />
        <rect x="60" y="232" width="280" height="50" rx="8" fill="#4b3a6e" /><rect x="52" y="222" width="296" height="16" rx="8" fill="#6d59a0" />
        <path d="M132 222c2-58 26-92 68-92s66 34 68 92z" fill="#c9506b" /><path d="M182 134h36l-4 22h-28z" fill="#f2c9ae" />
        <circle cx="200" cy="104" r="36" fill="#f2c9ae" /><path d="M161 108c-5-46 19-62 39-62s45 15 40 62c-5-19-14-30-24-34-14 9-38 9-47 2-4 8-7 18-8 32z" fill="#2c2033" />
        <path d="M186 118q14 11 28 0" stroke="#a8506b" stroke-width="3" fill="none" stroke-linecap="round" /><circle cx="186" cy="102" r="3.500" fill="#2c2033" /><circle cx="214" cy="102" r="3.500" fill="#2c2033" />
        <g><rect x="84" y="188" width="30" height="34" rx="5" fill="#5fb58a" /><rect x="91" y="178" width="16" height="12" rx="3" fill="#3f8d68" /><rect x="89" y="198" width="20" height="12" rx="2" fill="#e8f6ed" /></g>
        <g><rect x="288" y="182" width="32" height="40" rx="5" fill="#e0a23c" /><path d="M288 196h32v8h-32z" fill="#c27f1c" /><circle cx="304" cy="200" r="6" fill="#fff3d6" /></g>
      </svg>
    </div>
  );
}

/** While nothing is shown: when it begins, or that it is over. */
function Curtain() {
  useTicking(1000);
  const { live } = room;
  const { status, starts_at } = live.view.state;
  if (!live.view.epoch) return null;
  const waits = status === 'scheduled' && starts_at ? starts_at - live.now() : 0;
  return (
    <div class="curtain" role="status">
      <b>{t(status)}</b>
      {waits > 0 && <span class="countdown">{t('starts_in')} <b>{clock(waits)}</b></span>}
    </div>
  );
}

/** Who gave most: faces, and a list behind them. */
function Board() {
  const { live } = useRoom();
  const [open, setOpen] = useState(false);
  const { board } = live.view.state;
  if (!board.length) return null;
  return (
    <>
      <button class="board" onClick={() => setOpen(true)} aria-label={t('top')}>
        {board.slice(0, FACES_MAX).map(({ u }) => <Avatar key={u.id} u={u} />)}
      </button>
      {open && (
        <Dialog title={t('top')} onClose={() => setOpen(false)}>
          <ol class="givers">
            {board.map(({ u, value }) => (
              <li key={u.id}><Avatar u={u} /><span dir="auto">{u.name || u.id}</span>{value !== undefined && <b>{t('price', { n: count(value) })}</b>}</li>
            ))}
          </ol>
        </Dialog>
      )}
    </>
  );
}

/** Who came and what was bought, in a word that changes. */
function News() {
  const [news, setNews] = useState<{ id: number; text: string } | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const off = room.live.on('frame', (frame) => {
      const text = newsOf(frame);
      if (!text || document.hidden) return;
      setNews({ id: frame.seq, text });
      clearTimeout(timer);
      timer = setTimeout(() => setNews(null), NEWS_MS);
    });
    return () => {
      off();
      clearTimeout(timer);
    };
  }, []);
  return <p class="news" aria-hidden="true">{news && <span key={news.id} dir="auto">{news.text}</span>}</p>;
}

function newsOf(frame: Frame): string {
  const { joins, orders } = (frame.activity ?? {}) as { joins?: { n: number; who: string[] }; orders?: { n: number } };
  if (orders?.n) return t(orders.n === 1 ? 'bought_1' : 'bought', { n: count(orders.n) });
  if (!joins?.n || !joins.who.length) return '';
  const rest = joins.n - joins.who.length;
  return t(rest > 0 ? 'joined_more' : 'joined', { names: joins.who.join(', '), n: count(rest) });
}

function Banners() {
  const { banners } = useRoom();
  const shown = [...banners.values()].sort((a, b) => b.combo.tier - a.combo.tier || b.combo.value - a.combo.value).slice(0, BANNERS_MAX);
  return (
    <div class="banners" role="status" aria-live="polite">
      {shown.map(({ combo }) => (
        <div key={combo.combo} class={`banner tier${combo.tier}`} data-combo={combo.combo}>
          <Avatar u={combo.u} />
          <span class="words">{t('gave', { name: combo.u.name || combo.u.id, gift: giftName(combo.gift) })}</span>
          <span class="face"><GiftPicture gift={combo.gift} tier={combo.tier} /></span>
          <b key={combo.n} class="n">×{count(combo.n)}</b>
        </div>
      ))}
    </div>
  );
}

/** A tap: counted, and seen at once. */
export function like(): void {
  room.live.like();
  burst(document.querySelector<HTMLElement>('.hearts'), 1);
}
