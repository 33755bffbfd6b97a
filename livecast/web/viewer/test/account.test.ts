import type { Answer, Drop, LivecastClient } from '@livecast/client';
import { describe, expect, test } from 'vitest';
import { Account } from '../account';

const draw: Drop = { id: 'd', title: 'Teapot', kind: 'draw', state: 'open', stock: 1, left: 1, per_user: 1 };
const drawn: Drop = { ...draw, state: 'settled', left: 0, result: { winners: 1 } };
const entry = (state: string, won: number[] = []) => ({ drop: 'd', title: 'Teapot', kind: 'draw', number: 1, nonce: 'n', at: 1, state, won });
const unit = { drop: 'd', title: 'Teapot', kind: 'draw', serial: 1, of: 1, state: 'granted', at: 1 };

/** An account whose claims enter, and of whom HTTP says `says` in turn, the last again and again; an error: not now. */
function accountOf(...says: (object | Error)[]) {
  const asked: string[] = [];
  const live = {
    room: 'r', you: { id: 'ann', anonymous: false },
    claim: () => Promise.resolve({ ok: true, verdict: 'entered', cid: 'c' } as Answer),
    get: (path: string) => {
      asked.push(path);
      const said = says.length > 1 ? says.shift()! : says[0]!;
      return said instanceof Error ? Promise.reject(said) : Promise.resolve(said);
    },
  };
  return { account: new Account(live as unknown as LivecastClient, () => undefined), asked };
}

describe('a place in a pot', () => {
  test('is waited for once it is drawn, until one knows with what luck', async () => {
    const { account, asked } = accountOf({ entries: [entry('open')] }, new Error('busy'), { entries: [entry('drawn')] });
    expect(account.waitsFor(drawn)).toBe(false); // not in it
    await account.claim(draw);
    expect(account.waitsFor(draw)).toBe(false); // nothing is drawn yet: nothing to ask for
    expect(account.waitsFor(drawn)).toBe(true);
    await account.refresh();
    expect(account.waitsFor(drawn)).toBe(true); // nobody answered
    await account.refresh();
    expect(account.waitsFor(drawn)).toBe(false);
    expect(asked).toEqual(['me', 'me', 'me']);
    expect(account.entries.map(({ state }) => state)).toEqual(['drawn']);
  });

  test('that was drawn is a prize, and no entry any more', async () => {
    const { account } = accountOf({ entries: [entry('open')] }, { entries: [entry('drawn', [1])], claims: [unit] });
    await account.claim(draw);
    await account.refresh();
    expect(account.waitsFor(drawn)).toBe(false);
    expect(account.held('d').map(({ serial }) => serial)).toEqual([1]);
    expect(account.entries).toEqual([]);
  });
});
