/** The list of comments, and the line to write one. */

import type { Comment } from '@livecast/client';
import { memo } from 'preact/compat';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { count } from '../shared/language';
import { Avatar, Dialog } from '../shared/ui';
import { reason, room, type Line } from './room';
import { useRoom } from './use-room';
import { t, tOr } from './words';

/** So near to the end counts as the end, in pixels. */
const NEAR_PX = 60;

export function Chat() {
  const { live } = useRoom();
  const list = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const [about, setAbout] = useState<Comment | null>(null);
  const lines = room.lines();
  const last = lines.at(-1)?.key;
  useLayoutEffect(() => {
    if (following && list.current) list.current.scrollTop = list.current.scrollHeight;
  }, [following, last, lines.length]);
  const scrolled = () => {
    const box = list.current!;
    setFollowing(box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX);
  };
  const { notice } = live.view.state;
  return (
    <section class="chat" aria-label={t('chat')}>
      {notice && <p class="notice"><b>{t('notice')}</b> {notice.text}</p>}
      <div class="list" ref={list} onScroll={scrolled} role="log" aria-live="off" tabIndex={0} aria-label={t('chat')}>
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

interface RowProps {
  line: Line;
  comment: Comment;
  mine: boolean;
  state: Line['state'];
  onMore: (comment: Comment) => void;
}

const Row = memo(
  function Row({ comment, mine, state, onMore }: RowProps) {
    const { u, text = '', n = 1, reply_to, paid } = comment;
    const name = u?.name || u?.id || '';
    const called = comment.mentions?.includes(room.live.you?.id ?? '');
    const refused = state && !['sending', 'sampled', 'held', 'merged', 'unknown', 'shown'].includes(state.state);
    return (
      <li class={`row${mine ? ' mine' : ''}${paid ? ' paid' : ''}${called ? ' called' : ''}${refused ? ' refused' : ''}`} data-id={comment.id}>
        {u && <Avatar u={u} />}
        <div class="said">
          {reply_to && <div class="quote">↪ {reply_to.u.name || reply_to.u.id}: {reply_to.text}</div>}
          <span class="name">{name}</span>
          {u?.role && u.role !== 'viewer' && <span class={`badge ${u.role}`}>{tOr(u.role, u.role)}</span>}
          {mine && <span class="badge me">{t('you')}</span>}
          {!!u?.level && <span class="badge level">Lv {u.level}</span>}
          <span class="text" dir="auto">{text}</span>
          {n > 1 && <b class="n" aria-label={t('people', { n })}>×{count(n)}</b>}
          {paid && <span class="coins">{count(paid.value)}</span>}
          {state && state.state !== 'shown' && (
            <small class="state">
              {tOr(`st_${state.state}`, reason(state.state, Math.ceil((state.retry_after_ms ?? 0) / 1000)))}
            </small>
          )}
        </div>
        {comment.id && !mine && u && (
          <button class="icon more" aria-label={t('more', { name })} onClick={() => onMore(comment)}>⋯</button>
        )}
      </li>
    );
  },
  (a, b) => a.comment === b.comment && a.mine === b.mine && a.state === b.state,
);

function About({ comment, onClose }: { comment: Comment; onClose: () => void }) {
  const [why, setWhy] = useState(false);
  const reply = () => {
    room.replyTo = comment;
    room.changed();
    onClose();
    setTimeout(() => document.getElementById('say')?.focus(), 0);
  };
  const report = (words: string) => {
    void room.report(comment, words);
    onClose();
  };
  return (
    <Dialog title={why ? t('report_why') : comment.u?.name || ''} onClose={onClose}>
      <blockquote dir="auto">{comment.text}</blockquote>
      {!room.signedIn && <p>{t('sign_in')}</p>}
      <div class="choices">
        {!why && <button disabled={!room.can('comment')} onClick={reply}>{t('reply')}</button>}
        {!why && <button disabled={!room.signedIn} onClick={() => setWhy(true)}>{t('report')}</button>}
        {why && (['report_spam', 'report_insult', 'report_fraud', 'report_other'] as const).map((word) => (
          <button key={word} onClick={() => report(t(word))}>{t(word)}</button>
        ))}
      </div>
    </Dialog>
  );
}

function Composer() {
  const { live, replyTo } = useRoom();
  const [text, setText] = useState('');
  const input = useRef<HTMLInputElement>(null);
  const max = live.policy?.comment_max_chars ?? 200;
  const length = [...text].length;
  useEffect(() => {
    if (replyTo) input.current?.focus();
  }, [replyTo]);
  if (live.you && !room.can('comment')) return <SignIn />;
  const submit = (event: Event) => {
    event.preventDefault();
    if (!text.trim() || length > max) return;
    void room.say(text.trim());
    setText('');
  };
  return (
    <form class="composer" onSubmit={submit}>
      {replyTo && (
        <div class="replying">
          {t('replying', { name: replyTo.u?.name ?? '' })}
          <button type="button" class="icon" aria-label={t('cancel')} onClick={() => { room.replyTo = null; room.changed(); }}>✕</button>
        </div>
      )}
      <input id="say" ref={input} value={text} onInput={(e) => setText(e.currentTarget.value)} placeholder={t('say')} aria-label={t('say')}
        autocomplete="off" enterkeyhint="send" dir="auto" disabled={live.connection.state === 'closed'} />
      {length > max - 20 && <small class={length > max ? 'over' : ''}>{max - length}</small>}
      <button class="primary" disabled={!text.trim() || length > max}>{t('send')}</button>
    </form>
  );
}

function SignIn() {
  const dev = document.documentElement.dataset.dev === 'true';
  return (
    <div class="signin">
      <p>{t('sign_in')}</p>
      {dev && <button class="primary" onClick={() => void room.joinAsTest()}>{t('guest')}</button>}
    </div>
  );
}
