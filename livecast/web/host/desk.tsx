/** The desk: every comment with what became of it, what can be done about it by one key, and the line to write one. */

import { memo } from 'preact/compat';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { count, timeOf } from '../shared/language';
import * as commands from './commands';
import { desk } from './console';
import { BanIcon, MuteIcon, PinIcon, RemoveIcon, ReplyIcon } from './icons';
import { fitting, VERDICTS, type Known, type Line, type Verdict } from './lines';
import { VirtualList } from './list';
import { Empty, Key, useDesk } from './parts';
import { t, tOr } from './words';

/** The shortest time that a pointer rests on the list before it stands still. */
const REST_MS = 120;

export function Desk() {
  const { filter, chosen, paused, book } = useDesk('chat');
  const [follow, setFollow] = useState(true);
  const [byKeys, setByKeys] = useState(false);
  const [helping, setHelping] = useState(false);
  const resting = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const lines = fitting(book.lines, filter, paused);
  const newer = paused === null ? 0 : fitting(book.lines, filter, null).length - lines.length;
  const line = desk.line;

  const goOn = () => {
    setByKeys(false);
    setFollow(true);
    desk.choose(null);
    desk.pause(false);
  };
  const move = (step: number) => {
    if (paused === null) desk.pause(true);
    setByKeys(true);
    const at = lines.findIndex((one) => one.no === chosen);
    const next = at < 0 ? lines.length - 1 : Math.min(lines.length - 1, Math.max(0, at + step));
    setFollow(false);
    desk.choose(lines[next]?.no ?? null);
  };
  const key = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as HTMLElement).matches('input, textarea, select')) return;
    if ((event.key === 'Enter' || event.key === ' ') && (event.target as HTMLElement).matches('button')) return; // it is the button's
    const steps: Record<string, number> = { ArrowUp: -1, k: -1, ArrowDown: 1, j: 1, PageUp: -10, PageDown: 10, Home: -lines.length, End: lines.length };
    if (event.key in steps) move(steps[event.key]!);
    else if (event.key === 'Escape') goOn();
    else if (event.key === ' ') paused === null ? desk.pause(true) : goOn();
    else if (event.key === '/') document.getElementById('search')?.focus();
    else if (event.key === '?') setHelping(!helping);
    else if (event.key.toLowerCase() === 'z') void desk.acts.undo();
    else if (!line || !act(line, event.key.toLowerCase())) return;
    event.preventDefault();
  };
  return (
    <section class="desk" aria-label={t('desk')} onKeyDown={key}>
      <Filters />
      <div class="comments" tabIndex={0} role="group" aria-label={t('desk_keys')}
        onPointerEnter={(e) => {
          if (e.pointerType === 'mouse' && paused === null) resting.current = setTimeout(() => desk.pause(true), REST_MS);
        }}
        onPointerLeave={() => {
          clearTimeout(resting.current);
          if (!byKeys && desk.paused !== null) desk.pause(false);
        }}>
        {lines.length === 0 && <Empty>{t(book.lines.length ? 'nothing_fits' : 'no_comments')}</Empty>}
        <VirtualList items={lines} keyOf={keyOf} follow={follow} onFollow={setFollow} reveal={byKeys && chosen !== null ? String(chosen) : null}
          row={(one) => <Row key={one.no} line={one} known={book.known.get(one.u.id)} chosen={one.no === chosen} armed={desk.arming.what} />} />
        {(paused !== null || !follow) && (
          <button class="newer small" onClick={goOn}>{newer > 0 || paused !== null ? t('paused_n', { n: count(newer) }) : `↓ ${t('newest')}`}</button>
        )}
      </div>
      <p class="hidden" aria-live="polite">{byKeys && line ? t('chosen', { name: line.u.name, text: line.text, verdict: t(`v_${line.verdict}`) }) : ''}</p>
      <Actions line={line} />
      <Composer />
      {helping && <Help onClose={() => setHelping(false)} />}
    </section>
  );
}

const keyOf = (line: Line): string => String(line.no);

