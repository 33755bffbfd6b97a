import { readFileSync } from 'node:fs';

/** The rows of one of the files that every implementation of the protocol is held against. */
export const vectors = <Row>(name: string): Row[] =>
  JSON.parse(readFileSync(new URL(`../../../../tests/wire/vectors/${name}.json`, import.meta.url), 'utf8')) as Row[];
