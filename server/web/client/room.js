import { Listeners } from './listeners.js';
import { PresenceError, backoffMs } from './connection.js';
import { Record } from './record.js';
import { Roster } from './roster.js';

export const POPUP = 'You are not in the chatroom';

const BEAT_GAP_MS = 1000;
const REJOIN_GAP_MS = 10_000;

/** One room as this page sees it; made by `joinRoom` (it joins and follows) and `keepAlive` (it only beats). */
export class Room extends Listeners {
  #link;
  #record;
  #joins;
  #claims = 0;
  #joined = false; // the server has let us in
  #resumed = false; // and has said on this connection that we still are
  #asking = false; // a join or a beat is under way
  #refused = false; // a beat was answered not_in_room, the force-leave is awaited
  #failures = 0;
  #beatAt = 0;
  #rejoinedAt = -Infinity;
  #interval;
  #roster;
  #status = 'joining';
  #removal = null;
  #error = null;
  #view = null;
  #settleReady;

  /** `link`: `send(event, payload)`, `connected()`, `schedule`, `options`, `drop(room)`. */
  constructor(roomId, user, joins, link) {
    super();
    this.roomId = roomId;
    this.keepers = new Set();
    this.#link = link;
    this.#joins = joins;
    this.#interval = link.options.heartbeatInterval;
    this.#record = new Record(user, {
      send: (change) => this.#send('room:update', change),
      later: () => this.ended || link.schedule.in(this.#record.tell, this.#backoff()),
      failed: (error) => this.ended || this.#fault(error),
    });
    this.#roster = new Roster({
      schedule: link.schedule,
      random: link.options.random,
      ask: (event, payload) => this.#send(event, payload),
      changed: (changes) => this.#changed(changes),
      failed: (error) => (error.code === 'not_in_room' ? this.step() : this.#fault(error)),
    });
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => (error ? reject(new PresenceError(error)) : resolve(this));
    });
    this.ready.catch(() => {}); // looking at `status` instead is no fault
  }

  get userId() { return this.#record.user.userId; }
  get joins() { return this.#joins; }
  get status() { return this.#status; }
  get ended() { return this.#status === 'left' || this.#status === 'removed'; }
  get state() { return this.#roster.state; }
  get participants() { return this.state.participants; }
  get count() { return this.state.count; }
  get connections() { return this.state.connections; }
  get mode() { return this.state.mode; }
  get removal() { return this.#removal; }
  get error() { return this.#error; }

  /** An immutable picture of the room, the same object until something changes. */
  get view() {
    const { participants, count, connections, mode } = this.state;
    const [status, removal, error] = [this.#status, this.#removal, this.#error];
    this.#view ??= { status, participants, count, connections, mode, removal, error };
    return this.#view;
  }

  /** Changes the public record. Resolves to the first ack; what could not be taken yet is sent again, until it is. */
  update(change) {
    return this.#record.update(change);
  }

  /** Leaves at once, also while joining. Resolves when the server has said so, or could not be asked. */
  leave({ everywhere } = {}) {
    if (this.ended) return Promise.resolve({ ok: true, left: false });
    const answer = this.#send('leave_room', everywhere ? { everywhere } : {});
    this.stop();
    return answer;
  }

  /** Ends the room here without a word to the server. */
  stop() {
    if (!this.ended) this.#end('left', { code: 'left', message: 'the room was left' });
  }

  /** Does what is due: joins, or beats. */
  step = () => {
    if (this.#asking || this.ended || !this.#link.connected()) return;
    if (this.#joins && !this.#joined) this.#join();
    else if (this.#joins && this.#refused) this.#remove({});
    else this.#beat();
  };

  /** Joins: a room that only beat, or one that somebody else has left on this socket. */
  claim(user) {
    const status = this.#joins ? 'reconnecting' : 'joining';
    if (user) this.#record.begin(user);
    this.#joins = true;
    this.#claims += 1;
    this.#rejoinedAt = -Infinity;
    this.#rejoin(status);
  }

  /** Turns a joined room into one that only beats, for whoever stays in it. */
  yield() {
    this.#joins = false;
    this.#roster.pause();
  }

  wake() {
    const rested = Math.abs(Date.now() - this.#beatAt) >= BEAT_GAP_MS;
    if (this.#resumed && rested) this.step();
  }

  offline() {
    this.#pause();
    this.#link.schedule.cancel(this.step);
    if (this.#joins && this.#refused) this.#remove({});
    this.#refused = false;
  }

  /** A connection was refused: for good, unless `retryable`. */
  unconnected(error) {
    this.#fault(error);
    if (!error.retryable && this.#status === 'joining') this.#end('left', error);
  }

  receive(type, body) {
    if (this.ended) return;
    if (type === 'room:force-leave') this.#forceLeave(body);
    else if (!this.#joins) return;
    else if (type !== 'room:left') this.#roster.apply({ type, body });
    else if (body.left && this.#joined) this.stop();
  }

  #send(event, payload) {
    return this.#link.send(event, { roomId: this.roomId, ...payload });
  }

  async #ask(event, payload) {
    this.#asking = true;
    const answer = await this.#send(event, payload);
    this.#asking = false;
    return answer;
  }

  async #join() {
    const claims = this.#claims;
    const whole = this.#record.whole();
    const answer = await this.#ask('join_room', whole);
    if (this.ended) return;
    if (!this.#joins || claims !== this.#claims) return this.step(); // the answer is of before
    if (!answer.ok) {
      this.#failed(answer.error);
      if (answer.error.retryable) return;
      return this.#record.goBack() ? this.step() : this.#end('left', answer.error);
    }
    this.#record.took(whole);
    this.#joined = true;
    this.#interval = answer.heartbeatInterval || this.#interval;
    this.#roster.follow();
    this.#roster.apply({ type: 'room:joined', body: answer });
    this.#online();
    this.step();
  }

  async #beat() {
    this.#beatAt = Date.now();
    const answer = await this.#ask('room:heartbeat', { userId: this.userId, timestamp: this.#beatAt });
    if (this.ended) return;
    if (this.#joins && !this.#joined) return this.step(); // claimed or put out meanwhile: the answer is of before
    if (!answer.ok) return answer.error.code === 'not_in_room' ? this.#out() : this.#failed(answer.error);
    this.#refused = false;
    this.#failures = 0;
    this.#link.schedule.in(this.step, this.#interval);
    if (!this.#joins) this.#online();
    else if (this.#resumed) this.#roster.checkBehind();
    else this.#resume();
  }

  /** On a new connection, or after an outage, the room is online again when what was missed is known. */
  #resume() {
    this.#resumed = true;
    this.#roster.follow('diffs');
  }

  #online() {
    this.#resumed = true;
    this.#failures = 0;
    this.#set('online');
    this.#settleReady();
  }

  #pause() {
    this.#resumed = false;
    this.#roster.pause();
    if (this.#status === 'online') this.#set('reconnecting');
  }

  #failed(error) {
    if (error.code === 'disconnected') return; // the next connection steps
    if (error.retryable) this.#pause();
    this.#link.schedule.in(this.step, error.retryable ? this.#backoff() : this.#interval);
    this.#fault(error);
  }

  #backoff() {
    this.#failures += 1;
    return backoffMs(this.#failures - 1, this.#link.options.random);
  }

  /**
   * A beat said that we are out. The force-leave behind it tells why; when none comes, a joined room ends with the
   * popup's own text, and one that only beats asks once more: its beat may have overtaken the page's own join.
   */
  #out() {
    if (this.#rejoins('not_in_room')) return this.#rejoin('reconnecting');
    if (this.#refused) return this.#remove({});
    this.#refused = true;
    this.#pause();
    this.#link.schedule.in(this.step, this.#link.options.forceLeaveWait);
  }

  #forceLeave(body) {
    // While a join is under way it speaks of the time before: the server answers in order.
    if (this.#joins && !this.#joined) return;
    if (this.#rejoins(body.reason)) this.#rejoin('reconnecting');
    else this.#remove(body);
  }

  #rejoins(reason) {
    return this.#joins && this.#link.options.rejoin === 'always' && reason !== 'kicked';
  }

  #rejoin(status) {
    const again = Date.now() - this.#rejoinedAt < REJOIN_GAP_MS;
    this.#rejoinedAt = Date.now();
    this.#joined = false;
    this.#refused = false;
    this.#pause();
    this.#roster.distrust('snapshot');
    this.#set(status);
    if (again) this.#link.schedule.in(this.step, this.#backoff());
    else this.step();
  }

  #remove({ message, reason = 'not_in_room', timestamp = Date.now() }) {
    const { roomId, userId } = this;
    this.#resumed = false;
    this.#removal = { roomId, userId, message: message || POPUP, popup: POPUP, reason, timestamp };
    this.#roster.apply({ type: 'room:force-leave', body: this.#removal });
    this.#end('removed', { code: 'not_in_room', message: this.#removal.message });
    this.emit('force-leave', this.#removal);
  }

  #end(status, error) {
    this.#roster.pause();
    this.#link.schedule.cancel(this.step, this.#record.tell);
    this.#set(status);
    this.#settleReady(error);
    this.#link.drop(this);
  }

  #fault(error) {
    this.#error = error;
    this.emit('error', error);
    this.#changed([]);
  }

  #set(status) {
    if (status === this.#status) return;
    this.#status = status;
    if (status === 'online') {
      this.#error = null;
      this.#record.tell();
    }
    this.emit('status', status);
    this.#changed([]);
  }

  #changed(changes) {
    if (this.ended && changes.length) return;
    this.#view = null;
    for (const { event, member } of changes) this.emit(event, member);
    const back = this.#status === 'reconnecting' && this.#resumed && !this.state.needsSync;
    if (back) this.#set('online');
    else this.emit('change', this);
  }
}
