/** How an overlay looks, out of its address. What is wrong there is as if it was not there: a broadcast has no place for errors. */

export type Part = 'comments' | 'gifts' | 'drop';

export interface Settings {
  /** What is shown. */
  show: Set<Part>;
  /** Size of letters in pixels. */
  size_px: number;
  /** Comments at once. */
  max: number;
  /** How long a comment stays; 0: until newer ones push it out. */
  keep_s: number;
  /** How dark the boxes behind words are, 0 to 100. */
  box: number;
  /** Colour of words, as #rrggbb. */
  color: string;
  side: 'left' | 'right';
}

const PARTS: readonly Part[] = ['comments', 'gifts', 'drop'];

/** `?show=comments,gifts,drop&size=24&max=8&keep=20&box=45&color=ffffff&side=left`. */
export function settingsOf(query: URLSearchParams): Settings {
  const number = (name: string, otherwise: number, low: number, high: number) => {
    const given = query.get(name);
    const value = given === null || given.trim() === '' ? NaN : Number(given);
    return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
  };
  const asked = (query.get('show') ?? '').split(',').filter((part): part is Part => (PARTS as readonly string[]).includes(part));
  const color = query.get('color')?.replace(/^#/, '') ?? '';
  return {
    show: new Set(asked.length ? asked : PARTS),
    size_px: number('size', 24, 8, 120),
    max: Math.round(number('max', 8, 1, 40)),
    keep_s: number('keep', 20, 0, 3600),
    box: number('box', 45, 0, 100),
    color: /^[0-9a-f]{6}$/i.test(color) ? `#${color}` : '#ffffff',
    side: query.get('side') === 'right' ? 'right' : 'left',
  };
}
