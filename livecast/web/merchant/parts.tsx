/** Small parts that the panel is made of. */

import type { ComponentChildren } from 'preact';
import { useEffect, useReducer, useState } from 'preact/hooks';
import { language } from '../shared/language';
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

/** A button for what cannot be taken back: the second press within four seconds does it. */
export function Sure({ onSure, children }: { onSure: () => void; children: ComponentChildren }) {
  const [armed, setArmed] = useState(false);
  useEffect(() => {
    if (!armed) return;
    const timer = setTimeout(() => setArmed(false), 4000);
    return () => clearTimeout(timer);
  }, [armed]);
  const press = () => {
    if (armed) onSure();
    setArmed(!armed);
  };
  return <button type="button" class={`small${armed ? ' armed' : ''}`} onClick={press}>{armed ? t('sure') : children}</button>;
}

/** Day and time of the reader. */
export function when(at: number | null | undefined): string {
  if (!at) return '–';
  return new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at);
}