/** What a key does to a comment: false if nothing. */
function act(line: Line, key: string): boolean {
  const { id: user, name } = line.u;
  switch (key) {
    case 'm':
      void commands.mute(user, name);
      return true;
    case 'b':
      if (desk.arming.press(`ban:${user}`)) void commands.ban(user, name);
      return true;
    case 'd':
    case 'delete':
      if (line.id && line.verdict === 'shown' && desk.arming.press(`remove:${line.id}`)) void commands.remove([line.id]);
      return true;
    case 'p':
      void commands.pin(`${name}: ${line.text}`);
      return true;
    case 'r':
      desk.setReply(line);
      return true;
    case 'u':
    case 'enter':
      desk.showPerson({ id: user, name });
      return true;
    case 'a':
    case 'x': {
      const held = desk.told.held.find((one) => one.id === line.id);
      if (held) void commands.judge(held, key === 'a' ? 'approve' : 'reject');
      return Boolean(held);
    }
    default:
      return false;
  }
}

function Filters() {
  const { filter } = useDesk('chat', 'queue');
  const flip = (verdict: Verdict) => {
    const verdicts = new Set(filter.verdicts);
    if (!verdicts.delete(verdict)) verdicts.add(verdict);
    desk.setFilter({ verdicts });
  };
  const lane = (value: string) => desk.setFilter({ lanes: value === 'all' ? new Set([0, 1, 2, 3]) : new Set([Number(value)]) });
  return (
    <div class="filters">
      <div class="chips" role="group" aria-label={t('filter')}>
        {VERDICTS.map((verdict) => (
          <button key={verdict} class={`chip ${verdict}`} aria-pressed={filter.verdicts.has(verdict)} onClick={() => flip(verdict)}>{t(`v_${verdict}`)}</button>
        ))}
      </div>
      <select class="small" aria-label={t('lanes')} value={filter.lanes.size === 4 ? 'all' : String([...filter.lanes][0])} onChange={(e) => lane(e.currentTarget.value)}>
        <option value="all">{t('lane_all')}</option>
        {([0, 1, 2, 3] as const).map((n) => <option key={n} value={n}>{t(`lane_${n}`)}</option>)}
      </select>
      <input id="search" type="search" class="small" placeholder={t('search')} aria-label={t('search')} value={filter.words}
        onInput={(e) => desk.setFilter({ words: e.currentTarget.value })}
        onKeyDown={(e) => e.key === 'Escape' && (desk.setFilter({ words: '' }), document.querySelector<HTMLElement>('.comments')?.focus())} />
    </div>
  );
}

interface RowProps {
  line: Line;
  known: Known | undefined;
  chosen: boolean;
  armed: string;
}

const Row = memo(
  function Row({ line, known, chosen }: RowProps) {
    const { u, id, verdict } = line;
    const name = u.name || u.id;
    const does = (key: string) => (event: Event) => {
      event.stopPropagation();
      act(line, key);
    };
    return (
      <li class={`line ${verdict} lane${line.lane}${chosen ? ' chosen' : ''}`} data-key={line.no} data-id={id} data-user={u.id} onClick={() => desk.choose(line.no)}>
        <time>{timeOf(line.at)}</time>
        <p>
          <button class="name" tabIndex={-1} onClick={does('u')}>{name}</button>
          {u.role && u.role !== 'viewer' && <span class={`mark ${u.role}`}>{tOr(u.role, u.role)}</span>}
          {!!u.level && <span class="mark level">{t('level', { n: u.level })}</span>}
          {known?.new && <span class="mark new">{t('new_here')}</span>}
          {!!known?.violations && <span class="mark bad">{t(known.violations === 1 ? 'violation' : 'violations', { n: known.violations })}</span>}
          {line.paid && <span class="mark paid">{t('coins', { n: count(line.paid.value) })}</span>}
          {line.reply_to && <span class="quote">↪ {line.reply_to.u.name || line.reply_to.u.id}: {line.reply_to.text}</span>}
          <span class="text" dir="auto">{line.text}</span>
          {line.n > 1 && <b class="n" title={t('people', { n: line.n })}>×{count(line.n)}</b>}
          {verdict !== 'shown' && <span class="verdict">{t(`v_${verdict}`)}</span>}
          {line.late && <span class="verdict">{t('late')}</span>}
        </p>
        <span class="quick">
          {id && verdict === 'shown' && <button tabIndex={-1} title={`${t('reply')} (R)`} aria-label={t('reply')} onClick={does('r')}><ReplyIcon /></button>}
          <button tabIndex={-1} title={`${t('pin')} (P)`} aria-label={t('pin')} onClick={does('p')}><PinIcon /></button>
          <button tabIndex={-1} title={`${t('mute')} (M)`} aria-label={t('mute')} onClick={does('m')}><MuteIcon /></button>
          {id && verdict === 'shown' && <Twice what={`remove:${id}`} word="remove" onClick={does('d')}><RemoveIcon /></Twice>}
          <Twice what={`ban:${u.id}`} word="ban" onClick={does('b')}><BanIcon /></Twice>
        </span>
      </li>
    );
  },
  (a, b) => a.line === b.line && a.known === b.known && a.chosen === b.chosen && concerns(a) === concerns(b),
);

