/** The room itself: the rules of its chat, the pinned line, its word filter, who is silenced and who moderates, the log, its files. */

import { useEffect, useState } from 'preact/hooks';
import { part, Problem, type Page } from '../shared/api';
import { count, language, timeOf, when } from '../shared/language';
import { Dialog } from '../shared/ui';
import * as commands from './commands';
import { desk } from './console';
import { Choice, Empty, Field, Section, Sure, useDesk } from './parts';
import { Name } from './queue';
import { t, tOr } from './words';

export function Room() {
  const { runs } = useDesk('room');
  return (
    <>
      {runs && <Rules />}
      {runs && <Pinned />}
      <Silenced />
      <Moderators />
      <Words />
      {runs && <Files />}
      <Log />
    </>
  );
}

const SLOW_S = [0, 3, 5, 10, 30, 60, 120];

function Rules() {
  const { live } = useDesk('room');
  const { policy } = live;
  if (!policy) return null;
  const set = (patch: Record<string, unknown>) => void commands.setPolicy(patch);
  const number = (name: string, label: string, min: number, max: number) => (
    <Field label={label}>
      <input type="number" min={min} max={max} value={String(policy[name] ?? '')} onChange={(e) => e.currentTarget.reportValidity() && set({ [name]: Number(e.currentTarget.value) })} />
    </Field>
  );
  const styles = policy.styles as { color?: boolean } | undefined;
  const slow = [...new Set([...SLOW_S, policy.slow_mode_s])].sort((a, b) => a - b);
  return (
    <Section title={t('policy')}>
      <div class="form">
        <Choice label={t('mode')} value={policy.mode} onChange={(mode) => set({ mode })} options={[['all', t('mode_all')], ['level', t('mode_level')], ['staff', t('mode_staff')]]} />
        {policy.mode === 'level' && number('min_level', t('min_level'), 0, 1_000_000)}
        <Choice label={t('slow_mode')} value={String(policy.slow_mode_s)} onChange={(s) => set({ slow_mode_s: Number(s) })}
          options={slow.map((s) => [String(s), s ? t('every_s', { s }) : t('off')] as const)} />
        {number('chat_budget_per_s', t('budget'), 0, 1000)}
        {number('comment_max_chars', t('max_chars'), 1, 1000)}
        {number('like_max_per_s', t('like_max'), 1, 1000)}
        <Choice label={t('anonymous')} value={policy.anonymous} onChange={(anonymous) => set({ anonymous })} options={[['off', t('anon_off')], ['read', t('anon_read')], ['like', t('anon_like')]]} />
        <Choice label={t('board')} value={String(policy.board ?? 'names')} onChange={(board) => set({ board })} options={[['off', t('board_off')], ['names', t('board_names')], ['values', t('board_values')]]} />
        <Choice label={t('users')} value={String(policy.users ?? 'ids')} onChange={(users) => set({ users })} options={[['ids', t('users_ids')], ['aliases', t('users_aliases')]]} />
        <label class="tick"><input type="checkbox" checked={styles?.color !== false} onChange={(e) => set({ styles: { color: e.currentTarget.checked } })} />{t('colours')}</label>
      </div>
    </Section>
  );
}

function Pinned() {
  const { live } = useDesk('room');
  const { notice } = live.view.state;
  const [text, setText] = useState('');
  const submit = (event: Event) => {
    event.preventDefault();
    if (text.trim()) void commands.pin(text.trim()).then((done) => done && setText(''));
  };
  return (
    <Section title={t('notice')}>
      {notice && <p class="pinned"><span dir="auto">{notice.text}</span> <button class="small" onClick={() => void commands.unpin()}>{t('remove')}</button></p>}
      <form class="inline" onSubmit={submit}>
        <input value={text} onInput={(e) => setText(e.currentTarget.value)} maxLength={500} placeholder={t('notice_text')} aria-label={t('notice_text')} dir="auto" />
        <button class="small primary" disabled={!text.trim()}>{t('pin')}</button>
      </form>
    </Section>
  );
}

interface Sentence {
  user: string;
  until: number | null;
  by: string;
  reason: string;
  scope: string;
}

