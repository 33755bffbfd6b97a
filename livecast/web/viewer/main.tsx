/** The page of a room: the stage, the chat, what is given away, and what can be done. */

import { render } from 'preact';
import { useReducer, useState } from 'preact/hooks';
import { BagIcon, GiftIcon, HeartIcon, PrizeIcon, SettingsIcon } from '../shared/icons';
import { count, language, switchLanguage } from '../shared/language';
import { Dialog, useTicking } from '../shared/ui';
import { Cards } from './cards';
import { Chat } from './chat';
import type { Density } from './flying';
import { Prizes } from './prizes';
import { room } from './room';
import { Shelf } from './shelf';
import { Stage, flying, like } from './stage';
import { Tray } from './tray';
import { useRoom } from './use-room';
import { t } from './words';

type Panel = 'shelf' | 'gifts' | 'prizes' | 'settings' | null;

const ACTIONS = [
  { panel: 'shelf', Icon: BagIcon, guests: true },
  { panel: 'gifts', Icon: GiftIcon, guests: true },
  { panel: 'prizes', Icon: PrizeIcon, guests: false },
  { panel: 'settings', Icon: SettingsIcon, guests: true },
] as const;

function Page() {
  const { live } = useRoom();
  const [panel, setPanel] = useState<Panel>(null);
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const close = () => setPanel(null);
  const title = live.view.state.title || room.name;
  document.title = `${title} · livecast`;
  const canLike = room.can('like') || live.policy?.anonymous === 'like';
  return (
    <main class="page">
      <Stage />
      <Cards />
      <div class="side">
        <Chat key={language} />
        <nav class="actions">
          {ACTIONS.map(({ panel: name, Icon, guests }) => (
            <button key={name} class="action" onClick={() => setPanel(name)} aria-label={t(name)} disabled={!guests && !room.signedIn}>
              <Icon /><small>{t(name === 'prizes' ? 'prizes_short' : name)}</small>
            </button>
          ))}
          <button class="action like" onClick={like} disabled={!canLike} aria-label={`${t('like')}, ${t('likes', { n: count(live.view.state.likes) })}`}>
            <HeartIcon /><small class="likes">{count(live.view.state.likes)}</small>
          </button>
        </nav>
      </div>
      <Connection />
      <div class="toasts" role="status" aria-live="polite">
        {room.toasts.map((toast) => <p key={toast.id} class={toast.bad ? 'bad' : ''}>{toast.text}</p>)}
      </div>
      {panel === 'shelf' && <Shelf onClose={close} />}
      {panel === 'gifts' && <Tray onClose={close} />}
      {panel === 'prizes' && <Prizes onClose={close} />}
      {panel === 'settings' && <Settings onClose={close} onLanguage={() => { switchLanguage(); room.changed(); draw(0); close(); }} />}
    </main>
  );
}

function Settings({ onClose, onLanguage }: { onClose: () => void; onLanguage: () => void }) {
  const [settings, set] = useState(flying.settings);
  const change = (part: Partial<typeof settings>) => {
    flying.set(part);
    set(flying.settings);
  };
  return (
    <Dialog title={t('settings')} onClose={onClose}>
      <label class="line"><span>{t('flying')}</span><input type="checkbox" checked={settings.on} onChange={(e) => change({ on: e.currentTarget.checked })} /></label>
      <label class="line">
        <span>{t('density')}</span>
        <select value={settings.density} onChange={(e) => change({ density: e.currentTarget.value as Density })}>
          {(['low', 'mid', 'all'] as const).map((one) => <option key={one} value={one}>{t(one)}</option>)}
        </select>
      </label>
      <label class="line">
        <span>{t('opacity')}</span>
        <input type="range" min="0.2" max="1" step="0.1" value={settings.opacity} onInput={(e) => change({ opacity: Number(e.currentTarget.value) })} />
      </label>
      <button onClick={onLanguage}>{t('language')}</button>
    </Dialog>
  );
}

/** Where the connection stands, if it is worth a word. */
function Connection() {
  useTicking(1000);
  const { connection } = useRoom().live;
  const { state, code, redirect } = connection;
  if (state === 'open') return connection.transport === 'websocket' ? null : <p class="connection quiet" role="status">{t('slow_way')}</p>;
  if (state === 'closed') {
    const words = CLOSED[code] ?? 'closed';
    return (
      <div class="connection over" role="alert">
        <p>{t(words, { code })}</p>
        {code === 1000 || code === 4429 || code >= 4500 ? <button class="small" onClick={() => location.reload()}>{t('again')}</button> : null}
        {redirect && /^https?:/.test(redirect) && <a class="button" href={redirect}>{t('go_on')}</a>}
      </div>
    );
  }
  if (state === 'waiting') {
    return (
      <div class="connection" role="status">
        <p>{t(navigator.onLine ? 'waiting' : 'offline')}</p>
        <button class="small" onClick={() => room.live.resume()}>{t('again')}</button>
      </div>
    );
  }
  return state === 'connecting' && connection.attempt > 0 ? <p class="connection" role="status">{t('connecting')}</p> : null;
}

const CLOSED: Record<number, 'ended_room' | 'banned' | 'expired' | 'refused' | 'no_room'> = {
  4010: 'ended_room', 4003: 'banned', 4001: 'expired', 4401: 'expired', 4403: 'refused', 4404: 'no_room', 4400: 'no_room',
};

render(<Page />, document.getElementById('page')!);
