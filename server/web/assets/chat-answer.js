import { Drafts } from './chat-drafts.js';
import { h } from './dom.js';

/** The field one answers in: a draft for each room. `send(roomId, text, id)` resolves to whether it was saved. */
export class AnswerForm {
  #roomId = null;
  #drafts = new Drafts();

  constructor(send) {
    this.text = h('input', {
      'aria-label': 'Answer', placeholder: 'Answer as an agent', required: true, disabled: true, autocomplete: 'off',
      oninput: () => this.#drafts.write(this.#roomId, this.text.value),
    });
    this.submit = h('button', { class: 'main', disabled: true }, 'Send');
    this.element = h('form', { class: 'row', onsubmit: (event) => this.#send(event, send) }, this.text, this.submit);
  }

  /** Shows the draft of a room; null when none is open. */
  show(roomId) {
    this.text.disabled = roomId === null;
    this.submit.disabled = roomId === null || this.#drafts.isSending(roomId);
    if (roomId === this.#roomId) return;
    this.#roomId = roomId;
    this.text.value = this.#drafts.textOf(roomId);
  }

  async #send(event, send) {
    event.preventDefault();
    const roomId = this.#roomId;
    const sent = this.#drafts.send(roomId, ({ text, id }) => send(roomId, text, id));
    this.show(roomId);
    this.text.focus();
    await sent;
    if (roomId !== this.#roomId) return;
    this.text.value = this.#drafts.textOf(roomId);
    this.show(roomId);
  }
}
