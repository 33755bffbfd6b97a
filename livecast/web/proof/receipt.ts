/**
 * Checks a receipt: a JWS (RFC 7515) signed with EdDSA (RFC 8037) by a key of `/.well-known/jwks.json`.
 *
 * The browser's own Ed25519 checks the signature where there is one; elsewhere (plain HTTP, browsers before 2025) a library does,
 * which is loaded only then.
 */

/** What a receipt says. `iat` and `exp` are seconds. */
export interface Claims {
  iss: string;
  sub: string;
  aud: string;
  jti: string;
  iat: number;
  exp?: number;
  room: string;
  broadcast: string;
  drop: string;
  serial: number;
  of: number;
  sku?: string;
  code_hash?: string;
  test?: boolean;
}

export interface Jwks {
  keys: { kty?: string; crv?: string; x?: string; kid?: string }[];
}

/** `form` no receipt; `algorithm` not signed as receipts are; `key` by nobody known; `signature` changed or forged; `lapsed` its time is over. */
export type Fault = 'form' | 'algorithm' | 'key' | 'signature' | 'lapsed';

export interface Checked {
  fault: Fault | null;
  /** What it says, if its signature holds. */
  claims: Claims | null;
  /** Which Ed25519 checked it. */
  by?: 'browser' | 'library';
}

const ISSUER = 'livecast';
/** No receipt is longer. */
const CHARS_MAX = 8192;

/** Whether `token` is a receipt signed by one of `keys`, at `now` (Unix s). */
export async function checkReceipt(token: string, keys: Jwks, now: number, subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle): Promise<Checked> {
  const parts = token.split('.');
  const [header, claims] = [json(parts[0]), json(parts[1])];
  const signature = bytes(parts[2]);
  if (token.length > CHARS_MAX || parts.length !== 3 || !header) return { fault: 'form', claims: null };
  if (header.alg !== 'EdDSA') return { fault: 'algorithm', claims: null };
  if (!claims || !signature) return { fault: 'form', claims: null };
  const key = keys.keys.find((one) => one.kid === header.kid && one.kty === 'OKP' && one.crv === 'Ed25519');
  const raw = key && bytes(key.x);
  if (raw?.length !== 32) return { fault: 'key', claims: null };
  const signed = new TextEncoder().encode(`${parts[0]}.${parts[1]}`);
  const { ok, by } = await verify(signature, signed, raw, subtle);
  if (!ok) return { fault: 'signature', claims: null, by };
  if (!isReceipt(claims)) return { fault: 'form', claims: null, by };
  return { fault: claims.exp !== undefined && claims.exp <= now ? 'lapsed' : null, claims, by };
}

/** Whether a code goes with a receipt: as it was handed out, or as a person typed it. */
export async function codeFits(code: string, claims: Claims): Promise<boolean> {
  const { sha256 } = await import('@noble/hashes/sha2.js');
  const { bytesToHex, utf8ToBytes } = await import('@noble/hashes/utils.js');
  return [code, code.trim(), asMeant(code)].some((one) => bytesToHex(sha256(utf8ToBytes(one))) === claims.code_hash);
}

/** A generated code as a person typed it, as it was written: Crockford's base 32, in fours. */
function asMeant(typed: string): string {
  const plain = typed.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1');
  return plain.match(/.{1,4}/g)?.join('-') ?? '';
}

type Bytes = Uint8Array<ArrayBuffer>;

async function verify(signature: Bytes, signed: Bytes, raw: Bytes, subtle: SubtleCrypto | undefined): Promise<{ ok: boolean; by: 'browser' | 'library' }> {
  if (subtle) {
    try {
      const key = await subtle.importKey('raw', raw, { name: 'Ed25519' }, false, ['verify']);
      return { ok: await subtle.verify({ name: 'Ed25519' }, key, signature, signed), by: 'browser' };
    } catch {
      // this browser has no Ed25519
    }
  }
  const [ed, { sha512 }] = await Promise.all([import('@noble/ed25519'), import('@noble/hashes/sha2.js')]);
  ed.hashes.sha512 = sha512;
  try {
    return { ok: ed.verify(signature, signed, raw), by: 'library' };
  } catch {
    return { ok: false, by: 'library' }; // no signature, or no point of the curve
  }
}

function isReceipt(claims: Record<string, unknown>): claims is Record<string, unknown> & Claims {
  const texts = ['iss', 'sub', 'aud', 'jti', 'room', 'broadcast', 'drop'].every((name) => typeof claims[name] === 'string');
  const numbers = ['iat', 'serial', 'of'].every((name) => Number.isSafeInteger(claims[name]));
  const exp = claims.exp === undefined || Number.isSafeInteger(claims.exp);
  return texts && numbers && exp && claims.iss === ISSUER;
}

/** base64url, strictly: no padding, no other letters. */
function bytes(text: string | undefined): Bytes | null {
  if (!text || !/^[A-Za-z0-9_-]+$/.test(text)) return null;
  try {
    return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
}

function json(text: string | undefined): Record<string, unknown> | null {
  const found = bytes(text);
  if (!found) return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(found));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
