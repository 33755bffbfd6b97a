/** The control plane, asked with the token or key of whoever looks at the page. */

/** A refusal: an RFC 9457 problem. */
export class Problem extends Error {
  override readonly name = 'Problem';
  constructor(readonly status: number, readonly code: string, readonly detail: string, readonly errors: { pointer: string; detail: string }[]) {
    super(detail || code);
  }
}

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

/** Asked again so often while the service is busy: a POST with the same key is never done twice. */
const TRIES = 3;
const PAUSE_MS = 700;

export class Api {
  constructor(private readonly room: string, private readonly token: string) {}

  get<T>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  /** `path` belongs to the room, or begins with a slash. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    return (await (await this.ask(method, path, body)).json()) as T;
  }

  /** Have the browser keep the answer as a file. */
  async download(path: string, name: string): Promise<void> {
    const file = URL.createObjectURL(await (await this.ask('GET', path)).blob());
    const link = document.createElement('a');
    link.href = file;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(file), 60_000);
  }

  private async ask(method: string, path: string, body?: unknown): Promise<Response> {
    const url = path.startsWith('/') ? path : `/v1/rooms/${encodeURIComponent(this.room)}${path && `/${path}`}`;
    const headers: Record<string, string> = { authorization: `Bearer ${this.token}` };
    if (method === 'POST' || method === 'PATCH') headers['idempotency-key'] = crypto.getRandomValues(new Uint32Array(4)).join('-');
    if (typeof body === 'string') headers['content-type'] = 'text/plain; charset=utf-8';
    else if (body !== undefined) headers['content-type'] = 'application/json';
    const init: RequestInit = { method, headers, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }) };
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(url, init).catch(() => null);
      if (response?.ok) return response;
      if ((response === null || response.status === 503) && attempt < TRIES) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt));
        continue;
      }
      if (response === null) throw new Problem(0, 'offline', '', []);
      const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
      throw new Problem(response.status, problem.code ?? 'internal', problem.detail ?? '', problem.errors ?? []);
    }
  }
}

/** A user's or thing's id as part of a path. */
export const part = encodeURIComponent;
