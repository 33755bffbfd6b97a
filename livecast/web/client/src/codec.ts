/** Messages as bytes: MessagePack in binary messages, or JSON in text messages. */

import { decode, encode } from '@msgpack/msgpack';
import type { ClientMessage, ServerMessage } from './protocol';

export type CodecName = 'msgpack' | 'json';

export interface Codec {
  readonly name: CodecName;
  /** What is offered in the WebSocket handshake. */
  readonly subprotocol: string;
  encode(message: ClientMessage): string | Uint8Array<ArrayBuffer>;
  /** Throws if the data is no message. */
  decode(data: string | ArrayBuffer | Uint8Array): ServerMessage;
}

/** A key that is undefined is absent: neither codec may write it. */
const given = (message: ClientMessage): ClientMessage =>
  Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined)) as ClientMessage;

const message = (value: unknown): ServerMessage => {
  if (typeof value !== 'object' || value === null || typeof (value as { t?: unknown }).t !== 'string') {
    throw new TypeError('not a message');
  }
  return value as ServerMessage;
};

export const JSON_CODEC: Codec = {
  name: 'json',
  subprotocol: 'livecast.v1.json',
  encode: (said) => JSON.stringify(given(said)),
  decode: (data) => message(JSON.parse(typeof data === 'string' ? data : new TextDecoder().decode(data))),
};

export const MSGPACK_CODEC: Codec = {
  name: 'msgpack',
  subprotocol: 'livecast.v1.msgpack',
  encode: (said) => encode(given(said)),
  decode: (data) => {
    if (typeof data === 'string') throw new TypeError('text on the MessagePack codec');
    return message(decode(data));
  },
};

export const CODECS: Record<CodecName, Codec> = { json: JSON_CODEC, msgpack: MSGPACK_CODEC };
