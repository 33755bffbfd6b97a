/**
 * A receipt that checks itself: `/receipt#JWS`. What stands behind the # is sent to nobody; the page fetches the public keys and
 * says whether the signature holds, which unit of how many it is, and, if asked, whether a code goes with it.
 */

import { render } from 'preact';
import { useEffect, useReducer, useState } from 'preact/hooks';
import { checkReceipt, codeFits, type Checked, type Claims, type Jwks } from '../proof/receipt';
import { CheckIcon, CrossIcon } from '../shared/icons';
import { language, switchLanguage } from '../shared/language';
import { t, tOr } from './words';

/** What stands behind the #. A receipt has no letter that an address would escape. */
const ofAddress = () => location.hash.slice(1);

function Page() {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const [token, setToken] = useState(ofAddress);
  const [checked, setChecked] = useState<Checked | 'keys' | null>(null);
  useEffect(() => {
    const moved = () => setToken(ofAddress());
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  useEffect(() => {
    setChecked(null);
    if (!token) return undefined;
    let over = false;
    const tell = (result: Checked | 'keys') => over || setChecked(result);
    check(token).then(tell, () => tell('keys'));
    return () => void (over = true);
  }, [token]);
  document.title = `${t('title')} · livecast`;
  return (
    <main key={language}>
      <header class="head">
        <h1>{t('title')}</h1>
        <button class="small" onClick={() => { switchLanguage(); draw(0); }}>{t('language')}</button>
      </header>
      {token ? <Told checked={checked} /> : <Paste />}
    </main>
  );
}

async function check(token: string): Promise<Checked> {
  const response = await fetch('/.well-known/jwks.json');
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return checkReceipt(token, (await response.json()) as Jwks, Date.now() / 1000);
}

function Paste() {
  const [text, setText] = useState('');
  return (
    <form onSubmit={(e) => { e.preventDefault(); location.hash = text.trim(); }}>
      <p>{t('none')}</p>
      <label>{t('paste')}<textarea rows={5} value={text} onInput={(e) => setText(e.currentTarget.value)} spellcheck={false} required /></label>
      <button class="primary">{t('check')}</button>
    </form>
  );
}

function Told({ checked }: { checked: Checked | 'keys' | null }) {
  if (checked === null) return <p role="status">{t('checking')}</p>;
  const fault = checked === 'keys' ? 'keys' : checked.fault;
  const claims = checked === 'keys' ? null : checked.claims;
  return (
    <>
      <section class={`verdict ${fault ? 'bad' : 'good'}`} role="status" data-by={checked === 'keys' ? undefined : checked.by}>
        {fault ? <CrossIcon /> : <CheckIcon />}
        <div>
          <h2>{fault ? t('not_valid') : t('unit', { serial: claims!.serial.toLocaleString(language), of: claims!.of.toLocaleString(language) })}</h2>
          <p>{fault ? tOr(`f_${fault}`, fault) : t('valid')}</p>
          {!fault && claims!.test && <p><b>{t('test')}</b></p>}
        </div>
      </section>
      {claims && <Rows claims={claims} />}
      {claims?.code_hash && <Code claims={claims} />}
      <p class="how">{t('how', { host: location.host })}</p>
    </>
  );
}

function Rows({ claims }: { claims: Claims }) {
  const moment = (unix_s: number) => new Date(unix_s * 1000).toLocaleString(language);
  const rows = [
    ['winner', claims.sub], ['shop', claims.aud], ['room', claims.room], ['drop', claims.drop], ['won_at', moment(claims.iat)],
    ['until', claims.exp === undefined ? '' : moment(claims.exp)], ['sku', claims.sku ?? ''], ['id', claims.jti],
  ] as const;
  return <dl>{rows.filter(([, value]) => value).map(([name, value]) => <div key={name}><dt>{t(name)}</dt><dd dir="auto">{value}</dd></div>)}</dl>;
}

function Code({ claims }: { claims: Claims }) {
  const [code, setCode] = useState('');
  const [fits, setFits] = useState<boolean | null>(null);
  useEffect(() => {
    let over = false;
    setFits(null);
    if (code.trim()) void codeFits(code, claims).then((yes) => over || setFits(yes));
    return () => void (over = true);
  }, [code]);
  return (
    <div class="code">
      <label>{t('code')}<input value={code} onInput={(e) => setCode(e.currentTarget.value)} autocomplete="off" spellcheck={false} /></label>
      <span role="status" class={fits ? 'yes' : 'no'}>{fits === null ? '' : t(fits ? 'code_yes' : 'code_no')}</span>
    </div>
  );
}

render(<Page />, document.getElementById('page')!);
