/** Words in two languages. The choice: `?lang=`, what was chosen before, the browser's. Each page has words of its own. */

export type Language = 'en' | 'zh-CN';

const KEY = 'livecast.lang';
const asked = new URLSearchParams(location.search).get('lang') ?? remembered(KEY) ?? navigator.language;
export let language: Language = asked.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
document.documentElement.lang = language;

/** From one language to the other. */
export function switchLanguage(): void {
  language = language === 'en' ? 'zh-CN' : 'en';
  document.documentElement.lang = language;
  remember(KEY, language);
}

type Values = Record<string, string | number>;

/**
 * The words of one page: `t` for those known by name, `tOr` for names that come from outside, with what else to say.
 * `{…}` in them is filled in.
 */
export function speak<Word extends string>(en: Record<Word, string>, zh: Record<Word, string>) {
  const t = (word: Word, values: Values = {}): string =>
    (language === 'zh-CN' ? zh : en)[word].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
  const tOr = (word: string, otherwise: string, values: Values = {}): string =>
    Object.hasOwn(en, word) ? t(word as Word, values) : otherwise;
  return { t, tOr };
}

const compact: Record<Language, Intl.NumberFormat> = {
  en: new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }),
  'zh-CN': new Intl.NumberFormat('zh-CN', { notation: 'compact', maximumFractionDigits: 1 }),
};

/** A figure that fits: 12.3K, 1.2万. */
export const count = (n: number): string => (n < 10_000 ? n.toLocaleString(language) : compact[language].format(n));

/** An amount in the smallest unit of its currency. */
export function money(amount: number, currency: string): string {
  try {
    const format = new Intl.NumberFormat(language, { style: 'currency', currency });
    return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
  } catch {
    return `${amount} ${currency}`; // not a currency that is known here
  }
}

/** mm:ss, or h:mm:ss. */
export function clock(ms: number): string {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n: number) => String(n).padStart(2, '0');
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${two(Math.floor(s / 60))}:${two(s % 60)}`;
}

const hour = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
const times = (name: Language) => ({
  exact: new Intl.DateTimeFormat(name, { ...hour, second: '2-digit' }),
  short: new Intl.DateTimeFormat(name, hour),
  day: new Intl.DateTimeFormat(name, { month: 'short', day: 'numeric', ...hour }),
});
const moments: Record<Language, ReturnType<typeof times>> = { en: times('en'), 'zh-CN': times('zh-CN') };

/** 20:15:03 */
export const timeOf = (at: number): string => moments[language].exact.format(at);

/** 20:15, or with the day where it is another one; a dash for never. */
export function when(at: number | null | undefined): string {
  if (!at) return '–';
  const { short, day } = moments[language];
  return new Date(at).toDateString() === new Date().toDateString() ? short.format(at) : day.format(at);
}

/** Storage that may be forbidden (private windows): then nothing is remembered. */
export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // nothing depends on it
  }
}
