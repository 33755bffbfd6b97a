/** Hearts that rise: one's own taps at once, and the room's in proportion to its rate. */

/** Colours, as hues. */
const HUES = [350, 330, 20, 45, 280, 0];
/** On screen at once: more is a cloud in which no tap is seen, and each costs a machine without a GPU. */
const ALIVE_MAX = 16;
const SHAPE =
  'M12 21.5C5 16.5 1.5 13 1.5 8.7 1.5 5.5 4 3 7 3c2 0 3.900 1 5 2.700C13.1 4 15 3 17 3c3 0 5.500 2.500 5.500 5.700C22.500 13 19 16.500 12 21.500z';
const SVG = 'http://www.w3.org/2000/svg';

let alive = 0;

/** Let `n` hearts rise in `box`, spread over `spread_ms`. */
export function burst(box: HTMLElement | null, n: number, spread_ms = 0): void {
  if (!box || document.hidden || matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  for (let i = 0; i < n && alive < ALIVE_MAX; i++) {
    alive += 1;
    // A shape that is painted once and then only moved; a mask would be worked out anew for each picture.
    const heart = document.createElementNS(SVG, 'svg');
    heart.setAttribute('class', 'heart');
    heart.setAttribute('viewBox', '0 0 24 24');
    const shape = document.createElementNS(SVG, 'path');
    shape.setAttribute('d', SHAPE);
    shape.setAttribute('fill', `hsl(${HUES[Math.floor(Math.random() * HUES.length)]} 90% 62%)`);
    heart.append(shape);
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
