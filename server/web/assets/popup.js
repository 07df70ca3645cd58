import { h } from './dom.js';

/** Tells of rooms this page was put out of: one dialog, one entry a force-leave, each naming its room. */
export class SessionExpired {
  constructor({ rejoin }) {
    this.rejoin = rejoin;
    this.entries = h('ul', { class: 'removals', id: 'popup-text' });
    this.element = h(
      'dialog', {
        class: 'popup', role: 'alertdialog', 'aria-labelledby': 'popup-title', 'aria-describedby': 'popup-text',
        onclose: () => this.#closed(),
      },
      h('h2', { id: 'popup-title' }, 'Session Expired'),
      this.entries,
      h('footer', { class: 'row' },
        h('button', { class: 'main push', autofocus: true, onclick: () => this.element.close() }, 'OK')),
    );
  }

  tell({ roomId, message, popup, reason }) {
    const again = h('button', { class: 'small', onclick: () => this.#again(roomId, entry) }, 'Join again');
    const entry = h(
      'li', { data: { room: roomId, reason } },
      h('p', { class: 'row' }, h('span', { class: 'room-name' }, String(roomId)), again),
      h('p', { class: 'popup-text' }, popup),
      message === popup ? null : h('p', { class: 'quiet' }, message),
    );
    this.entries.append(entry);
    if (!this.element.open) this.element.showModal();
  }

  #again(roomId, entry) {
    entry.remove();
    this.rejoin(roomId);
    if (!this.entries.children.length) this.element.close();
  }

  #closed() {
    this.entries.replaceChildren();
  }
}