function Silenced() {
  const [lists, setLists] = useState<{ mutes: Sentence[]; bans: Sentence[] } | null>(null);
  const fetch = async () => {
    try {
      const [mutes, bans] = await Promise.all([desk.api.get<Page<Sentence>>('mutes?limit=200'), desk.api.get<Page<Sentence>>('bans?limit=200')]);
      setLists({ mutes: mutes.data, bans: bans.data });
    } catch (why) {
      desk.acts.refused(why);
    }
  };
  useEffect(() => void fetch(), []);
  const line = (kind: 'mutes' | 'bans') => (one: Sentence) => (
    <li key={`${kind}/${one.user}/${one.scope}`} data-sentence={one.user}>
      <span class="mark bad">{t(kind === 'mutes' ? 'muted_open' : 'banned_open')}</span>
      <Name id={one.user} name={desk.nameOf(one.user)} />
      <small>{one.until ? t('until_time', { time: when(one.until) }) : ''} {t('since_by', { by: one.by })} {tOr(`scope_${one.scope}`, '')} {one.reason}</small>
      <button class="small" onClick={() => void (kind === 'mutes' ? commands.unmute(one.user, one.user) : commands.unban(one.user, one.user)).then(fetch)}>{t(kind === 'mutes' ? 'unmute' : 'unban')}</button>
    </li>
  );
  return (
    <Section title={t('sanctions')} aside={<button class="small" onClick={() => void fetch()}>{t('refresh')}</button>}>
      {lists && !lists.mutes.length && !lists.bans.length && <Empty>{t('no_sanctions')}</Empty>}
      <ul class="rows">{lists?.mutes.map(line('mutes'))}{lists?.bans.map(line('bans'))}</ul>
    </Section>
  );
}

function Moderators() {
  const { live, runs } = useDesk('room');
  const [id, setId] = useState('');
  const { moderators } = live.view.state as { moderators?: { id: string; name?: string }[] | null };
  const submit = (event: Event) => {
    event.preventDefault();
    void desk.acts.act('PUT', `moderators/${part(id.trim())}`, {}, t('did_make_mod', { name: id.trim() })).then((done) => done && setId(''));
  };
  return (
    <Section title={t('moderators')}>
      <ul class="rows">
        {(moderators ?? []).map((one) => (
          <li key={one.id}>
            <Name id={one.id} name={one.name || one.id} />
            {runs && <Sure what={`moderator:${one.id}`} onSure={() => void desk.acts.act('DELETE', `moderators/${part(one.id)}`, undefined, t('did_unmake_mod', { name: one.name || one.id }))}>{t('remove')}</Sure>}
          </li>
        ))}
      </ul>
      {!moderators?.length && <Empty>{t('no_sanctions')}</Empty>}
      {runs && (
        <form class="inline" onSubmit={submit}>
          <input value={id} onInput={(e) => setId(e.currentTarget.value)} placeholder={t('mod_id')} aria-label={t('mod_id')} pattern="[!-.0-~]{1,128}" required />
          <button class="small primary" disabled={!id.trim()}>{t('mod_add')}</button>
        </form>
      )}
    </Section>
  );
}

interface Filters {
  block: string[];
  mask: string[];
  hold: string[];
  links: string;
  phones: string;
  pinyin: string;
}

/** A text field of more words than this is none to work in. */
const WORDS_MAX = 2000;
const RULES = ['allow', 'mask', 'hold', 'block'] as const;

function Words() {
  const [filter, setFilter] = useState<Filters | null>(null);
  const path = `/v1/filters/${part(`room:${desk.room}`)}`;
  useEffect(() => {
    desk.api.get<Filters>(path).then(setFilter, () => undefined); // nothing kept beyond single rooms here: no filter to show
  }, []);
  if (!filter) return null;
  const words = filter.block.length + filter.mask.length + filter.hold.length;
  const save = (event: Event) => {
    event.preventDefault();
    const { block, mask, hold, links, phones, pinyin } = filter;
    const clean = (list: string[]) => list.map((word) => word.trim()).filter(Boolean);
    void desk.acts.act('PUT', path, { block: clean(block), mask: clean(mask), hold: clean(hold), links, phones, pinyin }, t('did_save'));
  };
  return (
    <Section title={t('word_filter')}>
      {words > WORDS_MAX ? <Empty>{t('too_many', { n: count(words) })}</Empty> : (
        <form class="form" onSubmit={save}>
          {(['links', 'phones'] as const).map((name) => (
            <Choice key={name} label={t(name)} value={filter[name]} onChange={(rule) => setFilter({ ...filter, [name]: rule })} options={RULES.map((rule) => [rule as string, t(`r_${rule}`)] as const)} />
          ))}
          <Choice label={t('pinyin')} value={filter.pinyin} onChange={(pinyin) => setFilter({ ...filter, pinyin })} options={(['off', 'mixed', 'full'] as const).map((kind) => [kind as string, t(`p_${kind}`)] as const)} />
          {(['block', 'hold', 'mask'] as const).map((name) => (
            <Field key={name} label={t(`w_${name}`)} wide>
              <textarea rows={3} placeholder={t('one_a_line')} value={filter[name].join('\n')} onInput={(e) => setFilter({ ...filter, [name]: e.currentTarget.value.split('\n') })} dir="auto" />
            </Field>
          ))}
          <div class="does wide"><button class="small primary">{t('save')}</button></div>
        </form>
      )}
    </Section>
  );
}

