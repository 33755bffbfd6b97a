/** Small parts that the console is made of. */

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useReducer } from 'preact/hooks';
import { Armable } from '../shared/ui';
import { desk, type Console } from './console';
import type { Topic } from './drawing';
import { t } from './words';

/** Draw this component anew when one of these topics changes. */
export function useDesk(...topics: Topic[]): Console {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => desk.subscribe(() => draw(0), topics), []);
  return desk;
}

/** A button for what cannot be taken back: the second press does it, here or by its key. */
export function Sure({ what, onSure, children }: { what: string; onSure: () => void; children: ComponentChildren }) {
  return <Armable arming={desk.arming} what={what} onSure={onSure}>{children}</Armable>;
}

/** A label over what is to be filled in. */
export function Field({ label, children, wide }: { label: string; children: ComponentChildren; wide?: boolean }) {
  return <label class={`field${wide ? ' wide' : ''}`}><span>{label}</span>{children}</label>;
}

/** One of a few. */
export function Choice<V extends string>({ label, value, options, onChange }: {
  label: string; value: V; options: readonly (readonly [V, string])[]; onChange: (value: V) => void;
}) {
  return (
    <Field label={label}>
      <select value={value} onChange={(e) => onChange(e.currentTarget.value as V)}>
        {options.map(([name, words]) => <option key={name} value={name}>{words}</option>)}
      </select>
    </Field>
  );
}

/** Tabs: arrow keys go from one to the next. */
export function Tabs<V extends string>({ label, tabs, chosen, onChoose, panel }: {
  label: string; tabs: readonly { id: V; name: string; n?: number }[]; chosen: V; onChoose: (id: V) => void; panel: string;
}) {
  const key = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (!step) return;
    const at = tabs.findIndex((tab) => tab.id === chosen);
    const next = tabs[(at + step + tabs.length) % tabs.length]!;
    onChoose(next.id);
    document.getElementById(`${panel}-${next.id}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={key}>
      {tabs.map((tab) => (
        <button key={tab.id} id={`${panel}-${tab.id}`} role="tab" aria-selected={tab.id === chosen} aria-controls={panel} tabIndex={tab.id === chosen ? 0 : -1} onClick={() => onChoose(tab.id)}>
          {tab.name}{!!tab.n && <b class="badge-n">{tab.n > 99 ? '99+' : tab.n}</b>}
        </button>
      ))}
    </div>
  );
}

/** A part of the side with its name. */
export function Section({ title, children, aside }: { title: string; children: ComponentChildren; aside?: ComponentChildren }) {
  const id = useId();
  return (
    <section class="part" aria-labelledby={id}>
      <header><h2 id={id}>{title}</h2>{aside}</header>
      {children}
    </section>
  );
}

export const Empty = ({ children }: { children: ComponentChildren }) => <p class="empty">{children}</p>;
export const Key = ({ children }: { children: ComponentChildren }) => <kbd aria-hidden="true">{children}</kbd>;

/** 75 s: 1:15 h, min or s in words would be longer. */
export const minutes = (s: number): string => t('minutes', { n: s < 60 ? '<1' : Math.round(s / 60) });