/** The question that is open about this row, if any. */
const concerns = ({ line, armed }: RowProps): string => (armed === `ban:${line.u.id}` || (line.id && armed === `remove:${line.id}`) ? armed : '');

function Twice({ what, word, onClick, children }: { what: string; word: 'remove' | 'ban'; onClick: (event: Event) => void; children: preact.ComponentChildren }) {
  const armed = desk.arming.what === what;
  return (
    <button tabIndex={-1} class={armed ? 'armed' : ''} title={`${t(word)} (${word === 'ban' ? 'B' : 'D'})`} aria-label={armed ? t('sure') : t(word)} onClick={onClick}>
      {armed ? t('sure') : children}
    </button>
  );
}

/** What can be done with the chosen comment, for fingers and for those who do not know the keys. */
function Actions({ line }: { line: Line | null }) {
  if (!line) return <p class="actions none">{t('choose')} <Key>?</Key></p>;
  const held = line.verdict === 'held' && desk.told.held.some((one) => one.id === line.id);
  const shown = Boolean(line.id) && line.verdict === 'shown';
  const button = (key: string, word: Parameters<typeof t>[0], what = '') => (
    <button class={`small${what && desk.arming.what === what ? ' armed' : ''}`} aria-keyshortcuts={key} onClick={() => act(line, key)}>
      {what && desk.arming.what === what ? t('sure') : t(word)} <Key>{key.toUpperCase()}</Key>
    </button>
  );
  return (
    <div class="actions" role="toolbar" aria-label={t('actions')}>
      <span class="about">{line.u.name || line.u.id}</span>
      {held && button('a', 'approve')}
      {held && button('x', 'reject')}
      {shown && button('r', 'reply')}
      {button('p', 'pin')}
      {button('m', 'mute')}
      {shown && button('d', 'remove', `remove:${line.id}`)}
      {button('b', 'ban', `ban:${line.u.id}`)}
      {button('u', 'who')}
    </div>
  );
}

function Composer() {
  const { live, replyTo } = useDesk('room', 'chat');
  const [text, setText] = useState('');
  const max = live.policy?.comment_max_chars ?? 200;
  const length = [...text].length;
  const submit = (event: Event) => {
    event.preventDefault();
    if (!text.trim() || length > max) return;
    void commands.say(text.trim(), replyTo);
    setText('');
  };
  return (
    <form class="composer" onSubmit={submit}>
      {replyTo && (
        <p class="replying">
          <span>{t('replying', { name: replyTo.u.name })}: {replyTo.text}</span>
          <button type="button" class="icon" aria-label={t('cancel')} onClick={() => desk.setReply(null)}>✕</button>
        </p>
      )}
      <input id="say" value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={(e) => e.key === 'Escape' && desk.setReply(null)}
        placeholder={t('say', { name: live.you?.name ?? '' })} aria-label={t('say', { name: live.you?.name ?? '' })} autocomplete="off" enterkeyhint="send" dir="auto" />
      {length > max - 20 && <small class={length > max ? 'bad' : ''}>{max - length}</small>}
      <button class="primary" disabled={!text.trim() || length > max}>{t('send')}</button>
    </form>
  );
}

function Help({ onClose }: { onClose: () => void }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => ref.current?.focus(), []);
  const keys = useMemo(() => [
    ['↑ ↓', 'k_move'], ['R', 'reply'], ['P', 'pin'], ['M', 'mute'], ['D', 'remove'], ['B', 'ban'], ['U', 'k_who'], ['A', 'approve'], ['X', 'reject'],
    ['␣', 'k_pause'], ['/', 'k_search'], ['Z', 'k_undo'], ['Esc', 'k_esc'], ['?', 'k_help'],
  ] as const, []);
  return (
    <div class="help" role="region" aria-label={t('help')} tabIndex={-1} ref={ref} onKeyDown={(e) => e.key === 'Escape' && onClose()}>
      <header><h2>{t('help')}</h2><button class="icon" aria-label={t('close')} onClick={onClose}>✕</button></header>
      <dl>{keys.map(([key, word]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{t(word)}</dd></div>)}</dl>
      <p>{t('k_where')}</p>
    </div>
  );
}
