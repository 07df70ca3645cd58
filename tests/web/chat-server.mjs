import { ScriptedSocket } from './scripted-socket.mjs';

/** As much of the chat's server as its client sees: rooms and their messages, told over the socket and read by `fetch`. */
export class ChatServer extends ScriptedSocket {
  rooms = new Map();
  asked = []; // the path of every read
  failures = []; // what the next reads are answered instead: a status
  onRead = () => {}; // awaited when a read has its answer, before it arrives
  #clock = 0;
  answers = { 'room:join': { ok: true }, 'room:leave': { ok: true }, 'room:read': { ok: true } };

  constructor(...options) {
    super(...options);
    globalThis.fetch = (path) => this.#fetch(new URL(path, 'http://chat'));
  }

  /** Saves a customer's message, and tells of it unless the line is down. */
  customer(roomId, times = 1) {
    for (let time = 0; time < times; time += 1) this.tell(this.save(roomId));
  }

  save(roomId, { lost = 0 } = {}) {
    const room = this.rooms.get(roomId) ?? { unread: 0, messages: [] };
    this.rooms.set(roomId, room);
    room.messages.splice(room.messages.length - lost, lost);
    this.#clock += 1;
    const seq = room.messages.length + 1;
    const created_at = new Date(this.#clock).toISOString();
    const id = `${roomId}-${this.#clock}`;
    const message = { id, room_id: roomId, seq, user_id: null, content_text: `m${seq}`, created_at };
    room.messages.push(message);
    room.unread += 1;
    return message;
  }

  tell(message) {
    if (!this.connected) return;
    this.say('room:new_message', message);
    this.say('new_message', message);
  }

  readOf(roomId) {
    return this.of('room:read').filter(({ room_id: id }) => id === roomId).at(-1)?.seq;
  }

  async #fetch({ pathname, searchParams: query }) {
    this.asked.push(`${pathname}?${query}`);
    const status = this.failures.shift() ?? 200;
    const body = JSON.stringify(status === 200 ? this.#body(pathname, query) : { error: { message: `${status}` } });
    await this.onRead(pathname);
    return new Response(body, { status });
  }

  #body(pathname, query) {
    const limit = Number(query.get('limit'));
    if (pathname === '/rooms') return { data: this.#page(limit, query.get('cursor') ?? '9') };
    if (pathname !== '/messages') return { data: this.#room(pathname.split('/').at(-1)) };
    const { messages } = this.rooms.get(query.get('room_id'));
    const all = messages.filter(({ seq }) => seq < Number(query.get('before') ?? Infinity));
    return { messages: all.slice(-limit), has_more: all.length > limit };
  }

  #page(limit, before) {
    const all = [...this.rooms.keys()].map((id) => this.#room(id)).filter((room) => room.last_message_timestamp < before);
    all.sort((a, b) => (a.last_message_timestamp < b.last_message_timestamp ? 1 : -1));
    const rooms = all.slice(0, limit);
    return { rooms, ...(all.length > limit && { cursor: rooms.at(-1).last_message_timestamp }) };
  }

  #room(roomId) {
    const { unread, messages } = this.rooms.get(roomId);
    const { content_text, created_at } = messages.at(-1);
    return {
      room_id: roomId, message_count: messages.length, unread_count: unread,
      last_message: messages.at(-1), last_message_text: content_text, last_message_timestamp: created_at,
    };
  }
}
