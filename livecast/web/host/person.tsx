/** Somebody, as the staff may know them: new here, earlier violations, what they bought, what they said lately; and what to do. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { part, type Page } from '../shared/api';
import { timeOf, when } from '../shared/language';
import { Avatar, Dialog } from '../shared/ui';
import * as commands from './commands';
import { desk } from './console';
import type { Known } from './lines';
import { Empty, Sure } from './parts';
import { Marks } from './queue';
import { t } from './words';

interface Card extends Known {
  user: string;
  muted: boolean;
  muted_until: number | null;
  banned: boolean;
  banned_until: number | null;
}

interface Said {
  id: string;
  at: number;
  text?: string;
  redacted?: boolean;
}

export function PersonCard({ person, onClose }: { person: { id: string; name: string }; onClose: () => void }) {
  const { id, name } = person;
  const [card, setCard] = useState<Card | null>(null);
  const [said, setSaid] = useState<Said[]>([]);
  const [, draw] = useState(0);
  const asked = useRef(0);
  const fetch = async () => {
    const mine = ++asked.current;
    try {
      const [found, page] = await Promise.all([desk.api.get<Card>(`users/${part(id)}`), desk.api.get<Page<Said>>(`comments?user=${part(id)}&limit=20`)]);
      if (mine !== asked.current) return; // asked before something was done that this does not know of
      desk.book.learn(found.user, found.user === id ? found : { ...found, alias: id });
      setCard(found);
      setSaid(page.data);
    } catch (why) {
      desk.acts.refused(why);
    }
  };
  useEffect(() => void fetch(), [id]);
  useEffect(() => desk.subscribe(() => draw((n) => n + 1), ['room', 'chat']), []);
  /** What frames have taken off counts before the list says so, which may come from the archive. */
  const gone = (one: Said) => one.redacted || desk.book.get(one.id)?.verdict === 'redacted';
  const then = (doing: Promise<boolean>) => void doing.then(fetch);
  const mute = (for_s: number | null) => () => then(commands.mute(id, name, for_s));
  const { moderators } = desk.live.view.state as { moderators?: { id: string }[] | null };
  const known = card?.user ?? id; // the room may have been told an alias, which is what moderators are not listed under
  const moderates = Boolean(moderators?.some((one) => one.id === known));
  const appoint = () => then(desk.acts.act('PUT', `moderators/${part(id)}`, name === id ? {} : { name }, t('did_make_mod', { name })));
  const dismiss = () => then(desk.acts.act('DELETE', `moderators/${part(id)}`, undefined, t('did_unmake_mod', { name })));
  return (
    <Dialog title={name} onClose={onClose}>
      <div class="person" data-person={id}>
        <p class="who"><Avatar u={person} /><code>{known}</code>{moderates && <span class="mark moderator">{t('moderator')}</span>}</p>
        <p class="marks">
          <Marks known={card ?? desk.book.known.get(id)} />
          {card?.muted && <span class="mark bad">{card.muted_until ? t('muted_until', { time: when(card.muted_until) }) : t('muted_open')}</span>}
          {card?.banned && <span class="mark bad">{card.banned_until ? t('banned_until', { time: when(card.banned_until) }) : t('banned_open')}</span>}
        </p>
        <div class="does">
          {card?.muted
            ? <button class="small yes" onClick={() => then(commands.unmute(id, name))}>{t('unmute')}</button>
            : <><button class="small" onClick={mute(600)}>{t('for_10m')}</button><button class="small" onClick={mute(3600)}>{t('for_1h')}</button><button class="small" onClick={mute(null)}>{t('for_good')}</button></>}
          {card?.banned
            ? <button class="small yes" onClick={() => then(commands.unban(id, name))}>{t('unban')}</button>
            : <Sure what={`ban:${id}`} onSure={() => then(commands.ban(id, name))}>{t('ban')}</Sure>}
          <Sure what={`all:${id}`} onSure={() => then(commands.removeAllOf(id, name))}>{t('remove_all')}</Sure>
          {desk.runs && (moderates ? <button class="small" onClick={dismiss}>{t('unmake_mod')}</button> : <button class="small" onClick={appoint}>{t('make_mod')}</button>)}
        </div>
        <h3>{t('latest')}</h3>
        {said.length === 0 && <Empty>{t('no_comments')}</Empty>}
        <ol class="rows">
          {said.map((one) => (
            <li key={one.id} class={gone(one) ? 'gone' : ''}>
              <time>{timeOf(one.at)}</time><span dir="auto">{gone(one) ? t('v_redacted') : one.text}</span>
              {!gone(one) && <Sure what={`remove:${one.id}`} onSure={() => then(commands.remove([one.id]))}>{t('remove')}</Sure>}
            </li>
          ))}
        </ol>
      </div>
    </Dialog>
  );
}
