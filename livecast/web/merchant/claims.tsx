/** Who won what of one drop, and what becomes of it: confirmed with an order, released, taken back. */

import { useEffect, useState } from 'preact/hooks';
import { part, type Page } from '../shared/api';
import { when } from '../shared/language';
import { Dialog } from '../shared/ui';
import { stateOf } from './drops';
import { Needs, Sure, useShop } from './parts';
import { explain, shop, type Drop } from './shop';
import { t, tOr } from './words';

interface Claim { serial: number; user: string; state: string; at: number; code?: string; expires_at?: number; order_id?: string; reason?: string }
type Act = { kind: 'confirm' | 'revoke'; claim: Claim };

const HELD = new Set(['granted', 'reserved', 'confirmed']);

export function Claims() {
  const { drops, chosen } = useShop();
  const choose = (at: string) => shop.show('claims', drops[Number(at)]);
  const at = chosen ? drops.findIndex((one) => one.id === chosen.id && one.room === chosen.room) : -1;
  return (
    <Needs scope="claims:settle">
      <div class="filters">
        <select aria-label={t('title')} value={at < 0 ? '' : String(at)} onChange={(e) => e.currentTarget.value && choose(e.currentTarget.value)}>
          <option value="">{t('choose')}</option>
          {drops.map((drop, n) => <option key={`${drop.room}/${drop.id}`} value={n}>{`${drop.room} · ${drop.title} · ${stateOf(drop)}`}</option>)}
        </select>
      </div>
      {chosen ? <Of key={`${chosen.room}/${chosen.id}`} drop={chosen} /> : <p class="empty">{t('choose')}</p>}
    </Needs>
  );
}

function Of({ drop }: { drop: Drop }) {
  const { updated } = useShop();
  const [found, setFound] = useState<Claim[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [act, setAct] = useState<Act | null>(null);
  const path = `/v1/rooms/${part(drop.room)}/drops/${part(drop.id)}/claims`;
  const csv = () => shop.api!.download(`${path}.csv`, `claims-${drop.room}-${drop.id}.csv`).catch((why) => shop.say(explain(why), true));
  const read = async (from: string | null) => {
    try {
      const page = await shop.api!.get<Page<Claim>>(`${path}?limit=100${from ? `&cursor=${part(from)}` : ''}`);
      setFound((before) => (from ? [...(before ?? []), ...page.data] : page.data));
      setCursor(page.next_cursor);
    } catch (why) {
      shop.say(explain(why), true);
    }
  };
  useEffect(() => {
    if (!found || found.length <= 100) void read(null); // further pages are not read again under the reader's eyes
  }, [drop.granted, drop.reserved, updated]);
  return (
    <>
      {found?.length === 0 && <p class="empty" role="status">{t('no_claims')}</p>}
      {!!found?.length && (
        <div class="table">
          <table>
            <thead><tr>{(['serial', 'user', 'state', 'code', 'at', 'until', 'order'] as const).map((word) => <th key={word} scope="col" class={word === 'serial' ? 'n' : ''}>{t(word)}</th>)}<th><button class="small" onClick={() => void csv()}>{t('csv')}</button></th></tr></thead>
            <tbody>
              {found.map((claim) => (
                <tr key={claim.serial} data-serial={claim.serial}>
                  <th scope="row" class="n">{claim.serial}</th>
                  <td>{claim.user}</td>
                  <td><span class={`mark ${claim.state}`}>{tOr(`s_${claim.state}`, claim.state)}</span>{claim.reason && <small> {claim.reason}</small>}</td>
                  <td class="code">{claim.code ?? ''}</td>
                  <td data-label={t('at')}>{when(claim.at)}</td>
                  <td data-label={t('until')}>{when(claim.state === 'reserved' ? claim.expires_at : null)}</td>
                  <td data-label={claim.order_id ? t('order') : undefined}>{claim.order_id ?? ''}</td>
                  <td class="does">
                    {claim.state === 'reserved' && <button class="small" onClick={() => setAct({ kind: 'confirm', claim })}>{t('confirm')}</button>}
                    {claim.state === 'reserved' && <Sure onSure={() => void shop.act('POST', `${path}/${claim.serial}/release`, {})}>{t('release')}</Sure>}
                    {HELD.has(claim.state) && <button class="small" onClick={() => setAct({ kind: 'revoke', claim })}>{t('revoke')}</button>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {cursor && <button class="small" onClick={() => void read(cursor)}>{t('more')}</button>}
      {act && <Settle path={path} act={act} onClose={() => setAct(null)} onDone={() => void read(null)} />}
    </>
  );
}

function Settle({ path, act, onClose, onDone }: { path: string; act: Act; onClose: () => void; onDone: () => void }) {
  const [text, setText] = useState('');
  const [back, setBack] = useState(true);
  const { kind, claim } = act;
  const submit = async (event: Event) => {
    event.preventDefault();
    const body = kind === 'confirm' ? { order_id: text } : { reason: text, return_stock: back };
    if (await shop.act('POST', `${path}/${claim.serial}/${kind}`, body)) {
      onDone();
      onClose();
    }
  };
  return (
    <Dialog title={`${t(kind)}: ${t('serial')} ${claim.serial} · ${claim.user}`} onClose={onClose}>
      <form class="form" onSubmit={(e) => void submit(e)}>
        <label>{t(kind === 'confirm' ? 'order_id' : 'reason')}<input required maxLength={128} value={text} onInput={(e) => setText(e.currentTarget.value)} /></label>
        {kind === 'revoke' && <label class="check"><input type="checkbox" checked={back} onChange={(e) => setBack(e.currentTarget.checked)} />{t('return_stock')}</label>}
        <button class="primary">{t(kind)}</button>
      </form>
      <p class="bad" role="alert">{shop.said?.bad ? shop.said.text : ''}</p>
    </Dialog>
  );
}
