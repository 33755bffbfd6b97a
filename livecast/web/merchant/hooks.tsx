/** Webhooks: who is told of what, how it goes, and what did not arrive. */

import { useEffect, useState } from 'preact/hooks';
import { part, type Page } from '../shared/api';
import { when } from '../shared/language';
import { Copy, Dialog } from '../shared/ui';
import { Needs, Sure, useShop } from './parts';
import { explain, shop } from './shop';
import { t, tOr } from './words';

interface Hook {
  id: string; url: string; events: string[]; rooms: string[]; state: 'enabled' | 'disabled'; pending: number; dead: number;
  failing_since?: number; disabled_reason?: string; secret?: string;
}
interface Delivery { id: string; seq: number; type: string; room: string; state: string; attempts: number; at: number; next_at?: number; status?: number; reason?: string }

const STATES = ['pending', 'delivered', 'dead'] as const;
const lines = (text: string): string[] => text.split('\n').map((line) => line.trim()).filter(Boolean);

export function Hooks() {
  const { updated } = useShop();
  const [hooks, setHooks] = useState<Hook[] | null>(null);
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState('');
  const [of, setOf] = useState<Hook | null>(null);
  const allowed = shop.may('webhooks:write');
  const read = () => {
    if (allowed) shop.api!.get<Page<Hook>>('/v1/webhooks?limit=200').then((page) => setHooks(page.data), (why) => shop.say(explain(why), true));
  };
  useEffect(read, [updated]);
  const rotate = async (hook: Hook) => {
    const done = await shop.act<Hook>('POST', `/v1/webhooks/${part(hook.id)}/rotate`, {});
    if (done?.secret) setSecret(done.secret);
  };
  return (
    <Needs scope="webhooks:write">
      <div class="filters"><button class="small primary" onClick={() => setMaking(true)}>+ {t('add_hook')}</button></div>
      {hooks?.length === 0 && <p class="empty" role="status">{t('no_hooks')}</p>}
      <ul class="cards">
        {hooks?.map((hook) => (
          <li key={hook.id} class="card" data-hook={hook.id}>
            <header><b>{hook.url}</b><span class={`mark ${hook.state}`}>{t(hook.state)}</span></header>
            <p>{hook.events.join(' ')} <small>· {hook.rooms.join(' ')}</small></p>
            <p>
              <small>{t('pending', { n: hook.pending })}</small> <small class={hook.dead ? 'bad' : ''}>{t('dead', { n: hook.dead })}</small>
              {hook.failing_since && <small class="bad"> {t('failing', { time: when(hook.failing_since) })}</small>}
              {hook.disabled_reason && <small class="bad"> {t('because', { why: hook.disabled_reason })}</small>}
            </p>
            <div class="does">
              <button class="small" onClick={() => setOf(hook)}>{t('deliveries')}</button>
              <button class="small" onClick={() => void shop.act('POST', `/v1/webhooks/${part(hook.id)}/test`, {})}>{t('send_test')}</button>
              <Sure onSure={() => void rotate(hook)}>{t('rotate')}</Sure>
              <button class="small" onClick={() => void shop.act('PATCH', `/v1/webhooks/${part(hook.id)}`, { state: hook.state === 'enabled' ? 'disabled' : 'enabled' })}>{t(hook.state === 'enabled' ? 'disable' : 'enable')}</button>
              <Sure onSure={() => void shop.act('DELETE', `/v1/webhooks/${part(hook.id)}`)}>{t('remove')}</Sure>
            </div>
          </li>
        ))}
      </ul>
      {making && <Make onClose={() => setMaking(false)} onMade={(made) => { setMaking(false); setSecret(made.secret ?? ''); }} />}
      {secret && <Dialog title={t('secret_once')} onClose={() => setSecret('')}><p class="code">{secret}</p><Copy text={secret} /></Dialog>}
      {of && <Deliveries hook={of} onClose={() => setOf(null)} />}
    </Needs>
  );
}

function Make({ onClose, onMade }: { onClose: () => void; onMade: (made: Hook) => void }) {
  const [url, setUrl] = useState('');
  const [events, setEvents] = useState('drop.*\nclaim.*');
  const [rooms, setRooms] = useState('*');
  const submit = async (event: Event) => {
    event.preventDefault();
    const made = await shop.act<Hook>('POST', '/v1/webhooks', { url, events: lines(events), rooms: lines(rooms) });
    if (made) onMade(made);
  };
  return (
    <Dialog title={t('add_hook')} onClose={onClose}>
      <form class="form" onSubmit={(e) => void submit(e)}>
        <label>{t('url')}<input type="url" required maxLength={2000} value={url} onInput={(e) => setUrl(e.currentTarget.value)} /></label>
        <label>{t('events')}<textarea rows={4} required value={events} onInput={(e) => setEvents(e.currentTarget.value)} /></label>
        <label>{t('of_rooms')}<textarea rows={2} required value={rooms} onInput={(e) => setRooms(e.currentTarget.value)} /></label>
        <button class="primary">{t('save')}</button>
      </form>
      <p class="bad" role="alert">{shop.said?.bad ? shop.said.text : ''}</p>
    </Dialog>
  );
}

function Deliveries({ hook, onClose }: { hook: Hook; onClose: () => void }) {
  const { updated } = useShop();
  const [state, setState] = useState('');
  const [found, setFound] = useState<Delivery[] | null>(null);
  const path = `/v1/webhooks/${part(hook.id)}/deliveries`;
  useEffect(() => {
    shop.api!.get<Page<Delivery>>(`${path}?limit=100${state && `&state=${state}`}`).then((page) => setFound(page.data), (why) => shop.say(explain(why), true));
  }, [state, updated]);
  return (
    <Dialog title={`${t('deliveries')}: ${hook.url}`} onClose={onClose}>
      <select aria-label={t('state')} value={state} onChange={(e) => setState(e.currentTarget.value)}>
        <option value="">{t('all_states')}</option>
        {STATES.map((name) => <option key={name} value={name}>{t(`t_${name}`)}</option>)}
      </select>
      {found?.length === 0 && <p class="empty">{t('no_deliveries')}</p>}
      <ol class="rows">
        {found?.map((one) => (
          <li key={one.id} data-delivery={one.id}>
            <span class="n">{one.seq}</span>
            <span><b>{one.type}</b> {one.room}<br /><small>{when(one.at)} · {t('attempts')} {one.attempts}{one.status ? ` · ${t('answered')} ${one.status}` : ''}{one.next_at ? ` · ${t('next_try', { time: when(one.next_at) })}` : ''}{one.reason ? ` · ${one.reason}` : ''}</small></span>
            <span class={`mark ${one.state}`}>{tOr(`t_${one.state}`, one.state)}</span>
            {(one.state === 'dead' || one.state === 'delivered') && <button class="small" onClick={() => void shop.act('POST', `${path}/${part(one.id)}/replay`, {})}>{t('replay')}</button>}
          </li>
        ))}
      </ol>
    </Dialog>
  );
}
