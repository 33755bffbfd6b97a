/** Polls: asked, watched, closed. */

import { useState } from 'preact/hooks';
import { part } from '../shared/api';
import { clock, count } from '../shared/language';
import { Dialog, useTicking } from '../shared/ui';
import { desk } from './console';
import { Choice, Empty, Field, Section, Sure, useDesk } from './parts';
import type { FullPoll } from './told';
import { t } from './words';

const CHOICES_MAX = 10;
const DURATIONS = ['0', '30', '60', '120', '300'] as const;

export function Polls() {
  const { told: { polls }, runs } = useDesk('goods');
  const [making, setMaking] = useState(false);
  return (
    <Section title={t('polls')} aside={runs && <button class="small primary" onClick={() => setMaking(true)}>+ {t('new_poll')}</button>}>
      {polls.length === 0 && <Empty>{t('no_polls')}</Empty>}
      <ul class="cards">{polls.map((poll) => <Card key={poll.id} poll={poll} />)}</ul>
      {making && <Make onClose={() => setMaking(false)} />}
    </Section>
  );
}

function Card({ poll }: { poll: FullPoll }) {
  useTicking(500);
  const { live, runs } = desk;
  // Frames are quicker, but while viewers are told no figures they have none.
  const seen = live.view.state.polls[poll.id];
  const told = seen && (seen.results === 'live' || seen.state === 'closed') ? seen.choices : poll.choices;
  const choices = told.map((choice, i) => ({ ...choice, votes: Math.max(choice.votes, poll.choices[i]?.votes ?? 0) }));
  const total = choices.reduce((sum, choice) => sum + choice.votes, 0);
  const most = Math.max(...choices.map((choice) => choice.votes));
  const open = (seen?.state ?? poll.state) === 'open';
  const close = async () => {
    await desk.acts.act('POST', `polls/${part(poll.id)}/close`, {}, t('poll_closed'));
    void desk.told.fetch('polls');
  };
  return (
    <li class={`card poll ${open ? 'open' : 'closed'}`} data-poll={poll.id}>
      <header><b dir="auto">{poll.question}</b><span class={`mark state ${open ? 'open' : ''}`}>{t(open ? 'poll_open' : 'poll_closed')}</span></header>
      <ol class="votes">
        {choices.map((choice) => (
          <li key={choice.text} class={choice.votes === most && most > 0 ? 'most' : ''}>
            <i style={{ width: `${total ? (100 * choice.votes) / total : 0}%` }} aria-hidden="true" />
            <span dir="auto">{choice.text}</span><b>{count(choice.votes)} · {total ? Math.round((100 * choice.votes) / total) : 0} %</b>
          </li>
        ))}
      </ol>
      <p class="line-of"><span>{t('voters', { n: count(total) })}</span>{open && poll.closes_at && <span class="count">{t('closes_in')} {clock(poll.closes_at - live.now())}</span>}</p>
      {runs && open && <div class="does"><Sure what={`poll:${poll.id}`} onSure={() => void close()}>{t('close_poll')}</Sure></div>}
    </li>
  );
}

function Make({ onClose }: { onClose: () => void }) {
  const [question, setQuestion] = useState('');
  const [choices, setChoices] = useState(['', '']);
  const [results, setResults] = useState<'live' | 'after_close'>('live');
  const [duration, setDuration] = useState<(typeof DURATIONS)[number]>('60');
  const given = choices.map((choice) => choice.trim()).filter(Boolean);
  const make = async (event: Event) => {
    event.preventDefault();
    const body = { question, choices: given, results, ...(duration === '0' ? {} : { duration_s: Number(duration) }) };
    if (await desk.acts.act('POST', 'polls', body, t('did_make'))) onClose();
    void desk.told.fetch('polls');
  };
  return (
    <Dialog title={t('new_poll')} onClose={onClose}>
      <form class="form" onSubmit={(e) => void make(e)}>
        <Field label={t('question')} wide><input required maxLength={200} value={question} onInput={(e) => setQuestion(e.currentTarget.value)} dir="auto" /></Field>
        {choices.map((choice, i) => (
          <Field key={i} label={t('choice', { n: i + 1 })} wide>
            <input required={i < 2} maxLength={100} value={choice} onInput={(e) => setChoices(choices.map((c, j) => (j === i ? e.currentTarget.value : c)))} dir="auto" />
          </Field>
        ))}
        {choices.length < CHOICES_MAX && <button type="button" class="small wide" onClick={() => setChoices([...choices, ''])}>+ {t('add_choice')}</button>}
        <Choice label={t('results')} value={results} onChange={setResults} options={[['live', t('results_live')], ['after_close', t('results_after')]]} />
        <Choice label={t('duration')} value={duration} onChange={setDuration} options={DURATIONS.map((s) => [s, s === '0' ? t('never') : t('seconds', { n: s })] as const)} />
        <div class="does wide"><button class="primary" disabled={given.length < 2 || !question.trim()}>{t('ask')}</button><button type="button" onClick={onClose}>{t('cancel')}</button></div>
      </form>
    </Dialog>
  );
}
