/** Small parts that the page is made of. */

import type { ComponentChildren } from 'preact';
import { useEffect, useReducer, useRef, useState } from 'preact/hooks';
import type { Person } from '@livecast/client';
import { t } from '../shared/i18n';
import { room } from './room';

/** Draw this component anew when the room changes. */
export function useRoom(): typeof room {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => room.subscribe(() => draw(0)), []);
  return room;
}

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

/** mm:ss, or h:mm:ss. */
export function clock(ms: number): string {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n: number) => String(n).padStart(2, '0');
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${two(Math.floor(s / 60))}:${two(s % 60)}`;
}
