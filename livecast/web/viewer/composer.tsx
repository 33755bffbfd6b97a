/** The line to write a comment: replies, mentions of people in the list, colour and place over the picture. */

import type { Style } from '@livecast/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { StyleIcon } from '../shared/icons';
import { namesLike } from './lines';
import { room } from './room';
import { useRoom } from './use-room';
import { t } from './words';

/** People offered for what follows an @. */
const NAMES_MAX = 5;
/** Left characters are told from so many on. */
const SHORT_OF = 20;
const COLOURS = [0xffffff, 0xffd76a, 0xff8fa3, 0x8fd3ff, 0x9be8a8, 0xd3a8ff];
const PLACES = ['scroll', 'top', 'bottom'] as const;

export function Composer() {
  const { live, replyTo } = useRoom();
  const [text, setText] = useState('');
  const [called, setCalled] = useState<{ id: string; name: string }[]>([]);
  const [style, setStyle] = useState<Style>({});
  const [styling, setStyling] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const max = live.policy?.comment_max_chars ?? 200;
  const length = [...text].length;
  useEffect(() => {
    if (replyTo) input.current?.focus();
  }, [replyTo]);
  if (live.you && !room.can('comment')) return <SignIn />;
  const begun = /(?:^|\s)@(\S{1,20})$/.exec(text)?.[1];
  const names = begun ? namesLike(live.view.recent, begun, live.you, NAMES_MAX).filter(({ name }) => name !== begun) : [];
  const call = (person: { id: string; name: string }) => {
    setText(`${text.slice(0, text.length - begun!.length)}${person.name} `);
    setCalled([...called, person]);
    input.current?.focus();
  };
  const submit = (event: Event) => {
    event.preventDefault();
    if (!text.trim() || length > max) return;
    const mentions = called.filter(({ name }) => text.includes(`@${name}`)).map(({ id }) => id);
    void room.say(text.trim(), mentions, Object.keys(style).length ? style : undefined);
    setText('');
    setCalled([]);
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'Tab' && names.length && !event.shiftKey) {
      event.preventDefault();
      call(names[0]!);
    }
  };
  return (
    <form class="composer" onSubmit={submit}>
      {replyTo && (
        <div class="replying">
          <span>{t('replying', { name: replyTo.u?.name ?? '' })}</span>
          <button type="button" class="icon" aria-label={t('cancel')} onClick={() => { room.replyTo = null; room.changed(); }}>✕</button>
        </div>
      )}
      {names.length > 0 && (
        <div class="names" role="group" aria-label={t('mention')}>
          {names.map((person) => <button key={person.id} type="button" class="small" onClick={() => call(person)}>@{person.name}</button>)}
        </div>
      )}
      {styling && <Styles style={style} onStyle={setStyle} />}
      <input id="say" ref={input} value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={keys} placeholder={t('say')} aria-label={t('say')}
        autocomplete="off" enterkeyhint="send" dir="auto" disabled={live.connection.state === 'closed'} />
      {length > max - SHORT_OF && <small class={length > max ? 'over' : ''}>{max - length}</small>}
      <button type="button" class="icon look" aria-label={t('style')} aria-expanded={styling} onClick={() => setStyling(!styling)}><StyleIcon /></button>
      <button class="primary" disabled={!text.trim() || length > max}>{t('send')}</button>
    </form>
  );
}

/** How one's comments fly, as far as the room lets them. */
function Styles({ style, onStyle }: { style: Style; onStyle: (style: Style) => void }) {
  const allowed = room.live.policy?.styles as { color?: boolean; modes?: string[] } | undefined;
  const places = PLACES.filter((place) => allowed?.modes?.includes(place) ?? true);
  const pick = (change: Style) => onStyle({ ...style, ...change });
  return (
    <div class="styles">
      {allowed?.color !== false && (
        <div role="group" aria-label={t('colour')}>
          {COLOURS.map((color, i) => (
            <button key={color} type="button" class={`swatch c${i}`} aria-label={`${t('colour')} ${i + 1}`} aria-pressed={(style.color ?? COLOURS[0]) === color} onClick={() => pick({ color })} />
          ))}
        </div>
      )}
      {places.length > 1 && (
        <div role="group" aria-label={t('place')}>
          {places.map((place) => (
            <button key={place} type="button" class="small" aria-pressed={(style.mode ?? 'scroll') === place} onClick={() => pick({ mode: place })}>{t(`place_${place}`)}</button>
          ))}
        </div>
      )}
    </div>
  );
}

function SignIn() {
  const dev = document.documentElement.dataset.dev === 'true';
  const { sign_in } = room.live.view.state.custom;
  const link = typeof sign_in === 'string' && sign_in.startsWith('https://') ? sign_in : null;
  return (
    <div class="signin">
      <p>{t('sign_in')}</p>
      {link && <a class="button primary" href={link}>{t('sign_in_now')}</a>}
      {dev && <button class="primary" onClick={() => void room.joinAsTest()}>{t('guest')}</button>}
    </div>
  );
}
