/** What waits for the staff: held comments, viewers' reports, and what viewers ask. */

import { useState } from 'preact/hooks';
import { timeOf } from '../shared/language';
import * as commands from './commands';
import { desk, type Queue } from './console';
import type { Known } from './lines';
import { Empty, Key, minutes, Sure, Tabs, useDesk } from './parts';
import type { Held, Question, Report } from './told';
import { t } from './words';

export function Todo() {
  const { told: { held, reports }, queue } = useDesk('queue');
  const choose = (id: Queue) => {
    desk.queue = id;
    desk.changed('queue');
  };
  const tabs = [
    { id: 'held', name: t('held'), n: held.length }, { id: 'reports', name: t('reports'), n: reports.length },
  ] as const;
  return (
    <section class="todo" aria-label={t('view_queue')}>
      <Tabs label={t('view_queue')} tabs={tabs} chosen={queue} onChoose={choose} panel="todo" />
      <div class="scroll" role="tabpanel" id="todo" aria-labelledby={`todo-${queue}`} tabIndex={queue === 'held' ? -1 : 0}>
        {queue === 'held' && <HeldOnes />}
        {queue === 'reports' && (reports.length ? <ul class="cards">{reports.map((one) => <Reported key={one.id} report={one} />)}</ul> : <Empty>{t('no_reports')}</Empty>)}
      </div>
    </section>
  );
}

export function Questions() {
  const { told: { questions } } = useDesk('queue');
  return (
    <section class="asked" aria-labelledby="asked">
      <header><h2 id="asked">{t('questions')}{questions.length > 0 && <b class="badge-n calm">{questions.length}</b>}</h2></header>
      <div class="scroll" tabIndex={0} role="group" aria-labelledby="asked">
        {questions.length ? <ul class="cards">{questions.map((one) => <Asked key={one.id} question={one} />)}</ul> : <Empty>{t('no_questions')}</Empty>}
      </div>
    </section>
  );
}

/** What is known of somebody, in marks. */
export function Marks({ known }: { known: Known | undefined }) {
  if (!known) return null;
  const { violations, bought } = known;
  return (
    <span class="marks">
      {known.new && <span class="mark new">{t('new_here')}</span>}
      {violations > 0 && <span class="mark bad">{t(violations === 1 ? 'violation' : 'violations', { n: violations })}</span>}
      {known.gifted && <span class="mark paid">{t('gave_gifts')}</span>}
      {!!known.orders && <span class="mark paid">{t('orders', { n: known.orders })}</span>}
      {!!bought?.length && <span class="mark">{t('bought', { what: bought.join(', ') })}</span>}
      {known.watched_s > 0 && <span class="mark">{t('watched', { time: minutes(known.watched_s) })}</span>}
    </span>
  );
}

export function Name({ id, name }: { id: string; name: string }) {
  const open = () => {
    desk.showPerson({ id, name });
  };
  return <button class="name" onClick={open} aria-haspopup="dialog">{name}</button>;
}

function HeldOnes() {
  const { told: { held }, book } = useDesk('queue', 'chat');
  const [chosen, setChosen] = useState('');
  const at = Math.max(0, held.findIndex((one) => one.id === chosen));
  const one = held[at];
  if (!one) return <Empty>{t('no_held')}</Empty>;
  const key = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const name = event.key.toLowerCase();
    const to = (step: number) => {
      const next = held[Math.min(held.length - 1, Math.max(0, at + step))]!;
      setChosen(next.id);
      document.getElementById(`held-${next.id}`)?.scrollIntoView({ block: 'nearest' });
    };
    const judged = (action: 'approve' | 'reject') => {
      setChosen(held[at + 1]?.id ?? '');
      void commands.judge(one, action);
    };
    if (event.key === 'ArrowDown' || name === 'j') to(1);
    else if (event.key === 'ArrowUp' || name === 'k') to(-1);
    else if (name === 'a') judged('approve');
    else if (name === 'x') judged('reject');
    else if (name === 'm') void commands.mute(one.u.id, one.u.name);
    else if (name === 'b') desk.arming.press(`ban:${one.u.id}`) && void commands.ban(one.u.id, one.u.name);
    else if (name === 'u') {
      desk.showPerson({ id: one.u.id, name: one.u.name });
    } else if (name === 'z') void desk.acts.undo();
    else return;
    event.preventDefault();
  };
  return (
    <div class="held" role="group" tabIndex={0} aria-label={t('held_keys')} onKeyDown={key}>
      <ul class="cards">{held.map((each) => <Waiting key={each.id} held={each} known={each.about ?? book.known.get(each.u.id)} chosen={each === one} />)}</ul>
    </div>
  );
}

