/**
 * Three ways to hear a room, with one face: a WebSocket, server-sent events, frames as files.
 *
 * The last two are for networks that swallow upgrades, or streams; what is said goes over HTTP then, one POST a message.
 */

import type { Codec } from './codec';
import type { Ack, ClientMessage, ErrorMessage, Frame, ServerMessage, Welcome } from './protocol';

export type TransportName = 'websocket' | 'sse' | 'files';

/** The part of the standard WebSocket that is used. */
export interface WebSocketLike {
  binaryType: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}
export type WebSocketMaker = new (url: string, protocols: string[]) => WebSocketLike;
export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

/** What a transport tells. `closed` comes once; `status` is an HTTP status where one spoke. */
export interface Ears {
  connected(): void;
  message(message: ServerMessage): void;
  alive(): void;
  closed(code: number, status?: number, retryAfter_ms?: number): void;
}

export interface Transport {
  send(message: ClientMessage): void;
  /** End it; `closed` is not called any more. */
  close(): void;
}

/** Where the room is, who asks, and from where to go on. */
export interface Target {
  /** `https://host/v1/rooms/ROOM`, without a slash behind. */
  room: string;
  token: string | undefined;
  since: string | undefined;
}

// --- WebSocket -------------------------------------------------------------------------------------------------------

export function openWebSocket(maker: WebSocketMaker, codec: Codec, target: Target, ears: Ears): Transport {
  const url = `${target.room.replace(/^http/, 'ws')}/ws${target.since ? `?since=${encodeURIComponent(target.since)}` : ''}`;
  const protocols = [codec.subprotocol, ...(target.token ? [`livecast.token.${target.token}`] : [])];
  const socket = new maker(url, protocols);
  socket.binaryType = 'arraybuffer';
  let over = false;
  const end = (code: number) => {
    if (over) return;
    over = true;
    ears.closed(code);
  };
  socket.onopen = () => !over && ears.connected();
  socket.onmessage = ({ data }: { data: string | ArrayBuffer }) => {
    if (over) return;
    let message: ServerMessage;
    try {
      message = codec.decode(data);
    } catch {
      socket.close();
      end(1007); // whatever speaks there, it is not livecast
      return;
    }
    ears.message(message);
  };
  socket.onclose = ({ code }: { code: number }) => end(code === 1005 ? 1006 : code);
  socket.onerror = () => undefined; // a close follows
  return {
    send: (message) => socket.send(codec.encode(message)),
    close: () => {
      over = true;
      socket.close(1000);
    },
  };
}

// --- Saying things over HTTP -----------------------------------------------------------------------------------------

const headers = (token: string | undefined): Record<string, string> => (token ? { authorization: `Bearer ${token}` } : {});

const retryAfter = (response: Response): number => Number(response.headers.get('retry-after') ?? 0) * 1000 || 0;

