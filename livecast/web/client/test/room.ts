/** A room at the other end: sockets that a test opens, speaks on and closes. */

import type { Frame, ServerMessage, Welcome, You } from '../src/protocol';
import type { WebSocketLike } from '../src/transport';

export const YOU: You = { id: 'ann', name: 'Ann', role: 'viewer', anonymous: false, can: ['comment', 'like', 'gift', 'claim', 'vote'] };

export const welcome = (more: Partial<Welcome> = {}): Welcome => ({
  t: 'welcome', v: 1, room: 'r', reason: 'joined', you: YOU, epoch: 'e', seq: 0, recovered: false,
  state: { likes: 0 } as never, recent: [], policy: { keepalive_ms: 40_000, tick_ms: 200 } as never, now: 1_000_000, ...more,
});

export const frame = (seq: number, more: Partial<Frame> = {}): Frame => ({ t: 'frame', epoch: 'e', seq, ts: 1_000_000, ...more });

export class FakeSocket implements WebSocketLike {
  static all: FakeSocket[] = [];
  binaryType = '';
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  said: Record<string, unknown>[] = [];
  closed = false;

  constructor(readonly url: string, readonly protocols: string[]) {
    FakeSocket.all.push(this);
  }

  static get last(): FakeSocket {
    return FakeSocket.all.at(-1)!;
  }

  send(data: string | Uint8Array): void {
    this.said.push(JSON.parse(data as string) as Record<string, unknown>);
  }

  close(): void {
    this.closed = true;
  }

  // --- what the server does ---
  accept(more: Partial<Welcome> = {}): this {
    this.onopen?.({} as never);
    return this.say(welcome(more));
  }

  say(message: ServerMessage | Record<string, unknown>): this {
    this.onmessage?.({ data: JSON.stringify(message) } as never);
    return this;
  }

  end(code = 1006): void {
    this.onclose?.({ code } as never);
  }

  of(t: string): Record<string, unknown>[] {
    return this.said.filter((m) => m.t === t);
  }
}
