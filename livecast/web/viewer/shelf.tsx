/** The products of the broadcast. */

import type { Product } from '@livecast/client';
import { BagIcon } from '../shared/icons';
import { money } from '../shared/language';
import { mediaLink, safeLink } from '../shared/links';
import { Dialog } from '../shared/ui';
import { useRoom } from './use-room';
import { t } from './words';

/** Its picture; one that the policy of the page does not let in, or that is not there, is a bag. */
export function Picture({ product }: { product: Product }) {
  const image = mediaLink(product.image);
  return (
    <span class="picture">
      <BagIcon />
      {image && <img src={image} alt="" loading="lazy" onError={(e) => e.currentTarget.remove()} />}
    </span>
  );
}

/** What it costs, and what it cost before. */
export function Price({ product: { price, list_price } }: { product: Product }) {
  if (!price) return null;
  return (
    <span>
      <b class="cost">{money(price.amount, price.currency)}</b>{' '}
      {list_price && <s>{money(list_price.amount, list_price.currency)}</s>}
    </span>
  );
}

export function Shelf({ onClose }: { onClose: () => void }) {
  const { live } = useRoom();
  const { products, on_air } = live.view.state;
  const all = Object.entries(products).sort(([, a], [, b]) => (a.order ?? 0) - (b.order ?? 0));
  return (
    <Dialog title={t('shelf')} onClose={onClose}>
      {all.length === 0 && <p>{t('shelf_empty')}</p>}
      <ul class="shelf">
        {all.map(([id, product]) => {
          const link = safeLink(product.url);
          return (
            <li key={id} class={id === on_air ? 'on-air' : ''}>
              <Picture product={product} />
              <div>
                <b dir="auto">{product.title}</b>
                {id === on_air && <small class="badge host">{t('on_air')}</small>}
                <Price product={product} />
              </div>
              {link && <a class="button small" href={link} target="_blank" rel="noopener noreferrer" onClick={() => live.tap(id)}>{t('look')}</a>}
            </li>
          );
        })}
      </ul>
    </Dialog>
  );
}
