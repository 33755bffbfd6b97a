/** What is one's own: units won, and places in pots that are still to be drawn. */

import { useEffect } from 'preact/hooks';
import { Dialog } from '../shared/ui';
import { HELD } from './account';
import { Won } from './drops';
import { useRoom } from './use-room';
import { t, tOr } from './words';

export function Prizes({ onClose }: { onClose: () => void }) {
  const { account } = useRoom();
  useEffect(() => void account.refresh(), []);
  const { prizes, entries } = account;
  return (
    <Dialog title={t('prizes')} onClose={onClose}>
      {prizes.length + entries.length === 0 && <p>{t('no_prizes')}</p>}
      <ul class="prizes">
        {prizes.map((prize) => (
          <li key={`${prize.drop}/${prize.serial}`} class={prize.state}>
            <header><b dir="auto">{prize.title}</b> <small>{tOr(`s_${prize.state}`, prize.state)}</small></header>
            <small>{t('unit', { serial: prize.serial, of: prize.of })} · {new Date(prize.at).toLocaleString()}</small>
            {HELD.has(prize.state) && <Won prize={prize} />}
          </li>
        ))}
        {entries.map((entry) => (
          <li key={entry.drop}>
            <header><b dir="auto">{entry.title}</b> <small>{t(entry.state === 'drawn' ? 'en_drawn' : entry.state === 'cancelled' ? 'drop_cancelled' : 'en_open')}</small></header>
            <small>{t('entrant', { n: entry.number })}</small>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
