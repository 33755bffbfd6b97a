/** Drops over all rooms: how they go, and what leads on. */

import { useState } from 'preact/hooks';
import { part } from '../shared/api';
import { count, when } from '../shared/language';
import { Needs, Sure, useShop } from './parts';
import { shop, type Drop } from './shop';
import { t, tOr } from './words';

/** What leads on from a state. */
const STEPS: Record<string, readonly ('announce' | 'open' | 'pause' | 'resume' | 'close' | 'cancel')[]> = {
  draft: ['announce', 'open', 'cancel'], announced: ['open', 'cancel'], open: ['pause', 'close', 'cancel'], paused: ['resume', 'close', 'cancel'], sold_out: ['close', 'cancel'],
};
const WORDS = { announce: 'announce', open: 'open', pause: 'pause', resume: 'resume', close: 'close_drop', cancel: 'cancel_drop' } as const;

const FIGURES = new Set<string>(['stock', 'granted', 'reserved']);

export const stateOf = ({ state }: { state: string }): string => (state === 'draft' ? t('d_draft') : tOr(`drop_${state}`, state));

export function Drops() {
  const { drops, rooms, loaded } = useShop();
  const [room, setRoom] = useState('');
  const [state, setState] = useState('');
  const states = [...new Set(drops.map((drop) => drop.state))];
  const shown = drops.filter((drop) => (!room || drop.room === room) && (!state || drop.state === state));
  return (
    <Needs scope="drops:read">
      <div class="filters">
        <select aria-label={t('room')} value={room} onChange={(e) => setRoom(e.currentTarget.value)}>
          <option value="">{t('all_rooms')}</option>
          {rooms.map(({ id }) => <option key={id} value={id}>{id}</option>)}
        </select>
        <select aria-label={t('state')} value={state} onChange={(e) => setState(e.currentTarget.value)}>
          <option value="">{t('all_states')}</option>
          {states.map((name) => <option key={name} value={name}>{stateOf({ state: name })}</option>)}
        </select>
      </div>
      {shown.length === 0 && <p class="empty" role="status">{!loaded ? t('connecting') : rooms.length === 0 ? t('no_rooms') : t('no_drops')}</p>}
      {shown.length > 0 && (
        <div class="table">
          <table>
            <thead><tr>{(['room', 'title', 'state', 'stock', 'granted', 'reserved', 'opens', 'closes'] as const).map((word) => <th key={word} scope="col" class={FIGURES.has(word) ? 'n' : ''}>{t(word)}</th>)}<th><span class="hidden">{t('see_claims')}</span></th></tr></thead>
            <tbody>{shown.map((drop) => <Line key={`${drop.room}/${drop.id}`} drop={drop} />)}</tbody>
          </table>
        </div>
      )}
    </Needs>
  );
}

function Line({ drop }: { drop: Drop }) {
  const path = `/v1/rooms/${part(drop.room)}/drops/${part(drop.id)}`;
  const gone = drop.stock ? (100 * (drop.stock - drop.left)) / drop.stock : 0;
  return (
    <tr data-drop={drop.id}>
      <td data-label={t('room')}>{drop.room}</td>
      <th scope="row" dir="auto">{drop.title}{drop.kind === 'draw' && <span class="mark">{t('drop_draw')}</span>}{drop.test && <span class="mark">{t('test')}</span>}</th>
      <td><span class={`mark ${drop.state}`}>{stateOf(drop)}</span></td>
      <td class="n" data-label={t('stock')}><span class="gauge" role="img" aria-label={t('left', { left: drop.left, stock: drop.stock })}><i style={{ width: `${gone}%` }} /></span>{count(drop.left)} / {count(drop.stock)}</td>
      <td class="n" data-label={t('granted')}>{count(drop.granted)}</td>
      <td class="n" data-label={t('reserved')}>{count(drop.reserved)}</td>
      <td data-label={t('opens')}>{when(drop.opens_at)}</td>
      <td data-label={t('closes')}>{when(drop.closes_at)}</td>
      <td class="does">
        {shop.may('drops:write') && (STEPS[drop.state] ?? []).map((step) =>
          step === 'close' || step === 'cancel'
            ? <Sure key={step} onSure={() => void shop.act('POST', `${path}/${step}`, {})}>{t(WORDS[step])}</Sure>
            : <button key={step} class="small" onClick={() => void shop.act('POST', `${path}/${step}`, {})}>{t(WORDS[step])}</button>)}
        {shop.may('claims:settle') && <button class="small" onClick={() => shop.show('claims', drop)}>{t('see_claims')}</button>}
      </td>
    </tr>
  );
}
