import { expect, test } from 'vitest';
import { settingsOf } from '../settings';

const of = (query: string) => settingsOf(new URLSearchParams(query));
const DEFAULTS = { show: new Set(['comments', 'gifts', 'drop']), size_px: 24, max: 8, keep_s: 20, box: 45, color: '#ffffff', side: 'left' };

test('without a word', () => expect(of('')).toEqual(DEFAULTS));

test('what is said', () => {
  expect(of('show=drop,gifts&size=40&max=3&keep=0&box=0&color=%23FFD76A&side=right')).toEqual({
    show: new Set(['drop', 'gifts']), size_px: 40, max: 3, keep_s: 0, box: 0, color: '#FFD76A', side: 'right',
  });
});

test.each(['show=nothing&size=&max=x&keep=NaN&box=Infinity&color=red&side=up', 'show=,&size=%20&color=12345&color=url(//x)'])('what cannot be understood is not there: %s', (query) => {
  expect(of(query)).toEqual(DEFAULTS);
});

test('nothing is beyond its bounds', () => {
  expect(of('size=1e9&max=0.2&keep=-5&box=101')).toMatchObject({ size_px: 120, max: 1, keep_s: 0, box: 100 });
});
