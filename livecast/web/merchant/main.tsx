/** The merchant's panel: drops over all rooms, what was won, who is told of it, and what one's key allows. */

import { render } from 'preact';
import { useEffect, useReducer, useState } from 'preact/hooks';
import { switchLanguage } from '../shared/language';
import { Claims } from './claims';
import { Drops } from './drops';
import { Hooks } from './hooks';
import { useShop } from './parts';
import { shop, VIEWS } from './shop';
import { t } from './words';

const PANELS = { drops: Drops, claims: Claims, hooks: Hooks, access: Access };
/** Known to everybody, and of use in development alone. */
const DEV_KEY = 'lck_dev_dev';

function Panel() {
  const { caller, view, said, updated } = useShop();
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => void (document.title = `${t('panel')} · livecast`));
  useEffect(() => {
    if (!said || said.bad) return;
    const timer = setTimeout(() => { shop.said = null; shop.changed(); }, 3000);
    return () => clearTimeout(timer);
  }, [said]);
  const Chosen = PANELS[view];
  const words = <button class="small" onClick={() => { switchLanguage(); draw(0); }}>{t('language')}</button>;
  if (!caller) return <SignIn language={words} />;
  return (
    <div class="panel">
      <header class="head">
        <h1>{t('panel')}</h1>
        <span class="who">{caller.name || caller.id}{caller.merchant && ` · ${caller.merchant}`}</span>
        {updated > 0 && <small>{t('updated', { time: new Date(updated).toLocaleTimeString() })}</small>}
        {words}
        <button class="small" onClick={() => shop.out()}>{t('leave')}</button>
      </header>
      <nav aria-label={t('views')}>
        {VIEWS.map((id) => <button key={id} aria-current={view === id ? 'page' : undefined} onClick={() => shop.show(id)}>{t(`view_${id}`)}</button>)}
      </nav>
      <main><Chosen /></main>
      <p class={`said${said?.bad ? ' bad' : ''}`} role="status">{said && <>{said.text} <button class="icon" aria-label={t('close')} onClick={() => { shop.said = null; shop.changed(); }}>✕</button></>}</p>
    </div>
  );
}

function SignIn({ language }: { language: preact.ComponentChild }) {
  const [key, setKey] = useState('');
  const dev = document.documentElement.dataset.dev === 'true';
  return (
    <main class="outside">
      <header><h1>{t('panel')}</h1>{language}</header>
      <p>{t('sign_in')}</p>
      <form onSubmit={(e) => { e.preventDefault(); void shop.enter(key.trim()); }}>
        <label>{t('key')}<input type="password" autocomplete="off" required value={key} onInput={(e) => setKey(e.currentTarget.value)} /></label>
        <small>{t('key_kept')}</small>
        <p class="bad" role="alert">{shop.refusal}</p>
        <button class="primary">{t('enter')}</button>
        {dev && <button type="button" onClick={() => void shop.enter(DEV_KEY)}>{t('dev_in')}</button>}
      </form>
    </main>
  );
}

function Access() {
  const { caller } = useShop();
  if (!caller) return null;
  return (
    <dl class="access">
      <dt>{t('who')}</dt><dd>{caller.id} ({t(caller.kind === 'key' ? 'kind_key' : 'kind_staff')})</dd>
      {caller.merchant && <><dt>{t('of_merchant')}</dt><dd>{caller.merchant}</dd></>}
      <dt>{t('reaches')}</dt><dd>{caller.rooms.includes('*') ? t('every_room') : caller.rooms.join(' ')}{caller.merchant && `, ${t('only_of', { merchant: caller.merchant })}`}</dd>
      <dt>{t('scopes')}</dt><dd><ul>{caller.scopes.map((scope) => <li key={scope}><code>{scope}</code></li>)}</ul></dd>
    </dl>
  );
}

void shop.enter();
document.addEventListener('visibilitychange', () => void shop.refresh());
render(<Panel />, document.getElementById('page')!);
