import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Api, Problem } from '../api';

/** What a test lets the server say, in turn; the last one again and again. */
interface Said { status: number; body?: unknown }
interface Heard { line: string; headers: IncomingMessage['headers']; body: string }

describe('the control plane from a page', () => {
  const heard: Heard[] = [];
  let says: Said[] = [];
  let server: Server;
  const api = new Api('r 1', 'lck_x_y');

  beforeEach(async () => {
    heard.length = 0;
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (part: Buffer) => (body += part.toString()));
      request.on('end', () => {
        heard.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
        const { status, body: answer = {} } = says.length > 1 ? says.shift()! : says[0]!;
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      });
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const plain = globalThis.fetch;
    vi.stubGlobal('fetch', (path: string, init: RequestInit) => plain(`http://127.0.0.1:${port}${path}`, init)); // a page's own origin
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    server.close();
    server.closeAllConnections();
  });

  test('paths are the room\'s, or begin with a slash; the token goes along', async () => {
    says = [{ status: 200, body: { ok: 1 } }];
    expect(await api.get('drops')).toEqual({ ok: 1 });
    await api.get('');
    await api.get('/v1/caller');
    expect(heard.map(({ line }) => line)).toEqual(['GET /v1/rooms/r%201/drops', 'GET /v1/rooms/r%201', 'GET /v1/caller']);
    expect(heard[0]!.headers.authorization).toBe('Bearer lck_x_y');
    expect(heard[0]!.headers['idempotency-key']).toBeUndefined();
  });

  test('while the service is busy it is asked again, under the same key, so that nothing is done twice', async () => {
    says = [{ status: 503 }, { status: 503 }, { status: 201, body: { id: 'd' } }];
    expect(await api.call('POST', 'drops', { title: 'x' })).toEqual({ id: 'd' });
    expect(heard.map(({ body }) => body)).toEqual(Array(3).fill('{"title":"x"}'));
    const keys = new Set(heard.map(({ headers }) => headers['idempotency-key']));
    expect(keys.size).toBe(1);
    expect([...keys][0]).toMatch(/^\d+(-\d+){3}$/);
    await api.call('POST', 'drops', { title: 'x' });
    expect(heard.at(-1)!.headers['idempotency-key']).not.toBe([...keys][0]);
  });

  test('after three times it is a refusal', async () => {
    says = [{ status: 503, body: { code: 'unavailable', detail: 'not now' } }];
    await expect(api.get('drops')).rejects.toMatchObject({ status: 503, code: 'unavailable', detail: 'not now' });
    expect(heard.length).toBe(3);
  });

  test('a refusal says why, and is not tried again', async () => {
    says = [{ status: 422, body: { code: 'invalid', detail: 'no', errors: [{ pointer: '/stock', detail: 'too many' }] } }];
    const why = await api.call('PATCH', 'drops/d', { stock: -1 }).catch((problem: unknown) => problem);
    expect(why).toBeInstanceOf(Problem);
    expect(why).toMatchObject({ status: 422, code: 'invalid', errors: [{ pointer: '/stock', detail: 'too many' }] });
    expect(heard.length).toBe(1);
  });

  test('text goes as text', async () => {
    says = [{ status: 200 }];
    await api.call('PUT', 'drops/d/codes', 'A\nB\n');
    expect(heard[0]).toMatchObject({ body: 'A\nB\n' });
    expect(heard[0]!.headers['content-type']).toContain('text/plain');
  });

  test('where nobody answers one is offline', async () => {
    server.close();
    server.closeAllConnections();
    await expect(api.get('drops')).rejects.toMatchObject({ status: 0, code: 'offline' });
  });
});
