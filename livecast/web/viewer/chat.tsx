/** The list of comments. */

import { seenAs, type Comment } from '@livecast/client';
import { memo } from 'preact/compat';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { count } from '../shared/language';
import { Avatar, Dialog, useTicking } from '../shared/ui';
import { Composer } from './composer';
import { pinned, type Line } from './lines';
import { reason, room } from './room';
import { giftName } from './tray';
import { useRoom } from './use-room';
import { t, tOr } from './words';

/** So near to the end counts as the end, in pixels. */
const NEAR_PX = 60;
/** Paid comments that stay above the list at once. */
const PINNED_MAX = 2;

export function Chat() {
  useRoom();
  const list = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const [about, setAbout] = useState<Comment | null>(null);
  const lines = room.lines();
  const last = lines.at(-1)?.key;
  const toEnd = () => {
    const box = list.current; // gone, if what was observed is told of while another language is drawn
    if (box) box.scrollTop = box.scrollHeight;
  };
  const followed = useRef(true);
  followed.current = following;
  useLayoutEffect(() => {
    if (following) toEnd();
  }, [following, last, lines.length]);
  const top = useRef(0);
  useEffect(() => {
    const observer = new ResizeObserver(() => followed.current && toEnd()); // what is pinned above takes room, and gives it back
    observer.observe(list.current!);
    observer.observe(list.current!.firstElementChild!); // lines that come into sight may be taller than was thought
    return () => observer.disconnect();
  }, []);
  const scrolled = () => {
    if (!list.current) return;
    const { scrollTop, scrollHeight, clientHeight } = list.current;
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) setFollowing(true);
    else if (scrollTop < top.current) setFollowing(false); // people scroll up; lists that grow or shrink do not
    top.current = scrollTop;
  };
  /** One stop of the Tab key for all comments: the arrows go on from one to the next. */
  const step = (event: KeyboardEvent) => {
    const all = [...list.current!.querySelectorAll<HTMLElement>('.more')];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = ({ ArrowUp: at < 0 ? all.length - 1 : at - 1, ArrowDown: at < 0 ? all.length - 1 : at + 1, Home: 0, End: all.length - 1 } as Record<string, number>)[event.key];
    if (event.key === 'Escape' && at >= 0) {
      list.current!.focus();
      setFollowing(true);
    } else if (to === undefined || !all[to]) return;
    else {
      setFollowing(false); // what is being read stays where it is
      all[to].focus();
    }
    event.preventDefault();
  };
  return (
    <section class="chat" aria-label={t('chat')}>
      <Above />
      <div class="list" ref={list} onScroll={scrolled} onKeyDown={step} role="log" aria-live="off" tabIndex={0} aria-label={t('chat_keys')}>
        <ol>
          {lines.map((line) => <Row key={line.key} line={line} comment={line.comment} mine={line.mine} state={line.state} onMore={setAbout} />)}
        </ol>
      </div>
      {!following && <button class="newer" onClick={() => setFollowing(true)}>↓ {t('newer')}</button>}
      <Composer />
      {about && <About comment={about} onClose={() => setAbout(null)} />}
    </section>
  );
}

/** What stays above the list for a while: the room's notice, and paid comments for as long as their gifts bought. */
function Above() {
  useTicking(1000);
  const { live } = useRoom();
  const { notice } = live.view.state;
  const now = live.playbackNow();
  return (
    <>
      {notice && (!notice.until || notice.until > now) && <p class="notice"><b>{t('notice')}</b> <span dir="auto">{notice.text}</span></p>}
      {pinned(live.view.recent, now).slice(0, PINNED_MAX).map((comment) => <Pinned key={comment.id} comment={comment} />)}
    </>
  );
}

function Pinned({ comment }: { comment: Comment }) {
  const { u, text, paid } = comment;
  return (
    <p class="pinned">
      {u && <Avatar u={u} />}
      <span><b dir="auto">{u?.name || u?.id}</b> <span dir="auto">{text}</span></span>
      <span class="coins">{giftName(paid!.gift)} · {count(paid!.value)}</span>
    </p>
  );
}

