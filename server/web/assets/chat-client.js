import { Listeners } from '/client/listeners.js';
import { createRequests } from '/client/connection.js';
import {
  createChatState, hasGap, messageTold, messagesRead, opened, roomTold, roomsRead, unreadTold,
} from './chat-state.js';

const PAGE = 50;
const STRANGER_MS = 1000;

/** The chat over one socket and the HTTP routes; emits `change` and `error` (a message). */
export class ChatClient extends Listeners {
  state = createChatState();
  #socket;
  #requests;
  #headers;
  #userId;

  constructor(socket, userId, { headers = {}, onTraffic } = {}) {
    super();
    this.#socket = socket;
    this.#userId = userId;
    this.#headers = headers;
    this.#requests = createRequests(socket, { onTraffic });
    const listeners = {
      connect: () => this.#back(),
      disconnect: () => this.#requests.failAll(),
      new_message: (message) => this.#message(message),
      'room:new_message': (message) => this.#message(message),
      new_room_complete: (room) => this.#put(roomTold(this.state, room)),
      'room:unread': (body) => body.room_id !== this.state.openId && this.#put(unreadTold(this.state, body)),
    };
    for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
    this.#back();
  }

  /** Opens a room's window: subscribes first, then reads, so that nothing falls between. */
  async open(roomId) {
    this.leave();
    this.#put(opened(this.state, roomId));
    await this.#subscribe();
    await this.older();
    this.#read();
  }

  leave() {
    if (this.state.openId !== null) this.#requests.send('room:leave', { room_id: this.state.openId });
  }

  /** Reads the page of messages before those that are there. */
  async older() {
    const { openId, messages } = this.state;
    const before = messages.length ? `&before=${messages[0].seq}` : '';
    const body = await this.#get(`/messages?room_id=${encodeURIComponent(openId)}&limit=${PAGE}${before}`);
    if (body) this.#put(messagesRead(this.state, openId, body.messages, body.has_more));
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
    const body = await this.#get(`/rooms?limit=${PAGE}`);
    if (body) this.#put(roomsRead(this.state, body.data.rooms));
    if (this.state.openId === null) return;
    await this.#subscribe();
    await this.#newest();
  }

  #subscribe() {
    return this.#requests.send('room:join', { room_id: this.state.openId });
  }

  async #newest() {
    const { openId } = this.state;
    const body = await this.#get(`/messages?room_id=${encodeURIComponent(openId)}&limit=${PAGE}`);
    if (!body) return;
    this.#put(messagesRead(this.state, openId, body.messages, body.has_more || this.state.hasMore));
    this.#read();
  }

  #read() {
    const newest = this.state.messages.at(-1);
    if (newest && !document.hidden) this.#requests.send('room:read', { room_id: newest.room_id, seq: newest.seq });
  }

  #message(message) {
    const before = this.state;
    this.#put(messageTold(before, message));
    if (this.state === before) return;
    if (message.room_id === this.state.openId) {
      if (hasGap(this.state)) this.#newest();
      else this.#read();
    } else if (!this.state.rooms.some(({ room_id: id }) => id === message.room_id)) {
      setTimeout(() => this.#meet(message.room_id), STRANGER_MS);
    }
  }

  /** A room beyond the first page of the list, of which a message came. */
  async #meet(roomId) {
    if (this.state.rooms.some(({ room_id: id }) => id === roomId)) return;
    const body = await this.#get(`/rooms/${encodeURIComponent(roomId)}`);
    if (body) this.#put(roomTold(this.state, body.data));
  }

  #get(path) {
    return this.#ask(path, { headers: this.#headers, cache: 'no-store' });
  }

  #post(path, body) {
    const headers = { ...this.#headers, 'content-type': 'application/json' };
    return this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  /** The answer's body; null when it failed, which is told as `error`. */
  async #ask(path, init) {
    try {
      const answer = await fetch(path, init);
      const body = await answer.json();
      if (answer.ok) return body;
      this.emit('error', body.error?.message ?? answer.statusText);
    } catch {
      this.emit('error', 'The chat cannot be reached now.');
    }
    return null;
  }

  #put(state) {
    if (state === this.state) return;
    this.state = state;
    this.emit('change', state);
  }
}
