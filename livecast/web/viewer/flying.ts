/** Comments that fly over the picture: what is merged grows in place, one's own are marked, what was taken away is gone at once. */

import type { Comment, Frame } from '@livecast/client';
import Danmaku from 'danmaku';
import { remember, remembered } from '../shared/language';

export type Density = 'low' | 'mid' | 'all';

/** Of what fits without running into each other; `all` lets everything fly, readable or not. */
const SHARE: Record<Density, number> = { low: 0.4, mid: 0.7, all: 100 };
/** Pixels per second. */
const SPEED = 110;
/** A comment with the space behind it, in pixels, and the height of a line. */
const WIDTH = 270;
const LINE = 34;
/** Elements remembered for growing; a comment takes in others for 15 s. */
const KNOWN_MAX = 400;

export interface FlyingSettings {
  on: boolean;
  density: Density;
  opacity: number;
}

const KEY = 'livecast.flying';

export class Flying {
  settings: FlyingSettings;
  private danmaku: Danmaku | null = null;
  private container: HTMLElement | null = null;
  private known = new Map<string, { node: HTMLElement; user: string }>();
  /** Those there was no room for: once many say the same, they may fly after all. */
  private left = new Map<string, Comment>();
  /** Comments that may fly now; it grows up to a second's worth, which is what one begins with. */
  private allowance = Infinity;
  private at = performance.now();

  constructor(private readonly mine: (comment: Comment) => boolean) {
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.settings = { on: !calm, density: 'mid', opacity: 0.9 };
    try {
      Object.assign(this.settings, JSON.parse(remembered(KEY) ?? '{}'));
    } catch {
      // not ours: as it was
    }
  }

  /** Fly over this element, and follow its size. */
  attach(container: HTMLElement): () => void {
    this.container = container;
    this.danmaku = new Danmaku({ container, engine: 'dom', speed: SPEED });
    const observer = new ResizeObserver(() => this.danmaku?.resize());
    observer.observe(container);
    this.set({});
    return () => {
      observer.disconnect();
      this.danmaku?.destroy();
      this.danmaku = this.container = null;
    };
  }

  set(change: Partial<FlyingSettings>): void {
    this.settings = { ...this.settings, ...change };
    remember(KEY, JSON.stringify(this.settings));
    if (!this.settings.on) this.danmaku?.clear();
    if (this.container) this.container.style.opacity = String(this.settings.opacity);
  }

  take(frame: Frame): void {
    for (const comment of frame.comments ?? []) this.fly(comment);
    for (const { id, n } of frame.merges ?? []) {
      const known = this.known.get(id);
      const left = this.left.get(id);
      if (known) grow(known.node, n);
      else if (left) this.fly({ ...left, n });
    }
    if (frame.redact) {
      const ids = new Set(frame.redact.comments);
      const users = new Set(frame.redact.users);
      for (const [id, { node, user }] of this.known) if (ids.has(id) || users.has(user)) node.textContent = '';
      for (const [id, { u }] of this.left) if (ids.has(id) || users.has(u?.id ?? '')) this.left.delete(id);
    }
  }

  private fly(comment: Comment): void {
    if (!this.danmaku || !this.settings.on || comment.redacted || document.hidden) return;
    const now = performance.now();
    const lines = Math.max(1, Math.floor(this.container!.clientHeight / LINE));
    const perS = ((lines * SPEED) / WIDTH) * SHARE[this.settings.density];
    this.allowance = Math.min(Math.max(1, perS), this.allowance + ((now - this.at) / 1000) * perS);
    this.at = now;
    const mine = this.mine(comment);
    const special = mine || comment.paid || (comment.lane ?? 3) === 0;
    if (this.allowance < 1 && !special) {
      keep(this.left, comment.id, comment);
      return;
    }
    this.allowance -= 1;
    this.left.delete(comment.id);
    const node = document.createElement('div');
    node.className = `fly${mine ? ' mine' : ''}${comment.paid ? ' paid' : ''}${(comment.lane ?? 3) === 0 ? ' staff' : ''}`;
    node.append(comment.text ?? '');
    const color = comment.style?.color;
    if (color !== undefined && color !== null && !comment.paid) node.style.color = `#${color.toString(16).padStart(6, '0')}`;
    if ((comment.n ?? 1) > 1) grow(node, comment.n!);
    keep(this.known, comment.id, { node, user: comment.u?.id ?? '' });
    const mode = comment.style?.mode;
    this.danmaku.emit({ mode: mode === 'top' || mode === 'bottom' ? mode : 'rtl', render: () => node });
  }
}

/** Remember it; the eldest of too many is forgotten. */
function keep<V>(map: Map<string, V>, id: string, value: V): void {
  map.set(id, value);
  if (map.size > KNOWN_MAX) map.delete(map.keys().next().value!);
}

/** Say by how many people. */
function grow(node: HTMLElement, n: number): void {
  let badge = node.querySelector('b');
  if (!badge) {
    badge = document.createElement('b');
    node.append(badge);
  }
  badge.textContent = `×${n}`;
}
