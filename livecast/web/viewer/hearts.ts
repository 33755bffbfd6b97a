/** Hearts that rise: one's own taps at once, and the room's in proportion to its rate. */

/** Colours, as hues. */
const HUES = [350, 330, 20, 45, 280, 0];
/** On screen at once: more is a cloud in which no tap is seen. */
const ALIVE_MAX = 28;

let alive = 0;

/** Let `n` hearts rise in `box`, spread over `spread_ms`. */
export function burst(box: HTMLElement | null, n: number, spread_ms = 0): void {
  if (!box || document.hidden || matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  for (let i = 0; i < n && alive < ALIVE_MAX; i++) {
    alive += 1;
    const heart = document.createElement('span');
    heart.className = 'heart';
    heart.style.setProperty('--hue', String(HUES[Math.floor(Math.random() * HUES.length)]));
    heart.style.setProperty('--drift', `${Math.round(Math.random() * 60 - 30)}px`);
    heart.style.animationDelay = `${Math.round(Math.random() * spread_ms)}ms`;
    const done = () => {
      alive -= 1;
      heart.remove();
    };
    heart.addEventListener('animationend', done, { once: true });
    box.append(heart);
  }
}

/** How many hearts stand for so many taps of the room in one frame. */
export const heartsFor = (delta: number): number => Math.min(8, Math.ceil(Math.sqrt(delta)));
