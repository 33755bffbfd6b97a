/** Drops: made, opened, watched, given more stock, closed, and read who won. */

import { useEffect, useState } from 'preact/hooks';
import { part, type Page } from '../shared/api';
import { clock, count, timeOf, when } from '../shared/language';
import { Dialog, useTicking } from '../shared/ui';
import { desk } from './console';
import { inOrder } from './order';
import { Empty, Field, Section, Sure, useDesk } from './parts';
import { Name } from './queue';
import type { FullDrop } from './told';
import { t, tOr } from './words';

/** What leads on from a state. */
const STEPS: Record<string, readonly ('announce' | 'open' | 'pause' | 'resume' | 'close' | 'cancel')[]> = {
  draft: ['announce', 'open', 'cancel'], announced: ['open', 'cancel'], open: ['pause', 'close', 'cancel'], paused: ['resume', 'close', 'cancel'], sold_out: ['close', 'cancel'],
};
const WORDS = { announce: 'announce', open: 'open', pause: 'pause', resume: 'resume', close: 'close_drop', cancel: 'cancel_drop' } as const;
const OPENED = new Set(['open', 'paused', 'sold_out']);
const MIN_MS = 60_000;
/** Winners shown; all of them are in the CSV. */
const WINNERS_SHOWN = 200;

export function Drops() {
  const { told: { drops }, runs } = useDesk('goods', 'live');
  const [making, setMaking] = useState(false);
  const [winners, setWinners] = useState<FullDrop | null>(null);
  return (
    <Section title={t('drops')} aside={runs && <button class="small primary" onClick={() => setMaking(true)}>+ {t('new_drop')}</button>}>
      {drops.length === 0 && <Empty>{t('no_drops')}</Empty>}
      <ul class="cards">{inOrder(drops, desk.live.view.state.drops).map((drop) => <Card key={drop.id} drop={drop} onWinners={() => setWinners(drop)} />)}</ul>
      {making && <Make onClose={() => setMaking(false)} />}
      {winners && <Winners drop={winners} onClose={() => setWinners(null)} />}
    </Section>
  );
}

function Card({ drop, onWinners }: { drop: FullDrop; onWinners: () => void }) {
  useTicking(500);
  const [adding, setAdding] = useState(false);
  const { live, runs, role } = desk;
  const now = live.now();
  const seen = live.view.state.drops[drop.id]; // the newer of the two: it comes with the frames
  const state = seen?.state ?? drop.state;
  const left = seen?.left ?? drop.left;
  const stock = seen?.stock ?? drop.stock;
  const gone = Math.max(0, stock - left);
  const path = `drops/${part(drop.id)}`;
  const step = async (name: keyof typeof WORDS) => {
    await desk.acts.act('POST', `${path}/${name}`, {}, `${drop.title}: ${t(WORDS[name])}`);
    void desk.told.fetch('drops');
  };
  const csv = () => {
    const name = role === 'merchant' ? 'claims' : 'winners'; // codes are for those who settle
    void desk.api.download(`${path}/${name}.csv`, `${name}-${desk.room}-${drop.id}.csv`).catch((why) => desk.acts.refused(why));
  };
  const upload = async (file: File | undefined) => {
    if (file && (await desk.acts.act('PUT', `${path}/codes`, await file.text(), t('did_upload')))) void desk.told.fetch('drops');
  };
  const sold_in = drop.opened_at && state === 'sold_out' && drop.closed_at === null ? null : drop.opened_at && drop.closed_at && left === 0 ? drop.closed_at - drop.opened_at : null;
  return (
    <li class={`card drop ${state}`} data-drop={drop.id}>
      <header>
        <b dir="auto">{drop.title}</b>
        <span class={`mark state ${state}`}>{tOr(`drop_${state}`, state)}</span>
      </header>
      <div class="bar" role="img" aria-label={t('left', { left, stock })}><i style={{ width: `${stock ? (100 * gone) / stock : 0}%` }} /></div>
      <p class="line-of">
        <b>{t('left', { left: count(left), stock: count(stock) })}</b>
        {drop.kind === 'draw' ? <span>{t('entrants', { n: count(drop.entrants) })}</span> : <span>{t('granted', { n: count(Math.max(drop.granted, gone)) })}</span>}
        {drop.reserved > 0 && <span>{t('reserved', { n: count(drop.reserved) })}</span>}
        {state === 'open' && <Rate drop={drop.id} />}
        {sold_in !== null && <span>{t('in_s', { s: (sold_in / 1000).toFixed(1) })}</span>}
        {drop.codes === 'list' && <span>{t('codes_held', { n: count(drop.codes_held) })}</span>}
        {state === 'announced' && drop.opens_at && <span class="count">{t('opens_in')} {clock(drop.opens_at - now)}</span>}
        {state === 'draft' && drop.opens_at && <span>{t('opens_at', { time: when(drop.opens_at) })}</span>}
        {OPENED.has(state) && drop.closes_at && <span class="count">{t('closes_in')} {clock(drop.closes_at - now)}</span>}
        {drop.kind === 'draw' && <span class="mark">{t('drop_draw')}</span>}
        {drop.test && <span class="mark">{t('d_test')}</span>}
      </p>
      <div class="does">
        {runs && (STEPS[state] ?? []).map((name) =>
          name === 'cancel' || name === 'close'
            ? <Sure key={name} what={`${name}:${drop.id}`} onSure={() => void step(name)}>{t(WORDS[name])}</Sure>
            : <button key={name} class={`small${name === 'open' || name === 'resume' ? ' yes' : ''}`} onClick={() => void step(name)}>{t(WORDS[name])}</button>)}
        {runs && OPENED.has(state) && <button class="small" aria-expanded={adding} onClick={() => setAdding(!adding)}>{t('stock_add')}</button>}
        {runs && drop.codes === 'list' && !OPENED.has(state) && state in STEPS && (
          <label class="button small">{t('upload')}<input type="file" class="hidden" accept=".txt,.csv,text/plain" onChange={(e) => void upload(e.currentTarget.files?.[0])} /></label>
        )}
        {drop.granted > 0 && <button class="small" onClick={onWinners}>{t('winners')}</button>}
        {drop.granted > 0 && <button class="small" onClick={csv}>{t('csv')}</button>}
        {drop.kind === 'draw' && state === 'settled' && <a class="button small" href={`/v1/rooms/${part(desk.room)}/${path}/draw`} target="_blank" rel="noopener">{t('draw_file')}</a>}
      </div>
      {adding && <Add path={path} onClose={() => setAdding(false)} />}
    </li>
  );
}

