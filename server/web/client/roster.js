import { apply, createRoomState, distrust, nextRequest } from './room-state.js';
import { backoffMs } from './connection.js';

const QUIET_MS = 10_000;

/**
 * Keeps a room's list in step with the server: one request at a time, until `nextRequest` has none.
 * A second sync within 10 s waits, each time longer, so that a disagreement never becomes a storm.
 */
export class Roster {
  state = createRoomState();
  #link;
  #live = false;
  #busy = false;
  #waiting = false;
  #syncs = 0;
  #syncedAt = 0;
  #behindAt = null;

  /** `link.ask(event, payload)`, `link.schedule`, `link.random`, `link.changed(changes)`, `link.failed(error)`. */
  constructor(link) {
    this.#link = link;
  }

  apply(event) {
    const before = this.state;
    this.state = apply(before, event);
    if (this.state !== before) this.#link.changed(this.state.changes);
    this.#refresh();
  }

  /** Follows the room from now on, asking first for what `need` names. */
  follow(need) {
    this.#live = true;
    this.#syncs = 0;
    if (need) this.distrust(need);
  }

  pause() {
    this.#live = false;
    this.#waiting = false;
    this.#link.schedule.cancel(this.#sync);
  }

  distrust(need) {
    this.state = distrust(this.state, need);
    this.#refresh();
  }

  /** To be called once a beat: a count ahead of the list since the last one means a lost diff or change of mode. */
  checkBehind() {
    const { mode, seq, countSeq } = this.state;
    const behind = mode === 'diffs' && countSeq > seq;
    if (behind && this.#behindAt === seq) this.distrust('snapshot');
    this.#behindAt = behind ? seq : null;
  }

  #refresh() {
    const request = nextRequest(this.state);
    if (!request || !this.#live || this.#busy || this.#waiting) return;
    if (request.asked) this.#ask(request);
    else this.#pace();
  }

  #pace() {
    if (Date.now() - this.#syncedAt > QUIET_MS) this.#syncs = 0;
    this.#waiting = true;
    this.#syncs += 1;
    if (this.#syncs === 1) this.#sync();
    else this.#link.schedule.in(this.#sync, backoffMs(this.#syncs - 2, this.#link.random));
  }

  #sync = () => {
    this.#waiting = false;
    this.#syncedAt = Date.now();
    const request = nextRequest(this.state);
    if (request) this.#ask(request);
  };

  async #ask({ event, payload, asked }) {
    this.#busy = true;
    const answer = await this.#link.ask(event, payload);
    this.#busy = false;
    if (answer.ok) return this.apply({ type: event, body: answer, asked });
    // A cursor the server no longer takes leaves the list without its end.
    if (asked && !answer.error.retryable) this.state = distrust(this.state, 'snapshot');
    if (this.#live && answer.error.code !== 'disconnected') this.#retry(answer.error);
  }

  #retry(error) {
    this.#waiting = true;
    this.#syncs += 1;
    this.#link.schedule.in(this.#sync, backoffMs(this.#syncs, this.#link.random));
    this.#link.failed(error);
  }
}
