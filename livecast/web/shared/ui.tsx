/** Small parts that pages are made of. */

import type { Person } from '@livecast/client';
import type { ComponentChildren } from 'preact';
import { useEffect, useReducer, useRef, useState } from 'preact/hooks';
import type { Arming } from './arming';
import { speak } from './language';
import { EN, ZH } from './words';

const { t } = speak(EN, ZH);

/** Draw this component anew every `every_ms`. */
export function useTicking(every_ms: number): void {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const timer = setInterval(() => draw(0), every_ms);
    return () => clearInterval(timer);
  }, [every_ms]);
}

/** A panel over the page. Escape and a click beside it close it; the keyboard stays inside. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current!;
    const before = document.activeElement as HTMLElement | null;
    dialog.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog ref={ref} aria-label={title} onClose={onClose} onClick={(e) => e.target === ref.current && onClose()}>
      <div class="dialog">
        <header>
          <h2>{title}</h2>
          <button class="icon" onClick={onClose} aria-label={t('close')}>✕</button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** A button for what cannot be taken back: the second press does it. */
export function Armable({ arming, what, onSure, children }: { arming: Arming; what: string; onSure: () => void; children: ComponentChildren }) {
  const armed = arming.what === what;
  return (
    <button type="button" class={`small${armed ? ' armed' : ''}`} aria-label={armed ? t('sure') : undefined} onClick={() => arming.press(what) && onSure()}>
      {armed ? t('sure') : children}
    </button>
  );
}

const HUES = [4, 28, 150, 190, 215, 262, 300, 335];

/** A person's first letter on a colour that is always theirs. */
export function Avatar({ u }: { u: Person | { id: string; name?: string } }) {
  let hash = 0;
  for (const c of u.id) hash = (hash * 31 + c.codePointAt(0)!) >>> 0;
  const letter = [...(u.name || u.id || '?')][0] ?? '?';
  return (
    <span class="avatar" aria-hidden="true" style={{ background: `hsl(${HUES[hash % HUES.length]} 55% 42%)` }}>
      {letter.toUpperCase()}
    </span>
  );
}

/** A button that copies, and says so. */
export function Copy({ text }: { text: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    } catch {
      // not allowed here: the code can still be selected
    }
  };
  return <button class="small" onClick={copy}>{done ? t('copied') : t('copy')}</button>;
}
