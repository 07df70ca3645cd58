import { h, setText, atMostEvery, plural } from './dom.js';
import { bearer, keepInAddress, remember } from './me.js';
import { RoomCard } from './room-card.js';

/** All open rooms side by side, and the field that opens another. */
export class RoomsView {
  cards = new Map();

  constructor(line, me, { menu, popup, changed }) {
    this.line = line;
    this.me = me;
    this.menu = menu;
    this.popup = popup;
    this.changed = changed;
    this.grid = h('div', { class: 'rooms' });
    this.spoken = h('p', { class: 'unseen', role: 'status' });
    this.speak = atMostEvery(3000, () => setText(this.spoken, this.#told()));
    this.suggestions = h('datalist', { id: 'live-rooms' });
    const name = h('input', {
      name: 'room', maxlength: '128', required: true, placeholder: 'Name of a room', 'aria-label': 'Name of a room',
      list: 'live-rooms', autocomplete: 'off', onfocus: () => this.#suggest(),
    });
    this.element = h(
      'div', {},
      h('form', { class: 'row opener', onsubmit: (event) => {
        event.preventDefault();
        this.open(name.value);
        name.value = '';
      } }, name, this.suggestions, h('button', { class: 'main' }, 'Open room')),
      this.grid, this.spoken,
    );
  }

  open(roomId) {
    const known = this.cards.get(roomId);
    if (known && !known.room.ended) return known.room;
    const room = this.line.client.joinRoom(roomId, this.#user());
    room.on('change', () => {
      this.speak();
      this.changed();
    });
    room.on('updated', (member) => this.#heardOf(member));
    room.on('force-leave', (removal) => {
      this.changed();
      this.popup.tell(removal);
    });
    if (known) known.follow(room);
    else this.#add(roomId, room);
    this.changed();
    return room;
  }

  rename(username) {
    const open = [...this.cards.values()].filter(({ room }) => !room.ended);
    return open.map(({ room }) => room.update({ username }));
  }

  /** A new name of ours that the room shows is the server's, however late it took it. */
  #heardOf({ userId, username }) {
    if (String(userId) === String(this.me.userId) && username === this.me.username) remember(this.me);
  }

  #add(roomId, room) {
    const card = new RoomCard(room, {
      openMenu: (id) => this.menu.open(id),
      leave: (id) => this.#close(id),
      rejoin: (id) => this.open(id),
    });
    this.cards.set(roomId, card);
    this.grid.append(card.element);
    keepInAddress([...this.cards.keys()]);
  }

  #close(roomId) {
    const card = this.cards.get(roomId);
    card.room.leave();
    card.end();
    this.cards.delete(roomId);
    keepInAddress([...this.cards.keys()]);
    this.changed();
  }

  /** With a token the server knows better than this page who we are. */
  #user() {
    const { userId, username, token } = this.me;
    return token ? {} : { userId, username };
  }

  async #suggest() {
    const answer = await fetch('/api/chatrooms?limit=20', { headers: bearer(this.me) }).catch(() => null);
    if (!answer?.ok) return;
    const { rooms } = await answer.json();
    this.suggestions.replaceChildren(...rooms.map(({ roomId, count }) =>
      h('option', { value: roomId }, `${plural(count, 'person', 'people')} there`)));
  }

  #told() {
    return [...this.cards].map(([id, { room }]) => `${id}: ${room.count ?? 'unknown'} users`).join(', ');
  }
}
