// Relative, so that these modules also run where they are tested.
import { Listeners } from '../client/listeners.js';
import { backoffMs, createRequests } from '../client/connection.js';
import { ChatApi } from './chat-api.js';
import {
  createChatState, hasGap, knows, messageTold, messagesRead, moreRoomsRead, opened, roomTold, roomsRead, unreadTold,
} from './chat-state.js';

const PAGE = 50;
const MOST_ROOMS = 1000;
const STRANGER_MS = 1000;

/**
 * The chat over one socket and the HTTP routes; emits `change` and `error` (a message, empty when it is over). A read
 * that failed for now is repeated until it succeeds or nobody wants it any more.
 */
export class ChatClient extends Listeners {
  state = createChatState();
  #socket;
  #requests;
  #api;
  #userId;
  #held = new Set();
  #meeting = new Set();
  #listing = null;
  #reading = null;
  #marking = null;

  constructor(socket, userId, { headers, onTraffic } = {}) {
    super();
    this.#socket = socket;
    this.#userId = userId;
    this.#api = new ChatApi(headers);
    this.#requests = createRequests(socket, { onTraffic });
    const listeners = {
      connect: () => this.#back(),
      disconnect: () => this.#requests.failAll(),
      new_message: (message) => this.#message(message),
      'room:new_message': (message) => this.#message(message),
      new_room_complete: (room) => this.#told((state) => roomTold(state, room)),
      'room:unread': (body) => this.#told((state) => unreadTold(state, body)),
    };
    for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
    document.addEventListener('visibilitychange', () => this.#read());
    this.#back();
  }

  /** Opens a room's window: subscribes first, then reads, so that nothing falls between. */
  async open(roomId) {
    this.leave();
    this.#put(opened(this.state, roomId));
    await this.#subscribe();
    await this.#newest();
  }

  leave() {
    if (this.state.openId !== null) this.#requests.send('room:leave', { room_id: this.state.openId });
  }

  /** Reads the page of messages before those that are there. */
  older() {
    const before = this.state.messages[0]?.seq;
    if (before === undefined) return this.#newest();
    return this.#messages(`&before=${before}`, () => this.state.messages[0]?.seq === before);
  }

  /** Reads the list's next page. */
  more() {
    const { cursor } = this.state;
    if (!cursor) return undefined;
    const current = (state) => state.cursor === cursor;
    return this.#untilRead(`/rooms?limit=${PAGE}&cursor=${encodeURIComponent(cursor)}`, () => current(this.state),
      (state, { data }) => (current(state) ? moreRoomsRead(state, data) : state));
  }

  /** `clientId`: the same for the same message sent again, which is then saved once. */
  send(roomId, text, clientId) {
    return this.#post('/messages/send', { room_id: roomId, user_id: String(this.#userId), text, client_id: clientId });
  }

  /** What a customer's phone would bring: `{phone, content_text, customer_name?}`. */
  incoming(message) {
    return this.#post('/messages/incoming', message);
  }

  async #back() {
    if (!this.#socket.connected) return;
    this.#list();
    if (this.state.openId === null) return;
    await this.#subscribe();
    await this.#newest();
  }

  #subscribe() {
    return this.#requests.send('room:join', { room_id: this.state.openId });
  }

  /** Reads as much of the list as was there. */
  #list() {
    const mine = this.#listing = {};
    const limit = Math.min(Math.max(PAGE, this.state.rooms.length), MOST_ROOMS);
    return this.#untilRead(`/rooms?limit=${limit}`, () => this.#listing === mine,
      (state, { data }) => roomsRead(state, data));
  }

  async #newest() {
    const mine = this.#reading = {};
    await this.#messages('', () => this.#reading === mine);
    this.#read();
  }

  #messages(query, wanted) {
    const { openId } = this.state;
    return this.#untilRead(`/messages?room_id=${encodeURIComponent(openId)}&limit=${PAGE}${query}`,
      () => this.state.openId === openId && wanted(),
      (state, { messages, has_more: hasMore }) => messagesRead(state, openId, messages, hasMore));
  }

  /** Again while the server cannot take it, until there is more to tell; a new connection reads anew. */
  async #read() {
    const mine = this.#marking = {};
    for (let tries = 0; this.#marking === mine && this.#socket.connected; tries += 1) {
      const newest = this.state.messages.at(-1);
      if (!newest || document.hidden) return;
      const { error } = await this.#requests.send('room:read', { room_id: newest.room_id, seq: newest.seq });
      if (!error?.retryable) return;
      await new Promise((resolve) => setTimeout(resolve, backoffMs(tries)));
    }
  }

  #message(message) {
    const before = this.state;
    this.#told((state) => messageTold(state, message));
    if (!knows(this.state, message.room_id)) this.#meet(message.room_id);
    if (this.state.messages === before.messages) return;
    if (hasGap(this.state)) this.#newest();
    else this.#read();
  }

  /** A room beyond what was read of the list, of which a message came: each is told twice, and more may follow. */
  async #meet(roomId) {
    if (this.#meeting.has(roomId)) return;
    this.#meeting.add(roomId);
    // A room that is new is told by itself.
    await new Promise((resolve) => setTimeout(resolve, STRANGER_MS));
    await this.#untilRead(`/rooms/${encodeURIComponent(roomId)}`, () => !knows(this.state, roomId),
      (state, { data }) => roomTold(state, data));
    this.#meeting.delete(roomId);
  }

  /** Takes over what an event told, and again on top of every answer that was on its way and may be older. */
  #told(step) {
    for (const held of this.#held) held.push(step);
    this.#put(step(this.state));
  }

  async #untilRead(path, wanted, take) {
    for (let tries = 0; wanted(); tries += 1) {
      const held = [];
      this.#held.add(held);
      const { body, error, retryable } = await this.#api.get(path);
      this.#held.delete(held);
      if (body) this.#put(held.reduce((state, step) => step(state), take(this.state, body)));
      if (error || tries > 0) this.emit('error', error ?? '');
      if (!retryable) return;
      await new Promise((resolve) => setTimeout(resolve, backoffMs(tries)));
    }
  }

  /** The answer's body; null when it failed, which is told as `error`. */
  async #post(path, message) {
    const { body, error } = await this.#api.post(path, message);
    if (error) this.emit('error', error);
    return body ?? null;
  }

  #put(state) {
    if (state === this.state) return;
    this.state = state;
    this.emit('change', state);
  }
}
