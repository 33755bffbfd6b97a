/** The head of the console: how the broadcast stands, its figures, and what concerns all of it: start, pause, end, panic. */

import { useState } from 'preact/hooks';
import { clock, count, switchLanguage } from '../shared/language';
import { Dialog, useTicking } from '../shared/ui';
import * as commands from './commands';
import { desk } from './console';
import { Field, useDesk } from './parts';
import { t } from './words';

type Asking = 'start' | 'end' | 'panic' | null;

export function Bar({ onLanguage }: { onLanguage: () => void }) {
  useTicking(1000);
  const { live, runs, measures: { rate } } = useDesk('room', 'live');
  const [asking, setAsking] = useState<Asking>(null);
  const close = () => setAsking(null);
  const { state } = live.view;
  const { status, started_at, viewers, likes } = state;
  const on = status === 'live' || status === 'paused';
  const claims = desk.told.drops.reduce((sum, drop) => sum + ((drop.opened_at ?? 0) >= (started_at ?? 0) ? drop.granted : 0), 0);
  const step = (name: 'pause' | 'resume') => void desk.acts.act('POST', name, {}, t(`did_${name}`));
  return (
    <header class="head">
      <span class={`status ${status}`}>{t(status)}{on && started_at ? <time> {clock(live.now() - started_at)}</time> : ''}</span>
      <h1 dir="auto" title={desk.room}>{state.title || desk.room}</h1>
      {(state as { test?: boolean }).test && <span class="mark">{t('rehearsal')}</span>}
      <dl class="sums">
        <Sum n={viewers.users} words={t('w_watching')} name="users" />
        <Sum n={viewers.total} words={t('w_seen')} name="total" />
        <Sum n={rate} words={t('w_rate')} name="rate" digits={rate < 10 ? 1 : 0} />
        <Sum n={likes} words={t('w_likes')} name="likes" />
        {runs && <Sum n={desk.told.coins} words={t('w_coins')} name="coins" />}
        <Sum n={claims} words={t('w_claims')} name="claims" />
      </dl>
      <div class="controls">
        <Health />
        <button class="small" onClick={() => { switchLanguage(); onLanguage(); }}>{t('language')}</button>
        {runs && !on && <button class="small primary" onClick={() => setAsking('start')}>{t('start')}</button>}
        {runs && status === 'live' && <button class="small" onClick={() => step('pause')}>{t('pause')}</button>}
        {runs && status === 'paused' && <button class="small yes" onClick={() => step('resume')}>{t('resume')}</button>}
        {runs && on && <button class="small" onClick={() => setAsking('end')}>{t('end')}</button>}
        <button class="small panic" onClick={() => setAsking('panic')}>{t('panic')}</button>
      </div>
      {asking === 'start' && <Start onClose={close} />}
      {asking === 'end' && <End onClose={close} />}
      {asking === 'panic' && (
        <Dialog title={t('panic_title')} onClose={close}>
          <p>{t('panic_text')}</p>
          <div class="does"><button class="primary" onClick={() => { close(); void commands.panic(); }}>{t('panic_do')}</button><button onClick={close}>{t('cancel')}</button></div>
        </Dialog>
      )}
    </header>
  );
}

function Sum({ n, words, name, digits = 0 }: { n: number; words: string; name: string; digits?: number }) {
  return <div data-sum={name}><dd>{digits ? n.toFixed(digits) : count(Math.round(n))}</dd><dt>{words}</dt></div>;
}

function Health() {
  const { health } = desk;
  const bad = health.status !== 'ok';
  const words = !bad ? t('health_ok') : health.status ? t('health_degraded', { what: health.degraded.join('; ') || health.status }) : t('health_bad');
  return <span class={`health ${bad ? (health.status ? 'degraded' : 'bad') : 'ok'}`} role="status" title={words} tabIndex={bad ? 0 : -1}><i aria-hidden="true" /><span class={bad ? '' : 'hidden'}>{words}</span></span>;
}

function Start({ onClose }: { onClose: () => void }) {
  const start = async (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const title = String(form.get('title') ?? '').trim();
    if (await desk.acts.act('POST', 'start', { ...(title ? { title } : {}), test: Boolean(form.get('test')) }, t('did_start'))) onClose();
  };
  return (
    <Dialog title={t('start_title')} onClose={onClose}>
      <form class="form" onSubmit={(e) => void start(e)}>
        <Field label={t('start_name')} wide><input name="title" maxLength={200} defaultValue={desk.live.view.state.title} dir="auto" /></Field>
        <label class="tick wide"><input type="checkbox" name="test" />{t('start_test')}</label>
        <div class="does wide"><button class="primary">{t('start')}</button><button type="button" onClick={onClose}>{t('cancel')}</button></div>
      </form>
    </Dialog>
  );
}

function End({ onClose }: { onClose: () => void }) {
  const end = async (event: Event) => {
    event.preventDefault();
    const redirect = String(new FormData(event.currentTarget as HTMLFormElement).get('redirect') ?? '').trim();
    if (await desk.acts.act('POST', 'end', redirect ? { redirect } : {}, t('did_end'))) onClose();
  };
  return (
    <Dialog title={t('end_title')} onClose={onClose}>
      <p>{t('end_text')}</p>
      <form class="form" onSubmit={(e) => void end(e)}>
        <Field label={t('end_to')} wide><input name="redirect" type="url" maxLength={512} /></Field>
        <div class="does wide"><button class="primary">{t('end')}</button><button type="button" onClick={onClose}>{t('cancel')}</button></div>
      </form>
    </Dialog>
  );
}

/** What holds for the whole room and must not be overlooked, with the way back. */
export function Alerts() {
  const { live } = useDesk('room');
  const { connection, policy } = live;
  const { notice } = live.view.state;
  return (
    <div class="alerts">
      {policy?.mode === 'staff' && (
        <p class="alert" role="alert"><b>{t('calm_text')}</b>{desk.runs && <button class="small" onClick={() => void commands.calm()}>{t('calm')}</button>}</p>
      )}
      {(connection.state === 'waiting' || (connection.state === 'connecting' && connection.attempt > 0)) && (
        <p class="alert" role="status">{t(navigator.onLine ? 'waiting' : 'offline')}<button class="small" onClick={() => live.resume()}>{t('again')}</button></p>
      )}
      {notice && <p class="alert quiet"><b>{t('notice')}</b> <span dir="auto">{notice.text}</span>{desk.runs && <button class="small" onClick={() => void commands.unpin()}>{t('remove')}</button>}</p>}
    </div>
  );
}
