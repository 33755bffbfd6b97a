/** The host's console: the desk, what waits, and the figures and goods of the room, side by side or one at a time. */

import { render } from 'preact';
import { useEffect, useReducer } from 'preact/hooks';
import 'uplot/dist/uPlot.min.css';
import { language } from '../shared/language';
import { Alerts, Bar } from './bar';
import { desk, VIEWS, type View } from './console';
import { Desk } from './desk';
import { Drops } from './drops';
import { ChatIcon, DropIcon, FiguresIcon, PollIcon, RoomIcon, ShelfIcon, TodoIcon } from './icons';
import { Figures } from './live';
import { Tabs, useDesk } from './parts';
import { PersonCard } from './person';
import { Polls } from './polls';
import { Questions, Todo } from './queue';
import { Files, Room } from './room';
import { Shelf } from './shelf';
import { t, type Word } from './words';

const ICONS = { chat: ChatIcon, queue: TodoIcon, live: FiguresIcon, shelf: ShelfIcon, drops: DropIcon, polls: PollIcon, room: RoomIcon };
const SIDES = ['live', 'shelf', 'drops', 'polls', 'room'] as const;
const PANELS = { live: Figures, shelf: Shelf, drops: Drops, polls: Polls, room: Room };

/** The connection is over, by the server's word. */
const CLOSED: Record<number, Word> = { 4001: 'expired', 4401: 'expired', 4003: 'banned', 4403: 'refused', 4404: 'no_room', 4400: 'no_room', 4010: 'room_closed' };

function Page() {
  const { live, view, side, person } = useDesk('room', 'queue');
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const title = live.view.state.title || desk.room;
  useEffect(() => void (document.title = `${title} · ${t('console')} · livecast`));
  const over = live.connection.state === 'closed';
  if (!desk.token || over || (live.you && !desk.isStaff)) return <Outside />;
  if (!live.you) return <p class="outside">{t('connecting')}</p>;
  const show = (next: View) => {
    desk.view = next;
    if (next !== 'chat' && next !== 'queue') desk.side = next;
    desk.changed('room');
  };
  const Panel = PANELS[side as keyof typeof PANELS];
  const waits = desk.told.held.length + desk.told.reports.length;
  return (
    <div class="console" data-view={view} key={language}>
      <Bar onLanguage={() => { desk.changed(); draw(0); }} />
      <Alerts />
      <main>
        <Desk />
        <Todo />
        <Questions />
        <section class="side" aria-label={t(`view_${side}`)}>
          <Tabs label={t('views')} tabs={SIDES.map((id) => ({ id, name: t(`view_${id}`) }))} chosen={side as (typeof SIDES)[number]} onChoose={show} panel="side" />
          <div class="scroll" role="tabpanel" id="side" aria-labelledby={`side-${side}`} tabIndex={0}><Panel /></div>
        </section>
      </main>
      <nav class="views" aria-label={t('views')}>
        {VIEWS.map((id) => {
          const Icon = ICONS[id];
          return (
            <button key={id} aria-current={view === id ? 'page' : undefined} onClick={() => show(id)}>
              <Icon /><small>{t(`view_${id}`)}</small>{id === 'queue' && waits > 0 && <b class="badge-n">{waits > 99 ? '99+' : waits}</b>}
            </button>
          );
        })}
      </nav>
      <Toasts />
      {person && <PersonCard key={person.id} person={person} onClose={() => desk.showPerson(null)} />}
    </div>
  );
}

function Toasts() {
  const { acts: { toasts } } = useDesk('room');
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.map((toast) => (
        <p key={toast.id} class={toast.bad ? 'bad' : ''}>
          <span>{toast.text}</span>{toast.undo && <button class="small" onClick={() => void desk.acts.undo(toast.id)}>{t('undo')}</button>}
        </p>
      ))}
    </div>
  );
}

/** Why there is nothing to see, and what to do about it. */
function Outside() {
  const { live } = useDesk('room');
  const { connection, you } = live;
  const dev = document.documentElement.dataset.dev === 'true';
  const closed = connection.state === 'closed';
  const signIn = async () => {
    const response = await fetch('/v1/tokens', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer lck_dev_dev' }, // known to everybody, and of use in development alone
      body: JSON.stringify({ sub: 'host', name: 'Host', role: 'host', rooms: [desk.room] }),
    });
    const { token } = (await response.json()) as { token: string };
    location.hash = `token=${token}`;
    location.reload();
  };
  const again = async () => {
    if (await desk.acts.act('POST', 'start', {}, '')) location.reload();
  };
  return (
    <main class="outside">
      <h1>{desk.room}</h1>
      {closed ? <p role="alert">{t(CLOSED[connection.code] ?? 'closed', { code: connection.code })}</p> : <p>{you ? t('not_staff', { name: you.name }) : t('sign_in')}</p>}
      {!closed && <p>{t('sign_in_how')}</p>}
      {connection.code === 4010 && desk.token && <button class="primary" onClick={() => void again()}>{t('start_again')}</button>}
      {connection.code === 4010 && desk.token && <Files />}
      <Toasts />
      {dev && !closed && <button class="primary" onClick={() => void signIn()}>{t('dev_in')}</button>}
    </main>
  );
}

if (desk.token) desk.start();
render(<Page />, document.getElementById('page')!);
