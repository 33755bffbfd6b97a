/** The tray of gifts: quick clicks run on as one combo; the dearer ones carry words. */

import { useState } from 'preact/hooks';
import { GiftPicture } from '../shared/icons';
import { count, language } from '../shared/language';
import { Dialog } from '../shared/ui';
import { room, type Gift } from './room';
import { useRoom } from './use-room';
import { t, tOr } from './words';

/** Words that a gift of a tier carries, in code points; 0: none. */
const WORDS_MAX: Record<number, number> = { 2: 100, 3: 200 };

/** A gift by its name in this language, or the catalogue's. */
export const giftName = (gift: string): string => tOr(`g_${gift}`, room.gifts.find((g) => g.id === gift)?.name ?? gift);

export function Tray({ onClose }: { onClose: () => void }) {
  const { gifts, account } = useRoom();
  const [given, setGiven] = useState<Record<string, number>>({});
  const [words, setWords] = useState('');
  const length = [...words.trim()].length;
  const fits = (gift: Gift) => length <= (WORDS_MAX[gift.tier] ?? 0);
  const give = (gift: Gift) => {
    room.give(gift, words.trim());
    setGiven({ ...given, [gift.id]: (given[gift.id] ?? 0) + 1 });
    if (!words) return;
    setWords('');
    onClose();
  };
  return (
    <Dialog title={t('gift_to')} onClose={onClose}>
      {!room.can('gift') && <p>{t('sign_in')}</p>}
      <div class="tray">
        {gifts.map((gift) => (
          <button key={gift.id} disabled={!room.can('gift') || !fits(gift)} data-gift={gift.id} onClick={() => give(gift)}>
            <span class="face"><GiftPicture gift={gift.id} tier={gift.tier} /></span>
            <span>{giftName(gift.id)}</span>
            <small>{t(gift.price === 1 ? 'price_1' : 'price', { n: count(gift.price) })}</small>
            {!!given[gift.id] && <b class="n">×{given[gift.id]}</b>}
          </button>
        ))}
      </div>
      {room.can('gift') && gifts.some((gift) => gift.tier > 1) && (
        <label class="with-words">
          <span>{t('gift_words')}</span>
          <input id="gift-words" value={words} maxLength={200} onInput={(e) => setWords(e.currentTarget.value)} placeholder={t('gift_words_hint')} dir="auto" autocomplete="off" />
        </label>
      )}
      {account.balance !== undefined && <p class="balance">{t('balance', { n: account.balance.toLocaleString(language) })}</p>}
    </Dialog>
  );
}
