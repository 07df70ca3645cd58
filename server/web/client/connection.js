/** What the server can refuse, in its own words: `code`, `message`, `field`, `retryable`. */
export class PresenceError extends Error {
  constructor({ code, message, field, retryable = false }) {
    super(message);
    this.name = 'PresenceError';
    this.code = code;
    this.field = field;
    this.retryable = retryable;
  }
}

const failure = (code, message, retryable) => ({ ok: false, error: { code, message, retryable } });

/**
 * Sends events and waits for their acks. The promise never rejects: it resolves to the server's ack, or to
 * `{ok: false, error}` of the same shape with code `timeout` or `disconnected`, both retryable.
 * Nothing is sent into a closed socket: socket.io would keep it and send it after the reconnect, out of its time.
 */
export function createRequests(socket, { ackTimeoutMs = 10_000, onTraffic } = {}, onSettled = () => {}) {
  const open = new Set();

  function send(event, payload) {
    if (!socket.connected) return Promise.resolve(failure('disconnected', 'no connection', true));
    const sentAt = Date.now();
    return new Promise((resolve) => {
      const settle = (answer) => {
        if (!open.delete(settle)) return;
        clearTimeout(timer);
        const { ok, error } = answer;
        onTraffic?.({ event, payload, ok, code: error?.code ?? null, at: sentAt, latencyMs: Date.now() - sentAt });
        resolve(answer);
        onSettled();
      };
      open.add(settle);
      const timer = setTimeout(() => settle(failure('timeout', `no answer to ${event}`, true)), ackTimeoutMs);
      socket.emit(event, payload, (answer) => {
        const sound = answer?.ok === true || typeof answer?.error?.code === 'string';
        settle(sound ? answer : failure('internal', `no sense in the answer to ${event}`, false));
      });
    });
  }

  /** Ends the wait for every open request: their acks died with the connection. */
  function failAll() {
    for (const settle of [...open]) settle(failure('disconnected', 'the connection closed', true));
  }

  return { send, failAll, open };
}

/** How long to wait before try `n` (from 0): 0.5 s doubling to 30 s, spread so that clients do not return as one. */
export function backoffMs(n, random = Math.random) {
  return Math.min(30_000, 500 * 2 ** Math.min(n, 10)) * (0.75 + random() / 2);
}

const FINAL = ['unauthorized', 'forbidden'];

/**
 * Opens again, while `wanted()`, the connections that socket.io leaves closed: those the server ended (`lost`), and
 * those it did not accept (`refused`), unless for good. Everything else socket.io retries by itself.
 */
export function keepConnected(socket, { schedule, random, wanted }) {
  let tries = 0;

  const connect = () => {
    if (!socket.connected && !socket.active) socket.connect();
  };
  const again = () => wanted() && schedule.in(connect, backoffMs(tries++, random));

  return {
    connect,
    made() {
      tries = 0;
    },
    lost(reason) {
      if (reason === 'io server disconnect') again();
    },
    /** Returns what was refused as an error, or null while socket.io tries on. */
    refused({ message }) {
      if (socket.active) return null;
      const final = FINAL.includes(message);
      if (!final) again();
      return { code: final ? message : 'unavailable', message: `connection refused: ${message}`, retryable: !final };
    },
    stop() {
      schedule.cancel(connect);
    },
  };
}
