import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkReceipt, codeFits, type Claims, type Jwks } from '../receipt';

interface Row {
  name: string;
  token: string;
  now: number;
  fault: string | null;
}

const { receipts, ...jwks } = JSON.parse(
  readFileSync(new URL('../../../../tests/core/money/vectors/receipts.json', import.meta.url), 'utf8'),
) as Jwks & { receipts: Row[] };

describe.each([
  ['browser', globalThis.crypto.subtle],
  ['library', undefined],
] as const)('by the %s', (by, subtle) => {
  test.each(receipts)('$name', async ({ token, now, fault }) => {
    const checked = await checkReceipt(token, jwks, now, subtle ?? (null as never));
    expect(checked.fault).toBe(fault);
    if (!fault) expect([checked.claims?.serial, checked.claims?.of, checked.by]).toEqual([37, 500, by]);
  });
});

test('its code, as it was handed out and as people type it', async () => {
  const { claims } = await checkReceipt(receipts[0]!.token, jwks, receipts[0]!.now);
  const fits = (code: string) => codeFits(code, claims as Claims);
  expect(await Promise.all(['7K3M-9QXZ-2B4T', ' 7k3m 9qxz 2b4t', '7K3M9QXZ2B4T', '7K3M-9QXZ-2B4V', ''].map(fits))).toEqual([true, true, true, false, false]);
});
