import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LivecastClient } from '../src/client';
import type { Connection, Options, OwnComment } from '../src/options';
import { GaveUp } from '../src/session';
import { FakeSocket, YOU, frame } from './room';

const client = (more: Partial<Options> = {}) =>
  new LivecastClient({ url: 'http://h', room: 'r', codec: 'json', WebSocket: FakeSocket, chance: () => 0.5, transports: ['websocket'], ...more }).connect();

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});
afterEach(() => vi.useRealTimers());

describe('being connected', () => {
  test('offers its codec and its token, and resumes where it was', async () => {
    const live = client({ token: 'jwt' });
    expect(FakeSocket.last).toMatchObject({ url: 'ws://h/v1/rooms/r/ws', protocols: ['livecast.v1.json', 'livecast.token.jwt'] });
    FakeSocket.last.accept({ seq: 4 }).say(frame(5, { likes: { delta: 3, total: 3 } }));
    expect([live.view.state.likes, live.since, live.connection.state]).toEqual([3, 'e:5', 'open']);
    FakeSocket.last.end();
    expect(live.connection.state).toBe('waiting');
    await vi.advanceTimersByTimeAsync(1501);
    expect(FakeSocket.last.url).toBe('ws://h/v1/rooms/r/ws?since=e%3A5');
    FakeSocket.last.accept({ seq: 5, recovered: true }).say(frame(6));
    expect([live.since, FakeSocket.all.length]).toEqual(['e:6', 2]);
  });

  test('a recovered welcome keeps the comments that are known', async () => {
    const live = client();
    FakeSocket.last.accept({ recent: [{ id: 'c1' }] });
    FakeSocket.last.end();
    await vi.advanceTimersByTimeAsync(3000);
    FakeSocket.last.accept({ seq: 0, recovered: true }).say(frame(1, { comments: [{ id: 'c2' }] }));
    expect(live.view.recent.map((c) => c.id)).toEqual(['c1', 'c2']);
  });

  test('a hole is never passed over: the connection is made anew', async () => {
    const live = client();
    const seen: number[] = [];
    live.on('frame', (f) => seen.push(f.seq));
    FakeSocket.last.accept().say(frame(1)).say(frame(1)).say(frame(3));
    expect(FakeSocket.last.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.last.url).toContain('since=e%3A1');
    FakeSocket.last.accept({ seq: 1, recovered: true }).say(frame(2)).say(frame(3));
    expect(seen).toEqual([1, 2, 3]);
  });

  test('silence is broken by a ping and then taken as the end', async () => {
    client();
    FakeSocket.last.accept();
    await vi.advanceTimersByTimeAsync(39_000);
    expect(FakeSocket.last.of('ping').filter((m) => !m.cid)).toEqual([]);
    await vi.advanceTimersByTimeAsync(1100);
    expect(FakeSocket.last.of('ping').filter((m) => !m.cid)).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(10_001);
    expect(FakeSocket.all.length).toBeGreaterThan(1);
  });

  test('a handshake that never ends is given up', async () => {
    client();
    await vi.advanceTimersByTimeAsync(12_000);
    expect(FakeSocket.all.length).toBe(2);
  });

  test('a pong that is ahead for long means lost frames', async () => {
    client();
    FakeSocket.last.accept().say({ t: 'pong', now: 1, epoch: 'e', seq: 9 });
    await vi.advanceTimersByTimeAsync(1900);
    expect(FakeSocket.all.length).toBe(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(FakeSocket.all.length).toBe(2);
  });

  test.each([4003, 4010, 4404])('after %i it stays away, and nobody waits any longer', async (code) => {
    const live = client();
    FakeSocket.last.accept();
    const waiting = expect(live.claim('d')).rejects.toThrow('closed');
    FakeSocket.last.say({ t: 'bye', code, reason: 'no', reconnect: false, retry_after_ms: 0 });
    FakeSocket.last.end(code);
    await waiting;
    await vi.advanceTimersByTimeAsync(120_000);
    expect([live.connection.state, live.connection.code, FakeSocket.all.length]).toEqual(['closed', code, 1]);
  });

  test('pause lets go, resume comes back where it was', async () => {
    const live = client();
    FakeSocket.last.accept({ seq: 7 });
    live.pause();
    expect([live.connection.state, FakeSocket.last.closed]).toEqual(['paused', true]);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(FakeSocket.all.length).toBe(1);
    live.resume();
    expect(FakeSocket.last.url).toContain('since=e%3A7');
  });

  test('resume while waiting does not wait', () => {
    const live = client();
    FakeSocket.last.end();
    live.resume();
    expect(FakeSocket.all.length).toBe(2);
  });
});

describe('tokens', () => {
  test('are renewed on the live socket before they end', async () => {
    let n = 0;
    const live = client({ getToken: () => Promise.resolve(`jwt${++n}`) });
    await vi.advanceTimersByTimeAsync(0);
    FakeSocket.last.accept({ you: { ...YOU, expires_at: 1_000_000 + 400_000 } });
    for (let at = 0; at < 339_000; at += 30_000) {
      expect(FakeSocket.last.of('auth')).toEqual([]);
      FakeSocket.last.say({ t: 'pong', now: 0, epoch: 'e', seq: 0 }); // the server is there
      await vi.advanceTimersByTimeAsync(30_000);
    }
    const [auth] = FakeSocket.last.of('auth');
    expect(auth).toMatchObject({ token: 'jwt2' });
    FakeSocket.last.say({ t: 'ack', cid: auth!.cid, verdict: 'ok', you: { ...YOU, expires_at: 1_000_000 + 9_000_000 } });
    expect(live.you?.expires_at).toBe(10_000_000);
  });

  test('an expired one is replaced at once', async () => {
    let n = 0;
    client({ getToken: () => `jwt${++n}` });
    await vi.advanceTimersByTimeAsync(0);
    FakeSocket.last.accept();
    FakeSocket.last.end(4001);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.last.protocols).toContain('livecast.token.jwt2');
  });
});

