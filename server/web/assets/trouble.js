import { Bots, MOST_BOTS } from './bots.js';
import { h, keepChildren, setText } from './dom.js';
import { secondTab } from './me.js';

/** Buttons that make trouble, so that one can watch what becomes of it. */
export class Trouble {
  #bots = new Bots();

  constructor(line, me) {
    this.line = line;
    this.network = h('button', { class: 'small', 'aria-pressed': 'false', onclick: () => line.drop(!line.dropped) },
      'Drop the network');
    this.beats = h('button', { class: 'small', 'aria-pressed': 'false', onclick: () => line.mute(!line.muted) },
      'Stop beating');
    this.room = h('select', { 'aria-label': 'Room for the bots' });
    this.crowd = h('button', { class: 'small crowd', 'aria-pressed': 'false', onclick: () => this.#toggleBots() });
    const tab = () => window.open(secondTab(me), '_blank', 'noopener');
    this.element = h(
      'section', { class: 'card trouble', 'aria-labelledby': 'trouble-title' },
      h('h2', { id: 'trouble-title' }, 'Make trouble'),
      h('div', { class: 'row wrap' }, this.network, this.beats,
        h('button', { class: 'small', onclick: tab }, 'Second tab')),
      h('div', { class: 'row' }, this.crowd, this.room),
    );
    line.on('change', () => this.#show());
    this.#show();
  }

  set rooms(rooms) {
    keepChildren(this.room, rooms, { key: String, make: (id) => h('option', { value: id }, id) });
    this.crowd.disabled = !rooms.length && !this.#bots.size;
  }

  async #toggleBots() {
    const leaving = this.#bots.size > 0;
    if (leaving) await this.#bots.go();
    else await this.#bots.come(this.room.value, () => this.#show());
    this.#show();
  }

  #show() {
    setText(this.network, this.line.dropped ? 'Bring the network back' : 'Drop the network');
    this.network.setAttribute('aria-pressed', this.line.dropped);
    setText(this.beats, this.line.muted ? 'Beat again' : 'Stop beating');
    this.beats.setAttribute('aria-pressed', this.line.muted);
    const { size } = this.#bots;
    setText(this.crowd, size ? `Send ${size} bots home` : `${MOST_BOTS} bots`);
    this.crowd.setAttribute('aria-pressed', size > 0);
  }
}
