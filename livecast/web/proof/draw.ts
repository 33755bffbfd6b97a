/**
 * Recomputes a draw from its public file, by the steps of docs/protocol.md, Drops.
 *
 * Both this and the server's own check are held against `tests/core/money/vectors/draws.json`. Hashes are computed here and not by the
 * browser's `crypto.subtle`, which is not there on plain HTTP and takes a promise per hash; in slices, so that the page stays alive.
 */

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';

/** `GET …/drops/{drop}/draw`; all bytes in lower-case hex. */
export interface DrawFile {
  v: number;
  room: string;
  drop: string;
  units: number;
  commitment: string;
  seed: string;
  root: string;
  entrants: string[];
  winners: string[];
  passed?: string[];
  beacon?: string;
  digest: string;
}

/** Who checks, what they kept since before the draw, and where they found it. */
export interface Checker {
  room?: string;
  drop?: string;
  /** How many units were announced. */
  units?: number;
  /** As it was announced; null if nobody was here then. */
  commitment?: string | null;
  user?: string;
  nonce?: string | undefined;
}

export type StepName = 'about' | 'kept' | 'seed' | 'sorted' | 'root' | 'winners' | 'digest';

export interface Verdict {
  /** In the order in which they are checked; null: nothing to check it with. */
  steps: { name: StepName; ok: boolean | null }[];
  ok: boolean;
  /** What became of the checker's own leaf; undefined without a nonce. */
  mine?: 'won' | 'lost' | 'passed' | 'absent';
}

/** Hashes in one go: a few milliseconds. */
const SLICE = 1000;

/** What there is to say of a draw. */
export async function checkDraw(file: DrawFile, by: Checker = {}): Promise<Verdict> {
  const { entrants, winners, passed = [], beacon = '' } = file;
  const leaves = entrants.map((leaf) => hexToBytes(leaf));
  const seed = hexToBytes(file.seed);
  const root = await rootOf(leaves);
  const order = await inOrder(seed, root, hexToBytes(beacon), entrants, leaves);
  const about = [by.room === undefined || by.room === file.room, by.drop === undefined || by.drop === file.drop, by.units === undefined || by.units === file.units];
  const steps: Verdict['steps'] = [
    { name: 'about', ok: file.v === 1 && about.every(Boolean) },
    { name: 'kept', ok: by.commitment ? by.commitment === file.commitment : null },
    { name: 'seed', ok: bytesToHex(sha256(seed)) === file.commitment },
    { name: 'sorted', ok: entrants.every((leaf, i) => i === 0 || entrants[i - 1]! < leaf) },
    { name: 'root', ok: bytesToHex(root) === file.root },
    { name: 'winners', ok: winnersFollow(order, file.units, winners, passed) },
    { name: 'digest', ok: digestOf(file) === file.digest },
  ];
  const verdict: Verdict = { steps, ok: steps.every((step) => step.ok !== false) };
  if (by.nonce && by.user) {
    const leaf = bytesToHex(hmac(sha256, utf8ToBytes(by.nonce), utf8ToBytes(by.user)));
    verdict.mine = !entrants.includes(leaf) ? 'absent' : winners.includes(leaf) ? 'won' : passed.includes(leaf) ? 'passed' : 'lost';
  }
  return verdict;
}

/** The root of the tree of RFC 6962, 2.1; the last of an odd number goes up as it is. */
async function rootOf(leaves: Uint8Array[]): Promise<Uint8Array> {
  if (!leaves.length) return sha256(new Uint8Array());
  let level = await sliced(leaves, (leaf) => sha256(concatBytes(Uint8Array.of(0), leaf)));
  while (level.length > 1) {
    const pairs = Array.from({ length: Math.ceil(level.length / 2) }, (_, i) => i * 2);
    const below = level;
    level = await sliced(pairs, (i) => (i + 1 < below.length ? sha256(concatBytes(Uint8Array.of(1), below[i]!, below[i + 1]!)) : below[i]!));
  }
  return level[0]!;
}

async function inOrder(seed: Uint8Array, root: Uint8Array, beacon: Uint8Array, entrants: string[], leaves: Uint8Array[]): Promise<string[]> {
  const lots = await sliced(leaves, (leaf) => bytesToHex(hmac(sha256, seed, concatBytes(root, beacon, leaf))));
  return lots
    .map((lot, i) => ({ lot, leaf: entrants[i]! }))
    .sort((a, b) => (a.lot < b.lot ? -1 : 1))
    .map(({ leaf }) => leaf);
}

/** Down the order: each is the next winner or the next who was passed over, until the units are gone; and both lists end there. */
function winnersFollow(order: string[], units: number, winners: string[], passed: string[]): boolean {
  const over = new Set(passed);
  const won: string[] = [];
  const skipped: string[] = [];
  for (const leaf of order) {
    if (won.length === units) break;
    (over.has(leaf) ? skipped : won).push(leaf);
  }
  return same(won, winners) && same(skipped, passed);
}

const same = (a: string[], b: string[]): boolean => a.length === b.length && a.every((one, i) => one === b[i]);

function digestOf({ v, room, drop, units, commitment, seed, root, beacon = '', entrants, winners, passed = [] }: DrawFile): string {
  const lines = [String(v), room, drop, String(units), commitment, seed, root, beacon, 'entrants', ...entrants, 'winners', ...winners, 'passed', ...passed];
  return bytesToHex(sha256(utf8ToBytes(lines.map((line) => `${line}\n`).join(''))));
}

/** Like `map`, with a breath now and then. */
async function sliced<In, Out>(all: In[], make: (one: In) => Out): Promise<Out[]> {
  const out: Out[] = [];
  for (let at = 0; at < all.length; at += SLICE) {
    if (at) await new Promise((done) => setTimeout(done, 0));
    for (const one of all.slice(at, at + SLICE)) out.push(make(one));
  }
  return out;
}
