/** Where one comes in. In development: ready links. Elsewhere: a room by its name. */

import { render } from 'preact';
import { useReducer, useState } from 'preact/hooks';
import { switchLanguage } from '../shared/language';
import { t } from './words';

const dev = document.documentElement.dataset.dev === 'true';

function Entry() {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const [name, setName] = useState('');
  const [room, setRoom] = useState(dev ? 'demo' : '');
  const fits = /^[A-Za-z0-9_-]{1,64}$/.test(room);
  const open = () => location.assign(`/r/${room}`);
  const watch = async () => {
    const sub = `${name.replace(/[^\x21-\x7e]|\//g, '').slice(0, 40) || 'viewer'}-${Math.random().toString(36).slice(2, 8)}`;
    const response = await fetch('/v1/tokens', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer lck_dev_dev' }, // known to everybody, and of use in development alone
      body: JSON.stringify({ sub, name: name || sub }),
    });
    const { token } = (await response.json()) as { token: string };
    location.assign(`/r/${room}#token=${token}`);
  };
  return (
    <main>
      <div class="bar">
        <h1>{t('entry_title')}</h1>
        <button class="small" onClick={() => { switchLanguage(); draw(0); }}>{t('language')}</button>
      </div>
      {dev && <p>{t('entry_dev')}</p>}
      <form onSubmit={(e) => { e.preventDefault(); if (fits) void (dev ? watch() : open()); }}>
        <label>{t('entry_room')}<input value={room} onInput={(e) => setRoom(e.currentTarget.value)} required /></label>
        {dev && <label>{t('entry_name')}<input value={name} onInput={(e) => setName(e.currentTarget.value)} maxLength={32} /></label>}
        <button class="primary" disabled={!fits}>{t(dev ? 'entry_watch' : 'entry_open')}</button>
        {dev && <button type="button" disabled={!fits} onClick={open}>{t('entry_anon')}</button>}
      </form>
      <nav class="links" aria-label={t('entry_more')}>
        {fits && <a class="button" href={`/host/${room}`}>{t('entry_host')}</a>}
        <a class="button" href="/merchant">{t('entry_merchant')}</a>
        {fits && <a class="button" href={`/overlay/${room}`}>{t('entry_overlay')}</a>}
        <a class="button" href="/docs">{t('entry_api')}</a>
      </nav>
    </main>
  );
}

render(<Entry />, document.getElementById('page')!);
