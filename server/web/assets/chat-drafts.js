/**
 * What is written to each room and not sent yet. A draft keeps its id until its text is changed: whoever sends it again
 * because no answer came does so under the same one, and it is saved once.
 */
export class Drafts {
  #byRoom = new Map();
  #sending = new Set();

  textOf(roomId) {
    return this.#byRoom.get(roomId)?.text ?? '';
  }

  isSending(roomId) {
    return this.#sending.has(roomId);
  }

  write(roomId, text) {
    this.#byRoom.set(roomId, { text, id: newId() });
  }

  /** Hands a room's draft to `send`, one at a time; what was written meanwhile stays when that one was sent. */
  async send(roomId, send) {
    const draft = this.#byRoom.get(roomId);
    if (!draft || this.isSending(roomId)) return;
    this.#sending.add(roomId);
    const sent = await send(draft);
    this.#sending.delete(roomId);
    if (sent && this.#byRoom.get(roomId) === draft) this.#byRoom.delete(roomId);
  }
}

// Not crypto.randomUUID: it is missing where a page does not come by HTTPS.
const newId = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join('-');
