/** The part of a `socket.io-client` socket that is used. */
export interface SocketLike {
  readonly connected: boolean;
  readonly active: boolean;
  connect(): unknown;
  /** Closed as the page goes into the back-forward cache. */
  readonly io?: { readonly engine?: { close(): unknown } };
  on(event: string, listener: (...args: any[]) => void): unknown;
  off(event: string, listener: (...args: any[]) => void): unknown;
  emit(event: string, ...args: any[]): unknown;
}

export type ErrorCode =
  | 'invalid_input' | 'unauthorized' | 'forbidden' | 'not_in_room' | 'room_full' | 'rate_limited' | 'too_large'
  | 'not_found' | 'unavailable' | 'internal'
  // Of this side: no answer in time, no connection, left before the join was answered.
  | 'timeout' | 'disconnected' | 'left';

export interface Failure {
  code: ErrorCode;
  message: string;
  field?: string;
  retryable?: boolean;
}

export type Ack<T = Record<string, unknown>> = ({ ok: true } & T) | { ok: false; error: Failure };

export class PresenceError extends Error {
  constructor(failure: Failure);
  code: ErrorCode;
  field?: string;
  retryable: boolean;
}

/** One request and its answer, for a debug panel. */
export interface Traffic {
  event: string;
  payload: unknown;
  ok: boolean;
  code: ErrorCode | null;
  /** Milliseconds since the epoch when it was sent. */
  at: number;
  latencyMs: number;
}
