import { createParticipantsMenu, fetchParticipants } from '/client/participants.js';
import { avatar, count, h, plural, setText } from './dom.js';
import { WindowedList } from './windowed-list.js';

const MOST = 10_000;

/** The participants of one room in a dialog. Everything shown comes from the endpoint, asked anew on every open. */
export class ParticipantsMenu {
  #roomId;
  #menu;

  constructor(headers) {
    this.#menu = createParticipantsMenu((signal) => readAll(this.#roomId, { headers, signal }));
    this.number = h('strong', { class: 'number', data: { fact: 'menu-count' } });
    this.room = h('span', { class: 'quiet' });
    this.state = h('p', { class: 'menu-state quiet', role: 'status' });
    this.list = new WindowedList({
      rowHeight: 48,
      label: 'Names',
      make: () => [h('span', { class: 'row' })],
      show: (row, { userId, username }) => {
        row.firstChild.replaceChildren(
          avatar(username), h('span', { class: 'name' }, username), h('span', { class: 'quiet id' }, String(userId)),
        );
      },
    });
    this.element = h(
      'dialog', { class: 'menu', 'aria-labelledby': 'menu-title', onclose: () => this.#menu.close() },
      h('header', { class: 'row' },
        h('div', { class: 'grow' }, h('h2', { id: 'menu-title' }, 'Participants'), this.room),
        h('p', { class: 'menu-count' }, this.number),
        h('button', { class: 'small', 'aria-label': 'Close', onclick: () => this.element.close() }, '✕')),
      this.state, this.list.element,
    );
    this.#menu.subscribe(() => this.#show());
  }

  open(roomId) {
    this.#roomId = roomId;
    setText(this.room, `in ${roomId}`);
    this.#menu.open();
    this.element.showModal();
  }

  #show() {
    const { count: users, users: list, loading, error } = this.#menu.view();
    setText(this.number, loading || error ? '–' : count(users));
    this.list.items = list;
    if (loading) setText(this.state, 'Reading the room…');
    else if (error) setText(this.state, `The list cannot be read now: ${error.message}`);
    else setText(this.state, told(users ?? 0, list.length));
    this.element.dataset.loaded = String(!loading && !error);
  }
}

function told(users, listed) {
  if (!users) return 'Nobody is here.';
  return listed < users ? `The first ${count(listed)} of ${count(users)}.` : `${plural(users, 'person', 'people')} here now.`;
}

/** Every page of the list, at most 10,000 people. */
async function readAll(roomId, options) {
  const users = [];
  let page = { nextCursor: undefined };
  do {
    page = await fetchParticipants('', roomId, { ...options, cursor: page.nextCursor });
    users.push(...page.users);
  } while (page.nextCursor !== undefined && users.length < MOST);
  return { count: page.count, users };
}
