/** Having something done, saying how it went, and the way back. */

import { Problem, type Api } from '../shared/api';
import { t, tOr } from './words';

export interface Toast {
  id: number;
  text: string;
  bad: boolean;
  undo: (() => Promise<unknown>) | null;
}

const TOAST_MS = 5000;
/** An undo is offered so long. */
const UNDO_MS = 12_000;
/** Messages at once. */
const TOASTS_MAX = 4;

export class Acts {
  toasts: Toast[] = [];
  private lastId = 0;

  constructor(private readonly api: Api, private readonly changed: () => void) {}

  /** Have it done and say so; what went wrong is said too, and false. */
  async act(method: string, path: string, body: unknown, done: string, undo: (() => Promise<unknown>) | null = null): Promise<boolean> {
    try {
      await this.api.call(method, path, body);
      if (done) this.say(done, false, undo);
      return true;
    } catch (why) {
      this.refused(why);
      return false;
    }
  }

  refused(why: unknown): void {
    if (why instanceof Problem) this.fail(why.code, why.errors[0]?.detail || why.detail);
    else throw why;
  }

  fail(code: string, detail = ''): void {
    const known = tOr(`e_${code}`, code);
    const plain = ['invalid', 'conflict', 'forbidden', 'not_found'].includes(code) && detail;
    this.say(t('failed', { why: plain ? `${known} (${detail})` : known }), true);
  }

  say(text: string, bad = false, undo: (() => Promise<unknown>) | null = null): void {
    const id = ++this.lastId;
    this.toasts = [...this.toasts.slice(1 - TOASTS_MAX), { id, text, bad, undo }];
    setTimeout(() => this.gone(id), undo ? UNDO_MS : TOAST_MS);
    this.changed();
  }

  /** Take the last thing back that can be, or the one of this message. */
  async undo(id?: number): Promise<void> {
    const toast = id === undefined ? this.toasts.findLast((one) => one.undo) : this.toasts.find((one) => one.id === id);
    if (!toast?.undo) return;
    this.gone(toast.id);
    try {
      await toast.undo();
      this.say(t('undone'));
    } catch (why) {
      this.refused(why);
    }
  }

  private gone(id: number): void {
    this.toasts = this.toasts.filter((one) => one.id !== id);
    this.changed();
  }
}
