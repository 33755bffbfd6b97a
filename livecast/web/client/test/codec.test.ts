import { describe, expect, test } from 'vitest';
import { CODECS, type CodecName } from '../src/codec';
import type { ClientMessage } from '../src/protocol';
import { vectors } from './vectors';

interface Row {
  name: string;
  message: { t: string };
  msgpack: string;
  json: string;
}

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
const names: CodecName[] = ['msgpack', 'json'];

describe.each(names)('%s', (name) => {
  const codec = CODECS[name];

  test.each(vectors<Row>('server'))('reads $name', (row) => {
    const data = bytes(row[name]);
    expect(codec.decode(name === 'json' ? Buffer.from(data).toString() : data)).toEqual(row.message);
  });

  test.each(vectors<Row>('client'))('says $name in the very bytes', (row) => {
    const said = codec.encode(row.message as ClientMessage);
    expect(Buffer.from(said as string).toString('hex')).toBe(row[name]);
  });

  test('what is undefined is absent', () => {
    const said = codec.encode({ t: 'comment', cid: 'c', text: 'a', reply_to: undefined });
    expect(codec.decode(said)).toEqual({ t: 'comment', cid: 'c', text: 'a' });
  });

  test.each(['[]', 'null', '{"a":1}', '{"t":1}'])('%s is no message', (json) => {
    const data = name === 'json' ? json : (CODECS.msgpack.encode as (v: unknown) => Uint8Array)(JSON.parse(json) ?? []);
    expect(() => codec.decode(data)).toThrow();
  });
});
