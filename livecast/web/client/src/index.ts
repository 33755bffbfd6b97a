/** The livecast client: one viewer in one room. See README.md. */

export { LivecastClient } from './client';
export { Refused, newCid } from './options';
export type { AskOptions, Connection, Events, Options, OwnComment } from './options';
export type { CodecName } from './codec';
export { CODECS } from './codec';
export type * from './protocol';
export { seenAs } from './protocol';
export { Closed, GaveUp } from './session';
export type { Answer } from './session';
export type { Fetch, TransportName, WebSocketLike, WebSocketMaker } from './transport';
export { RoomView, merge } from './view';