function Waiting({ held, known, chosen }: { held: Held; known: Known | undefined; chosen: boolean }) {
  return (
    <li class={`card${chosen ? ' chosen' : ''}`} id={`held-${held.id}`} data-held={held.id}>
      <header><Name id={held.u.id} name={held.u.name} /><time>{timeOf(held.at)}</time></header>
      <Marks known={known} />
      <p class="words" dir="auto">{held.text}</p>
      <div class="does">
        <button class="small yes" onClick={() => void commands.judge(held, 'approve')}>{t('approve')} {chosen && <Key>A</Key>}</button>
        <button class="small" onClick={() => void commands.judge(held, 'reject')}>{t('reject')} {chosen && <Key>X</Key>}</button>
        <button class="small" onClick={() => void commands.mute(held.u.id, held.u.name)}>{t('mute')} {chosen && <Key>M</Key>}</button>
        <Sure what={`ban:${held.u.id}`} onSure={() => void commands.ban(held.u.id, held.u.name)}>{t('ban')} {chosen && <Key>B</Key>}</Sure>
      </div>
    </li>
  );
}

function Reported({ report }: { report: Report }) {
  const name = desk.nameOf(report.user);
  const { comment } = report;
  return (
    <li class="card" data-report={report.id}>
      <header><Name id={report.user} name={name} /><b class="n">{t('reported_by', { n: report.n })}</b></header>
      <Marks known={desk.book.known.get(report.user)} />
      <p class="words" dir="auto">{report.text ?? <i>{t('of_user')}</i>}</p>
      <ul class="reasons">{report.reasons.map((one) => <li key={one.by} dir="auto">{one.reason || '–'} <small>{one.by}</small></li>)}</ul>
      <div class="does">
        {comment && <Sure what={`report:${report.id}`} onSure={() => void commands.remove([comment])}>{t('remove')}</Sure>}
        <button class="small" onClick={() => void commands.mute(report.user, name)}>{t('mute')}</button>
        <Sure what={`ban:${report.user}`} onSure={() => void commands.ban(report.user, name)}>{t('ban')}</Sure>
        <button class="small" onClick={() => void commands.settle(report)}>{t('dismiss')}</button>
      </div>
    </li>
  );
}

function Asked({ question }: { question: Question }) {
  const [text, setText] = useState('');
  const [aloud, setAloud] = useState(true);
  const [open, setOpen] = useState(false);
  const submit = (event: Event) => {
    event.preventDefault();
    if (text.trim()) void commands.answer(question, text.trim(), aloud);
  };
  return (
    <li class="card question" data-question={question.id}>
      <header><b class="n">{t(question.n === 1 ? 'asked_by_1' : 'asked_by', { n: question.n })}</b></header>
      <p class="words" dir="auto">{question.text}</p>
      {open ? (
        <form onSubmit={submit}>
          <input value={text} onInput={(e) => setText(e.currentTarget.value)} placeholder={t('answer_text')} aria-label={t('answer_text')} maxLength={200} dir="auto" />
          <div class="does">
            <button class="small primary" disabled={!text.trim()}>{t('tell', { n: question.n })}</button>
            <label class="tick"><input type="checkbox" checked={aloud} onChange={(e) => setAloud(e.currentTarget.checked)} />{t('aloud')}</label>
          </div>
        </form>
      ) : (
        <div class="does">
          <button class="small yes" onClick={() => setOpen(true)}>{t('answer')}</button>
          <button class="small" onClick={() => void commands.answer(question, '', false)}>{t('answered_said')}</button>
          <button class="small" onClick={() => void commands.dismiss(question)}>{t('dismiss')}</button>
        </div>
      )}
    </li>
  );
}
