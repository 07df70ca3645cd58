import { EventEmitter } from 'node:events';

/**
 * The outside of a socket.io-client socket, and nothing behind it: it records what is emitted, and answers only what
 * the test scripted. `answers[event]` is an ack, or a function of the payload that returns one; without it no ack comes.
 */
export class ScriptedSocket {
  sent = [];
  answers = {};
  connects = 0;
  #events = new EventEmitter();

  constructor({ connected = true } = {}) {
    this.connected = connected;
    this.active = connected;
  }

  on(event, listener) {
    this.#events.on(event, listener);
  }

  off(event, listener) {
    this.#events.off(event, listener);
  }

  get listenerCount() {
    return this.#events.eventNames().reduce((sum, name) => sum + this.#events.listenerCount(name), 0);
  }

  connect() {
    this.connects += 1;
    this.active = true;
  }

  emit(event, payload, ack) {
    const wire = payload === undefined ? undefined : JSON.parse(JSON.stringify(payload));
    this.sent.push({ event, payload: wire, ack });
    const answer = this.answers[event];
    const body = typeof answer === 'function' ? answer(wire) : answer;
    if (body !== undefined) ack?.(body);
  }

  /** What was emitted under this name, oldest first. */
  of(event) {
    return this.sent.filter((entry) => entry.event === event).map((entry) => entry.payload);
  }

  /** Answers the newest unanswered emit of this name. */
  answer(event, body) {
    this.sent.findLast((entry) => entry.event === event).ack(body);
  }

  say(event, body) {
    this.#events.emit(event, body);
  }

  drop(reason = 'transport close') {
    this.connected = false;
    this.active = !['io server disconnect', 'io client disconnect'].includes(reason);
    this.say('disconnect', reason);
  }

  refuse(message) {
    this.connected = false;
    this.active = false;
    this.say('connect_error', new Error(message));
  }

  open() {
    this.connected = true;
    this.active = true;
    this.say('connect');
  }
}

export const refusal = (code, retryable = false) => ({ ok: false, error: { code, message: code, retryable } });

/** Lets every promise that can go on do so; works under mocked timers. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));
