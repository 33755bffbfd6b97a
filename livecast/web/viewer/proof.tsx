/** The proof of a draw, recomputed in the browser. What computes it is loaded when it is asked for. */

import type { Drop } from '@livecast/client';
import { useEffect, useState } from 'preact/hooks';
import type { DrawFile, Verdict } from '../proof/draw';
import { CheckIcon, CrossIcon } from '../shared/icons';
import { count } from '../shared/language';
import { Dialog } from '../shared/ui';
import { room } from './room';
import { t, tOr } from './words';

interface Found {
  file: DrawFile;
  verdict: Verdict;
}

export function Proof({ drop, onClose }: { drop: Drop; onClose: () => void }) {
  const [found, setFound] = useState<Found | null>(null);
  const [fault, setFault] = useState(false);
  useEffect(() => void recompute(drop).then(setFound, () => setFault(true)), [drop.id]);
  return (
    <Dialog title={t('check_draw')} onClose={onClose}>
      <p dir="auto"><b>{drop.title}</b></p>
      {fault && <p class="outcome">{t('failed', { why: t('e_unavailable') })}</p>}
      {!found && !fault && <p role="status">{t('checking')}</p>}
      {found && <Told {...found} />}
    </Dialog>
  );
}

function Told({ file, verdict }: Found) {
  return (
    <div class="proof" role="status">
      <p class={`outcome ${verdict.ok ? 'won' : ''}`}>{t(verdict.ok ? 'draw_fair' : 'draw_wrong')}</p>
      <p>{t('draw_sum', { winners: count(file.winners.length), entrants: count(file.entrants.length) })}</p>
      {verdict.mine && <p><b>{t(`mine_${verdict.mine}`)}</b></p>}
      <ol>
        {verdict.steps.map(({ name, ok }) => (
          <li key={name} class={ok === null ? 'unknown' : ok ? 'met' : 'wrong'}>
            {ok === false ? <CrossIcon /> : <CheckIcon />}
            <span>{ok === null ? t('step_kept_none') : tOr(`step_${name}`, name)}</span>
          </li>
        ))}
      </ol>
      <details>
        <summary>{t('figures')}</summary>
        <dl>
          {(['commitment', 'seed', 'root', 'beacon', 'digest'] as const).filter((name) => file[name]).map((name) => (
            <div key={name}><dt>{name}</dt><dd><code>{file[name]}</code></dd></div>
          ))}
        </dl>
        <p><code>livecast verify-draw {location.origin}/v1/rooms/{room.name}/drops/{file.drop}/draw</code></p>
      </details>
    </div>
  );
}

async function recompute(drop: Drop): Promise<Found> {
  const [file, { checkDraw }] = await Promise.all([
    room.live.get<DrawFile>(`drops/${encodeURIComponent(drop.id)}/draw`),
    import('../proof/draw'),
    room.account.refresh(),
  ]);
  const { account, live } = room;
  const verdict = await checkDraw(file, {
    room: room.name,
    drop: drop.id,
    commitment: account.commitment(drop.id),
    user: live.you?.id ?? '',
    nonce: account.entry(drop.id)?.nonce,
  });
  return { file, verdict };
}
