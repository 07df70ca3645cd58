import { avatar, clock, count, fillPlaces, h, onNextFrame, plural, setText, showAvatar } from './dom.js';

const FACES = 9;
const LINES = 4;
const TONES = { online: 'good', joining: 'warn', reconnecting: 'warn', removed: 'bad', left: undefined };
const REASONS = {
  left: 'left', disconnected: 'lost the connection', inactivity_timeout: 'was inactive', server_restart: 'server restart',
  node_lost: 'server lost', kicked: 'was put out',
};

/** One room on the page: its count, some faces, what happens. `room` is a room of the presence client. */
export class RoomCard {
  #off = [];
  #lines = [];
  #show = onNextFrame(() => this.#draw());

  constructor(room, { openMenu, leave, rejoin }) {
    this.id = String(room.roomId);
    this.status = h('span', { class: 'pill', data: { fact: 'status' } });
    this.number = h('strong', { class: 'number', data: { fact: 'count' } }, '–');
    this.connections = h('span', { class: 'quiet number connections' });
    this.faces = h('ul', { class: 'faces', 'aria-label': 'Some of them' });
    this.more = h('span', { class: 'quiet number more' });
    this.feed = h('ol', { class: 'feed', 'aria-label': 'Latest' });
    this.again = h('button', { class: 'small main', onclick: () => rejoin(this.id), hidden: true }, 'Join again');
    this.leave = h('button', { class: 'small', onclick: () => leave(this.id) }, 'Leave');
    const title = `room-${Math.random().toString(36).slice(2)}`;
    this.element = h(
      'section', { class: 'card room', 'aria-labelledby': title, data: { room: this.id } },
      h('header', { class: 'row' }, h('h2', { id: title, class: 'grow room-name' }, this.id), this.status),
      h('p', { class: 'headcount' }, this.number,
        h('span', {}, h('span', {}, 'Currently users in the room'), this.connections)),
      h('div', { class: 'row faces-row' }, this.faces, this.more),
      this.feed,
      h('footer', { class: 'row' },
        h('button', { class: 'small', onclick: () => openMenu(this.id), data: { act: 'menu' } }, 'Participants'),
        h('span', { class: 'push row' }, this.again, this.leave)),
    );
    this.follow(room);
  }

  follow(room) {
    for (const off of this.#off) off();
    this.room = room;
    this.#off = [
      room.on('change', this.#show),
      room.on('status', this.#show),
      room.on('joined', ({ username }) => this.#tell(`${username} joined`)),
      room.on('updated', ({ username }) => this.#tell(`${username} changed`)),
      room.on('left', ({ username, reason }) =>
        this.#tell(`${username} ${reason && reason !== 'left' ? `is gone: ${REASONS[reason] ?? reason}` : 'left'}`)),
      room.on('error', ({ message }) => this.#tell(message)),
      room.on('force-leave', ({ popup }) => this.#tell(popup)),
    ];
    this.#draw();
  }

  end() {
    for (const off of this.#off) off();
    this.element.remove();
  }

  #tell(text) {
    this.#lines.unshift({ at: Date.now(), text });
    this.#lines.length = Math.min(this.#lines.length, LINES);
    this.#show();
  }

  #draw() {
    const { status, participants, connections, mode, removal } = this.room.view;
    const inside = status === 'online' || status === 'reconnecting';
    setText(this.status, status);
    this.status.dataset.tone = TONES[status] ?? '';
    // After a removal the old number would be a lie.
    setText(this.number, count(inside ? this.room.count : null));
    const told = mode === 'counts' ? 'counts only' : plural(connections ?? 0, 'connection');
    setText(this.connections, inside && connections !== null ? told : removal ? removal.popup : '\u00a0');
    this.#drawFaces(inside ? participants : []);
    fillPlaces(this.feed, this.#lines, { make: makeLine, show: showLine });
    this.feed.dataset.empty = String(!this.#lines.length);
    this.again.hidden = status !== 'removed';
    setText(this.leave, inside || status === 'joining' ? 'Leave' : 'Close');
  }

  #drawFaces(participants) {
    fillPlaces(this.faces, participants.slice(0, FACES), { make: makeFace, show: showFace });
    const rest = (this.room.count ?? 0) - FACES;
    setText(this.more, participants.length && rest > 0 ? `+${count(rest)}` : '\u00a0');
  }
}

const makeLine = () => h('li', {}, h('time', { class: 'quiet number' }), h('span', {}));

function showLine(line, { at, text }) {
  setText(line.firstChild, clock(at));
  setText(line.lastChild, text);
}

const makeFace = () => h('li', {}, avatar(' '), h('span', { class: 'unseen' }));

function showFace(face, { username, status }) {
  showAvatar(face.firstChild, username);
  setText(face.lastChild, username);
  if (face.title !== username) face.title = username;
  face.classList.toggle('away', status === 'away');
}
