/** The figures: charts that go on by themselves, what became of the comments, who gives most. */

import { useState } from 'preact/hooks';
import { count } from '../shared/language';
import { Chart } from './chart';
import { Empty, Section, useDesk } from './parts';
import { Name } from './queue';
import type { Point } from './series';
import { t, tOr } from './words';

const SPANS = [['5', 30], ['15', 90], ['60', 360], ['all', 720]] as const;
/** Codes of refusals listed, the most frequent. */
const CODES_MAX = 4;

export function Figures() {
  const { measures: { series }, runs } = useDesk('live');
  const [steps, setSteps] = useState<number>(SPANS[1][1]);
  const points = series.points.slice(-steps);
  const now = points.at(-1);
  const sum = (of: keyof Point) => count(points.reduce((total, point) => total + point[of], 0));
  const most = (of: keyof Point) => t('at_most', { n: count(points.reduce((top, point) => Math.max(top, point[of]), 0)) });
  return (
    <div class="figures">
      <div class="spans" role="group" aria-label={t('span')}>
        {SPANS.map(([name, n]) => <button key={name} class="chip" aria-pressed={steps === n} onClick={() => setSteps(n)}>{t(`span_${name}`)}</button>)}
        <small>{t('per_10s')}</small>
      </div>
      <div class="charts">
        <Chart title={t('c_audience')} points={points} steps={steps} curves={[{ of: 'users', name: t('c_users'), colour: '--blue', filled: true, level: true }]} figure={`${t('now_n', { n: count(now?.users ?? 0) })} · ${most('users')}`} height={110} />
        <Chart title={t('c_comments')} points={points} steps={steps} figure={sum('comments')}
          curves={[{ of: 'comments', name: t('c_said'), colour: '--violet' }, { of: 'shown', name: t('c_shown'), colour: '--green', filled: true }]} />
        <Chart title={t('c_likes')} points={points} steps={steps} curves={[{ of: 'likes', name: t('c_likes'), colour: '--red', filled: true }]} figure={sum('likes')} />
        <Chart title={t('c_gifts')} points={points} steps={steps} curves={[{ of: 'gift_value', name: t('c_gifts'), colour: '--amber', filled: true }]} figure={sum('gift_value')} />
        <Chart title={t('c_claims')} points={points} steps={steps} curves={[{ of: 'claims', name: t('c_claims'), colour: '--green', filled: true }]} figure={sum('claims')} />
      </div>
      <Tallied />
      {runs && <Givers />}
    </div>
  );
}

const PARTS = [['shown', 'v_shown'], ['merged', 'v_merged'], ['sampled', 'v_sampled'], ['held', 'v_held']] as const;

function Tallied() {
  const { measures: { tally } } = useDesk('live');
  const refused = Object.values(tally.rejected).reduce((sum, n) => sum + n, 0);
  const parts = [...PARTS.map(([name, word]) => ({ name: name as string, words: t(word), n: tally[name] })), { name: 'rejected', words: t('rejected'), n: refused }];
  const share = (n: number) => (tally.in ? (100 * n) / tally.in : 0);
  const codes = Object.entries(tally.rejected).sort(([, a], [, b]) => b - a).slice(0, CODES_MAX);
  return (
    <Section title={t('tally')} aside={<small>{t('tally_in', { n: count(tally.in) })}</small>}>
      <div class="stack" aria-hidden="true">{parts.map(({ name, n }) => n > 0 && <i key={name} class={name} style={{ flexGrow: n }} />)}</div>
      <dl class="tally">
        {parts.map(({ name, words, n }) => (
          <div key={name} data-part={name}>
            <dt><i class={name} />{words}</dt>
            <dd>{count(n)} <small>{share(n).toFixed(share(n) < 10 && n ? 1 : 0)} %</small></dd>
          </div>
        ))}
      </dl>
      {codes.length > 0 && <p class="codes">{codes.map(([code, n]) => <span key={code}>{tOr(`rc_${code}`, code)} <b>{count(n)}</b></span>)}</p>}
    </Section>
  );
}

function Givers() {
  const desk = useDesk('live');
  const { givers } = desk.told;
  const top = givers[0]?.value ?? 1;
  return (
    <Section title={t('givers')}>
      {givers.length === 0 && <Empty>{t('no_givers')}</Empty>}
      <ol class="givers">
        {givers.map(({ place, user, value }) => (
          <li key={user}>
            <i style={{ width: `${(100 * value) / top}%` }} aria-hidden="true" />
            <small>{place}</small><Name id={user} name={desk.nameOf(user)} /><b>{t('coins', { n: count(value) })}</b>
          </li>
        ))}
      </ol>
    </Section>
  );
}