/** Claims a second, over the last ten. */
function Rate({ drop }: { drop: string }) {
  const [seen, setSeen] = useState<{ at: number; left: number }[]>([]);
  const { live } = useDesk('live');
  const left = live.view.state.drops[drop]?.left;
  useEffect(() => {
    if (left === undefined) return;
    const at = performance.now();
    setSeen((before) => [...before.filter((one) => one.at > at - 10_000), { at, left }]);
  }, [left]);
  const first = seen[0];
  const last = seen.at(-1);
  if (!first || !last || first === last) return null;
  const rate = Math.max(0, first.left - last.left) / Math.max(1, (performance.now() - first.at) / 1000);
  return <span>{t('per_s', { n: rate < 10 ? rate.toFixed(1) : count(Math.round(rate)) })}</span>;
}

function Add({ path, onClose }: { path: string; onClose: () => void }) {
  const [n, setN] = useState('10');
  const submit = async (event: Event) => {
    event.preventDefault();
    if (await desk.acts.act('PATCH', path, { stock_delta: Math.trunc(Number(n)) }, t('did_save'))) onClose();
    void desk.told.fetch('drops');
  };
  return (
    <form class="inline" onSubmit={(e) => void submit(e)}>
      <input type="number" min="-100000" max="1000000" step="1" required aria-label={t('stock_n')} value={n} onInput={(e) => setN(e.currentTarget.value)} />
      <button class="small primary">{t('add')}</button>
    </form>
  );
}

function Winners({ drop, onClose }: { drop: FullDrop; onClose: () => void }) {
  const [found, setFound] = useState<{ serial: number; user: string; state: string; at: number }[] | null>(null);
  useEffect(() => {
    desk.api.get<Page<{ serial: number; user: string; state: string; at: number }>>(`drops/${part(drop.id)}/winners?limit=${WINNERS_SHOWN}`).then(
      (page) => setFound(page.data),
      (why) => desk.acts.refused(why),
    );
  }, []);
  return (
    <Dialog title={`${t('winners')}: ${drop.title}`} onClose={onClose}>
      {found?.length === 0 && <Empty>{t('no_winners')}</Empty>}
      <ol class="rows">
        {found?.map((one) => (
          <li key={one.serial}><small>{t('serial', { n: one.serial })}</small><Name id={one.user} name={desk.nameOf(one.user)} /><small>{timeOf(one.at)}</small><span class="mark">{tOr(`s_${one.state}`, one.state)}</span></li>
        ))}
      </ol>
    </Dialog>
  );
}