describe('what is asked', () => {
  test('a claim is repeated under its cid over connections until it is answered', async () => {
    const live = client();
    FakeSocket.last.accept();
    const claim = live.claim('d1');
    const { cid } = FakeSocket.last.of('claim')[0]!;
    FakeSocket.last.say({ t: 'error', cid, code: 'unavailable', message: '', retry_after_ms: 400 });
    await vi.advanceTimersByTimeAsync(500);
    expect(FakeSocket.last.of('claim')).toHaveLength(2);
    FakeSocket.last.end();
    await vi.advanceTimersByTimeAsync(3000);
    FakeSocket.last.accept();
    expect(FakeSocket.last.of('claim')).toEqual([{ t: 'claim', drop: 'd1', cid }]);
    FakeSocket.last.say({ t: 'ack', cid, verdict: 'won', serial: 3, of: 9, code: 'ABC' });
    expect(await claim).toMatchObject({ ok: true, verdict: 'won', ack: { serial: 3 } });
    expect(live.waiting).toBe(0);
  });

  test('a refusal is an answer', async () => {
    const live = client();
    FakeSocket.last.accept();
    const gift = live.gift('rose', 2);
    FakeSocket.last.say({ t: 'error', cid: FakeSocket.last.of('gift')[0]!.cid, code: 'insufficient_funds', message: '' });
    expect(await gift).toMatchObject({ ok: false, verdict: 'insufficient_funds' });
  });

  test('without an answer in time the outcome is unknown', async () => {
    const live = client();
    const own: OwnComment[] = [];
    live.on('own', (o) => own.push(o));
    FakeSocket.last.accept();
    const said = expect(live.comment('hi', { timeout_ms: 6000 })).rejects.toBeInstanceOf(GaveUp);
    await vi.advanceTimersByTimeAsync(6001);
    await said;
    expect(FakeSocket.last.of('comment')).toHaveLength(2);
    expect(own.map((o) => o.state)).toEqual(['sending', 'unknown']);
  });

  test('own comments are there at once and learn their fate', async () => {
    const live = client();
    const own: OwnComment[] = [];
    live.on('own', (o) => own.push(o));
    FakeSocket.last.accept();
    const said = live.comment('hi', { reply_to: 'c7' });
    const { cid, reply_to } = FakeSocket.last.of('comment')[0]! as { cid: string; reply_to: string };
    FakeSocket.last.say({ t: 'ack', cid, verdict: 'merged', id: 'c9', seq: 1 });
    await said;
    expect(reply_to).toBe('c7');
    expect(own).toMatchObject([{ cid, text: 'hi', state: 'sending' }, { cid, state: 'merged', id: 'c9' }]);
  });

  test('taps are collected and sent in hundreds', async () => {
    const live = client();
    FakeSocket.last.accept();
    for (let i = 0; i < 130; i++) live.like();
    expect(FakeSocket.last.of('like')).toEqual([]);
    await vi.advanceTimersByTimeAsync(251);
    expect(FakeSocket.last.of('like')).toEqual([{ t: 'like', n: 100 }, { t: 'like', n: 30 }]);
  });
});