/** POST one message; its ack or problem comes back as the message that a socket would have brought. */
async function post(fetch: Fetch, target: Target, message: ClientMessage, ears: Ears): Promise<void> {
  if (message.t === 'ping' || message.t === 'auth') return; // of sockets only
  try {
    const response = await fetch(`${target.room}/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers(target.token) },
      body: JSON.stringify(message),
    });
    const body = (await response.json()) as Record<string, never> & { code?: string; detail?: string; title?: string };
    if (!message.cid) return;
    if (response.ok) {
      ears.message({ ...body, t: 'ack', cid: message.cid } as unknown as Ack);
    } else {
      const said: ErrorMessage = {
        ...body, t: 'error', cid: message.cid, code: body.code ?? 'unavailable', message: body.detail ?? body.title ?? '',
      };
      ears.message(said);
    }
  } catch {
    // No answer: the session asks again.
  }
}

/** A transport whose listening part is `listen`, cancelled by its signal. */
function overHttp(fetch: Fetch, target: Target, ears: Ears, listen: (signal: AbortSignal) => Promise<void>): Transport {
  const abort = new AbortController();
  const heard: Ears = {
    connected: () => abort.signal.aborted || ears.connected(),
    message: (message) => abort.signal.aborted || ears.message(message),
    alive: () => abort.signal.aborted || ears.alive(),
    closed: (...how) => abort.signal.aborted || ears.closed(...how),
  };
  listen(abort.signal).then(
    () => heard.closed(1006),
    (error: unknown) => (error instanceof Status ? heard.closed(1006, error.status, error.retryAfter_ms) : heard.closed(1006)),
  );
  return { send: (message) => void post(fetch, target, message, heard), close: () => abort.abort() };
}

class Status extends Error {
  constructor(readonly status: number, readonly retryAfter_ms: number) {
    super(`HTTP ${status}`);
  }
}

// --- Server-sent events ----------------------------------------------------------------------------------------------

/** Text of an event stream to the data of its events (WHATWG HTML, 9.2). Comments give an empty string: a sign of life. */
export class EventParser {
  private rest = '';
  private data: string[] = [];

  feed(text: string): string[] {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop()!;
    const done: string[] = [];
    for (const line of lines) {
      if (line === '' && this.data.length) {
        done.push(this.data.join('\n'));
        this.data = [];
      } else if (line.startsWith('data:')) {
        this.data.push(line.slice(line[5] === ' ' ? 6 : 5));
      } else if (line.startsWith(':')) {
        done.push('');
      }
    }
    return done;
  }
}

export function openEvents(fetch: Fetch, target: Target, ears: Ears): Transport {
  return overHttp(fetch, target, ears, async (signal) => {
    const url = `${target.room}/events${target.since ? `?since=${encodeURIComponent(target.since)}` : ''}`;
    const response = await fetch(url, { headers: { accept: 'text/event-stream', ...headers(target.token) }, signal, cache: 'no-store' });
    if (response.status !== 200) throw new Status(response.status, retryAfter(response));
    if (!response.body) throw new TypeError('this fetch has no streams');
    ears.connected();
    const reader = response.body.getReader();
    const text = new TextDecoder();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const data of parser.feed(text.decode(value, { stream: true }))) {
        if (signal.aborted) return;
        if (data) ears.message(JSON.parse(data) as ServerMessage);
        else ears.alive();
      }
    }
  });
}

// --- Frames as files -------------------------------------------------------------------------------------------------

export function openFiles(fetch: Fetch, target: Target, ears: Ears): Transport {
  return overHttp(fetch, target, ears, async (signal) => {
    const get = async (path: string) => fetch(`${target.room}/${path}`, { headers: headers(target.token), signal });
    let connected = false;
    for (;;) {
      const response = await get('snapshot');
      if (response.status !== 200) throw new Status(response.status, retryAfter(response));
      const snapshot = (await response.json()) as Welcome;
      if (!connected) ears.connected();
      connected = true;
      ears.message({ ...snapshot, t: 'welcome', reason: snapshot.reason ?? 'joined', recovered: false });
      for (let seq = snapshot.seq + 1; ; seq++) {
        const found = await next(get, snapshot.epoch, seq, ears);
        if (found === null) break; // aged out, or another epoch: begin anew
        if (signal.aborted) return;
        ears.message(found);
      }
    }
  });
}

/** The frame `seq`, however long it takes to be made; null if it will not be had any more. */
async function next(get: (path: string) => Promise<Response>, epoch: string, seq: number, ears: Ears): Promise<Frame | null> {
  for (;;) {
    const response = await get(`frames/${epoch}/${seq}.json`);
    if (response.status === 200) return (await response.json()) as Frame;
    if (response.status === 410) return null;
    if (response.status !== 404) throw new Status(response.status, retryAfter(response));
    const head = await get('frames/head'); // not made yet, or never: the epoch tells
    if (head.status !== 200) throw new Status(head.status, retryAfter(head));
    const now = (await head.json()) as { epoch: string; seq: number };
    if (now.epoch !== epoch || now.seq < seq - 1) return null;
    ears.alive();
    await new Promise((done) => setTimeout(done, 1000)); // the 404 may be cached for a second
  }
}