function Make({ onClose }: { onClose: () => void }) {
  const [kind, setKind] = useState('coupon');
  const [codes, setCodes] = useState('generated');
  const make = async (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? '').trim();
    const number = (name: string) => (text(name) ? Math.trunc(Number(text(name))) : undefined);
    const now = Math.floor(desk.live.now());
    const opens = number('opens');
    const lasts = number('lasts');
    const eligibility = Object.fromEntries(
      Object.entries({ min_watch_s: number('watch'), min_level: number('level'), liked: number('liked'), commented: text('said') || undefined, gifted: form.get('gifted') ? true : undefined })
        .filter(([, value]) => value !== undefined),
    );
    const body = {
      title: text('title'), kind, stock: number('stock'), per_user: number('per_user') ?? 1, codes,
      ...(opens ? { opens_at: now + opens * MIN_MS } : {}),
      ...(lasts ? { closes_at: now + ((opens ?? 0) + lasts) * MIN_MS } : {}),
      ...(Object.keys(eligibility).length ? { eligibility } : {}),
      ...(number('reserve') ? { reserve_s: number('reserve') } : {}),
      ...(kind === 'coupon' && text('order') === 'fair' ? { order: 'fair' } : {}),
      ...(text('sku') ? { sku: text('sku') } : {}),
      ...(form.get('test') ? { test: true } : {}),
    };
    try {
      const made = await desk.api.call<FullDrop>('POST', 'drops', body);
      const file = form.get('file');
      if (codes === 'list' && file instanceof File && file.size) await desk.api.call('PUT', `drops/${part(made.id)}/codes`, await file.text());
      desk.acts.say(t('did_make'));
      onClose();
    } catch (why) {
      desk.acts.refused(why);
    }
    void desk.told.fetch('drops');
  };
  return (
    <Dialog title={t('new_drop')} onClose={onClose}>
      <form class="form" onSubmit={(e) => void make(e)}>
        <Field label={t('d_title')} wide><input name="title" required maxLength={200} dir="auto" /></Field>
        <Field label={t('d_kind')}>
          <select value={kind} onChange={(e) => setKind(e.currentTarget.value)}><option value="coupon">{t('drop_coupon')}</option><option value="draw">{t('drop_draw')}</option></select>
        </Field>
        <Field label={t('d_stock')}><input name="stock" type="number" required min="1" max="1000000" defaultValue="100" /></Field>
        <Field label={t('d_per_user')}><input name="per_user" type="number" min="1" max="10" defaultValue="1" /></Field>
        <Field label={t('d_opens')}><input name="opens" type="number" min="1" max="10000" placeholder={t('d_by_hand')} /></Field>
        <Field label={t('d_lasts')}><input name="lasts" type="number" min="1" max="10000" placeholder={t('d_by_hand')} /></Field>
        <Field label={t('d_codes')}>
          <select value={codes} onChange={(e) => setCodes(e.currentTarget.value)}>{(['generated', 'list', 'none'] as const).map((name) => <option key={name} value={name}>{t(`codes_${name}`)}</option>)}</select>
        </Field>
        {codes === 'list' && <Field label={t('d_file')} wide><input name="file" type="file" accept=".txt,.csv,text/plain" required /></Field>}
        <details class="wide">
          <summary>{t('d_options')}</summary>
          <div class="form">
            <h3 class="wide">{t('d_who')}</h3>
            <Field label={t('d_watch')}><input name="watch" type="number" min="1" max="86400" /></Field>
            <Field label={t('d_level')}><input name="level" type="number" min="1" /></Field>
            <Field label={t('d_liked')}><input name="liked" type="number" min="1" max="100000" /></Field>
            <Field label={t('d_said')}><input name="said" maxLength={64} dir="auto" /></Field>
            <label class="tick wide"><input type="checkbox" name="gifted" />{t('d_gifted')}</label>
            {kind === 'coupon' && <Field label={t('d_order')}><select name="order"><option value="first">{t('order_first')}</option><option value="fair">{t('order_fair')}</option></select></Field>}
            <Field label={t('d_reserve')}><input name="reserve" type="number" min="10" max="86400" /></Field>
            <Field label={t('d_sku')}><input name="sku" pattern="[A-Za-z0-9_.\-]{1,64}" /></Field>
            <label class="tick wide"><input type="checkbox" name="test" />{t('d_test')}</label>
          </div>
        </details>
        <div class="does wide"><button class="primary">{t('add')}</button><button type="button" onClick={onClose}>{t('cancel')}</button></div>
      </form>
    </Dialog>
  );
}
