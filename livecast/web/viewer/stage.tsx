/** The picture, or a drawn stage in its place, and all that plays over it: flying comments, gift banners, hearts. */

import { useEffect, useRef } from 'preact/hooks';
import { GiftPicture } from '../shared/icons';
import { count } from '../shared/language';
import { Avatar } from '../shared/ui';
import { Flying } from './flying';
import { giftName } from './goods';
import { burst, heartsFor } from './hearts';
import { room } from './room';
import { useRoom } from './use-room';
import { t } from './words';

export const flying = new Flying((comment) => comment.u?.id === room.live.you?.id && !!room.live.you);

/** Banners at once: the largest. */
const BANNERS_MAX = 3;

export function Stage() {
  const { live } = useRoom();
  const layer = useRef<HTMLDivElement>(null);
  const hearts = useRef<HTMLDivElement>(null);
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
    <section class="stage">
      {room.src ? <video src={room.src} autoplay muted playsInline controls /> : <Drawn live={status === 'live'} />}
      <div class="flying" ref={layer} aria-hidden="true" />
      <div class="top">
        <div class="about">
          {host && <Avatar u={host} />}
          <div>
            <h1 dir="auto">{state.title || room.name}</h1>
            <p><span class={`status ${status}`}>{t(status)}</span> {t('watching', { n: count(state.viewers.users) })}</p>
          </div>
        </div>
      </div>
      <Banners />
      <div class="hearts" ref={hearts} aria-hidden="true" />
    </section>
  );
}

function Drawn({ live }: { live: boolean }) {
  return (
    <div class={`drawn${live ? ' on' : ''}`} aria-hidden="true">
      <i class="light a" /><i class="light b" /><i class="light c" /><i class="floor" />
    </div>
  );
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
