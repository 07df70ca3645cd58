import { Moves } from './board-moves.js';
import { applyBoard, awaitState, createBoardState, placeHere, placed } from './board-state.js';
import { Listeners } from './listeners.js';
import { backoffMs, createRequests, keepConnected } from './connection.js';
import { createSchedule } from './schedule.js';

const CHANGES = [
  'retro-state', 'item-position-update', 'grouping-update', 'vote-update', 'initial-voting-result', 'action-items-update',
];
const RELAYED = ['phase-change', 'label-update', 'vote-submission', 'typing'];
const ASK_MS = 2000;
const FOR_GOOD = ['kicked', 'inactivity_timeout', 'left'];
const REFUSED_FOR_GOOD = ['forbidden', 'invalid_input', 'too_large']; // all else may pass, or with a fresh token

/**
 * Joins a retro board over one `socket.io-client` socket, again after every reconnect, and keeps its state. Put out by an
 * end of its server it joins again, too, and refused for now it tries again. Refused for good (`forbidden`,
 * `invalid_input`, `too_large`), kicked, timed out or left elsewhere it is `removed`, until `reconnect()`.
 * With `options.presence`, a presence client on the same socket, it also beats for the board's presence room.
 * Events: `change` (view), `status`, `error`, and the relayed `phase-change`, `label-update`, `vote-submission`, `typing`.
 * The senders resolve to the server's ack, a refusal included.
 */
export function createBoardClient(socket, retroId, userId, options = {}) {
  return new BoardClient(socket, retroId, userId, options);
}

