/** The shelf: what is for sale, and which of it is on air. */

import { useState } from 'preact/hooks';
import { part } from '../shared/api';
import { count, money } from '../shared/language';
import { Dialog } from '../shared/ui';
import { desk } from './console';
import { Empty, Field, Section, Sure, useDesk } from './parts';
import type { FullProduct } from './told';
import { t } from './words';

export function Shelf() {
  const { told: { products }, live, runs } = useDesk('goods', 'room');
  const [editing, setEditing] = useState<FullProduct | 'new' | null>(null);
  const { on_air } = live.view.state;
  return (
    <Section title={t('shelf')} aside={runs && <button class="small primary" onClick={() => setEditing('new')}>+ {t('new_product')}</button>}>
      {products.length === 0 && <Empty>{t('no_products')}</Empty>}
      <ul class="cards">
        {products.map((product) => (
          <li key={product.id} class={`card product${product.id === on_air ? ' on' : ''}`} data-product={product.id}>
            <header>
              <b dir="auto">{product.title}</b>
              {product.id === on_air && <span class="mark host">{t('on_air')}</span>}
            </header>
            <p class="line-of">
              <span class="cost">{product.price && money(product.price.amount, product.price.currency)}</span>
              {product.list_price && <s>{money(product.list_price.amount, product.list_price.currency)}</s>}
              <span>{t('taps', { n: count(product.taps ?? 0) })}</span>
              {product.sku && <small>{product.sku}</small>}
            </p>
            {runs && (
              <div class="does">
                {product.id === on_air
                  ? <button class="small" onClick={() => void air(null)}>{t('off_air')}</button>
                  : <button class="small yes" onClick={() => void air(product.id)}>{t('put_on_air')}</button>}
                <button class="small" onClick={() => setEditing(product)}>{t('edit')}</button>
                <Sure what={`product:${product.id}`} onSure={() => void desk.acts.act('DELETE', `products/${part(product.id)}`, undefined, t('did_delete'))}>{t('delete')}</Sure>
              </div>
            )}
          </li>
        ))}
      </ul>
      {editing && <Edit product={editing === 'new' ? null : editing} onClose={() => setEditing(null)} />}
    </Section>
  );
}

const air = (product: string | null) => desk.acts.act('PUT', 'on-air', { product }, t(product ? 'did_air' : 'did_air_off'));

/** Units of a currency's smallest one in one of it: 100 for CNY, 1 for JPY. */
function unit(currency: string): number {
  try {
    return 10 ** (new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2);
  } catch {
    return 100; // not a currency that is known here
  }
}

function Edit({ product, onClose }: { product: FullProduct | null; onClose: () => void }) {
  const [currency, setCurrency] = useState(product?.price?.currency ?? desk.told.products.at(-1)?.price?.currency ?? 'CNY');
  const shown = (price: FullProduct['price']) => (price ? String(price.amount / unit(price.currency)) : '');
  const save = async (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? '').trim();
    const price = (name: string) => ({ amount: Math.round(Number(text(name)) * unit(currency)), currency: currency.toUpperCase() });
    const body = {
      title: text('title'), price: price('price'),
      ...(text('list') ? { list_price: price('list') } : {}),
      ...Object.fromEntries((['url', 'image', 'sku'] as const).filter(text).map((name) => [name, text(name)])),
      ...(product ? { status: product.status ?? 'available', order: product.order ?? 0 } : {}),
    };
    if (await desk.acts.act('PUT', `products/${part(product?.id ?? text('id'))}`, body, t('did_save'))) onClose();
  };
  return (
    <Dialog title={product ? t('edit') : t('new_product')} onClose={onClose}>
      <form class="form" onSubmit={(e) => void save(e)}>
        {!product && <Field label={t('p_id')}><input name="id" required pattern="[A-Za-z0-9_.:\-]{1,64}" defaultValue={`p${desk.told.products.length + 1}`} /></Field>}
        <Field label={t('p_title')} wide={!product}><input name="title" required maxLength={200} defaultValue={product?.title ?? ''} dir="auto" /></Field>
        <Field label={t('p_price')}><input name="price" type="number" min="0" step="any" required defaultValue={shown(product?.price)} /></Field>
        <Field label={t('p_list')}><input name="list" type="number" min="0" step="any" defaultValue={shown(product?.list_price)} /></Field>
        <Field label={t('p_currency')}><input required pattern="[A-Za-z]{3}" value={currency} onInput={(e) => setCurrency(e.currentTarget.value)} /></Field>
        <Field label={t('p_sku')}><input name="sku" maxLength={64} defaultValue={product?.sku ?? ''} /></Field>
        <Field label={t('p_url')} wide><input name="url" type="url" maxLength={512} defaultValue={product?.url ?? ''} /></Field>
        <Field label={t('p_image')} wide><input name="image" maxLength={512} defaultValue={product?.image ?? ''} /></Field>
        <div class="does wide"><button class="primary">{t('save')}</button><button type="button" onClick={onClose}>{t('cancel')}</button></div>
      </form>
    </Dialog>
  );
}