describe('time', () => {
  test('the clock is the server’s, whatever this machine believes', async () => {
    const live = client();
    FakeSocket.last.accept({ now: 5_000_000 });
    expect(live.now()).toBeCloseTo(5_000_000, -1);
    await vi.advanceTimersByTimeAsync(200); // the answer to the first ping took so long
    FakeSocket.last.say({ t: 'pong', cid: 'clock', now: 5_000_150, epoch: 'e', seq: 0 });
    expect(live.now()).toBeCloseTo(5_000_250, -1);
    vi.setSystemTime(0);
    expect(live.now()).toBeCloseTo(5_000_250, -1);
  });

  test('frames are held back by the delay of the player', async () => {
    const live = client();
    const seen: number[] = [];
    live.on('frame', (f) => seen.push(f.seq));
    FakeSocket.last.accept({ now: 1_000_000 });
    live.setPlaybackDelay(3000);
    FakeSocket.last.say(frame(1, { ts: 1_000_000 })).say(frame(2, { ts: 1_001_000 }));
    expect([seen, live.view.seq, live.since]).toEqual([[], 0, 'e:2']);
    await vi.advanceTimersByTimeAsync(3001);
    expect(seen).toEqual([1]);
    live.setPlaybackDelay(0);
    expect(seen).toEqual([1, 2]);
  });
});

describe('other ways', () => {
  const stream = (...texts: string[]) =>
    new Response(new ReadableStream({ start: (c) => texts.forEach((t) => c.enqueue(new TextEncoder().encode(t))) }), { status: 200 });
  const event = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

  test('where sockets do not get through, an event stream; what is said goes by POST', async () => {
    const asked: [string, RequestInit | undefined][] = [];
    const { welcome } = await import('./room');
    const fetch = async (url: string, init?: RequestInit) => {
      asked.push([url, init]);
      if (url.endsWith('/messages')) return Response.json({ verdict: 'shown', id: 'c1', seq: 2 });
      const text = event('welcome', welcome()) + ':\n\n' + event('frame', frame(1, { likes: { delta: 1, total: 1 } }));
      return stream(text.slice(0, 25), text.slice(25));
    };
    const live = client({ transports: ['websocket', 'sse', 'files'], fetch, token: 'jwt' });
    FakeSocket.last.end();
    await vi.advanceTimersByTimeAsync(3000);
    FakeSocket.last.end();
    await vi.advanceTimersByTimeAsync(3001);
    expect(live.connection).toMatchObject({ state: 'open', transport: 'sse' });
    expect(live.view.state.likes).toBe(1);
    expect(await live.comment('hi')).toMatchObject({ ok: true, verdict: 'shown' });
    expect(asked.map(([url]) => url)).toEqual(['http://h/v1/rooms/r/events', 'http://h/v1/rooms/r/messages']);
    expect(asked[1]![1]!.headers).toMatchObject({ authorization: 'Bearer jwt' });
  });

  test('a server that restarts does not drive anybody to another way', async () => {
    const live = client({ transports: ['websocket', 'sse'], fetch: () => Promise.reject(new Error('must not be asked')) });
    FakeSocket.last.accept();
    for (let i = 0; i < 5; i++) {
      FakeSocket.last.end();
      live.resume();
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(live.connection.transport).toBe('websocket');
  });

  test('and where streams do not get through either, files', async () => {
    const { welcome } = await import('./room');
    let made = 2;
    const fetch = async (url: string) => {
      if (url.endsWith('/events')) throw new TypeError('no streams here');
      if (url.endsWith('/snapshot')) return Response.json({ ...welcome(), t: undefined });
      if (url.endsWith('/frames/head')) return Response.json({ epoch: 'e', seq: made, tick_ms: 200 });
      const seq = Number(/(\d+)\.json$/.exec(url)![1]);
      return seq <= made ? Response.json(frame(seq)) : new Response('{}', { status: 404 });
    };
    const seen: number[] = [];
    const live = client({ transports: ['sse', 'files'], fetch });
    live.on('frame', (f) => seen.push(f.seq));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(live.connection).toMatchObject({ state: 'open', transport: 'files' });
    made = 3;
    await vi.advanceTimersByTimeAsync(1001);
    expect(seen).toEqual([1, 2, 3]);
    live.close();
  });
});

test('a listener that throws keeps nobody else from hearing', async () => {
  const live = client();
  const seen: Connection['state'][] = [];
  const loud = vi.fn();
  process.once('uncaughtException', loud);
  live.on('connection', () => {
    throw new Error('mine');
  });
  live.on('connection', (c) => seen.push(c.state));
  FakeSocket.last.accept();
  expect(seen).toEqual(['open']);
});