class BoardClient extends Listeners {
  #socket;
  #requests;
  #schedule = createSchedule();
  #line;
  #random;
  #beats; // gives the function that ends the beats
  #stopBeating;
  #state = createBoardState();
  #status = 'connecting';
  #error = null;
  #view = null;
  #failures = 0;
  #askedAt = -Infinity;
  #moves = new Moves({
    schedule: this.#schedule,
    send: (move) => this.#send('item-position-update', { ...move, userId: this.userId }),
    placed: (itemId, position, answer) => this.#put(placed(this.#state, itemId, position, answer)),
    refused: () => this.#ask(),
    heard: (body) => this.#hear('item-position-update', body),
  });
  #listeners = {};

  constructor(socket, retroId, userId, { onTraffic, ackTimeoutMs, presence, random = Math.random }) {
    super();
    this.retroId = retroId;
    this.userId = userId;
    this.#socket = socket;
    this.#random = random;
    this.#requests = createRequests(socket, { onTraffic, ackTimeoutMs });
    const wanted = () => this.#status !== 'closed' && this.#status !== 'removed';
    this.#line = keepConnected(socket, { schedule: this.#schedule, random, wanted });
    this.#listeners = {
      connect: () => this.#connected(),
      disconnect: (reason) => this.#offline(reason),
      'room:force-leave': (body) => this.#isOurs(body) && this.#putOut(body),
      'room:left': (body) => this.#isOurs(body) && body.left && this.#putOut({ message: 'the board was left', reason: 'left' }),
      connect_error: (reason) => this.#unconnected(this.#line.refused(reason)),
      [`user-votes:${retroId}:${userId}`]: (body) => this.#hear('user-votes', { userId, ...body }),
    };
    for (const type of CHANGES) this.#listeners[`${type}:${retroId}`] = (body) => this.#hear(type, body);
    for (const type of RELAYED) this.#listeners[`${type}:${retroId}`] = (body) => this.emit(type, body);
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
    this.#beats = () => presence?.keepAlive(`retro:${retroId}`, userId, (message, body) => {
      this.#stopBeating = null;
      this.#putOut(body);
    });
    // What the page leaves in the same go, another board say, goes first.
    queueMicrotask(() => this.#status === 'connecting' && this.#enter());
  }

  get status() { return this.#status; }

  /** An immutable picture of the board, the same object until something changes. */
  get view() {
    const { board, base } = this.#state;
    const { version, lastUpdated } = board;
    this.#view ??= { status: this.#status, error: this.#error, state: board, loaded: base !== null, version, lastUpdated };
    return this.#view;
  }

  /** Opens a connection that nothing else would open again, and comes back from a removal. */
  reconnect() {
    if (this.#status !== 'closed' && this.#status !== 'online') this.#comeBack();
  }

  /** Whether it is this board's to keep its user in a presence room. */
  keeps(room) {
    return Boolean(this.#stopBeating) && this.#isOurs(room);
  }

  requestState() {
    this.#askedAt = Date.now();
    this.#state = awaitState(this.#state);
    return this.#send('request-retro-state');
  }

  /** Moves an item: here at once, to the others at most every 50 ms, the last place always. */
  moveItem(itemId, position, source = 'drag') {
    if (this.#status === 'closed' || this.#status === 'removed') return;
    this.#moves.move(itemId, position, source);
    this.#put(placeHere(this.#state, itemId, position));
  }

  /** Proposes places for items that have none; `source: 'init-layout'` is ignored once any item has. */
  layOut(itemPositions, source = 'init-layout') {
    return this.#send('item-position-update', { itemPositions, userId: this.userId, source });
  }

  /** Without a `timestamp` the server's own counts: that of a slow clock would lose to every grouping there is. */
  group(itemGroups, signatureColors, timestamp) {
    return this.#send('grouping-update', { itemGroups, signatureColors, userId: this.userId, timestamp });
  }

  vote(groupId, votes, userVotes) {
    return this.#send('vote-update', { groupId, votes, userId: this.userId, userVotes });
  }

  requestUserVotes() {
    return this.#send('request-user-votes', { userId: this.userId });
  }

  requestVotingResult() {
    return this.#send('request-voting-result', { userId: this.userId });
  }

  addActionItem({ task, assigneeId, assigneeName }) {
    return this.#send('action-item-added', { task, assigneeId, assigneeName, createdBy: this.userId });
  }

  updateActionItem(actionItemId, change) {
    return this.#send('action-item-updated', { actionItemId, ...change, updatedBy: this.userId });
  }

  deleteActionItem(actionItemId) {
    return this.#send('action-item-deleted', { actionItemId });
  }

  changePhase(payload) { return this.#send('phase-change', payload); }
  updateLabel(payload) { return this.#send('label-update', payload); }
  submitVote(payload) { return this.#send('vote-submission', payload); }
  typing(payload) { return this.#send('typing', payload); }

  /** Leaves the board, which stays as it is, and lets go of the socket. */
  close() {
    if (this.#status === 'closed') return;
    for (const [event, listener] of Object.entries(this.#listeners)) this.#socket.off(event, listener);
    this.#halt();
    this.#line.stop();
    this.#rest();
    this.#set('closed');
    this.#requests.failAll();
    if (this.#socket.connected) this.#socket.emit('leave-retro-room', this.retroId);
  }

  #enter() {
    if (this.#socket.connected) this.#join();
    else this.#line.connect();
    // Behind the join, which is what lets the server know us in this room.
    this.#stopBeating = this.#beats();
  }

  #connected() {
    this.#line.made();
    if (this.#status !== 'removed') this.#join();
  }

  #unconnected(error) {
    if (error) this.#failed(error);
  }

  #join = async () => {
    this.#state = awaitState(this.#state);
    const answer = await this.#requests.send('join-retro-room', this.retroId);
    if (this.#status === 'closed' || answer.error?.code === 'disconnected') return;
    if (answer.ok) {
      this.#failures = 0;
      this.#stopBeating ??= this.#beats();
      return this.#set('online', null);
    }
    this.#failed(answer.error);
    if (!REFUSED_FOR_GOOD.includes(answer.error.code)) {
      return this.#schedule.in(this.#join, backoffMs(this.#failures++, this.#random));
    }
    this.#rest();
    this.#set('removed');
  };

  #rest() {
    this.#stopBeating?.();
    this.#stopBeating = null;
  }

  #offline(reason) {
    this.#line.lost(reason);
    this.#requests.failAll();
    this.#halt();
    if (this.#status !== 'removed') this.#set('reconnecting');
  }

  #isOurs = ({ roomId }) => String(roomId) === `retro:${this.retroId}`;

  /** The server took us off the board. While we join, it speaks of the time before. */
  #putOut({ message, reason }) {
    if (this.#status !== 'online') return;
    this.#rest();
    this.#halt();
    this.#failed({ code: 'not_in_room', message, retryable: false });
    if (FOR_GOOD.includes(reason)) this.#set('removed');
    else this.#comeBack();
  }

  #comeBack() {
    this.#schedule.cancel(this.#join);
    this.#set('reconnecting');
    if (this.#socket.connected) this.#join();
    else this.#line.connect();
  }

  #halt() {
    this.#schedule.cancel(this.#join, this.#ask);
    this.#moves.stop();
  }

  async #send(event, payload = {}) {
    const answer = await this.#requests.send(event, { retroId: this.retroId, ...payload });
    if (!answer.ok && this.#status !== 'closed') this.#failed(answer.error);
    return answer;
  }

  #hear(type, body) {
    if (type === 'item-position-update' && this.#moves.keeps(body)) return;
    this.#put(applyBoard(this.#state, { type, body }));
  }

  #ask = () => {
    const rest = this.#askedAt + ASK_MS - Date.now();
    // More than that: the clock was set back.
    if (rest > 0 && rest <= ASK_MS) this.#schedule.in(this.#ask, rest);
    else if (this.#status === 'online') this.#askNow();
  };

  async #askNow() {
    const answer = await this.requestState();
    const again = !answer.ok && (answer.error.retryable || answer.error.code === 'rate_limited');
    if (again && this.#status === 'online') this.#ask();
  }

  #put(state) {
    if (state === this.#state) return;
    this.#state = state;
    if (state.stale) this.#ask();
    this.#changed();
  }

  #failed(error) {
    this.#error = error;
    this.emit('error', error);
    this.#changed();
  }

  #set(status, error = this.#error) {
    if (status === this.#status && error === this.#error) return;
    const moved = status !== this.#status;
    this.#status = status;
    this.#error = error;
    if (moved) this.emit('status', status);
    this.#changed();
  }

  #changed() {
    this.#view = null;
    this.emit('change', this);
  }
}