interface RowProps {
  line: Line;
  comment: Comment;
  mine: boolean;
  state: Line['state'];
  onMore: (comment: Comment) => void;
}

/** Fates of one's own comment that are no refusal. */
const ACCEPTED = ['sending', 'sampled', 'held', 'merged', 'unknown', 'shown'];

const Row = memo(
  function Row({ comment, mine, state, onMore }: RowProps) {
    const { u, text = '', n = 1, reply_to, paid } = comment;
    const name = u?.name || u?.id || '';
    const called = comment.mentions?.includes(seenAs(room.live.you) ?? '');
    const refused = state && !ACCEPTED.includes(state.state);
    return (
      <li class={`row${mine ? ' mine' : ''}${paid ? ' paid' : ''}${called ? ' called' : ''}${refused ? ' refused' : ''}`} data-id={comment.id}>
        {u && <Avatar u={u} />}
        <div class="said">
          {reply_to && <div class="quote">↪ {reply_to.u.name || reply_to.u.id}: {reply_to.text}</div>}
          <span class="name" dir="auto">{name}</span>{' '}
          {u?.role && u.role !== 'viewer' && <><span class={`badge ${u.role}`}>{tOr(u.role, u.role)}</span>{' '}</>}
          {mine && <><span class="badge me">{t('you')}</span>{' '}</>}
          {!!u?.level && <><span class="badge level">Lv {u.level}</span>{' '}</>}
          {u?.badges?.slice(0, 2).map((badge) => <span key={badge}><span class="badge">{badge}</span>{' '}</span>)}
          <span class="text" dir="auto" id={comment.id ? `c-${comment.id}` : undefined}>{text}</span>{' '}
          {n > 1 && <b class="n" aria-label={t('people', { n })}>×{count(n)}</b>}{' '}
          {paid && <span class="coins">{count(paid.value)}</span>}
          {state && state.state !== 'shown' && (
            <small class="state">
              {tOr(`st_${state.state}`, reason(state.state, Math.ceil((state.retry_after_ms ?? 0) / 1000)))}
            </small>
          )}
        </div>
        {comment.id && !mine && u && (
          <button class="icon more" tabIndex={-1} aria-label={t('more', { name })} aria-describedby={`c-${comment.id}`} onClick={() => onMore(comment)}>⋯</button>
        )}
      </li>
    );
  },
  (a, b) => a.comment === b.comment && a.mine === b.mine && a.state === b.state,
);

const REASONS = ['report_spam', 'report_insult', 'report_fraud', 'report_other'] as const;

/** What can be done about a comment: answer it, report it or its author. */
function About({ comment, onClose }: { comment: Comment; onClose: () => void }) {
  const [reported, setReported] = useState<'comment' | 'user' | null>(null);
  const name = comment.u?.name || comment.u?.id || '';
  const reply = () => {
    room.replyTo = comment;
    room.changed();
    onClose();
    setTimeout(() => document.getElementById('say')?.focus(), 0);
  };
  const report = (words: string) => {
    void room.report(reported === 'user' ? { user: comment.u!.id } : { comment: comment.id }, words);
    onClose();
  };
  return (
    <Dialog title={reported ? t('report_why') : name} onClose={onClose}>
      <blockquote dir="auto">{comment.text}</blockquote>
      {!room.signedIn && <p>{t('sign_in')}</p>}
      <div class="choices">
        {!reported && <button disabled={!room.can('comment')} onClick={reply}>{t('reply')}</button>}
        {!reported && <button disabled={!room.signedIn} onClick={() => setReported('comment')}>{t('report')}</button>}
        {!reported && <button disabled={!room.signedIn} onClick={() => setReported('user')}>{t('report_user', { name })}</button>}
        {reported && REASONS.map((word) => <button key={word} onClick={() => report(t(word))}>{t(word)}</button>)}
      </div>
    </Dialog>
  );
}