interface Figures {
  title: string;
  started_at: number;
  audience: { peak: number; average: number; unique: number };
  comments: { in: number };
  likes: number;
  words: { word: string; n: number }[];
  gifts: { value: number; gifts: number };
  sales: { orders: number; value: Record<string, number> };
}

export function Files() {
  const [report, setReport] = useState<Figures | null>(null);
  const show = async () => {
    try {
      setReport(await desk.api.get<Figures>('report'));
    } catch (why) {
      if (why instanceof Problem && why.status === 404) desk.acts.say(t('no_report'), true);
      else desk.acts.refused(why);
    }
  };
  const save = (path: string, name: string) => void desk.api.download(path, name).catch((why) => desk.acts.refused(why));
  return (
    <Section title={t('files')}>
      <div class="does">
        <button class="small" onClick={() => void show()}>{t('report')}</button>
        <button class="small" onClick={() => save(`report?format=html&lang=${language === 'zh-CN' ? 'zh' : 'en'}`, `report-${desk.room}.html`)}>↓ {t('report_page')}</button>
        <button class="small" onClick={() => save('replay.xml', `replay-${desk.room}.xml`)}>↓ {t('replay_xml')}</button>
      </div>
      {report && <Summary report={report} onClose={() => setReport(null)} />}
    </Section>
  );
}

function Summary({ report, onClose }: { report: Figures; onClose: () => void }) {
  const { audience, gifts, sales } = report;
  const figures = [
    [audience.peak, t('rep_peak')], [Math.round(audience.average), t('rep_avg')], [audience.unique, t('rep_unique')], [report.comments.in, t('rep_comments')], [report.likes, t('rep_likes')],
    [gifts.value, t('rep_gifts', { n: count(gifts.gifts) })], [sales.orders, t('rep_sales')],
  ] as const;
  return (
    <Dialog title={`${t('report')}: ${report.title || desk.room}`} onClose={onClose}>
      <dl class="summary">{figures.map(([n, words]) => <div key={words}><dd>{count(n)}</dd><dt>{words}</dt></div>)}</dl>
      {report.words.length > 0 && <><h3>{t('rep_words')}</h3><p class="codes">{report.words.slice(0, 20).map(({ word, n }) => <span key={word} dir="auto">{word} <b>{count(n)}</b></span>)}</p></>}
    </Dialog>
  );
}

interface Act {
  at: number;
  by: string;
  name: string;
  action: string;
  args: Record<string, unknown>;
  reason: string;
}

function Log() {
  const [acts, setActs] = useState<Act[]>([]);
  const fetch = () => desk.api.get<Page<Act>>('audit?limit=50').then((page) => setActs(page.data), (why) => desk.acts.refused(why));
  useEffect(() => void fetch(), []);
  const about = ({ args }: Act) => [args.user, args.text, args.question, args.title, args.action, args.id].find((one) => typeof one === 'string') ?? '';
  return (
    <Section title={t('log')} aside={<button class="small" onClick={() => void fetch()}>{t('refresh')}</button>}>
      <ol class="rows log">
        {acts.map((act, i) => (
          <li key={`${act.at}/${i}`}><time>{timeOf(act.at)}</time><b>{act.name || act.by}</b><span>{tOr(`a_${act.action}`, act.action)}</span><small dir="auto">{String(about(act))} {act.reason}</small></li>
        ))}
      </ol>
    </Section>
  );
}
