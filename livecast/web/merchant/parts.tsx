/** Small parts that the panel is made of. */

import type { ComponentChildren } from 'preact';
import { useEffect, useReducer, useState } from 'preact/hooks';
import { Arming } from '../shared/arming';
import { Armable } from '../shared/ui';
import { shop } from './shop';
import { t } from './words';

/** Draw this component anew when something changes. */
export function useShop() {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => shop.subscribe(() => draw(0)), []);
  return shop;
}

/** What is drawn instead, where the caller may not look. */
export function Needs({ scope, children }: { scope: string; children: ComponentChildren }) {
  return shop.may(scope) ? <>{children}</> : <p class="empty">{t('no_right', { scope })}</p>;
}

/** A button for what cannot be taken back. */
export function Sure({ onSure, children }: { onSure: () => void; children: ComponentChildren }) {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const [arming] = useState(() => new Arming(() => draw(0)));
  return <Armable arming={arming} what="this" onSure={onSure}>{children}</Armable>;
}
