import { expect, test } from 'vitest';
import { vectors } from '../../client/test/vectors';
import { checkDraw, type Checker, type DrawFile } from '../draw';

interface Row {
  name: string;
  file: DrawFile;
  by: Checker;
  wrong: string[];
  mine?: string;
}

test.each(vectors<Row>('../../core/money/vectors/draws'))('$name', async ({ file, by, wrong, mine }) => {
  const verdict = await checkDraw(file, by);
  expect(verdict.steps.filter((step) => step.ok === false).map((step) => step.name)).toEqual(wrong);
  expect([verdict.ok, verdict.mine]).toEqual([wrong.length === 0, mine]);
});

test('what nobody kept is not taken for right', async () => {
  const { file } = vectors<Row>('../../core/money/vectors/draws')[0]!;
  const { steps } = await checkDraw(file, {});
  expect(steps.find((step) => step.name === 'kept')).toEqual({ name: 'kept', ok: null });
});
